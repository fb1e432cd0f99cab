#include "host/tcp_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/test_support.h"

namespace weft::host {
namespace {

using namespace testing_support;
using ::testing::HasSubstr;

constexpr uint32_t kInCapsule = 4096;

QueueOptions io_queue(Digests digests = {}, uint16_t entries = 4) {
  return {.kind = QueueKind::kIo, .entries = entries, .in_capsule_bytes = kInCapsule, .digests = digests};
}

const tcp::CapsuleCmd& capsule(const Bytes& bytes) { return *view<tcp::CapsuleCmd>(bytes); }

class AllDigests : public ::testing::TestWithParam<Digests> {};
INSTANTIATE_TEST_SUITE_P(TcpConnection, AllDigests,
                         ::testing::Values(Digests{}, Digests{.header = true}, Digests{.data = true}, Digests{.header = true, .data = true}));

TEST_P(AllDigests, AsksForThemInIcReqAndOpensOnIcResp) {
  Wire wire{io_queue(GetParam())};
  const Bytes sent = wire.drain();
  ASSERT_EQ(sent.size(), 128u);
  const auto& pdu = *view<tcp::IcReq>(sent);
  EXPECT_EQ(pdu.ch.type, 0);
  EXPECT_EQ(uint32_t{pdu.ch.plen}, 128u);
  EXPECT_EQ(pdu.dgst, (GetParam().header ? 1 : 0) | (GetParam().data ? 2 : 0));
  EXPECT_FALSE(wire.connection.has_room());
  wire.feed(wire.pdus.icresp());
  EXPECT_EQ(wire.opened, 1);
  EXPECT_TRUE(wire.connection.has_room());
}

TEST_P(AllDigests, AReadLandsInItsBufferAtEverySplitPoint) {
  const Bytes payload = pattern(600, 3);
  for (size_t piece = 1; piece <= 700; piece += piece < 40 ? 1 : 61) {
    Wire wire{io_queue(GetParam())};
    wire.shake_hands();
    Bytes buffer(payload.size());
    KeptCommand command;
    command.in = buffer;
    wire.connection.submit(command);
    const Bytes sent = wire.drain();
    EXPECT_EQ(capsule(sent).sqe.sgl.type, nvme::SglDescriptor::kTransportDataBlock);
    EXPECT_EQ(uint32_t{capsule(sent).sqe.sgl.length}, 600u);
    EXPECT_EQ(capsule(sent).sqe.flags, 0x40);
    Bytes stream = wire.pdus.data(cid_of(sent), 0, std::span(payload).first(200), 0);
    const Bytes rest = wire.pdus.data(cid_of(sent), 200, std::span(payload).subspan(200), tcp::kFlagLast);
    const Bytes response = wire.pdus.response(cid_of(sent));
    stream.insert(stream.end(), rest.begin(), rest.end());
    stream.insert(stream.end(), response.begin(), response.end());
    wire.feed(stream, piece);
    ASSERT_EQ(command.completions, 1) << "pieces of " << piece << ": " << wire.reason;
    EXPECT_TRUE(command.cqe.decoded_status().ok());
    EXPECT_EQ(buffer, payload);
    EXPECT_EQ(wire.closed, 0) << wire.reason;
  }
}

TEST_P(AllDigests, ASmallWriteTravelsInItsCapsule) {
  const Bytes payload = pattern(512, 9);
  for (const size_t piece : {size_t{1}, size_t{50}, SIZE_MAX}) {
    Wire wire{io_queue(GetParam())};
    wire.shake_hands();
    KeptCommand command;
    command.out = payload;
    wire.connection.submit(command);
    const Bytes sent = wire.drain(piece);
    const auto& pdu = capsule(sent);
    const size_t start = 72 + (GetParam().header ? 4 : 0);
    ASSERT_EQ(sent.size(), start + 512 + (GetParam().data ? 4 : 0));
    EXPECT_EQ(uint32_t{pdu.ch.plen}, sent.size());
    EXPECT_EQ(pdu.ch.pdo, start);
    EXPECT_EQ(pdu.sqe.sgl.type, nvme::SglDescriptor::kDataBlockOffset);
    EXPECT_TRUE(std::ranges::equal(std::span(sent).subspan(start, 512), payload));
    if (GetParam().header) {
      EXPECT_EQ(load_le32(sent.data() + 72), crc32c(std::span(sent).first(72)));
    }
    if (GetParam().data) {
      EXPECT_EQ(load_le32(sent.data() + start + 512), crc32c(payload));
    }
    wire.feed(wire.pdus.response(cid_of(sent)));
    EXPECT_EQ(command.completions, 1);
  }
}

TEST_P(AllDigests, ALargeWriteGoesOutAsItIsRequestedInPiecesOfMaxh2cdata) {
  const Bytes payload = pattern(20000, 5);
  Wire wire{io_queue(GetParam())};
  wire.shake_hands();
  KeptCommand command;
  command.out = payload;
  wire.connection.submit(command);
  const uint16_t cid = cid_of(wire.drain());
  Bytes got;
  for (const auto& [offset, length] : {std::pair{0u, 4096u}, std::pair{4096u, 15904u}}) {
    wire.feed(wire.pdus.r2t(cid, offset, length, uint16_t(offset + 1)), 3);
    const Bytes sent = wire.drain(1000);
    size_t at = 0;
    uint32_t end = offset;
    while (at < sent.size()) {
      const auto& pdu = *view<tcp::DataPdu>(std::span(sent).subspan(at));
      EXPECT_EQ(pdu.ch.type, uint8_t(tcp::PduType::kH2cData));
      EXPECT_EQ(uint16_t{pdu.ttag}, offset + 1);
      EXPECT_EQ(uint32_t{pdu.datao}, end);
      EXPECT_LE(uint32_t{pdu.datal}, 8192u);
      end += pdu.datal;
      EXPECT_EQ((pdu.ch.flags & tcp::kFlagLast) != 0, end == offset + length);
      const auto data = std::span(sent).subspan(at + pdu.ch.pdo, pdu.datal);
      got.insert(got.end(), data.begin(), data.end());
      at += pdu.ch.plen;
    }
  }
  EXPECT_EQ(got, payload);
  wire.feed(wire.pdus.response(cid));
  EXPECT_EQ(command.completions, 1);
  EXPECT_EQ(wire.closed, 0) << wire.reason;
}

TEST(TcpConnection, SuccessFlagCompletesWhenThereIsNoFlowControl) {
  Wire wire{io_queue()};
  wire.shake_hands();
  wire.connection.disable_flow_control();
  Bytes buffer(512);
  KeptCommand command;
  command.in = buffer;
  wire.connection.submit(command);
  const uint16_t cid = cid_of(wire.drain());
  wire.feed(wire.pdus.data(cid, 0, pattern(512, 1), tcp::kFlagLast | tcp::kFlagSuccess));
  EXPECT_EQ(command.completions, 1);
  EXPECT_EQ(uint16_t{command.cqe.cid}, cid);
}

TEST(TcpConnection, AWrongDataDigestFailsTheCommandAndNotTheConnection) {
  Wire wire{io_queue({.data = true})};
  wire.shake_hands();
  Bytes buffer(512);
  KeptCommand command;
  command.in = buffer;
  wire.connection.submit(command);
  const uint16_t cid = cid_of(wire.drain());
  Bytes data = wire.pdus.data(cid, 0, pattern(512, 1), tcp::kFlagLast);
  data[100] ^= std::byte{1};
  wire.feed(data);
  wire.feed(wire.pdus.response(cid));
  ASSERT_EQ(command.completions, 1);
  EXPECT_TRUE(command.cqe.decoded_status().is(nvme::status::kDataTransferError));
  EXPECT_EQ(wire.closed, 0);
}

TEST(TcpConnection, AnErrorMayComeWithoutData) {
  Wire wire{io_queue()};
  wire.shake_hands();
  Bytes buffer(512);
  KeptCommand command;
  command.in = buffer;
  wire.connection.submit(command);
  const uint16_t cid = cid_of(wire.drain());
  wire.feed(wire.pdus.response(cid, nvme::status::kLbaOutOfRange.with_dnr()));
  ASSERT_EQ(command.completions, 1);
  EXPECT_EQ(command.cqe.decoded_status(), nvme::status::kLbaOutOfRange.with_dnr());
}

TEST(TcpConnection, AnErrorDuringATransferCompletesWhenTheBufferIsFreeAgain) {
  const Bytes payload = pattern(8192, 5);
  Wire wire{io_queue()};
  wire.shake_hands();
  KeptCommand command;
  command.out = payload;
  wire.connection.submit(command);
  const uint16_t cid = cid_of(wire.drain());
  wire.feed(wire.pdus.r2t(cid, 0, 8192));
  wire.feed(wire.pdus.response(cid, nvme::status::kInternalError));
  EXPECT_EQ(command.completions, 0);
  EXPECT_EQ(wire.drain().size(), 24u + 8192);
  EXPECT_EQ(command.completions, 1);
  EXPECT_EQ(wire.closed, 0) << wire.reason;
}

TEST(TcpConnection, TakesAsManyCommandsAsItHasEntriesAndNeverRepeatsACidAtOnce) {
  Wire wire{io_queue({}, 3)};
  wire.shake_hands();
  std::array<KeptCommand, 3> commands;
  for (auto& command : commands) wire.connection.submit(command);
  EXPECT_FALSE(wire.connection.has_room());
  const Bytes sent = wire.drain();
  ASSERT_EQ(sent.size(), 3u * 72);
  const uint16_t first = cid_of(sent);
  wire.feed(wire.pdus.response(first));
  EXPECT_TRUE(wire.connection.has_room());
  wire.connection.submit(commands[0]);
  EXPECT_NE(cid_of(wire.drain()), first) << "the generation tells a late answer from the right one";
  wire.close();
}

TEST(TcpConnection, ItsEndAbortsWhatIsOutstanding) {
  Wire wire{io_queue()};
  wire.shake_hands();
  KeptCommand sent, unsent;
  wire.connection.submit(sent);
  wire.drain();
  wire.connection.submit(unsent);
  wire.connection.on_closed({net::Closing::Reason::kError, ECONNRESET});
  EXPECT_TRUE(sent.cqe.decoded_status().is(nvme::status::kAbortedByHost));
  EXPECT_TRUE(unsent.cqe.decoded_status().is(nvme::status::kAbortedByHost));
  EXPECT_THAT(wire.reason, HasSubstr("reset by peer"));
  EXPECT_FALSE(wire.connection.has_room());
}

// One row of what a Linux or SPDK host does not take from a target. The connection has an outstanding read of 1024 bytes (`read`) and an
// outstanding write of 8192 bytes (`write`), both with their capsules sent.
struct Violation {
  const char* name;
  std::function<Bytes(const TargetPdus&, uint16_t read, uint16_t write)> bytes;
  const char* reason;
  Digests digests{};
};

Bytes patched(Bytes bytes, size_t offset, uint8_t value) {
  bytes[offset] = std::byte{value};
  return bytes;
}
Bytes joined(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const Violation kViolations[] = {
    {"unknown type", [](auto& t, auto r, auto) { return patched(t.response(r), 0, 0x0b); }, "may not send type 0bh"},
    {"host's type", [](auto& t, auto r, auto) { return patched(t.response(r), 0, 0x04); }, "CapsuleCmd"},
    {"second ICResp", [](auto& t, auto, auto) { return t.icresp(); }, "may not send type 01h"},
    {"reserved flag", [](auto& t, auto r, auto) { return patched(t.response(r), 1, 0x10); }, "CapsuleResp: flags 10h"},
    {"LAST on a response", [](auto& t, auto r, auto) { return patched(t.response(r), 1, 0x04); }, "flags 04h"},
    {"digest flag without digest", [](auto& t, auto r, auto) { return patched(t.response(r), 1, 0x01); }, "flags 01h where 00h"},
    {"digest flag missing", [](auto& t, auto r, auto) { return patched(t.response(r), 1, 0x00); }, "flags 00h where 01h", {.header = true}},
    {"data digest flag missing", [](auto& t, auto r, auto) { return patched(t.data(r, 0, pattern(8, 0), 4), 1, 0x04); }, "flags 04h where 02h", {.data = true}},
    {"HLEN of a response", [](auto& t, auto r, auto) { return patched(t.response(r), 2, 20); }, "CapsuleResp: HLEN 20 where 24"},
    {"HLEN of data", [](auto& t, auto r, auto) { return patched(t.data(r, 0, pattern(8, 0), 4), 2, 28); }, "C2HData: HLEN 28 where 24"},
    {"PDO of a response", [](auto& t, auto r, auto) { return patched(t.response(r), 3, 24); }, "PDO 24 where 0"},
    {"padding before data", [](auto& t, auto r, auto) { return patched(t.data(r, 0, pattern(8, 0), 4), 3, 28); }, "PDO 28 where 24"},
    {"PLEN of a response", [](auto& t, auto r, auto) { return patched(t.response(r), 4, 28); }, "PLEN 28 where 24"},
    {"PLEN of an R2T", [](auto& t, auto, auto w) { return patched(t.r2t(w, 0, 8192), 4, 20); }, "R2T: PLEN 20 where 24"},
    {"PLEN of data", [](auto& t, auto r, auto) { return patched(t.data(r, 0, pattern(8, 0), 4), 4, 33); }, "C2HData: PLEN 33 where 32"},
    {"header digest", [](auto& t, auto r, auto) { return patched(t.response(r), 24, 0x5a); }, "header digest", {.header = true}},
    {"response to nobody", [](auto& t, auto, auto) { return t.response(0x0003); }, "no command with CID 0003h"},
    {"response beyond the queue", [](auto& t, auto, auto) { return t.response(0x0fff); }, "no command with CID 0fffh"},
    {"response with another generation", [](auto& t, auto r, auto) { return t.response(r ^ 0x1000); }, "no command with CID"},
    {"data for nobody", [](auto& t, auto, auto) { return t.data(0x0002, 0, pattern(8, 0), 4); }, "C2HData: no command"},
    {"R2T for nobody", [](auto& t, auto, auto) { return t.r2t(0x0002, 0, 8); }, "R2T: no command"},
    {"data for a write", [](auto& t, auto, auto w) { return t.data(w, 0, pattern(8, 0), 4); }, "reads nothing"},
    {"R2T for a read", [](auto& t, auto r, auto) { return t.r2t(r, 0, 8); }, "writes nothing"},
    {"data with a gap", [](auto& t, auto r, auto) { return t.data(r, 8, pattern(8, 0), 4); }, "DATAO 8 where 0"},
    {"data twice", [](auto& t, auto r, auto) { return joined(t.data(r, 0, pattern(8, 0), 0), t.data(r, 0, pattern(8, 0), 0)); }, "DATAO 0 where 8"},
    {"more data than asked for", [](auto& t, auto r, auto) { return t.data(r, 0, pattern(1028, 0), 4); }, "exceed the 1024"},
    {"data after the last", [](auto& t, auto r, auto) { return joined(t.data(r, 0, pattern(8, 0), 4), t.data(r, 8, pattern(8, 0), 4)); }, "after the one with LAST"},
    {"empty data", [](auto& t, auto r, auto) { return patched(t.data(r, 0, {}, 4), 3, 24); }, "without data"},
    {"SUCCESS without LAST", [](auto& t, auto r, auto) { return t.data(r, 0, pattern(1024, 0), 8); }, "SUCCESS without LAST"},
    {"SUCCESS with flow control", [](auto& t, auto r, auto) { return t.data(r, 0, pattern(1024, 0), 12); }, "SUCCESS on a queue with SQ flow control"},
    {"short data", [](auto& t, auto r, auto) { return joined(t.data(r, 0, pattern(8, 0), 4), t.response(r)); }, "only 8 of 1024 bytes had come"},
    {"no data", [](auto& t, auto r, auto) { return t.response(r); }, "only 0 of 1024 bytes had come"},
    {"data without LAST", [](auto& t, auto r, auto) { return joined(t.data(r, 0, pattern(1024, 0), 0), t.response(r)); }, "no LAST_PDU"},
    {"success of a write not transferred", [](auto& t, auto, auto w) { return t.response(w); }, "only 0 of 8192 bytes had been sent"},
    {"R2T of nothing", [](auto& t, auto, auto w) { return t.r2t(w, 0, 0); }, "R2T for 0 bytes"},
    {"R2T with a gap", [](auto& t, auto, auto w) { return t.r2t(w, 4096, 4096); }, "R2TO 4096 where 0"},
    {"R2T too long", [](auto& t, auto, auto w) { return t.r2t(w, 0, 8196); }, "exceed the 8192"},
    {"R2T whose end wraps", [](auto& t, auto, auto w) { return t.r2t(w, 0, 0xffffffff); }, "exceed the 8192"},
    {"two R2Ts at once", [](auto& t, auto, auto w) { return joined(t.r2t(w, 0, 4096), t.r2t(w, 4096, 4096)); }, "R2T while an earlier PDU"},
    {"response twice during a transfer",
     [](auto& t, auto, auto w) { return joined(t.r2t(w, 0, 8192), joined(t.response(w, nvme::status::kInternalError), t.response(w, nvme::status::kInternalError))); },
     "no command with CID"},
    {"termination", [](auto& t, auto, auto) { return t.termination(tcp::Fes::kSequenceError, 7); }, "PDU sequence error (FES 02h, FEI 00000007h)"},
    {"malformed termination", [](auto& t, auto, auto) { return patched(t.termination(tcp::Fes::kSequenceError, 7), 4, 153); }, "C2HTermReq: PLEN 153"},
};

TEST(TcpConnection, EndsTheConnectionOnEveryViolation) {
  for (const Violation& violation : kViolations) {
    for (const size_t piece : {size_t{1}, size_t{13}, SIZE_MAX}) {
      SCOPED_TRACE(fmt::format("{}, pieces of {}", violation.name, piece));
      Wire wire{io_queue(violation.digests)};
      wire.shake_hands();
      const Bytes payload = pattern(8192, 1);
      Bytes buffer(1024);
      KeptCommand read, write;
      read.in = buffer;
      write.out = payload;
      wire.connection.submit(read);
      const uint16_t read_cid = cid_of(wire.drain());
      wire.connection.submit(write);
      const uint16_t write_cid = cid_of(wire.drain());
      wire.feed(violation.bytes(wire.pdus, read_cid, write_cid), piece);
      EXPECT_EQ(wire.closed, 1);
      EXPECT_THAT(wire.reason, HasSubstr(violation.reason));
      EXPECT_EQ(read.completions, 1);
      EXPECT_EQ(write.completions, 1);
    }
  }
}

TEST(TcpConnection, RefusesR2tForDataThatWasInTheCapsule) {
  Wire wire{io_queue()};
  wire.shake_hands();
  const Bytes payload = pattern(512, 1);
  KeptCommand write;
  write.out = payload;
  wire.connection.submit(write);
  wire.feed(wire.pdus.r2t(cid_of(wire.drain()), 0, 512));
  EXPECT_THAT(wire.reason, HasSubstr("was in its capsule"));
}

TEST(TcpConnection, RefusesAResponseToACapsuleThatHasNotLeft) {
  Wire wire{io_queue()};
  wire.shake_hands();
  KeptCommand command;
  wire.connection.submit(command);
  std::array<iovec, 3> room;
  const auto pending = wire.connection.pending(room);
  ASSERT_EQ(pending[0].iov_len, 72u);
  wire.feed(wire.pdus.response(load_le16(static_cast<const std::byte*>(pending[0].iov_base) + 10)));
  EXPECT_THAT(wire.reason, HasSubstr("no command with CID"));
}

TEST(TcpConnection, RefusesAnIcRespThatALinuxHostRefuses) {
  struct Row {
    const char* name;
    size_t offset;
    uint8_t value;
    const char* reason;
  };
  const Row rows[] = {
      {"type", 0, 5, "expected ICResp, got CapsuleResp"}, {"flags", 1, 1, "flags"}, {"HLEN", 2, 24, "HLEN 24"},         {"PDO", 3, 4, "PDO 4"},
      {"PLEN", 4, 132, "PLEN 132"},                       {"PFV", 8, 1, "format version 1"}, {"CPDA", 10, 1, "CPDA 1"}, {"digests", 11, 1, "digests 01h where 00h"},
      {"MAXH2CDATA small", 13, 0x0f, "MAXH2CDATA 3840"},  {"MAXH2CDATA odd", 12, 2, "MAXH2CDATA 8194"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Wire wire{io_queue()};
    wire.drain();
    wire.feed(patched(wire.pdus.icresp(), row.offset, row.value), 5);
    EXPECT_EQ(wire.opened, 0);
    EXPECT_EQ(wire.closed, 1);
    EXPECT_THAT(wire.reason, HasSubstr(row.reason));
  }
}

TEST(TcpConnection, ControlCommandsTakeEightKibInTheCapsule) {
  const Bytes payload = pattern(1024, 1);
  Wire wire{{.kind = QueueKind::kIo, .entries = 2, .in_capsule_bytes = 0, .digests = {}}};
  wire.shake_hands();
  KeptCommand connect, write;
  connect.sqe.opcode = nvme::kFabricsOpcode;
  connect.out = payload;
  write.out = payload;
  wire.connection.submit(connect);
  EXPECT_EQ(wire.drain().size(), 72u + 1024);
  wire.connection.submit(write);
  EXPECT_EQ(wire.drain().size(), 72u);
  wire.close();
}

}  // namespace
}  // namespace weft::host
