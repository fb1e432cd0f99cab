// Commands of hostile hosts on a live target, by function call: fabrics, admin and I/O commands on up to eight queues
// over two reactors, with data in the capsule or on request, aborts, lost connections, devices that fail or are late,
// a target that is changed while it serves, and time. Every command completes at most once, with its own CID, and at
// least once unless its connection has ended; every change is answered once; afterwards everything is home. Arguments
// that are zero make what works: queues 0 and 4 are admin queues, the others I/O queues of the latest controller.
// Input: | limits | queues that are live before the first operation 1:0 | operation | …
//   operation: | what 2:0, queue 5:3, no turn 7 | arguments, by what |
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
#include "wire/nvme/registers.h"
#include "wire/print.h"

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace weft;

constexpr std::array<const char*, 2> kNqns{"nqn.2026-01.test:weft", "nqn.2026-01.test:other"};
constexpr char kHostNqn[] = "nqn.2026-01.test:host";
constexpr size_t kReactors = 2;
constexpr size_t kQueues = 8;
constexpr size_t kOperationsMax = 400;
constexpr uint32_t kBlockSize = 512;
constexpr uint64_t kBlocks = 128;
constexpr uint64_t kBlocksAvailable = 192;
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
    subsystems_[0] = *target_->add_subsystem(config_of(0));
    target_->set_listeners({kListener});
    for (uint32_t nsid = 1; nsid <= 4; ++nsid) add(*subsystems_[0], nsid);
    settle();
  }
  ~World() {
    end();
    target_.reset();
  }

  /// Queues 0 to `count` - 1 connect, and the controller is enabled.
  void prepare(size_t count) {
    fuzz::Input defaults{nullptr, 0};
    for (size_t i = 0; i < count; ++i) {
      connect(open(i), i, defaults);
      settle();
      if (i == 0) property(ends_[0], defaults);
      settle();
    }
  }
  void run(fuzz::Input& input) {
    for (size_t left = kOperationsMax; left > 0 && !input.is_empty(); --left) operate(input);
  }

 private:
  static inline const nvmf::ListenerRecord kListener{.host = "127.0.0.1", .port = 4420, .is_loopback = true};

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
  static nvmf::SubsystemConfig config_of(size_t which) {
    return {.nqn = kNqns[which], .serial = "FUZZ", .access = {.allow_any_host = true}, .has_subsystem_reset = true};
  }
  /// What a change of the target is answered with.
  nvmf::Done told() {
    ++unanswered_;
    return [this, is_told = false](const Result<void>& result) mutable {
      WEFT_ASSERT(!std::exchange(is_told, true));
      WEFT_ASSERT(result.has_value() || !result.error().what().empty());
      --unanswered_;
    };
  }
  /// 1 is memory, 2 is late with everything, 3 fails some of it, 4 is late with writes.
  void add(nvmf::Subsystem& subsystem, uint32_t nsid) {
    auto device = std::move(*bdev::make_ram(
        memory_, "ram", {.block_count = kBlocks, .blocks_available = kBlocksAvailable, .block_size = kBlockSize}));
    if (nsid == 2)
      device = bdev::make_delay(std::move(device), {.op = bdev::OpClass::kAny, .delay = milliseconds(100)});
    if (nsid == 3) device = bdev::make_error(std::move(device), {.skip = 2, .times = 3});
    if (nsid == 4) device = bdev::make_delay(std::move(device), {.op = bdev::OpClass::kWrite, .delay = kLate});
    nvmf::NamespaceIdentity identity;
    identity.uuid[15] = identity.nguid[15] = std::byte(nsid);
    target_->add_namespace(subsystem, nsid, identity, std::move(device), told());
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
    for (const auto& subsystem : target_->subsystems()) WEFT_ASSERT(subsystem->registry().cntlids().empty());
    pass_until([&] { return unanswered_ == 0; });
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
  static bool is_admin(size_t index) { return index % 4 == 0; }
  End& open(size_t index) {
    End& end = ends_[index];
    if (end.connection != nullptr && end.connection->is_closed()) close(end);
    if (end.connection == nullptr)
      end.connection = std::make_unique<loop::Connection>(*target_->shards()[index % kReactors]);
    return end;
  }
  void operate(fuzz::Input& input) {
    const uint8_t head = input.byte();
    const size_t index = head >> 3 & 7;
    End& end = open(index);
    switch (head & 7) {
      case 0:
        connect(end, index, input);
        break;
      case 1:
        property(end, input);
        break;
      case 2:
      case 3:
        command(end, is_admin(index), input);
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
        change_target(input);
        break;
      default:
        break;
    }
    if ((head & 0x80) == 0) settle();
    check();
  }

  /// | SQSIZE 0, CATTR 1, KATO 2, discovery 3, who 4, data on request 5, QID and CNTLID 6 | those of them |
  void connect(End& end, size_t index, fuzz::Input& input) {
    const uint8_t how = input.byte();
    fabrics::ConnectSqe sqe{};
    sqe.opcode = nvme::kFabricsOpcode;
    sqe.fctype = uint8_t(fabrics::Fctype::kConnect);
    sqe.qid = uint16_t(index % 4);
    sqe.sqsize = (how & 1) != 0 ? uint16_t{input.get<le16>()} : uint16_t{15};
    sqe.cattr = (how & 2) != 0 ? input.byte() : uint8_t{0};
    sqe.kato = (how & 4) != 0 ? uint32_t{input.get<le16>()} : 0u;
    const uint8_t who = (how & 16) != 0 ? input.byte() : uint8_t{'n'};
    fabrics::ConnectData data{};
    data.hostid[0] = std::byte{1};
    data.cntlid = is_admin(index) ? fabrics::kCntlidDynamic : cntlid_;
    if ((how & 64) != 0) {
      sqe.qid = input.byte();
      data.cntlid = uint16_t{input.byte()};
    }
    const std::string_view nqn = (how & 8) != 0 ? fabrics::kDiscoveryNqn : kNqns[who >> 7];
    std::memcpy(data.subnqn.data(), nqn.data(), nqn.size());
    std::memcpy(data.hostnqn.data(), kHostNqn, sizeof kHostNqn);
    data.hostnqn[0] = char(who & 0x7f);
    const auto bytes = bytes_of(data);
    submit(end, std::bit_cast<nvme::Sqe>(sqe), {bytes.begin(), bytes.end()}, (how & 32) != 0);
  }

  /// | get 0, attributes 2:1, odd 3, offset 7:4 | value |; without attributes: CC, so that the controller is enabled.
  void property(End& end, fuzz::Input& input) {
    const uint8_t how = input.byte();
    fabrics::PropertySqe sqe{};
    sqe.opcode = nvme::kFabricsOpcode;
    sqe.fctype = uint8_t((how & 1) != 0 ? fabrics::Fctype::kPropertyGet : fabrics::Fctype::kPropertySet);
    sqe.ofst = nvme::property::kCc;
    sqe.value = uint64_t{1 | 6 << 16 | 4 << 20};
    if ((how & 6) != 0) {
      sqe.attrib = uint8_t((how >> 1 & 3) - 1);
      sqe.ofst = uint32_t(how >> 4) * 4 + ((how & 8) != 0 ? 1u : 0u);
      sqe.value = uint32_t{input.get<le32>()};
    }
    submit(end, std::bit_cast<nvme::Sqe>(sqe), {}, false);
  }

  static uint8_t opcode_of(bool is_of_admin, fuzz::Input& input) {
    static constexpr std::array<uint8_t, 8> kAdmin{0x06, 0x02, 0x09, 0x0a, 0x0c, 0x08, 0x18, 0x06};
    static constexpr std::array<uint8_t, 8> kIo{0x01, 0x02, 0x05, 0x09, 0x19, 0x00, 0x08, 0x0c};
    const uint8_t byte = input.byte();
    if (byte >= 0xc0) return input.byte();
    return (is_of_admin ? kAdmin : kIo)[byte % kIo.size()];
  }
  /// | opcode | pair or flags 1:0, length 2, data on request 3, dwords 4, data 5, whole CDW12 6, any NSID 7 | nsid |
  /// cid | cdw10 | cdw12 | those of them |
  void command(End& end, bool is_of_admin, fuzz::Input& input) {
    nvme::Sqe sqe{};
    sqe.opcode = opcode_of(is_of_admin, input);
    const uint8_t how = input.byte();
    const uint8_t nsid = input.byte();
    sqe.nsid = (how & 128) == 0 ? 1 + (nsid & 3u) : nsid == 0xff ? nvme::kNsidAll : uint32_t{nsid};
    sqe.cid = input.byte();
    sqe.cdw10 = uint32_t{input.byte()};
    sqe.cdw12 = uint32_t{input.byte()} & 15u;
    if (is_of_admin && sqe.opcode == uint8_t(nvme::AdminOpcode::kGetLogPage)) sqe.cdw10 = sqe.cdw10 | 0xff0000u;
    if ((how & 16) != 0) {
      sqe.cdw10 = input.get<le32>();
      sqe.cdw11 = input.get<le32>();
      sqe.cdw13 = input.get<le32>();
      sqe.cdw14 = input.get<le32>();
    }
    if ((how & 64) != 0) sqe.cdw12 = input.get<le32>();
    if ((how & 3) == 3) sqe.flags = input.byte() & 3;
    if ((how & 3) == 2) {  // a fused pair
      sqe.opcode = uint8_t(nvme::IoOpcode::kCompare);
      sqe.flags = uint8_t(nvme::Fuse::kFirst);
      submit_with_data(end, is_of_admin, sqe, how, input);
      sqe.opcode = uint8_t(nvme::IoOpcode::kWrite);
      sqe.flags = uint8_t(nvme::Fuse::kSecond);
      sqe.cid = uint16_t(sqe.cid + 1);
    }
    submit_with_data(end, is_of_admin, sqe, how, input);
  }
  void submit_with_data(End& end, bool is_of_admin, const nvme::Sqe& sqe, uint8_t how, fuzz::Input& input) {
    uint64_t length = is_of_admin ? admin_length(sqe) : io_length(sqe);
    if ((how & 4) != 0) length = uint16_t{input.get<le16>()};
    if (length > 2 * kShare) length = 0;
    std::vector<std::byte> data(length);
    if (nvme::direction_of(sqe.opcode) == nvme::DataDirection::kHostToController)
      copy_window(data, input.take((how & 32) != 0 ? 96 : 0), 0);
    submit(end, sqe, std::move(data), (how & 8) != 0);
  }
  static uint64_t admin_length(const nvme::Sqe& sqe) {
    switch (sqe.opcode) {
      case uint8_t(nvme::AdminOpcode::kIdentify):
        return nvme::kIdentifySize;
      case uint8_t(nvme::AdminOpcode::kGetLogPage):
        return nvme::GetLogPage::from(sqe).length_bytes;
      case uint8_t(nvme::AdminOpcode::kSetFeatures):
      case uint8_t(nvme::AdminOpcode::kGetFeatures):
        return nvmf::feature_data_length(uint8_t(sqe.cdw10));
      default:
        return 0;
    }
  }
  static uint64_t io_length(const nvme::Sqe& sqe) {
    switch (sqe.opcode) {
      case uint8_t(nvme::IoOpcode::kWrite):
      case uint8_t(nvme::IoOpcode::kCompare):
      case uint8_t(nvme::IoOpcode::kRead):
        return uint64_t{sqe.block_count()} * kBlockSize;
      case uint8_t(nvme::IoOpcode::kDatasetManagement):
        return ((sqe.cdw10 & 0xff) + 1) * sizeof(nvme::DsmRange);
      case uint8_t(nvme::IoOpcode::kCopy):
        return ((sqe.cdw12 & 0xff) + 1) * sizeof(nvme::CopyRange);
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
    const bool is_admin_connect = sqe.opcode == nvme::kFabricsOpcode &&
                                  sqe.fctype() == uint8_t(fabrics::Fctype::kConnect) &&
                                  std::bit_cast<fabrics::ConnectSqe>(sqe).qid == 0;
    request.on_done = [this, &sent, is_admin_connect](const nvme::Cqe& cqe) {
      WEFT_ASSERT(cqe.cid == sent.cid);
      WEFT_ASSERT((cqe.status & 1) == 0);
      WEFT_ASSERT(!nvme::to_text(cqe).empty());
      if (is_admin_connect && cqe.decoded_status().ok()) cntlid_ = uint16_t(cqe.dw0);
      ++sent.completions;
    };
    if (!end.connection->submit(std::move(request))) end.sent.pop_back();
  }

  static void hold(End& end, uint8_t how) {
    end.connection->hold_requested_data((how & 1) != 0);
    if ((how & 1) == 0) end.connection->deliver_all();
  }

  /// | NSID - 1 1:0, add and not remove 2, what 5:3, second subsystem 6 | value, by what |
  void change_target(fuzz::Input& input) {
    const uint8_t how = input.byte();
    const uint32_t nsid = 1 + (how & 3);
    const size_t which = how >> 6 & 1;
    nvmf::Subsystem*& subsystem = subsystems_[which];
    const auto what = uint8_t(how >> 3 & 7);
    if (what == 1) {
      return target_->set_listeners((how & 4) != 0 ? std::vector{kListener} : std::vector<nvmf::ListenerRecord>{},
                                    [told = told()]() mutable { told({}); });
    }
    if (subsystem == nullptr) return add_subsystem(which);
    switch (what) {
      case 2:
        return target_->resize_namespace(*subsystem, nsid, input.byte(), told());
      case 3:
        return set_access(*subsystem, input.byte());
      case 4:
        // It may go later, but nobody asks for it again.
        return target_->remove_subsystem(*std::exchange(subsystem, nullptr), told());
      case 5:
        static_cast<void>(target_->clear_failure(*subsystem, nsid));
        return;
      default:
        if ((how & 4) != 0) return add(*subsystem, nsid);
        return target_->remove_namespace(*subsystem, nsid, told());
    }
  }
  void add_subsystem(size_t which) {
    target_->add_subsystem(config_of(which), [this, which, told = told()](Result<nvmf::Subsystem*> added) mutable {
      if (added) subsystems_[which] = *added;
      told(added ? Result<void>{} : std::unexpected(added.error()));
    });
  }
  void set_access(nvmf::Subsystem& subsystem, uint8_t choice) {
    nvmf::HostAccess access{.allow_any_host = (choice & 1) != 0, .hosts = {}};
    if ((choice & 2) != 0) access.hosts.emplace_back("nqn.2026-01.test:nobody");
    if ((choice & 4) != 0) access.hosts.emplace_back(kHostNqn);
    target_->set_access(subsystem, std::move(access), told());
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
  std::array<nvmf::Subsystem*, kNqns.size()> subsystems_{};  // null: there is none, or it goes
  size_t unanswered_ = 0;                                    // changes of the target
  uint16_t cntlid_ = 1;                                      // of the latest controller
  std::array<End, kQueues> ends_;
  std::vector<End> closed_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  World world(input.byte());
  world.prepare(input.byte() & 3);
  world.run(input);
  return 0;
}
