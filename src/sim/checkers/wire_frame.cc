#include "sim/checkers/wire_frame.h"

#include <array>
#include <fmt/format.h>

namespace weft::sim {
namespace {

using tcp::PduType;

enum class Data : uint8_t { kNone, kMay, kMust, kHeaderCopy };

struct Shape {
  PduType type;
  const char* name;
  Side from;
  uint32_t hlen;
  uint8_t own_flags;  // beside those of the digests
  bool has_digests;
  Data data;
};

constexpr std::array kShapes{
    Shape{PduType::kIcReq, "ICReq", Side::kHost, 128, 0, false, Data::kNone},
    Shape{PduType::kIcResp, "ICResp", Side::kTarget, 128, 0, false, Data::kNone},
    Shape{PduType::kH2cTermReq, "H2CTermReq", Side::kHost, 24, 0, false, Data::kHeaderCopy},
    Shape{PduType::kC2hTermReq, "C2HTermReq", Side::kTarget, 24, 0, false, Data::kHeaderCopy},
    Shape{PduType::kCapsuleCmd, "CapsuleCmd", Side::kHost, 72, 0, true, Data::kMay},
    Shape{PduType::kCapsuleResp, "CapsuleResp", Side::kTarget, 24, 0, true, Data::kNone},
    Shape{PduType::kH2cData, "H2CData", Side::kHost, 24, tcp::kFlagLast, true, Data::kMust},
    Shape{PduType::kC2hData, "C2HData", Side::kTarget, 24, tcp::kFlagLast | tcp::kFlagSuccess, true, Data::kMust},
    Shape{PduType::kR2t, "R2T", Side::kTarget, 24, 0, true, Data::kNone},
};

const Shape* shape_of(uint8_t type) {
  for (const Shape& shape : kShapes) {
    if (uint8_t(shape.type) == type) return &shape;
  }
  return nullptr;
}

template <typename... Args>
std::unexpected<std::string> broken(const char* name, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(fmt::format("{}: {}", name, fmt::format(format, std::forward<Args>(args)...)));
}

}  // namespace

std::string name_of_pdu(uint8_t type) {
  const Shape* shape = shape_of(type);
  return shape != nullptr ? shape->name : fmt::format("PDU of type {:02x}h", type);
}

std::expected<WireFrame, std::string> frame_of(Side from, const tcp::CommonHeader& header, const WireSession& session) {
  const Shape* shape = shape_of(header.type);
  if (shape == nullptr) return broken("PDU", "type {:02x}h is not assigned", header.type);
  const char* name = shape->name;
  if (shape->from != from) return broken(name, "is for the other direction");

  WireFrame frame{.type = shape->type, .flags = header.flags, .hlen = shape->hlen, .size = header.plen};
  frame.has_header_digest = shape->has_digests && session.has_header_digest;
  frame.header_size = shape->hlen + (frame.has_header_digest ? tcp::kDigestSize : 0);
  const bool may_have_data = shape->data != Data::kNone;
  const bool has_data = may_have_data && frame.size > frame.header_size;
  frame.has_data_digest = has_data && shape->has_digests && session.has_data_digest;
  const uint8_t due =
      uint8_t((frame.has_header_digest ? tcp::kFlagHdgst : 0) | (frame.has_data_digest ? tcp::kFlagDdgst : 0));

  if ((header.flags & ~shape->own_flags) != due)
    return broken(name, "flags {:02x}h, due are {:02x}h", header.flags, due);
  if (header.hlen != shape->hlen) return broken(name, "HLEN {}, due is {}", header.hlen, shape->hlen);
  frame.data_offset = frame.header_size;
  if (shape->data == Data::kHeaderCopy) {
    if (header.pdo != 0) return broken(name, "PDO {}, due is 0", header.pdo);
    if (frame.size < frame.hlen || frame.size > frame.hlen + tcp::kTermReqDataMax) {
      return broken(name, "PLEN {} is not between {} and {}", frame.size, frame.hlen,
                    frame.hlen + tcp::kTermReqDataMax);
    }
    frame.data_size = frame.size - frame.hlen;
    return frame;
  }
  if (!has_data) {
    if (shape->data == Data::kMust) return broken(name, "PLEN {} leaves no room for data", frame.size);
    if (header.pdo != 0) return broken(name, "PDO {} without data", header.pdo);
    if (frame.size != frame.header_size) return broken(name, "PLEN {}, due is {}", frame.size, frame.header_size);
    return frame;
  }
  const uint32_t alignment = from == Side::kHost ? session.host_alignment : session.target_alignment;
  if (header.pdo < frame.header_size)
    return broken(name, "PDO {} lies in the header of {}", header.pdo, frame.header_size);
  if (header.pdo % alignment != 0) return broken(name, "PDO {} is no multiple of {}", header.pdo, alignment);
  const uint32_t around = header.pdo + (frame.has_data_digest ? tcp::kDigestSize : 0);
  if (frame.size <= around) return broken(name, "PLEN {} leaves no data after PDO {}", frame.size, header.pdo);
  frame.data_offset = header.pdo;
  frame.data_size = frame.size - around;
  return frame;
}

}  // namespace weft::sim
