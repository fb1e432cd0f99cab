#include "net/sockets.h"

#include <algorithm>
#include <cstring>

#include "base/simulation.h"

namespace weft::net {

void PartialPool::keep(Kept& kept, std::span<const std::byte> bytes) {
  if (bytes.empty()) return drop(kept);
  const size_t capacity = std::max(bytes.size(), size_);
  if (capacity > size_) WEFT_PROBE("net/long-rest-kept");
  if (kept.capacity == capacity) {
    std::memmove(kept.buffer.get(), bytes.data(), bytes.size());
    kept.size = bytes.size();
    return;
  }
  Kept replacement{.capacity = capacity, .size = bytes.size()};
  if (capacity == size_ && !free_.empty()) {
    replacement.buffer = std::move(free_.back());
    free_.pop_back();
  } else {
    replacement.buffer = std::make_unique_for_overwrite<std::byte[]>(capacity);
  }
  std::memcpy(replacement.buffer.get(), bytes.data(), bytes.size());
  drop(kept);
  kept = std::move(replacement);
}

void PartialPool::drop(Kept& kept) {
  if (kept.capacity == size_) free_.push_back(std::move(kept.buffer));
  kept = {};
}

Sockets::Sockets(Reactor& reactor, const Options& options)
    : reactor_(reactor),
      options_(options),
      receive_buffer_(options.partial_bytes + options.receive_bytes),
      iovecs_(options.send_iovecs),
      partials_(options.partial_bytes) {
  WEFT_ASSERT(options.receive_bytes > 0);
  WEFT_ASSERT(options.send_iovecs > 0);
}

size_t Sockets::poll() {
  // Those that are ready now, once each; who has more to receive goes to the end of the list, for the next cycle.
  size_t served = 0;
  for (size_t turns = ready_count_; turns > 0 && !ready_.empty(); --turns) {
    SocketTurn& socket = *ready_.pop_front();
    --ready_count_;
    ++served;
    const bool was_dirty = socket.dirty_link_.is_linked();
    if (socket.receive_once() == SocketTurn::Rest::kMore) make_ready(socket);
    if (was_dirty || !socket.dirty_link_.is_linked() || !socket.answers_at_once()) continue;
    socket.dirty_link_.unlink();
    --dirty_count_;
    send(socket);
  }
  return served;
}

size_t Sockets::flush() {
  size_t sent = 0;
  for (size_t turns = dirty_count_; turns > 0 && dirty_count_ > 0; --turns) {
    SocketTurn* next = dirty_.pop_front();
    if (next == nullptr) next = rests_.pop_front();
    --dirty_count_;
    ++sent;
    send(*next);
  }
  return sent + dirty_count_;
}

void Sockets::send(SocketTurn& socket) {
  if (socket.send_once() == SocketTurn::Rest::kMore) send_rest(socket);
}

void Sockets::make_ready(SocketTurn& socket) {
  if (socket.ready_link_.is_linked()) return;
  ready_.push_back(socket);
  ++ready_count_;
}

void Sockets::make_dirty(SocketTurn& socket) {
  if (socket.dirty_link_.is_linked()) return;
  dirty_.push_back(socket);
  ++dirty_count_;
}

void Sockets::send_rest(SocketTurn& socket) {
  if (socket.dirty_link_.is_linked()) return;
  rests_.push_back(socket);
  ++dirty_count_;
}

void Sockets::forget(SocketTurn& socket) {
  if (socket.ready_link_.is_linked()) {
    socket.ready_link_.unlink();
    --ready_count_;
  }
  if (socket.dirty_link_.is_linked()) {
    socket.dirty_link_.unlink();
    --dirty_count_;
  }
}

}  // namespace weft::net
