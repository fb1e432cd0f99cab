// What admin tests of this folder use as a host: a target of two shards without threads, and a connection without a wire that hands commands
// to a queue on the second shard, so that everything that belongs to the home reactor travels. Not part of the library.
#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "wire/nvme/identify.h"
#include "base/bytes.h"
#include "bdev/ram/ram_bdev.h"
#include "core/test_support.h"
#include "nvmf/controller.h"
#include "nvmf/target.h"
#include "wire/fabrics/connect.h"

namespace weft::nvmf::testing_support {

struct Answer {
  nvme::Status status;
  uint64_t result = 0;
  std::vector<std::byte> data;
};

/// One connection: queue and transport in one. Responses are sent by pump(), never from inside a call.
class TestConnection final : public TransportOps {
 public:
  TestConnection(Shard& shard, Origin origin) : queue_(shard, *this, std::move(origin)) {}

  Queue& queue() { return queue_; }
  bool is_detached() const { return is_detached_; }
  bool has_answer(uint16_t cid) const { return answers_.contains(cid); }
  Answer take_answer(uint16_t cid) { return answers_.extract(cid).mapped(); }

  void submit(const nvme::Sqe& sqe, const DataDescriptor& descriptor, std::vector<std::byte> host_data) {
    host_data_[sqe.cid] = std::move(host_data);
    Command* command = queue_.begin(sqe);
    ASSERT_NE(command, nullptr);
    ASSERT_EQ(queue_.submit(*command, descriptor, {}), Submitted::kTaken);
  }
  void detach() { queue_.detach(); }
  /// Does what the calls of the queue have asked for. True if there was something.
  bool pump() {
    const auto receiving = std::exchange(receiving_, {});
    const auto responding = std::exchange(responding_, {});
    for (Command* command : receiving) {
      const auto& from = host_data_[command->cid()];
      std::memcpy(command->data.data(), from.data(), std::min(from.size(), command->data.size()));
      queue_.received(*command, nvme::status::kSuccess);
    }
    for (Command* command : responding) {
      const nvme::Cqe cqe = queue_.make_cqe(*command);
      const auto data = command->response_data;
      answers_[cqe.cid] = {cqe.decoded_status(), uint64_t{cqe.dw1} << 32 | uint32_t{cqe.dw0}, {data.begin(), data.end()}};
      queue_.responded(*command);
    }
    return !receiving.empty() || !responding.empty();
  }

  void start_receive(Command& command) override { receiving_.push_back(&command); }
  void respond(Command& command) override { responding_.push_back(&command); }
  void resume() override {}
  void stop_receiving() override {}
  void close(CloseReason) override {}
  void on_detached() override { is_detached_ = true; }

 private:
  Queue queue_;
  std::map<uint16_t, std::vector<std::byte>> host_data_;
  std::map<uint16_t, Answer> answers_;
  std::vector<Command*> receiving_;
  std::vector<Command*> responding_;
  bool is_detached_ = false;
};

/// A target, and a host that is connected to its subsystem kNqn (or to the discovery subsystem) once connect() was called.
class TargetTest : public testing::Test {
 protected:
  static constexpr char kNqn[] = "nqn.2024-01.io.weft:test";
  static constexpr char kHostNqn[] = "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555";

  TargetTest() {
    const Target::ShardResources shards[] = {{home_, memory_}, {away_, memory_}};
    auto target = Target::create(limits(), shards);
    if (!target) throw std::runtime_error(target.error().text);
    target_ = std::move(*target);
    subsystem_ = target_->add_subsystem({.nqn = kNqn, .serial = "SERIAL", .access = {.allow_any_host = true, .hosts = {}}}).value();
  }
  ~TargetTest() override {
    if (host_ != nullptr) {
      host_->detach();
      run();
      EXPECT_TRUE(host_->is_detached());
    }
    bool is_stopped = false;
    target_->stop([&] { is_stopped = true; });
    run();
    EXPECT_TRUE(is_stopped);
  }

  /// Small shares: the sanitizers touch every byte of them.
  static Limits limits() {
    return {.slots_per_reactor = 4096, .admin_share_bytes = 1 << 20, .in_capsule_share_bytes = 1 << 20, .transfer_share_bytes = 1 << 20,
            .read_share_bytes = 1 << 20, .scratch_share_bytes = 1 << 20, .fused_share_bytes = 1 << 20, .async_events = 2,
            .error_log_entries = 4, .namespaces = 64};
  }

  /// Everything that can happen without time passing.
  void run() {
    for (bool is_working = true; is_working;) {
      is_working = host_ != nullptr && host_->pump();
      is_working |= home_.run_once() == Reactor::Turn::kWorked;
      is_working |= away_.run_once() == Reactor::Turn::kWorked;
    }
  }

  void add_namespace(uint32_t nsid, std::unique_ptr<bdev::Bdev> device) {
    NamespaceIdentity identity;
    identity.uuid.fill(std::byte(nsid));
    identity.nguid.fill(std::byte(nsid));
    target_->add_namespace(*subsystem_, nsid, identity, std::move(device), [](Result<void> added) { EXPECT_TRUE(added); });
    run();
  }
  void add_ram(uint32_t nsid) { add_namespace(nsid, bdev::make_ram(memory_, "ram", 1024, 512).value()); }

  Answer send(nvme::Sqe sqe, uint32_t length = 0, std::vector<std::byte> host_data = {}) {
    const uint16_t cid = start(sqe, length, std::move(host_data));
    run();
    EXPECT_TRUE(host_->has_answer(cid));
    return host_->has_answer(cid) ? host_->take_answer(cid) : Answer{};
  }
  /// Sends without waiting for the answer; returns the CID.
  uint16_t start(nvme::Sqe sqe, uint32_t length = 0, std::vector<std::byte> host_data = {}) {
    sqe.cid = next_cid_++;
    if (sqe.opcode != nvme::kFabricsOpcode) sqe.flags = uint8_t(unsigned(nvme::Psdt::kSglContiguousMetadata) << 6);
    const auto kind = length == 0 ? DataDescriptor::Kind::kNone : DataDescriptor::Kind::kRemote;
    host_->submit(sqe, {.kind = kind, .length = length}, std::move(host_data));
    return sqe.cid;
  }

  void connect(const char* subnqn = kNqn) {
    Origin origin{.type = TransportType::kTcp, .local_host = "10.0.0.1", .local_port = 4420, .peer_host = {}};
    host_ = std::make_unique<TestConnection>(*target_->shards()[1], origin);
    nvme::Sqe sqe{};
    auto& connect = reinterpret_cast<fabrics::ConnectSqe&>(sqe);
    connect.opcode = nvme::kFabricsOpcode;
    connect.fctype = uint8_t(fabrics::Fctype::kConnect);
    connect.sqsize = 31;
    connect.kato = 30'000;
    fabrics::ConnectData data{};
    data.cntlid = fabrics::kCntlidDynamic;
    data.hostid.fill(std::byte{0x5a});
    std::strcpy(data.subnqn.data(), subnqn);
    std::strcpy(data.hostnqn.data(), kHostNqn);
    const auto bytes = bytes_of(data);
    const Answer answer = send(sqe, sizeof data, {bytes.begin(), bytes.end()});
    ASSERT_TRUE(answer.status.ok());
    cntlid_ = uint16_t(answer.result);
    set_property(nvme::property::kCc, 0x00460001);  // IOCQES 4, IOSQES 6, EN
  }
  void set_property(uint32_t offset, uint64_t value) {
    nvme::Sqe sqe{};
    auto& property = reinterpret_cast<fabrics::PropertySqe&>(sqe);
    property.opcode = nvme::kFabricsOpcode;
    property.fctype = uint8_t(fabrics::Fctype::kPropertySet);
    property.ofst = offset;
    property.value = value;
    ASSERT_TRUE(send(sqe).status.ok());
  }

  static nvme::Sqe admin(nvme::AdminOpcode opcode, uint32_t cdw10 = 0, uint32_t cdw11 = 0, uint32_t nsid = 0) {
    nvme::Sqe sqe{};
    sqe.opcode = uint8_t(opcode);
    sqe.nsid = nsid;
    sqe.cdw10 = cdw10;
    sqe.cdw11 = cdw11;
    return sqe;
  }
  Answer identify(nvme::Cns cns, uint32_t nsid = 0, uint32_t cdw11 = 0, uint16_t cntid = 0) {
    return send(admin(nvme::AdminOpcode::kIdentify, uint32_t{cntid} << 16 | uint32_t(cns), cdw11, nsid), nvme::kIdentifySize);
  }
  struct LogRequest {
    uint8_t lid = 0;
    uint32_t length = 0;  // bytes, a multiple of 4
    uint64_t offset = 0;
    bool rae = false;
    uint8_t lsp = 0;
    uint32_t cdw14 = 0;
    uint32_t nsid = nvme::kNsidAll;
    uint32_t buffer = 0;  // bytes, 0: as `length`
  };
  Answer get_log(const LogRequest& request) {
    const uint32_t numd = request.length / 4 - 1;
    nvme::Sqe sqe = admin(nvme::AdminOpcode::kGetLogPage,
                          numd << 16 | uint32_t{request.rae} << 15 | uint32_t{request.lsp} << 8 | request.lid, numd >> 16, request.nsid);
    sqe.cdw12 = uint32_t(request.offset);
    sqe.cdw13 = uint32_t(request.offset >> 32);
    sqe.cdw14 = request.cdw14;
    return send(sqe, request.buffer != 0 ? request.buffer : request.length);
  }
  Answer get_feature(nvme::Feature fid, uint32_t cdw11 = 0, uint32_t length = 0, nvme::FeatureSelect select = nvme::FeatureSelect::kCurrent) {
    return send(admin(nvme::AdminOpcode::kGetFeatures, uint32_t(select) << 8 | uint32_t(fid), cdw11), length);
  }
  Answer set_feature(nvme::Feature fid, uint32_t cdw11, std::vector<std::byte> data = {}, uint32_t nsid = 0) {
    const auto length = uint32_t(data.size());
    return send(admin(nvme::AdminOpcode::kSetFeatures, uint32_t(fid), cdw11, nsid), length, std::move(data));
  }

  weft::testing_support::ManualClock clock_;
  weft::testing_support::NullSink sink_;
  weft::testing_support::HeapMemory memory_;
  Reactor home_{{.index = 0}, clock_, sink_};
  Reactor away_{{.index = 1}, clock_, sink_};
  std::unique_ptr<Target> target_;
  Subsystem* subsystem_ = nullptr;
  std::unique_ptr<TestConnection> host_;
  uint16_t cntlid_ = 0;
  uint16_t next_cid_ = 1;
};

/// The page at the start of an answer.
template <WireStruct T>
const T& page_of(const Answer& answer) {
  const T* page = view<T>(answer.data);
  WEFT_ASSERT(page != nullptr);
  return *page;
}

}  // namespace weft::nvmf::testing_support
