// What a host says over NVMe/TCP, in PDUs that a target understands: the vocabulary of the mutator for the target's
// side.
#pragma once
#include "fuzz/pdu_mutator.h"
#include "transport/tcp/test_support.h"
#include "wire/nvme/identify.h"
#include "wire/nvme/log_pages.h"
#include "wire/nvme/registers.h"

#include <array>

namespace weft::fuzz {

// Option 1 of a script for the target's side: connections that are live queues before the first step, from the admin
// queue on, and their digests.
inline constexpr uint8_t kOptionLiveQueues = 3;
inline constexpr uint8_t kOptionLiveHeaderDigest = 1 << 2;
inline constexpr uint8_t kOptionLiveDataDigest = 1 << 3;

inline uint8_t live_queues(const Script& script) { return script.options[1] & kOptionLiveQueues; }
inline Digests digests_of_live(const Script& script) {
  return {(script.options[1] & kOptionLiveHeaderDigest) != 0, (script.options[1] & kOptionLiveDataDigest) != 0};
}
inline tcp::testing::PeerOptions peer_of(Digests digests) {
  return {.has_header_digest = digests.header, .has_data_digest = digests.data};
}

/// Those of a live queue, or by the connection's last ICReq.
inline Digests digests_of_host(const Script& script, uint8_t connection) {
  if (connection < live_queues(script)) return digests_of_live(script);
  Digests digests;
  for (const Step& step : script.steps) {
    const auto* request = view<tcp::IcReq>(step.bytes);
    if (step.connection != connection || request == nullptr) continue;
    if (tcp::PduType(request->ch.type) == tcp::PduType::kIcReq) digests = digests_of_dgst(request->dgst);
  }
  return digests;
}

class HostPhrases {
 public:
  static std::vector<Step> handshake(Prng& prng, Digests, uint8_t connection) {
    const uint8_t hpda = prng.one_in(4) ? uint8_t(prng.below(33)) : uint8_t{0};
    return {step(
        connection,
        tcp::testing::ic_req({.has_header_digest = prng.one_in(2), .has_data_digest = prng.one_in(2), .hpda = hpda}))};
  }
  static std::vector<Step> connect(Prng& prng, Digests digests, uint8_t connection) {
    tcp::testing::ConnectOptions options;
    options.qid = connection == 0 || prng.one_in(8) ? uint16_t{0} : connection;
    options.sqsize = uint16_t(prng.one_in(4) ? prng.below(1100) : 31);
    options.cntlid = options.qid == 0 ? uint16_t{0xffff} : uint16_t(1 + prng.below(2));
    options.cattr = prng.one_in(3) ? fabrics::kCattrDisableSqFlowControl : uint8_t{0};
    const Bytes whole = tcp::testing::connect_capsule(cid(prng), options, peer(digests));
    if (!prng.one_in(4)) return {step(connection, whole)};
    PduParts parts = *take_apart(whole, digests);  // its data comes by R2T
    const Bytes data = std::exchange(parts.data, {});
    parts.header[kSqe + offsetof(nvme::Sqe, sgl) + offsetof(nvme::SglDescriptor, type)] =
        std::byte{nvme::SglDescriptor::kTransportDataBlock};
    std::vector<Step> steps = transfer(prng, data, digests, connection);
    steps.insert(steps.begin(), step(connection, put_together(parts, digests)));
    return steps;
  }
  /// Handshake, Connect and, on the admin queue, the controller enabled.
  static std::vector<Step> queue(Prng& prng, Digests, uint8_t connection) {
    std::vector<Step> steps = handshake(prng, {}, connection);
    const Digests digests = digests_of_dgst(view<tcp::IcReq>(steps.front().bytes)->dgst);
    for (Step& each : connect(prng, digests, connection)) steps.push_back(std::move(each));
    if (connection == 0)
      steps.push_back(step(0, tcp::testing::property_set(2, nvme::property::kCc, kEnabled, peer(digests))));
    return steps;
  }
  /// Connection 0 is mostly an admin queue, the others are mostly not: what is for the one is seldom sent on the other.
  static std::vector<Step> property(Prng& prng, Digests digests, uint8_t connection) {
    if (connection != 0 && !prng.one_in(8)) return io(prng, digests, connection);
    static constexpr std::array<uint32_t, 4> kValues{kEnabled, 0, kEnabled | 1 << 14, kEnabled | 2 << 14};
    static constexpr std::array<uint32_t, 5> kOffsets{0, 8, 0x14, 0x1c, 0x20};
    Bytes bytes =
        tcp::testing::property_set(cid(prng), nvme::property::kCc, kValues[prng.below(kValues.size())], peer(digests));
    if (prng.one_in(2)) {
      bytes = tcp::testing::property_set(cid(prng), kOffsets[prng.below(kOffsets.size())], 0, peer(digests));
      PduParts parts = *take_apart(bytes, digests);
      parts.header[kSqe + offsetof(fabrics::PropertySqe, fctype)] = std::byte(fabrics::Fctype::kPropertyGet);
      parts.header[kSqe + offsetof(fabrics::PropertySqe, attrib)] = std::byte(prng.below(2));
      bytes = put_together(parts, digests);
    }
    return {step(connection, bytes)};
  }
  static std::vector<Step> admin(Prng& prng, Digests digests, uint8_t connection) {
    if (connection != 0 && !prng.one_in(8)) return io(prng, digests, connection);
    return admin_command(prng, digests, connection);
  }
  static std::vector<Step> admin_command(Prng& prng, Digests digests, uint8_t connection) {
    static constexpr std::array<uint8_t, 8> kOpcodes{0x06, 0x02, 0x09, 0x0a, 0x0c, 0x18, 0x08, 0x06};
    static constexpr std::array<uint8_t, 16> kFeatures{1,    2,    4,    5,    6,    7,    8,    9,
                                                       0x0a, 0x0b, 0x0e, 0x0f, 0x16, 0x19, 0x81, 0x84};
    static constexpr std::array<uint8_t, 10> kLogs{0, 1, 2, 3, 4, 5, 0x0c, 0x12, 0x70, 0x80};
    nvme::Sqe sqe = command(kOpcodes[prng.below(kOpcodes.size())], cid(prng));
    uint32_t length = 0;
    if (sqe.opcode == uint8_t(nvme::AdminOpcode::kIdentify)) {
      length = nvme::kIdentifySize;
      sqe.nsid = uint32_t(prng.below(3));
      sqe.cdw10 = uint32_t(prng.below(0x20));
    } else if (sqe.opcode == uint8_t(nvme::AdminOpcode::kGetLogPage)) {
      length = uint32_t(4 * (1 + prng.below(1100)));
      sqe.nsid = nvme::kNsidAll;
      sqe.cdw10 = (length / 4 - 1) << 16 | kLogs[prng.below(kLogs.size())];
    } else if (sqe.opcode == uint8_t(nvme::AdminOpcode::kAbort)) {
      sqe.cdw10 = uint32_t(cid(prng)) << 16 | uint32_t(prng.below(3));
    } else if (sqe.opcode != uint8_t(nvme::AdminOpcode::kKeepAlive)) {
      sqe.cdw10 = kFeatures[prng.below(kFeatures.size())];
      sqe.cdw11 = uint32_t(prng.one_in(2) ? prng.next() : 0x30003);
      length = prng.one_in(2) ? uint32_t(512) : prng.one_in(2) ? 8u : 0u;
    }
    return data_command(prng, sqe, length, digests, connection);
  }
  static std::vector<Step> io(Prng& prng, Digests digests, uint8_t connection) {
    if (connection == 0 && !prng.one_in(8)) return admin_command(prng, digests, connection);
    static constexpr std::array<uint8_t, 10> kOpcodes{0, 1, 1, 1, 2, 2, 5, 8, 9, 0x0c};
    const auto blocks = uint32_t(1 + (prng.one_in(4) ? prng.below(64) : prng.below(4)));
    nvme::Sqe sqe = command(prng.one_in(8) ? uint8_t{0x19} : kOpcodes[prng.below(kOpcodes.size())], cid(prng));
    sqe.nsid = uint32_t(1 + prng.below(2));
    sqe.cdw10 = uint32_t(prng.below(16));
    sqe.cdw12 = blocks - 1;
    uint32_t length = blocks * tcp::testing::kBlockSize;
    switch (nvme::IoOpcode(sqe.opcode)) {
      case nvme::IoOpcode::kFlush:
      case nvme::IoOpcode::kWriteZeroes:
      case nvme::IoOpcode::kVerify:
        length = 0;
        break;
      case nvme::IoOpcode::kDatasetManagement:
        sqe.cdw10 = uint32_t(prng.below(4));
        sqe.cdw11 = nvme::kDsmDeallocate;
        length = uint32_t((sqe.cdw10 + 1) * sizeof(nvme::DsmRange));
        break;
      case nvme::IoOpcode::kCopy:
        sqe.cdw12 = uint32_t(prng.below(3));
        length = uint32_t((sqe.cdw12 + 1) * sizeof(nvme::CopyRange));
        break;
      case nvme::IoOpcode::kWrite:
      case nvme::IoOpcode::kRead:
      case nvme::IoOpcode::kCompare:
        break;
    }
    if (nvme::IoOpcode(sqe.opcode) != nvme::IoOpcode::kCompare || prng.one_in(2))
      return data_command(prng, sqe, length, digests, connection);
    nvme::Sqe second = sqe;  // of a fused pair
    sqe.flags = uint8_t(sqe.flags | uint8_t(nvme::Fuse::kFirst));
    second.opcode = uint8_t(nvme::IoOpcode::kWrite);
    second.flags = uint8_t(second.flags | uint8_t(nvme::Fuse::kSecond));
    second.cid = uint16_t(sqe.cid + 1);
    std::vector<Step> steps = data_command(prng, sqe, length, digests, connection);
    for (Step& each : data_command(prng, second, length, digests, connection)) steps.push_back(std::move(each));
    return steps;
  }
  /// An answer to the last R2T, or to none.
  static std::vector<Step> data(Prng& prng, Digests digests, uint8_t connection) {
    return transfer(prng, Bytes((1 + prng.below(4)) * tcp::testing::kBlockSize), digests, connection);
  }
  static std::vector<Step> disconnect(Prng& prng, Digests digests, uint8_t connection) {
    nvme::Sqe sqe = command(nvme::kFabricsOpcode, cid(prng));
    sqe.nsid = uint32_t(fabrics::Fctype::kDisconnect);
    return {step(connection, tcp::testing::capsule(sqe, {}, peer(digests)))};
  }
  static std::vector<Step> termination(Prng& prng, Digests digests, uint8_t connection) {
    tcp::TermReq header{};
    header.fes = uint16_t(1 + prng.below(6));
    return {step(connection, tcp::testing::pdu(tcp::PduType::kH2cTermReq, header, 0, {}, peer(digests)))};
  }

 private:
  static constexpr uint32_t kEnabled = 1 | 6 << 16 | 4 << 20;

  static tcp::testing::PeerOptions peer(Digests digests) { return peer_of(digests); }
  static Step step(uint8_t connection, Bytes bytes) { return {.connection = connection, .bytes = std::move(bytes)}; }
  static uint16_t cid(Prng& prng) { return uint16_t(prng.below(8)); }
  static nvme::Sqe command(uint8_t opcode, uint16_t cid) {
    nvme::Sqe sqe{};
    sqe.opcode = opcode;
    sqe.flags = uint8_t(nvme::Psdt::kSglContiguousMetadata) << 6;
    sqe.cid = cid;
    return sqe;
  }
  /// `data` in one to three H2CData.
  static std::vector<Step> transfer(Prng& prng, std::span<const std::byte> data, Digests digests, uint8_t connection) {
    tcp::DataPdu header{};
    header.ttag = uint16_t(prng.below(4) | prng.below(8) << 11);
    header.cccid = cid(prng);
    const bool is_echo = !prng.one_in(8);
    std::vector<Step> steps;
    for (uint64_t left = 1 + prng.below(3); left > 0 && !data.empty(); --left) {
      const auto part =
          data.first(left == 1 ? data.size() : std::min(data.size(), size_t(4 * (1 + prng.below(data.size() / 4)))));
      data = data.subspan(part.size());
      header.datal = uint32_t(part.size());
      const uint8_t flags = data.empty() ? tcp::kFlagLast : uint8_t{0};
      steps.push_back(step(connection, tcp::testing::pdu(tcp::PduType::kH2cData, header, flags, part, peer(digests))));
      steps.back().is_echo = is_echo;
      header.datao = uint32_t(header.datao + part.size());
    }
    return steps;
  }
  /// The command, and its data for the controller: in the capsule, behind it or left out.
  static std::vector<Step> data_command(Prng& prng, nvme::Sqe sqe, uint32_t length, Digests digests,
                                        uint8_t connection) {
    const bool is_out = length > 0 && nvme::direction_of(sqe.opcode) == nvme::DataDirection::kHostToController;
    const bool is_in_capsule = is_out && prng.one_in(2);
    const Bytes data(is_out ? length : 0, std::byte(prng.below(2)));
    sqe.sgl.length = length;
    sqe.sgl.type = is_in_capsule ? nvme::SglDescriptor::kDataBlockOffset : nvme::SglDescriptor::kTransportDataBlock;
    std::vector<Step> steps;
    if (is_out && !is_in_capsule && !prng.one_in(4)) steps = transfer(prng, data, digests, connection);
    steps.insert(steps.begin(),
                 step(connection, tcp::testing::capsule(sqe, is_in_capsule ? data : Bytes{}, peer(digests))));
    return steps;
  }
};

inline constexpr std::array<Dialect::Phrase, 12> kHostPhrases{
    &HostPhrases::handshake, &HostPhrases::connect, &HostPhrases::queue,      &HostPhrases::queue,
    &HostPhrases::property,  &HostPhrases::admin,   &HostPhrases::io,         &HostPhrases::io,
    &HostPhrases::data,      &HostPhrases::data,    &HostPhrases::disconnect, &HostPhrases::termination};
inline constexpr Dialect kHostDialect{kHostPhrases, &digests_of_host};

}  // namespace weft::fuzz
