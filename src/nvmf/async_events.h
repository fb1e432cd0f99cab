// Asynchronous events of one controller: holds the host's requests until there is an event, and events until there is a request; an event of a
// type that was reported is masked until the host reads its log page with RAE 0. NVMe Base 2.0 §5.2.
#pragma once
#include <cstdint>
#include <vector>

namespace weft::nvmf {

struct Command;

enum class AsyncEvent : uint8_t { kTemperature, kNamespaceAttribute, kDiscoveryLog };

/// Whether a read of a log page gave the host its present contents, or the rest of a page that it began to read earlier.
enum class LogRead : uint8_t { kPresent, kContinued };

class AsyncEvents {
 public:
  explicit AsyncEvents(uint32_t requests_max) : requests_max_(requests_max) {}

  /// Takes an Asynchronous Event Request: completes it now if an event waits or too many are held, else holds it.
  void request(Command& command);
  /// Something has happened. Reported if feature 0Bh enables it (`config`), once, however often it happens; while it is masked it waits.
  void raise(AsyncEvent event, uint32_t config);
  /// A log page was read with RAE 0: its events may be reported again. Those that wait are dropped when the host has seen their effect.
  void log_page_read(uint8_t lid, LogRead read);
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
