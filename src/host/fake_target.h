// A target at the level of commands, for the tests of the controller, the discovery and the workload: a Transport whose queues answer from
// a small model with a RAM namespace. Tests bend it by the hooks. Not part of the library.
#pragma once
#include <fmt/format.h>

#include <cstring>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "core/reactor.h"
#include "core/task.h"
#include "core/test_support.h"
#include "host/queue.h"
#include "wire/fabrics/connect.h"
#include "wire/fabrics/discovery.h"
#include "wire/nvme/features.h"
#include "wire/nvme/identify.h"
#include "wire/nvme/log_pages.h"
#include "wire/nvme/registers.h"

namespace weft::host::testing_support {

class FakeTarget final : public Transport, public Poller {
 public:
  static constexpr uint32_t kLbaBytes = 512;

  explicit FakeTarget(Reactor& reactor) : reactor_(reactor) { reactor.add(*this); }
  ~FakeTarget() override { reactor_.remove(*this); }

  // What a test may bend.
  uint64_t cap = 127 | uint64_t{15} << 24 | uint64_t{1} << 37;
  int ready_after_polls = 2;  // CSTS.RDY follows CC.EN after so many Property Gets
  uint16_t queues_granted = 8;
  nvme::IdentifyController identity = default_identity();
  std::vector<std::byte> disk = std::vector<std::byte>(1 << 20);
  std::vector<fabrics::DiscoveryLogEntry> discovery;
  uint64_t genctr = 1;
  Error* refuse_connection = nullptr;
  /// Sees every command first; returns true when it has answered (cqe) or, with no answer wanted, swallowed it.
  enum class Hook : uint8_t { kPass, kAnswered, kSwallow };
  std::function<Hook(uint16_t qid, Command& command, nvme::Cqe& cqe)> hook;

  std::vector<std::string> steps;  // of the admin queue, in words
  int queues_opened = 0;
  uint32_t cc = 0;

  static nvme::IdentifyController default_identity() {
    nvme::IdentifyController id{};
    id.cntlid = uint16_t{5};
    id.kas = uint16_t{10};
    id.ioccsz = 4u + 8192 / 16;
    id.iorcsz = 1u;
    id.sgls = nvme::kSglsSupported;
    id.maxcmd = uint16_t{128};
    id.mdts = 8;
    id.cntrltype = uint8_t(nvme::ControllerType::kIo);
    return id;
  }

  Result<std::unique_ptr<Queue>> open(const Endpoint&, const QueueOptions& options, QueueEvents& events) override {
    if (refuse_connection != nullptr) return std::unexpected(*refuse_connection);
    auto queue = std::make_unique<FakeQueue>(*this, events, options.entries);
    queues_.push_back(queue.get());
    ++queues_opened;
    return queue;
  }
  size_t poll() override {
    size_t work = 0;
    for (size_t i = 0; i < queues_.size(); ++i) {
      if (queues_[i] != nullptr) work += queues_[i]->poll();
    }
    return work;
  }
  /// Runs a task on the reactor, a millisecond to a cycle, for at most `cycles`.
  template <typename T>
  static std::optional<T> run(Reactor& reactor, weft::testing_support::ManualClock& clock, Task<T> task, int cycles = 200000) {
    task.start({});
    for (int i = 0; i < cycles && !task.is_done(); ++i) {
      reactor.run_once();
      clock.advance(milliseconds(1));
    }
    if (!task.is_done()) return std::nullopt;
    return task.take();
  }
  /// Ends the connection of the queue that was opened as number `index`.
  void cut(size_t index, const char* why) { queues_[index]->close(Error{Errc::kClosed, why}); }

 private:
  class FakeQueue final : public Queue {
   public:
    FakeQueue(FakeTarget& target, QueueEvents& events, uint16_t entries) : target_(target), events_(events), entries_(entries) {}
    ~FakeQueue() override {
      end(Error{Errc::kClosed, "destroyed"});
      for (auto& queue : target_.queues_) queue = queue == this ? nullptr : queue;
    }
    bool has_room() const override { return is_open_ && !reason_ && waiting_.size() < entries_; }
    void submit(Command& command) override {
      WEFT_ASSERT(has_room());
      waiting_.push_back(&command);
    }
    void disable_flow_control() override { has_flow_control = false; }
    void close(const Error& reason) override {
      if (!reason_) reason_ = reason;
    }
    size_t poll() {
      if (reason_) return end(*reason_), 0;
      if (!is_open_) {
        is_open_ = true;
        events_.on_open();
        return 1;
      }
      size_t done = 0;
      size_t i = 0;
      for (size_t turns = waiting_.size(); turns > 0 && !reason_; --turns) {
        nvme::Cqe cqe{};
        Command& command = *waiting_[i];
        if (target_.answer(qid_, command, cqe) == Hook::kSwallow) {
          ++i;
          continue;
        }
        const auto* connect = reinterpret_cast<const fabrics::ConnectSqe*>(&command.sqe);
        if (command.sqe.opcode == nvme::kFabricsOpcode && connect->fctype == uint8_t(fabrics::Fctype::kConnect)) qid_ = connect->qid;
        waiting_.erase(waiting_.begin() + ptrdiff_t(i));
        command.on_completed(cqe);
        ++done;
      }
      return done;
    }
    bool has_flow_control = true;

   private:
    void end(const Error& why) {
      if (std::exchange(is_ended_, true)) return;
      if (!reason_) reason_ = why;
      is_open_ = false;
      while (!waiting_.empty()) {
        Command& command = *waiting_.front();
        waiting_.pop_front();
        nvme::Cqe cqe{};
        cqe.status = nvme::status::kAbortedByHost.to_cqe();
        command.on_completed(cqe);
      }
      events_.on_closed(*reason_);
    }
    FakeTarget& target_;
    QueueEvents& events_;
    size_t entries_;
    uint16_t qid_ = 0;
    bool is_open_ = false;
    bool is_ended_ = false;
    std::optional<Error> reason_;
    std::deque<Command*> waiting_;
  };

  Hook answer(uint16_t qid, Command& command, nvme::Cqe& cqe) {
    if (hook) {
      const Hook result = hook(qid, command, cqe);
      if (result != Hook::kPass) return result;
    }
    if (command.sqe.opcode == nvme::kFabricsOpcode) {
      answer_fabrics(command, cqe);
    } else if (qid == 0) {
      answer_admin(command, cqe);
    } else {
      answer_io(command, cqe);
    }
    return Hook::kAnswered;
  }
  void answer_fabrics(Command& command, nvme::Cqe& cqe) {
    const auto& property = *reinterpret_cast<const fabrics::PropertySqe*>(&command.sqe);
    switch (fabrics::Fctype(property.fctype)) {
      case fabrics::Fctype::kConnect:
        steps.push_back("connect");
        cqe.dw0 = 5u;
        return;
      case fabrics::Fctype::kPropertySet:
        cc = uint32_t(uint64_t{property.value});
        ready_in_ = ready_after_polls;
        steps.push_back(fmt::format("cc={:08x}", cc));
        return;
      case fabrics::Fctype::kPropertyGet: answer_property(property.ofst, cqe); return;
      case fabrics::Fctype::kAuthenticationSend:
      case fabrics::Fctype::kAuthenticationReceive:
      case fabrics::Fctype::kDisconnect: break;
    }
    cqe.status = nvme::status::kInvalidOpcode.to_cqe();
  }
  void answer_property(uint32_t offset, nvme::Cqe& cqe) {
    uint64_t value = 0;
    if (offset == nvme::property::kCap) value = cap;
    if (offset == nvme::property::kVs) value = nvme::kVersion2_0;
    if (offset == nvme::property::kCsts && ready_in_-- <= 0) value = (cc & 1) | ((cc >> 14 & 3) != 0 ? nvme::Csts::kShstComplete : 0);
    if (offset != nvme::property::kCsts) steps.push_back(fmt::format("get {:02x}h", offset));
    cqe.dw0 = uint32_t(value);
    cqe.dw1 = uint32_t(value >> 32);
  }
  void answer_admin(Command& command, nvme::Cqe& cqe) {
    switch (nvme::AdminOpcode(command.sqe.opcode)) {
      case nvme::AdminOpcode::kIdentify:
        steps.push_back("identify");
        std::memcpy(command.in.data(), &identity, command.in.size());
        return;
      case nvme::AdminOpcode::kSetFeatures:
        steps.push_back("queues");
        cqe.dw0 = nvme::NumberOfQueues{queues_granted, queues_granted}.to_wire();
        return;
      case nvme::AdminOpcode::kGetLogPage: {
        std::vector<std::byte> log(1024 * (1 + discovery.size()));
        auto* header = reinterpret_cast<fabrics::DiscoveryLogHeader*>(log.data());
        header->genctr = genctr;
        header->numrec = discovery.size();
        if (!discovery.empty()) std::memcpy(log.data() + 1024, discovery.data(), discovery.size() * 1024);
        const auto request = nvme::GetLogPage::from(command.sqe);
        steps.push_back(fmt::format("log {}+{}", request.offset_bytes, request.length_bytes));
        copy_window(command.in, log, request.offset_bytes);
        return;
      }
      case nvme::AdminOpcode::kKeepAlive: steps.push_back("keep alive"); return;
      case nvme::AdminOpcode::kDeleteIoSq:
      case nvme::AdminOpcode::kCreateIoSq:
      case nvme::AdminOpcode::kDeleteIoCq:
      case nvme::AdminOpcode::kCreateIoCq:
      case nvme::AdminOpcode::kAbort:
      case nvme::AdminOpcode::kGetFeatures:
      case nvme::AdminOpcode::kAsyncEventRequest: break;
    }
    cqe.status = nvme::status::kInvalidOpcode.to_cqe();
  }
  void answer_io(Command& command, nvme::Cqe& cqe) {
    const size_t offset = command.sqe.slba() * kLbaBytes;
    const size_t size = size_t{command.sqe.block_count()} * kLbaBytes;
    if (offset + size > disk.size()) {
      cqe.status = nvme::status::kLbaOutOfRange.to_cqe();
    } else if (command.sqe.opcode == uint8_t(nvme::IoOpcode::kWrite)) {
      std::memcpy(disk.data() + offset, command.out.data(), size);
    } else {
      std::memcpy(command.in.data(), disk.data() + offset, size);
    }
  }

  Reactor& reactor_;
  std::vector<FakeQueue*> queues_;
  int ready_in_ = 0;
};

}  // namespace weft::host::testing_support
