#include "sim/checkers/wire_watch.h"

#include "sim/checkers/rdma_monitor.h"
#include "sim/checkers/wire_monitor.h"

#include <fmt/format.h>

namespace weft::sim {

WireQueue WireWatch::new_queue(size_t host_machine, size_t target_machine, const net::Address& address) {
  WireQueue queue{.id = ++connections_, .host_machine = host_machine, .target_machine = target_machine};
  queue.name = fmt::format("connection {} of machine {} to {}:{}", queue.id, host_machine, address.host, address.port);
  queue.is_host_trusted = !distrusted_.contains(host_machine);
  return queue;
}

std::unique_ptr<WireTap> WireWatch::connected(size_t host_machine, size_t target_machine, const net::Address& address,
                                              Instant) {
  WireEvents& events = *this;  // named here: the base is private
  return std::make_unique<WireMonitor>(new_queue(host_machine, target_machine, address), referee_, events);
}

std::shared_ptr<verbs::MemoryTap> WireWatch::accepted(size_t host_machine, size_t target_machine,
                                                      const verbs::MemoryConnection& connection) {
  WireQueue queue = new_queue(host_machine, target_machine, connection.address);
  queue.is_rdma = true;
  queue.name = "RDMA " + queue.name;
  WireEvents& events = *this;
  return std::make_shared<RdmaMonitor>(std::move(queue), connection.server_reads, *agenda_, referee_, events);
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
void WireWatch::on_backlog(const WireQueue& queue, bool is_there) {
  for (WireEvents* checker : checkers_) checker->on_backlog(queue, is_there);
}
void WireWatch::on_closed(const WireQueue& queue, Side by, Instant now) {
  for (WireEvents* checker : checkers_) checker->on_closed(queue, by, now);
}

}  // namespace weft::sim
