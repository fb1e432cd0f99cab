#include "sim/target_process.h"

#include <algorithm>

namespace weft::sim {

void TargetProcess::Sink::write(LogLevel, std::string_view line) {
  setting_.trace.note(setting_.agenda.now(), "target {}: {}", machine_, line);
  listener_(line);
}

TargetProcess::Room::Room(const Setting& setting, const Options& options, uint32_t index, LogSink& sink)
    : core(setting.agenda, options.seed + index),
      reactor({.index = index}, core, sink),
      net(setting.network, options.machine, core),
      sockets(reactor, {.receive_bytes = options.limits.receive_buffer_bytes,
                        .send_iovecs = options.limits.send_iovecs,
                        .partial_bytes = tcp::Connection::kPartialMax,
                        .stalled_send = milliseconds(options.limits.stalled_send_ms)}),
      verbs(setting.rdma, options.machine, [this] { core.wake(); }) {
  reactor.add(net);
  reactor.add(sockets);
  reactor.add(verbs);
}

TargetProcess::Room::~Room() {
  reactor.remove(verbs);
  reactor.remove(sockets);
  reactor.remove(net);
}

TargetProcess::TargetProcess(const Setting& setting, Options options)
    : setting_(setting),
      options_(std::move(options)),
      sink_(setting, options_.machine, options_.on_log),
      memory_(options_.refused_request) {}

Result<std::unique_ptr<TargetProcess>> TargetProcess::start(const Setting& setting, Options options) {
  std::unique_ptr<TargetProcess> process{new TargetProcess(setting, std::move(options))};
  if (auto made = process->make(); !made) return std::unexpected(made.error());
  return process;
}

Result<void> TargetProcess::make() {
  std::vector<nvmf::Target::ShardResources> resources;
  for (uint32_t index = 0; index < options_.reactors; ++index) {
    rooms_.push_back(std::make_unique<Room>(setting_, options_, index, sink_));
    resources.push_back({rooms_.back()->reactor, memory_});
  }
  auto target = nvmf::Target::create(options_.limits, resources);
  if (!target) return std::unexpected(target.error());
  target_ = std::move(*target);
  std::vector<tcp::Acceptor<Net>::Room> tcp_rooms;
  std::vector<rdma::Acceptor<verbs::MemoryVerbs>::Room> rdma_rooms;
  for (size_t i = 0; i < rooms_.size(); ++i) {
    tcp_rooms.push_back({rooms_[i]->net, rooms_[i]->sockets, *target_->shards()[i]});
    rdma_rooms.push_back({rooms_[i]->verbs, memory_, *target_->shards()[i]});
  }
  tcp_ = std::make_unique<tcp::Acceptor<Net>>(options_.limits, tcp_rooms);
  rdma_ = std::make_unique<rdma::Acceptor<verbs::MemoryVerbs>>(options_.limits, rdma_rooms);
  for (const auto& room : rooms_) room->core.run(room->reactor);
  return {};
}

Result<void> TargetProcess::listen(const net::Address& address) {
  if (auto bound = tcp_->listen(address); !bound) return std::unexpected(bound.error());
  if (auto bound = rdma_->listen(address); !bound) return std::unexpected(bound.error());
  return {};
}

void TargetProcess::unlisten(const net::Address& address) {
  const bool is_done = tcp_->unlisten(address).has_value() && rdma_->unlisten(address).has_value();
  WEFT_ASSERT(is_done);
}

void TargetProcess::jump_wall_clock(int64_t milliseconds) {
  for (const auto& room : rooms_) room->core.jump_wall_clock(milliseconds);
}

void TargetProcess::stop(std::function<void()> done) {
  target_->home().post([this, done = std::move(done)] {
    auto missing = std::make_shared<int>(3);
    auto one_done = [this, missing, done] {
      // Not from inside the reactor, which is about to be destroyed.
      if (--*missing == 0) setting_.agenda.after(milliseconds(1), [this, done] { close_seats(done); });
    };
    tcp_->stop(one_done);
    rdma_->stop(one_done);
    target_->stop(one_done);
  });
}

void TargetProcess::open_nvme(NvmeDevice& hardware, NvmeSeat::Opened opened) {
  auto seat = std::ranges::find(seats_, &hardware, [](const auto& each) { return &each->hardware(); });
  if (seat == seats_.end()) {
    std::vector<Reactor*> reactors;
    for (const auto& room : rooms_) reactors.push_back(&room->reactor);
    const auto pools = memory_.regions();
    seat = seats_.insert(seat, std::make_unique<NvmeSeat>(hardware, NvmeSeat::Options{reactors, pools, options_.seed + 100 + seats_.size()}));
  }
  (*seat)->open(std::move(opened));
}

/// Their devices are shut down, so that what was acknowledged lasts, when nobody uses them any more.
void TargetProcess::close_seats(std::function<void()> done) {
  if (seats_.empty()) return done();
  close_target();
  auto missing = std::make_shared<size_t>(seats_.size());
  for (const auto& seat : seats_) {
    rooms_.front()->reactor.post([this, &seat = *seat, missing, done] {
      seat.close([this, missing, done] {
        if (--*missing == 0) setting_.agenda.after(milliseconds(1), done);
      });
    });
  }
}

void TargetProcess::die() {
  for (const auto& room : rooms_) room->core.halt();
  for (const auto& seat : seats_) seat->die();
  memory_.release_all();
}

void TargetProcess::close_target() {
  if (target_ == nullptr) return;
  // What was posted last is delivered while everything that it names is still there.
  bool is_idle = rooms_.empty();
  while (!is_idle) {
    is_idle = true;
    for (const auto& room : rooms_) is_idle &= room->reactor.run_once() == Reactor::Turn::kIdle;
  }
  rdma_.reset();
  tcp_.reset();
  target_.reset();
}

void TargetProcess::close() {
  close_target();
  seats_.clear();
}

TargetProcess::~TargetProcess() { close(); }

}  // namespace weft::sim
