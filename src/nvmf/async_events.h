// Asynchronous events of one controller: holds the host's requests until there is an event, and events until there is a request; an event of a
// type that was reported is masked until the host reads its log page with RAE 0. NVMe Base 2.0 §5.2.
#pragma once
#include <cstdint>
#include <vector>

namespace weft::nvmf {

struct Command;

enum class AsyncEvent : uint8_t { kNamespaceAttribute, kDiscoveryLog };

class AsyncEvents {
 public:
  explicit AsyncEvents(uint32_t requests_max) : requests_max_(requests_max) {}

  /// Takes an Asynchronous Event Request: completes it now if an event waits or too many are held, else holds it.
  void request(Command& command);
  /// Something has happened. Reported if feature 0Bh enables it (`config`) and it is not masked; once, however often it happens.
  void raise(AsyncEvent event, uint32_t config);
  /// The log page of that event was read with RAE 0: it may be reported again.
  void log_page_read(uint8_t lid);
  /// Lets go of a held request (abort, reset). True if it was held.
  bool release(Command& command);
  /// Forgets every held request and event; the caller completes or frees the commands itself.
  std::vector<Command*> take_all();

 private:
  void deliver();
  uint32_t requests_max_;
  std::vector<Command*> held_;
  uint32_t pending_ = 0;  // bit per AsyncEvent
  uint32_t masked_ = 0;
};

}  // namespace weft::nvmf
