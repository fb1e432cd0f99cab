#include "sim/host_process.h"

namespace weft::sim {
namespace {

constexpr net::Sockets::Options kSockets{.receive_bytes = 64 << 10,
                                         .send_iovecs = 64,
                                         .partial_bytes = host::TcpConnection::kPartialMax,
                                         .stalled_send = seconds(30)};

constexpr uint32_t kAdminEntries = 32;
constexpr size_t kDataBytes = 64 << 20;  // more than all commands of a world's host have on the way; touched when used

/// Twice what its associations need: a lost one and the one that takes its place live side by side for a while.
host::RdmaOptions rdma_options(const HostPlan& plan) {
  uint32_t entries = 0;
  for (const AssociationPlan& one : plan.associations) entries += kAdminEntries + uint32_t(one.io_queues) * one.queue_entries;
  return {.entries = 2 * entries, .data_bytes = kDataBytes, .descriptors = plan.descriptors, .has_windows = plan.has_windows};
}

}  // namespace

HostProcess::HostProcess(const Setting& setting, size_t machine, const HostPlan& plan, uint64_t seed)
    : setting_(setting),
      sink_(setting, machine),
      core_(setting.agenda, seed),
      reactor_({}, core_, sink_),
      net_(setting.network, machine, core_),
      sockets_(reactor_, kSockets),
      tcp_(net_, sockets_),
      verbs_(setting.rdma, machine, [this] { core_.wake(); }),
      rdma_(reactor_, verbs_, memory_, rdma_options(plan)) {
  reactor_.add(net_);
  reactor_.add(sockets_);
  reactor_.add(verbs_);
  core_.run(reactor_);
}

void HostProcess::close(std::function<void()> done) {
  reactor_.post([this, done = std::move(done)]() mutable {
    rdma_.close();
    await_close(std::move(done));
  });
}

void HostProcess::await_close(std::function<void()> done) {
  setting_.agenda.after(milliseconds(1), [this, done = std::move(done)]() mutable { rdma_.is_closed() ? done() : await_close(std::move(done)); });
}

HostProcess::~HostProcess() {
  while (reactor_.run_once() == Reactor::Turn::kWorked) {
  }
  reactor_.remove(verbs_);
  reactor_.remove(sockets_);
  reactor_.remove(net_);
}

}  // namespace weft::sim
