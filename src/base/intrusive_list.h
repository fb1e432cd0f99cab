// A doubly linked list whose links live in the elements: no allocation, O(1) removal. An element is in at most one list per Link.
#pragma once
#include <cstddef>

#include "base/assert.h"

namespace weft {

struct Link {
  Link* next = nullptr;
  Link* previous = nullptr;
  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() { WEFT_ASSERT(!is_linked()); }
  bool is_linked() const { return next != nullptr; }
  /// Takes the element out of its list. Requires: is_linked().
  void unlink() {
    WEFT_ASSERT(is_linked());
    next->previous = previous;
    previous->next = next;
    next = previous = nullptr;
  }
};

/// `member` is the Link inside T. Does not own the elements; they must be unlinked before they or the list die.
template <typename T, Link T::*member>
class IntrusiveList {
 public:
  IntrusiveList() { head_.next = head_.previous = &head_; }
  ~IntrusiveList() {
    WEFT_ASSERT(empty());
    head_.next = head_.previous = nullptr;
  }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  bool empty() const { return head_.next == &head_; }
  void push_back(T& element) { insert_before(head_, element.*member); }
  void push_front(T& element) { insert_before(*head_.next, element.*member); }
  T* front() const { return empty() ? nullptr : owner(head_.next); }
  T* pop_front() {
    T* element = front();
    if (element != nullptr) (element->*member).unlink();
    return element;
  }
  /// The element after `element`, or null at the end.
  T* next(const T& element) const {
    Link* link = (element.*member).next;
    return link == &head_ ? nullptr : owner(link);
  }
  /// Calls f(element) for each; f may unlink the element it is given, and no other.
  template <typename F>
  void for_each(F&& f) {
    for (Link* link = head_.next; link != &head_;) {
      Link* following = link->next;
      f(*owner(link));
      link = following;
    }
  }

 private:
  static T* owner(Link* link) {
    // The offset of the member in T; computed on a fake address because offsetof takes no member pointer.
    alignas(T) static char probe[1];
    const auto* fake = reinterpret_cast<const T*>(probe);
    const auto offset = reinterpret_cast<const char*>(&(fake->*member)) - reinterpret_cast<const char*>(fake);
    return reinterpret_cast<T*>(reinterpret_cast<char*>(link) - offset);
  }
  static void insert_before(Link& position, Link& link) {
    WEFT_ASSERT(!link.is_linked());
    link.previous = position.previous;
    link.next = &position;
    position.previous->next = &link;
    position.previous = &link;
  }
  Link head_;
};

}  // namespace weft
