// The rules of the RDMA monitor: what breaks each, and what is legal beside it.
#include "sim/checkers/rdma_monitor.h"

#include "base/bytes.h"
#include "wire/fabrics/connect.h"

#include <cstring>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>

namespace weft::sim {
namespace {

using End = verbs::MemoryTap::End;
using nvme::IoOpcode;
using nvme::SglDescriptor;

constexpr uint64_t kMemory = 0x10000;  // of the host
constexpr uint32_t kKey = 0x200;
constexpr uint16_t kReads = 2;
constexpr uint16_t kEntries = 4;

/// One connection, after its Connect, whose two ends say what a test has them say.
class Line {
 public:
  Line() {
    fabrics::ConnectSqe connect{};
    connect.opcode = nvme::kFabricsOpcode;
    connect.flags = 0x40;
    connect.fctype = uint8_t(fabrics::Fctype::kConnect);
    connect.qid = 1;
    connect.sqsize = kEntries - 1;
    auto& sqe = reinterpret_cast<nvme::Sqe&>(connect);
    sqe.sgl = keyed(0, sizeof(fabrics::ConnectData));
    command(sqe);
    read(0, sizeof(fabrics::ConnectData));
    read_done(0, sizeof(fabrics::ConnectData));
    respond(0);
  }
  std::string finding() const { return referee_.finding() ? referee_.finding()->what : ""; }

  static SglDescriptor keyed(size_t offset, uint32_t length, bool invalidates = false) {
    return rdma::descriptor_of({.address = kMemory + offset, .length = length, .key = kKey, .is_to_invalidate = invalidates});
  }
  static nvme::Sqe io(IoOpcode opcode, uint16_t cid, const SglDescriptor& sgl) {
    nvme::Sqe sqe{};
    sqe.opcode = uint8_t(opcode);
    sqe.flags = 0x40;
    sqe.cid = cid;
    sqe.nsid = 1;
    sqe.sgl = sgl;
    return sqe;
  }
  /// The host posts a capsule, and the target takes it.
  void command(const nvme::Sqe& sqe, std::span<const std::byte> after = {}) {
    std::vector<std::byte> capsule(sizeof sqe);
    std::memcpy(capsule.data(), &sqe, sizeof sqe);
    capsule.insert(capsule.end(), after.begin(), after.end());
    monitor_.on_posted(End::kClient, {.opcode = IBV_WR_SEND}, capsule);
    monitor_.on_received(End::kServer, capsule);
  }
  void write(size_t offset, uint32_t length) { transfer(IBV_WR_RDMA_WRITE, offset, length); }
  void read(size_t offset, uint32_t length) { transfer(IBV_WR_RDMA_READ, offset, length); }
  void read_done(size_t offset, uint32_t length) {
    const std::vector<std::byte> data(length);
    with_request(IBV_WR_RDMA_READ, offset, length, [&](const ibv_send_wr& request) { monitor_.on_done(End::kServer, request, data); });
  }
  /// The target answers with success, and the host takes that.
  void respond(uint16_t cid, std::optional<uint32_t> key_to_invalidate = {}, size_t size = sizeof(nvme::Cqe)) {
    nvme::Cqe cqe{};
    cqe.cid = cid;
    cqe.sqhd = uint16_t(++responses_ % kEntries);
    ibv_send_wr request{.opcode = key_to_invalidate ? IBV_WR_SEND_WITH_INV : IBV_WR_SEND};
    request.invalidate_rkey = key_to_invalidate.value_or(0);
    monitor_.on_posted(End::kServer, request, bytes_of(cqe).first(size));
    monitor_.on_received(End::kClient, bytes_of(cqe));
  }

 private:
  struct Events final : WireEvents {};
  template <typename F>
  void with_request(ibv_wr_opcode opcode, size_t offset, uint32_t length, F action) {
    ibv_sge piece{.addr = 0, .length = length, .lkey = 0};
    ibv_send_wr request{.sg_list = &piece, .num_sge = 1, .opcode = opcode};
    request.wr.rdma = {.remote_addr = kMemory + offset, .rkey = kKey};
    action(request);
  }
  void transfer(ibv_wr_opcode opcode, size_t offset, uint32_t length) {
    with_request(opcode, offset, length, [&](const ibv_send_wr& request) { monitor_.on_posted(End::kServer, request, {}); });
  }

  Agenda agenda_{1};
  Referee referee_;
  Events events_;
  RdmaMonitor monitor_{WireQueue{.id = 1, .name = "connection", .is_rdma = true, .subnqn = {}, .hostnqn = {}}, kReads, agenda_, referee_, events_};
  uint16_t responses_ = 0;
};

using Act = std::function<void(Line&)>;
struct Rule {
  const char* name;
  Act legal;
  Act broken;
  const char* says;
};

void begin_read(Line& line) { line.command(Line::io(IoOpcode::kRead, 7, Line::keyed(0, 8192))); }
void begin_write(Line& line) { line.command(Line::io(IoOpcode::kWrite, 7, Line::keyed(0, 8192))); }
Act reading(std::function<void(Line&)> act) {
  return [act = std::move(act)](Line& line) { begin_read(line), act(line); };
}
Act writing(std::function<void(Line&)> act) {
  return [act = std::move(act)](Line& line) { begin_write(line), act(line); };
}
/// A read whose key the host wishes to be invalidated, or not.
Act reading_by_key(bool invalidates, std::optional<uint32_t> key) {
  return [=](Line& line) {
    line.command(Line::io(IoOpcode::kRead, 7, Line::keyed(0, 512, invalidates)));
    line.write(0, 512);
    line.respond(7, key);
  };
}
Act in_capsule(uint32_t said) {
  return [=](Line& line) {
    SglDescriptor sgl{};
    sgl.type = SglDescriptor::kDataBlockOffset;
    sgl.length = said;
    line.command(Line::io(IoOpcode::kWrite, 7, sgl), std::vector<std::byte>(512));
  };
}
Act commands(int count, bool same_cid) {
  return [=](Line& line) {
    for (int i = 0; i < count; ++i) line.command(Line::io(IoOpcode::kRead, same_cid ? 7 : uint16_t(7 + i), Line::keyed(size_t(i) * 512, 512)));
  };
}

const Rule kRules[] = {
    {"DataBeforeTheResponse", reading([](Line& line) { line.write(0, 8192), line.respond(7); }),
     reading([](Line& line) { line.respond(7), line.write(0, 8192); }), "success after 0 of 8192 bytes were written"},
    {"AllOfTheData", reading([](Line& line) { line.write(0, 4096), line.write(4096, 4096), line.respond(7); }),
     reading([](Line& line) { line.write(0, 4096), line.respond(7); }), "success after 4096 of 8192 bytes were written"},
    {"WithinTheDescriptor", reading([](Line& line) { line.write(0, 8192); }), reading([](Line& line) { line.write(0, 8193); }), "where no command's data is due"},
    {"InOrder", reading([](Line& line) { line.write(0, 512), line.write(512, 512); }), reading([](Line& line) { line.write(512, 512); }),
     "where no command's data is due"},
    {"NoWriteForWrites", writing([](Line& line) { line.read(0, 8192); }), writing([](Line& line) { line.write(0, 8192); }), "where no command's data is due"},
    {"NoReadForReads", reading([](Line& line) { line.write(0, 8192); }), reading([](Line& line) { line.read(0, 8192); }), "a READ of 8192 bytes of what is no"},
    {"ReadOnce", writing([](Line& line) { line.read(0, 8192); }), writing([](Line& line) { line.read(0, 8192), line.read(0, 8192); }), "or was read before"},
    {"ReadIsDone", writing([](Line& line) { line.read(0, 8192), line.read_done(0, 8192), line.respond(7); }),
     writing([](Line& line) { line.read(0, 8192), line.respond(7); }), "success after 0 of 8192 bytes were read"},
    {"ReadDepth", writing([](Line& line) { line.read(0, 512), line.read(512, 512), line.read_done(0, 512), line.read(1024, 512); }),
     writing([](Line& line) { line.read(0, 512), line.read(512, 512), line.read(1024, 512); }), "3 READs are outstanding, settled were 2"},
    {"InvalidatesWhatIsAsked", reading_by_key(true, kKey), reading_by_key(false, kKey), "invalidates a key, and nobody has asked"},
    {"InvalidatesThatKey", reading_by_key(true, std::nullopt), reading_by_key(true, kKey + 1), "invalidates a key, and nobody has asked"},
    {"ResponseSize", reading([](Line& line) { line.write(0, 8192), line.respond(7); }), reading([](Line& line) { line.write(0, 8192), line.respond(7, {}, 15); }),
     "a response of 15 bytes"},
    {"CapsuleLength", in_capsule(512), in_capsule(256), "512 bytes in the capsule, 256 in its SGL"},
    {"OneCid", commands(2, false), commands(2, true), "CID 0007h is outstanding"},
    {"RoomInTheQueue", commands(kEntries, false), commands(kEntries + 1, false), "4 commands are outstanding on a queue of 4"},
};

class RdmaRule : public ::testing::TestWithParam<Rule> {};
INSTANTIATE_TEST_SUITE_P(RdmaMonitor, RdmaRule, ::testing::ValuesIn(kRules), [](const auto& rule) { return std::string(rule.param.name); });

TEST_P(RdmaRule, IsQuietAboutWhatIsLegal) {
  Line line;
  GetParam().legal(line);
  EXPECT_EQ(line.finding(), "");
}

TEST_P(RdmaRule, IsFoundBroken) {
  Line line;
  GetParam().broken(line);
  EXPECT_THAT(line.finding(), ::testing::HasSubstr(GetParam().says));
}

}  // namespace
}  // namespace weft::sim
