#include "sim/checkers/wire_watch.h"

#include "sim/checkers/wire_monitor.h"

#include <fmt/format.h>

namespace weft::sim {

std::unique_ptr<WireTap> WireWatch::connected(size_t host_machine, size_t target_machine, const net::Address& address,
                                              Instant) {
  WireQueue queue{.id = ++connections_, .host_machine = host_machine, .target_machine = target_machine};
  queue.name = fmt::format("connection {} of machine {} to {}:{}", queue.id, host_machine, address.host, address.port);
  queue.is_host_trusted = !distrusted_.contains(host_machine);
  WireEvents& events = *this;  // named here: the base is private
  return std::make_unique<WireMonitor>(std::move(queue), referee_, events);
}

void WireWatch::on_initialized(const WireQueue& queue, uint32_t maxh2cdata, Instant now) {
  for (WireEvents* checker : checkers_) checker->on_initialized(queue, maxh2cdata, now);
}
void WireWatch::on_command_sent(const WireQueue& queue, const WireCommand& command, Instant now) {
  for (WireEvents* checker : checkers_) checker->on_command_sent(queue, command, now);
}
void WireWatch::on_command_taken(const WireQueue& queue, const WireCommand& command, Instant now) {
  for (WireEvents* checker : checkers_) checker->on_command_taken(queue, command, now);
}
void WireWatch::on_r2t(const WireQueue& queue, const nvme::Sqe& sqe, uint32_t length, Instant now) {
  for (WireEvents* checker : checkers_) checker->on_r2t(queue, sqe, length, now);
}
void WireWatch::on_completion(const WireQueue& queue, const WireCompletion& completion, Instant now) {
  for (WireEvents* checker : checkers_) checker->on_completion(queue, completion, now);
}
void WireWatch::on_connected(const WireQueue& queue, Instant now) {
  for (WireEvents* checker : checkers_) checker->on_connected(queue, now);
}
void WireWatch::on_closed(const WireQueue& queue, Side by, Instant now) {
  for (WireEvents* checker : checkers_) checker->on_closed(queue, by, now);
}

}  // namespace weft::sim
