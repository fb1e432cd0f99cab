// A small host for tests over the loop transport: a target on manual time with one or several reactors turned in rounds, and calls that submit
// one command and turn the reactors until it is done. Not part of any library.
#pragma once
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bdev/null/null_bdev.h"
#include "bdev/ram/ram_bdev.h"
#include "base/bytes.h"
#include "core/test_support.h"
#include "nvmf/controller.h"
#include "nvmf/target.h"
#include "transport/loop/loop_connection.h"
#include "wire/fabrics/connect.h"

namespace weft::loop {

inline constexpr char kNqn[] = "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555";
inline constexpr char kHostNqn[] = "nqn.2014-08.org.nvmexpress:uuid:aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";

/// A target with its reactors, all on the test's thread.
class TestTarget {
 public:
  explicit TestTarget(size_t reactors = 1, Limits limits = {}) {
    limits.slots_per_reactor = std::min(limits.slots_per_reactor, 4096u);
    for (uint32_t Limits::*share : {&Limits::admin_share_bytes, &Limits::in_capsule_share_bytes, &Limits::transfer_share_bytes,
                                    &Limits::read_share_bytes, &Limits::scratch_share_bytes}) {
      limits.*share = std::min(limits.*share, 2u << 20);  // tests zero all of it
    }
    std::vector<nvmf::Target::ShardResources> resources;
    for (size_t i = 0; i < reactors; ++i) {
      reactors_.push_back(std::make_unique<Reactor>(Reactor::Options{.index = uint32_t(i)}, clock, sink));
      resources.push_back({*reactors_.back(), memory});
    }
    target_ = std::move(nvmf::Target::create(limits, resources).value());
    subsystem_ = target_->add_subsystem({.nqn = kNqn, .serial = "S1", .has_subsystem_reset = true}).value();
  }
  ~TestTarget() {
    bool is_stopped = false;
    target_->stop([&] { is_stopped = true; });
    until([&] { return is_stopped; });
    connections.clear();
    target_.reset();
  }

  nvmf::Target& target() { return *target_; }
  nvmf::Subsystem& subsystem() { return *subsystem_; }
  nvmf::Shard& shard(size_t i = 0) { return *target_->shards()[i]; }

  void add(uint32_t nsid, std::unique_ptr<bdev::Bdev> device) {
    nvmf::NamespaceIdentity identity;
    identity.uuid[15] = identity.nguid[15] = identity.eui64[7] = std::byte(nsid);
    std::optional<Result<void>> added;
    target_->add_namespace(*subsystem_, nsid, identity, std::move(device), [&](Result<void> result) { added = result; });
    until([&] { return added.has_value(); });
    ASSERT_TRUE(added->has_value());
  }
  std::unique_ptr<bdev::Bdev> ram(uint64_t blocks = 2048, uint32_t block_size = 512) {
    return std::move(bdev::make_ram(memory, "ram", blocks, block_size).value());
  }

  /// One round over all reactors but the stalled one.
  void turn() {
    for (size_t i = 0; i < reactors_.size(); ++i) {
      if (i != stalled_) reactors_[i]->run_once();
    }
  }
  /// The reactor's thread gets no processor until stall_none().
  void stall(size_t reactor) { stalled_ = reactor; }
  void stall_none() { stalled_.reset(); }
  template <typename F>
  void until(F&& is_done) {
    for (int i = 0; i < 20'000 && !is_done(); ++i) {
      turn();
      if (i > 100) clock.advance(milliseconds(1));  // only what waits for time is still missing
    }
    ASSERT_TRUE(is_done());
  }
  void pass(Duration time) {
    for (int64_t ms = 0; ms < time.milliseconds(); ++ms) {
      clock.advance(milliseconds(1));
      turn();
    }
  }

  testing_support::ManualClock clock;
  testing_support::KeepingSink sink;
  testing_support::HeapMemory memory;
  std::vector<std::unique_ptr<Connection>> connections;

 private:
  std::vector<std::unique_ptr<Reactor>> reactors_;
  std::unique_ptr<nvmf::Target> target_;
  nvmf::Subsystem* subsystem_ = nullptr;
  std::optional<size_t> stalled_;
};

struct ConnectOptions {
  std::string subnqn = kNqn;
  std::string hostnqn = kHostNqn;
  uint16_t cntlid = fabrics::kCntlidDynamic;
  uint16_t qid = 0;
  uint16_t sqsize = 31;
  uint32_t kato_ms = 0;
  uint8_t cattr = 0;
  uint16_t recfmt = 0;
  Connection::Delivery delivery = Connection::Delivery::kInCapsule;
};

/// One queue of a host.
class TestQueue {
 public:
  TestQueue(TestTarget& target, size_t shard = 0) : target_(target) {
    target.connections.push_back(std::make_unique<Connection>(target.shard(shard)));
    connection_ = target.connections.back().get();
  }
  Connection& connection() { return *connection_; }

  /// Submits and turns the reactors until the completion has come.
  nvme::Cqe run(Connection::Request request) {
    std::optional<nvme::Cqe> cqe;
    request.sqe.cid = next_cid_++;
    request.on_done = [&](const nvme::Cqe& done) { cqe = done; };
    EXPECT_TRUE(connection_->submit(std::move(request)));
    target_.until([&] { return cqe.has_value(); });
    return cqe.value_or(nvme::Cqe{});
  }
  nvme::Status status(Connection::Request request) { return run(std::move(request)).decoded_status(); }
  /// Submits and returns; `*cqe` is set when it is done.
  uint16_t start(Connection::Request request, std::optional<nvme::Cqe>& cqe) {
    const uint16_t cid = next_cid_++;
    request.sqe.cid = cid;
    request.on_done = [&cqe](const nvme::Cqe& done) { cqe = done; };
    EXPECT_TRUE(connection_->submit(std::move(request)));
    return cid;
  }

  static fabrics::ConnectData connect_data(const ConnectOptions& options) {
    fabrics::ConnectData data{};
    data.hostid[0] = std::byte{1};
    data.cntlid = options.cntlid;
    std::memcpy(data.subnqn.data(), options.subnqn.data(), options.subnqn.size());
    std::memcpy(data.hostnqn.data(), options.hostnqn.data(), options.hostnqn.size());
    return data;
  }
  /// Borrows `data`.
  static Connection::Request connect_request(const ConnectOptions& options, const fabrics::ConnectData& data) {
    fabrics::ConnectSqe sqe{};
    sqe.opcode = nvme::kFabricsOpcode;
    sqe.fctype = uint8_t(fabrics::Fctype::kConnect);
    sqe.qid = options.qid;
    sqe.sqsize = options.sqsize;
    sqe.kato = options.kato_ms;
    sqe.cattr = options.cattr;
    sqe.recfmt = options.recfmt;
    Connection::Request request{.from_host = bytes_of(data), .delivery = options.delivery};
    request.sqe = std::bit_cast<nvme::Sqe>(sqe);
    return request;
  }
  nvme::Cqe connect(const ConnectOptions& options) {
    const fabrics::ConnectData data = connect_data(options);
    return run(connect_request(options, data));
  }
  nvme::Cqe property_set(uint32_t offset, uint64_t value) {
    fabrics::PropertySqe sqe{};
    sqe.opcode = nvme::kFabricsOpcode;
    sqe.fctype = uint8_t(fabrics::Fctype::kPropertySet);
    sqe.ofst = offset;
    sqe.value = value;
    Connection::Request request;
    request.sqe = std::bit_cast<nvme::Sqe>(sqe);
    return run(std::move(request));
  }
  nvme::Cqe property_get(uint32_t offset, uint8_t attrib = 0) {
    fabrics::PropertySqe sqe{};
    sqe.opcode = nvme::kFabricsOpcode;
    sqe.fctype = uint8_t(fabrics::Fctype::kPropertyGet);
    sqe.ofst = offset;
    sqe.attrib = attrib;
    Connection::Request request;
    request.sqe = std::bit_cast<nvme::Sqe>(sqe);
    return run(std::move(request));
  }
  /// Connect as an admin queue and enable the controller; returns the CNTLID.
  uint16_t connect_and_enable(ConnectOptions options = {}) {
    const nvme::Cqe cqe = connect(options);
    EXPECT_TRUE(cqe.decoded_status().ok()) << name_of(cqe.decoded_status());
    enable();
    return uint16_t(cqe.dw0);
  }
  void enable() {
    EXPECT_TRUE(property_set(nvme::property::kCc, kCcEnabled).decoded_status().ok());
    EXPECT_EQ(property_get(nvme::property::kCsts).dw0 & 1, 1u);
  }
  static constexpr uint32_t kCcEnabled = 1 | 6 << 16 | 4 << 20;

 private:
  TestTarget& target_;
  Connection* connection_;
  uint16_t next_cid_ = 1;
};

/// A read or write of `blocks` blocks.
inline nvme::Sqe io_sqe(nvme::IoOpcode opcode, uint64_t slba, uint32_t blocks, uint32_t nsid = 1) {
  nvme::Sqe sqe{};
  sqe.opcode = uint8_t(opcode);
  sqe.nsid = nsid;
  sqe.cdw10 = uint32_t(slba);
  sqe.cdw11 = uint32_t(slba >> 32);
  sqe.cdw12 = blocks - 1;
  return sqe;
}

}  // namespace weft::loop
