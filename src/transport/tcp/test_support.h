// A target with one RAM namespace on one reactor, and a host's hands on a connection of it without a socket: for the tests and the fuzz
// target of this folder. Not part of any library.
#pragma once
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "bdev/delay/delay_bdev.h"
#include "bdev/ram/ram_bdev.h"
#include "core/test_support.h"
#include "nvmf/subsystem.h"
#include "nvmf/target.h"
#include "transport/tcp/connection.h"
#include "wire/fabrics/connect.h"

namespace weft::tcp::testing {

using Bytes = std::vector<std::byte>;

inline constexpr char kSubsystemNqn[] = "nqn.2026-01.test:weft";
inline constexpr char kHostNqn[] = "nqn.2026-01.test:host";
inline constexpr uint32_t kBlockSize = 512;
inline constexpr uint64_t kBlocks = 8192;
inline constexpr Duration kWriteDelay = seconds(1);

/// Bytes that tell where they are; another `seed`, other bytes.
inline Bytes pattern(size_t size, uint8_t seed) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = std::byte(i * 7 + i / 251 + seed);
  return bytes;
}

inline Limits small_limits() {
  Limits limits;
  limits.slots_per_reactor = 4096;
  limits.admin_share_bytes = limits.in_capsule_share_bytes = limits.transfer_share_bytes = limits.read_share_bytes = 4 << 20;
  limits.scratch_share_bytes = limits.fused_share_bytes = 1 << 20;
  limits.queue_entries = limits.admin_queue_entries = 128;
  return limits;
}

/// NSID 1 of kSubsystemNqn is a RAM disk; NSID 2 one that takes kWriteDelay for each write.
class TestTarget {
 public:
  explicit TestTarget(const Limits& limits, uint64_t blocks = kBlocks) : blocks_(blocks) {
    const nvmf::Target::ShardResources resources{reactor, memory};
    target = std::move(*nvmf::Target::create(limits, {&resources, 1}));
    nvmf::Subsystem& subsystem = **target->add_subsystem({.nqn = kSubsystemNqn, .serial = "TEST", .access = {.allow_any_host = true}});
    nvmf::NamespaceIdentity identity;
    identity.uuid.fill(std::byte{1});
    target->add_namespace(subsystem, 1, identity, ram(), [](const Result<void>& added) { WEFT_ASSERT(added.has_value()); });
    // No two namespaces are the same: hosts take equal identities for two paths to one.
    identity.uuid.fill(std::byte{2});
    auto slow = bdev::make_delay(ram(), {.op = bdev::OpClass::kWrite, .delay = kWriteDelay});
    target->add_namespace(subsystem, 2, identity, std::move(slow), [](const Result<void>& added) { WEFT_ASSERT(added.has_value()); });
    run();
    shared.emplace(*target->shards().front());
  }
  ~TestTarget() {
    bool is_stopped = false;
    target->stop([&] { is_stopped = true; });
    for (int i = 0; i < 1000 && !is_stopped; ++i) advance(milliseconds(50));
    WEFT_ASSERT(is_stopped);
  }
  void run() {
    for (int i = 0; i < 1000 && reactor.run_once() == Reactor::Turn::kWorked; ++i) {}
  }
  void advance(Duration by) {
    clock.advance(by);
    run();
  }
  std::unique_ptr<bdev::Bdev> ram() { return std::move(*bdev::make_ram(memory, "ram:test", blocks_, kBlockSize)); }
  /// Requires: no connection is left. What they had is home again.
  void check_quiescent() {
    advance(kWriteDelay);  // what the slow device still had
    nvmf::Shard& shard = shared->shard;
    WEFT_ASSERT(shard.queue_count() == 0);
    WEFT_ASSERT(shard.slots().chunks_in_use() == 0);
    for (size_t share = 0; share < kShareCount; ++share) WEFT_ASSERT(shard.buffers().bytes_in_use(Share(share)) == 0);
  }

  testing_support::ManualClock clock;
  testing_support::KeepingSink sink;
  testing_support::HeapMemory memory;
  Reactor reactor{{}, clock, sink};
  std::unique_ptr<nvmf::Target> target;
  std::optional<Shared> shared;

 private:
  uint64_t blocks_;
};

/// How a peer behaves at the byte level.
struct PeerOptions {
  size_t segment = SIZE_MAX;  // bytes of one receive
  size_t window = SIZE_MAX;   // bytes of one send
  bool takes_bytes = true;    // false: nothing is sent for now
  bool has_header_digest = false;
  bool has_data_digest = false;
  uint8_t hpda = 0;
};

/// One connection, pumped by hand as net::Socket does it.
class TestPeer final : public ConnectionOwner, public net::Outlet {
 public:
  TestPeer(TestTarget& target, const PeerOptions& peer_options)
      : options(peer_options),
        target_(target),
        connection_(std::make_unique<Connection>(*target.shared, *this, nvmf::Origin{.type = nvmf::TransportType::kTcp, .local_host = "127.0.0.1", .peer_host = "127.0.0.1"})) {
    connection_->attach(*this);
  }
  ~TestPeer() {
    hang_up();
    for (Duration waited{}; waited < kWriteDelay * 2 && !is_finished; waited = waited + milliseconds(10)) target_.advance(milliseconds(10));
    WEFT_ASSERT(is_finished);
  }

  /// The host's bytes arrive, `options.segment` at a time; what is answered is added to `out`.
  void send(std::span<const std::byte> bytes) {
    for (size_t at = 0; at < bytes.size();) {
      const auto part = bytes.subspan(at, std::min(options.segment, bytes.size() - at));
      arrive(part);
      at += part.size();
      settle();
    }
    settle();
  }
  /// Runs the target, and sends what the connection has, until nothing moves.
  void settle() {
    do {
      target_.run();
      flush();
    } while (!is_closed && ((options.takes_bytes && connection_->has_pending()) || connection_->wish() >= net::Wish::kCloseSent));
  }
  void advance(Duration by) {
    target_.advance(by);
    if (!is_closed && connection_->next_deadline() <= target_.reactor.now()) connection_->on_time(target_.reactor.now());
    settle();
  }
  void hang_up() {
    if (std::exchange(is_closed, true)) return;
    connection_->on_closed({net::Closing::Reason::kPeer});
  }

  /// What has been answered since the last call.
  Bytes take() { return std::exchange(out, {}); }
  /// The next PDU of `out`; empty when there is none.
  Bytes take_pdu() {
    const auto* header = view<CommonHeader>(out);
    if (header == nullptr || uint32_t{header->plen} > out.size()) return {};
    const Bytes pdu(out.begin(), out.begin() + ptrdiff_t(uint32_t{header->plen}));
    out.erase(out.begin(), out.begin() + ptrdiff_t(pdu.size()));
    return pdu;
  }

  net::Wish wish() const { return connection_->wish(); }
  Connection& connection() { return *connection_; }

  PeerOptions options;
  Bytes out;
  bool is_closed = false;    // the pump has closed the stream
  bool is_finished = false;  // the connection may be destroyed

 private:
  void arrive(std::span<const std::byte> bytes) {
    while (!bytes.empty() && !is_closed && connection_->wish() == net::Wish::kStay) {
      const auto direct = connection_->direct();
      if (!direct.empty()) {
        const size_t landed = std::min(direct.size(), bytes.size());
        std::memcpy(direct.data(), bytes.data(), landed);
        connection_->direct_received(landed, target_.reactor.now());
        bytes = bytes.subspan(landed);
        continue;
      }
      kept_.insert(kept_.end(), bytes.begin(), bytes.end());
      bytes = {};
      if (connection_->receive_max() > 0) present();
    }
  }
  void present() {
    const size_t used = connection_->received(kept_, target_.reactor.now());
    kept_.erase(kept_.begin(), kept_.begin() + ptrdiff_t(used));
    WEFT_ASSERT(connection_->wish() != net::Wish::kStay || connection_->receive_max() == 0 || kept_.size() <= Connection::kPartialMax);
  }
  void flush() {
    if (is_closed) return;
    const bool is_last_try = connection_->wish() >= net::Wish::kCloseSent;
    std::vector<iovec> room(16);
    const auto pieces = connection_->pending(room);
    size_t left = options.takes_bytes ? options.window : 0;
    size_t taken = 0;
    for (const iovec& piece : pieces) {
      const size_t count = std::min(piece.iov_len, left);
      const auto* from = static_cast<const std::byte*>(piece.iov_base);
      out.insert(out.end(), from, from + count);
      left -= count;
      taken += count;
    }
    if (taken > 0) connection_->sent(taken, target_.reactor.now());
    if (is_last_try) hang_up();
  }
  void wants_send() override {}
  void wants_receive() override {
    WEFT_ASSERT(connection_->receive_max() > 0);
    if (!is_closed) present();
  }
  void on_finished(Connection&) override { is_finished = true; }

  TestTarget& target_;
  std::unique_ptr<Connection> connection_;
  Bytes kept_;
};

// --- PDUs of a host ----------------------------------------------------------------------------------------------------------------------

template <WireStruct T>
void add(Bytes& bytes, const T& value) {
  const auto raw = bytes_of(value);
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}
inline void add_digest(Bytes& bytes, std::span<const std::byte> covered) { add(bytes, le32{crc32c(covered)}); }

inline Bytes ic_req(const PeerOptions& options) {
  IcReq request{};
  request.ch = {.type = uint8_t(PduType::kIcReq), .flags = 0, .hlen = 128, .pdo = 0, .plen = 128};
  request.hpda = options.hpda;
  request.dgst = uint8_t((options.has_header_digest ? kDigestHeader : 0) | (options.has_data_digest ? kDigestData : 0));
  Bytes bytes;
  add(bytes, request);
  return bytes;
}

/// `header` with `data` behind it, digests and lengths as `options` say. The caller may break any of it afterwards.
template <WireStruct T>
Bytes pdu(PduType type, T header, uint8_t flags, std::span<const std::byte> data, const PeerOptions& options) {
  const size_t header_size = sizeof(T) + (options.has_header_digest ? kDigestSize : 0);
  const bool has_data_digest = options.has_data_digest && !data.empty();
  header.ch.type = uint8_t(type);
  header.ch.flags = uint8_t(flags | (options.has_header_digest ? kFlagHdgst : 0) | (has_data_digest ? kFlagDdgst : 0));
  header.ch.hlen = sizeof(T);
  header.ch.pdo = data.empty() ? 0 : uint8_t(header_size);
  header.ch.plen = uint32_t(header_size + data.size() + (has_data_digest ? kDigestSize : 0));
  Bytes bytes;
  add(bytes, header);
  if (options.has_header_digest) add_digest(bytes, bytes_of(header));
  bytes.insert(bytes.end(), data.begin(), data.end());
  if (has_data_digest) add_digest(bytes, data);
  return bytes;
}

inline Bytes capsule(const nvme::Sqe& sqe, std::span<const std::byte> data, const PeerOptions& options) {
  return pdu(PduType::kCapsuleCmd, CapsuleCmd{{}, sqe}, 0, data, options);
}

inline nvme::Sqe io_sqe(nvme::IoOpcode opcode, uint16_t cid, uint64_t slba, uint32_t blocks, uint8_t sgl_type) {
  nvme::Sqe sqe{};
  sqe.opcode = uint8_t(opcode);
  sqe.flags = 0x40;
  sqe.cid = cid;
  sqe.nsid = 1;
  sqe.sgl.length = blocks * kBlockSize;
  sqe.sgl.type = sgl_type;
  sqe.cdw10 = uint32_t(slba);
  sqe.cdw12 = blocks - 1;
  return sqe;
}

struct ConnectOptions {
  uint16_t qid = 0;
  uint16_t sqsize = 31;
  uint16_t cntlid = 0xffff;
  uint8_t cattr = 0;
};

inline Bytes connect_capsule(uint16_t cid, const ConnectOptions& connect, const PeerOptions& options) {
  fabrics::ConnectSqe sqe{};
  sqe.opcode = nvme::kFabricsOpcode;
  sqe.flags = 0x40;
  sqe.cid = cid;
  sqe.fctype = uint8_t(fabrics::Fctype::kConnect);
  sqe.sgl.length = sizeof(fabrics::ConnectData);
  sqe.sgl.type = nvme::SglDescriptor::kDataBlockOffset;
  sqe.qid = connect.qid;
  sqe.sqsize = connect.sqsize;
  sqe.cattr = connect.cattr;
  fabrics::ConnectData data{};
  data.hostid.fill(std::byte{7});
  data.cntlid = connect.cntlid;
  std::memcpy(data.subnqn.data(), kSubsystemNqn, sizeof kSubsystemNqn);
  std::memcpy(data.hostnqn.data(), kHostNqn, sizeof kHostNqn);
  return capsule(reinterpret_cast<const nvme::Sqe&>(sqe), bytes_of(data), options);
}

inline Bytes property_set(uint16_t cid, uint32_t offset, uint64_t value, const PeerOptions& options) {
  fabrics::PropertySqe sqe{};
  sqe.opcode = nvme::kFabricsOpcode;
  sqe.flags = 0x40;
  sqe.cid = cid;
  sqe.fctype = uint8_t(fabrics::Fctype::kPropertySet);
  sqe.ofst = offset;
  sqe.value = value;
  return capsule(reinterpret_cast<const nvme::Sqe&>(sqe), {}, options);
}

/// The completion in a CapsuleResp, if it is one.
inline std::optional<nvme::Cqe> completion_of(std::span<const std::byte> response) {
  const auto* capsule_resp = view<CapsuleResp>(response);
  if (capsule_resp == nullptr || PduType(capsule_resp->ch.type) != PduType::kCapsuleResp) return std::nullopt;
  return capsule_resp->cqe;
}

}  // namespace weft::tcp::testing
