#include "sim/target_process.h"

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
                        .stalled_send = milliseconds(options.limits.stalled_send_ms)}) {
  reactor.add(net);
  reactor.add(sockets);
}

TargetProcess::Room::~Room() {
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
  std::vector<tcp::Acceptor<Net>::Room> transport_rooms;
  for (size_t i = 0; i < rooms_.size(); ++i)
    transport_rooms.push_back({rooms_[i]->net, rooms_[i]->sockets, *target_->shards()[i]});
  transport_ = std::make_unique<tcp::Acceptor<Net>>(options_.limits, transport_rooms);
  for (const auto& room : rooms_) room->core.run(room->reactor);
  return {};
}

void TargetProcess::jump_wall_clock(int64_t milliseconds) {
  for (const auto& room : rooms_) room->core.jump_wall_clock(milliseconds);
}

void TargetProcess::stop(std::function<void()> done) {
  target_->home().post([this, done = std::move(done)] {
    auto missing = std::make_shared<int>(2);
    auto one_done = [this, missing, done] {
      // Not from inside the reactor, which is about to be destroyed.
      if (--*missing == 0) setting_.agenda.after(milliseconds(1), done);
    };
    transport_->stop(one_done);
    target_->stop(one_done);
  });
}

void TargetProcess::die() {
  for (const auto& room : rooms_) room->core.halt();
  memory_.release_all();
}

void TargetProcess::close() {
  // What was posted last is delivered while everything that it names is still there.
  bool is_idle = rooms_.empty();
  while (!is_idle) {
    is_idle = true;
    for (const auto& room : rooms_) is_idle &= room->reactor.run_once() == Reactor::Turn::kIdle;
  }
  transport_.reset();
  target_.reset();
}

TargetProcess::~TargetProcess() { close(); }

}  // namespace weft::sim
