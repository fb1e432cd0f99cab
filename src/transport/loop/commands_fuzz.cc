// Commands of hostile hosts on a live target, by function call: fabrics, admin and I/O commands on up to eight queues
// over two reactors, with data in the capsule or on request, aborts, lost connections, devices that fail, are late or
// are removed, and time. Every command completes at most once, with its own CID, and at least once unless its
// connection has ended; afterwards everything is home. Input: operations
//   | what 2:0, queue 5:3, no turn 7 | arguments, by what |
#include "base/bytes.h"
#include "bdev/delay/delay_bdev.h"
#include "bdev/error/error_bdev.h"
#include "bdev/ram/ram_bdev.h"
#include "core/test_support.h"
#include "fuzz/input.h"
#include "nvmf/features.h"
#include "nvmf/target.h"
#include "transport/loop/loop_connection.h"
#include "wire/fabrics/connect.h"
#include "wire/nvme/identify.h"
#include "wire/nvme/log_pages.h"
#include "wire/print.h"

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

namespace {

using namespace weft;

constexpr char kNqn[] = "nqn.2026-01.test:weft";
constexpr size_t kReactors = 2;
constexpr size_t kQueues = 8;
constexpr size_t kOperationsMax = 400;
constexpr uint32_t kBlockSize = 512;
constexpr uint64_t kBlocks = 128;
constexpr uint32_t kShare = 64 << 10;   // bytes
constexpr Duration kLate = seconds(2);  // longer than kIoTimeoutMs
constexpr uint32_t kIoTimeoutMs = 1000;

/// The first byte of an input: bits choose which limits are hostile.
Limits limits_of(uint8_t choice) {
  const auto hostile = [choice](unsigned bit) { return (choice >> bit & 1) != 0; };
  Limits limits;
  limits.slots_per_reactor = hostile(0) ? 64 : 256;
  limits.queue_entries = hostile(1) ? 2 : 32;
  limits.admin_queue_entries = 32;
  limits.in_capsule_share_bytes = hostile(2) ? 8192 : kShare;
  limits.in_capsule_bytes = hostile(3) ? 0 : 8192;
  limits.data_transfer_bytes = hostile(4) ? 4096 : kShare;
  limits.fused_share_bytes = hostile(5) ? 8192 : kShare;
  limits.async_events = limits.aborts = hostile(6) ? 1 : 4;
  limits.controllers = hostile(7) ? 1 : 16;
  limits.error_log_entries = 4;
  limits.io_timeout_ms = kIoTimeoutMs;
  limits.admin_share_bytes = limits.transfer_share_bytes = limits.read_share_bytes = kShare;
  limits.scratch_share_bytes = 2 * kShare;  // a Copy takes pieces of up to 128 KiB
  return limits;
}

/// A command, its data and how it ended.
struct Sent {
  uint16_t cid;
  std::vector<std::byte> data;
  int completions = 0;
};

class World {
 public:
  explicit World(uint8_t choice) {
    std::vector<nvmf::Target::ShardResources> resources;
    for (size_t i = 0; i < kReactors; ++i) {
      reactors_[i] = std::make_unique<Reactor>(Reactor::Options{.index = uint32_t(i)}, clock_, sink_);
      resources.push_back({*reactors_[i], memory_});
    }
    target_ = std::move(*nvmf::Target::create(limits_of(choice), resources));
    subsystem_ = *target_->add_subsystem(
        {.nqn = kNqn, .serial = "FUZZ", .access = {.allow_any_host = true}, .has_subsystem_reset = true});
    target_->set_listeners({{.host = "127.0.0.1", .port = 4420, .is_loopback = true}});
    for (uint32_t nsid = 1; nsid <= 4; ++nsid) add(nsid);
  }
  ~World() {
    end();
    target_.reset();
  }

  void run(fuzz::Input& input) {
    for (size_t left = kOperationsMax; left > 0 && !input.is_empty(); --left) operate(input);
  }

 private:
  struct End {
    std::unique_ptr<loop::Connection> connection;
    std::vector<std::unique_ptr<Sent>> sent;
  };

  // --- the world
  // ----------------------------------------------------------------------------------------------------------
  bool turn() {
    bool has_worked = false;
    for (auto& reactor : reactors_) has_worked |= reactor->run_once() == Reactor::Turn::kWorked;
    return has_worked;
  }
  void settle() {
    for (int i = 0; i < 1000 && turn(); ++i) {
    }
  }
  void pass(Duration time) {
    constexpr Duration kStep = milliseconds(50);
    for (Duration passed{}; passed < time; passed = passed + kStep) {
      clock_.advance(kStep);
      settle();
    }
  }
  template <std::predicate F>
  void pass_until(F is_true) {
    constexpr Duration kLongest = seconds(10);  // a late write, and an association that waits for it
    settle();
    for (Duration passed{}; !is_true() && passed < kLongest; passed = passed + milliseconds(50)) pass(milliseconds(50));
    WEFT_ASSERT(is_true());
  }
  /// 1 is memory, 2 is late with everything, 3 fails some of it, 4 is late with writes.
  void add(uint32_t nsid) {
    auto device = std::move(*bdev::make_ram(memory_, "ram", kBlocks, kBlockSize));
    if (nsid == 2)
      device = bdev::make_delay(std::move(device), {.op = bdev::OpClass::kAny, .delay = milliseconds(100)});
    if (nsid == 3) device = bdev::make_error(std::move(device), {.skip = 2, .times = 3});
    if (nsid == 4) device = bdev::make_delay(std::move(device), {.op = bdev::OpClass::kWrite, .delay = kLate});
    nvmf::NamespaceIdentity identity;
    identity.uuid[15] = identity.nguid[15] = std::byte(nsid);
    target_->add_namespace(*subsystem_, nsid, identity, std::move(device), [](const Result<void>&) {});
    settle();
  }

  /// What the target owes when no host is left: nothing.
  void end() {
    for (End& each : ends_) {
      if (each.connection != nullptr) each.connection->disconnect();
    }
    pass_until([&] {
      return std::ranges::all_of(target_->shards(), [](const auto& shard) {
        return shard->queue_count() == 0 && shard->slots().chunks_in_use() == 0;
      });
    });
    for (End& each : ends_) close(each);
    closed_.clear();
    for (const auto& shard : target_->shards()) {
      WEFT_ASSERT(shard->slots().chunks_in_use() == 0);
      for (size_t share = 0; share < kShareCount; ++share)
        WEFT_ASSERT(shard->buffers().bytes_in_use(Share(share)) == 0);
    }
    WEFT_ASSERT(subsystem_->registry().cntlids().empty());
    bool is_stopped = false;
    target_->stop([&] { is_stopped = true; });
    pass_until([&] { return is_stopped; });
  }
  void close(End& end) {
    if (end.connection == nullptr) return;
    if (!end.connection->is_detached()) end.connection->disconnect();
    closed_.push_back(std::move(end));
    end = {};
  }

  // --- operations
  // ---------------------------------------------------------------------------------------------------------
  void operate(fuzz::Input& input) {
    const uint8_t head = input.byte();
    const size_t index = head >> 3 & 7;
    End& end = ends_[index];
    if (end.connection != nullptr && end.connection->is_closed()) close(end);
    if (end.connection == nullptr)
      end.connection = std::make_unique<loop::Connection>(*target_->shards()[index % kReactors]);
    switch (head & 7) {
      case 0:
        connect(end, input);
        break;
      case 1:
        property(end, input);
        break;
      case 2:
      case 3:
        command(end, input);
        break;
      case 4:
        pass(milliseconds(50 * (input.byte() % 64)));
        break;
      case 5:
        hold(end, input.byte());
        break;
      case 6:
        end.connection->disconnect();
        break;
      case 7:
        change_namespace(input.byte());
        break;
      default:
        break;
    }
    if ((head & 0x80) == 0) settle();
    check();
  }

  void connect(End& end, fuzz::Input& input) {
    const uint8_t how = input.byte();
    fabrics::ConnectSqe sqe{};
    sqe.opcode = nvme::kFabricsOpcode;
    sqe.fctype = uint8_t(fabrics::Fctype::kConnect);
    sqe.qid = uint16_t(how & 3);
    sqe.sqsize = (how & 4) != 0 ? uint16_t{input.get<le16>()} : uint16_t{15};
    sqe.cattr = (how & 8) != 0 ? input.byte() : uint8_t{0};
    sqe.kato = (how & 16) != 0 ? uint32_t{input.get<le16>()} : 0u;
    fabrics::ConnectData data{};
    data.hostid[0] = std::byte{1};
    data.cntlid = (how & 3) == 0 ? fabrics::kCntlidDynamic : uint16_t{input.byte()};
    const char* nqn = (how & 32) != 0 ? fabrics::kDiscoveryNqn : kNqn;
    std::memcpy(data.subnqn.data(), nqn, std::strlen(nqn));
    std::memcpy(data.hostnqn.data(), kNqn, sizeof kNqn);
    data.hostnqn[0] = (how & 64) != 0 ? char(input.byte()) : 'n';
    const auto bytes = bytes_of(data);
    submit(end, std::bit_cast<nvme::Sqe>(sqe), {bytes.begin(), bytes.end()}, (how & 128) != 0);
  }

  void property(End& end, fuzz::Input& input) {
    const uint8_t how = input.byte();
    fabrics::PropertySqe sqe{};
    sqe.opcode = nvme::kFabricsOpcode;
    sqe.fctype = uint8_t((how & 1) != 0 ? fabrics::Fctype::kPropertyGet : fabrics::Fctype::kPropertySet);
    sqe.attrib = uint8_t(how >> 1 & 7);
    sqe.ofst = uint32_t(how >> 4) * 4 + ((how & 8) != 0 ? 1u : 0u);
    sqe.value = uint32_t{input.get<le32>()};
    if ((how & 0xf0) == 0xf0) {  // a host that enables its controller
      sqe.ofst = 0x14u;
      sqe.value = uint64_t{1 | 6 << 16 | 4 << 20};
    }
    submit(end, std::bit_cast<nvme::Sqe>(sqe), {}, false);
  }

  /// | opcode | flags of the SQE 1:0, right length 2, on request 3, more dwords 4, length in bytes 5 | nsid | cid |
  /// cdw10 | cdw11 | cdw12 | … |
  void command(End& end, fuzz::Input& input) {
    nvme::Sqe sqe{};
    sqe.opcode = input.byte();
    const uint8_t how = input.byte();
    sqe.flags = how & 3;
    const uint8_t nsid = input.byte();
    sqe.nsid = nsid == 0xff ? nvme::kNsidAll : uint32_t{nsid};
    sqe.cid = input.byte();
    sqe.cdw10 = input.get<le32>();
    sqe.cdw11 = (how & 16) != 0 ? input.get<le32>() : le32{0u};
    sqe.cdw12 = (how & 64) != 0 ? input.get<le32>() : le32{uint32_t{input.byte()}};
    if ((how & 16) != 0) {
      sqe.cdw13 = input.get<le32>();
      sqe.cdw14 = input.get<le32>();
    }
    size_t length = (how & 4) == 0 ? right_length(sqe) : uint16_t{input.get<le16>()};
    if (length > 2 * kShare) length = 0;
    std::vector<std::byte> data(length);
    if (nvme::direction_of(sqe.opcode) == nvme::DataDirection::kHostToController)
      copy_window(data, input.take((how & 32) != 0 ? 96 : 0), 0);
    submit(end, sqe, std::move(data), (how & 8) != 0);
  }
  static size_t right_length(const nvme::Sqe& sqe) {
    // The opcodes of both kinds of queues, as far as they do not contradict.
    switch (sqe.opcode) {
      case uint8_t(nvme::IoOpcode::kWrite):
      case uint8_t(nvme::IoOpcode::kCompare):
        return size_t{sqe.block_count()} * kBlockSize;
      case uint8_t(nvme::IoOpcode::kRead):  // also Get Log Page
        return (sqe.cdw10 >> 16) != 0 ? size_t(nvme::GetLogPage::from(sqe).length_bytes)
                                      : size_t{sqe.block_count()} * kBlockSize;
      case uint8_t(nvme::IoOpcode::kDatasetManagement):  // also Set Features
        return std::max(size_t{nvmf::feature_data_length(uint8_t(sqe.cdw10))},
                        ((sqe.cdw10 & 0xff) + 1) * sizeof(nvme::DsmRange));
      case uint8_t(nvme::IoOpcode::kCopy):
        return ((sqe.cdw12 & 0xff) + 1) * sizeof(nvme::CopyRange);
      case uint8_t(nvme::AdminOpcode::kIdentify):
        return nvme::kIdentifySize;
      case uint8_t(nvme::AdminOpcode::kGetFeatures):
        return nvmf::feature_data_length(uint8_t(sqe.cdw10));
      default:
        return 0;
    }
  }

  void submit(End& end, nvme::Sqe sqe, std::vector<std::byte> data, bool is_on_request) {
    end.sent.push_back(std::make_unique<Sent>(Sent{sqe.cid, std::move(data)}));
    Sent& sent = *end.sent.back();
    loop::Connection::Request request{.sqe = sqe};
    request.delivery = is_on_request ? loop::Connection::Delivery::kOnRequest : loop::Connection::Delivery::kInCapsule;
    const uint8_t bits = sqe.opcode == nvme::kFabricsOpcode ? sqe.fctype() : sqe.opcode;
    if (nvme::direction_of(bits) == nvme::DataDirection::kHostToController) request.from_host = sent.data;
    if (nvme::direction_of(bits) == nvme::DataDirection::kControllerToHost) request.to_host = sent.data;
    request.on_done = [&sent](const nvme::Cqe& cqe) {
      WEFT_ASSERT(cqe.cid == sent.cid);
      WEFT_ASSERT((cqe.status & 1) == 0);
      WEFT_ASSERT(!nvme::to_text(cqe).empty());
      ++sent.completions;
    };
    if (!end.connection->submit(std::move(request))) end.sent.pop_back();
  }

  static void hold(End& end, uint8_t how) {
    end.connection->hold_requested_data((how & 1) != 0);
    if ((how & 1) == 0) end.connection->deliver_all();
  }

  void change_namespace(uint8_t how) {
    const uint32_t nsid = 1 + (how & 3);
    if ((how & 4) != 0) return add(nsid);
    target_->remove_namespace(*subsystem_, nsid, [](const Result<void>&) {});
  }

  /// Commands complete once; those that have not are what the connection still knows.
  void check() {
    for (End& end : ends_) {
      if (end.connection == nullptr || end.connection->is_closed()) continue;
      size_t open = 0;
      for (const auto& sent : end.sent) {
        WEFT_ASSERT(sent->completions <= 1);
        if (sent->completions == 0) ++open;
      }
      WEFT_ASSERT(open == end.connection->outstanding());
      std::erase_if(end.sent, [](const auto& sent) { return sent->completions == 1; });
    }
  }

  testing_support::ManualClock clock_;
  testing_support::NullSink sink_;
  testing_support::HeapMemory memory_;
  std::array<std::unique_ptr<Reactor>, kReactors> reactors_;
  std::unique_ptr<nvmf::Target> target_;
  nvmf::Subsystem* subsystem_ = nullptr;
  std::array<End, kQueues> ends_;
  std::vector<End> closed_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  World world(input.byte());
  world.run(input);
  return 0;
}
