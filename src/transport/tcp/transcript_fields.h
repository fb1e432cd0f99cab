// The fields of PDUs by name, and how a transcript's `name = value` is written into one. A value that is expected is
// written into a copy of what has come: where the copy then differs from it, the value was another. For tests only.
#pragma once
#include "base/bytes.h"
#include "transport/tcp/test_support.h"
#include "transport/tcp/transcript.h"
#include "wire/print.h"

#include <algorithm>
#include <map>
#include <span>
#include <string>

namespace weft::tcp::testing {

/// `width` bits, from bit `shift` up, of the little-endian integer of `size` bytes at `offset` of the header.
struct Field {
  std::string_view name;
  size_t offset;
  size_t size;
  unsigned shift = 0;
  unsigned width = 64;  // more than there are: all
};

inline constexpr size_t kSqe = offsetof(CapsuleCmd, sqe);
inline constexpr size_t kCqe = offsetof(CapsuleResp, cqe);
inline constexpr Field kCommonFields[] = {
    {"type", offsetof(CommonHeader, type), 1},        {"flags", offsetof(CommonHeader, flags), 1},
    {"last", offsetof(CommonHeader, flags), 1, 2, 1}, {"success", offsetof(CommonHeader, flags), 1, 3, 1},
    {"hlen", offsetof(CommonHeader, hlen), 1},        {"pdo", offsetof(CommonHeader, pdo), 1},
    {"plen", offsetof(CommonHeader, plen), 4},
};
inline constexpr Field kIcReqFields[] = {{"pfv", offsetof(IcReq, pfv), 2},
                                         {"hpda", offsetof(IcReq, hpda), 1},
                                         {"dgst", offsetof(IcReq, dgst), 1},
                                         {"maxr2t", offsetof(IcReq, maxr2t), 4}};
inline constexpr Field kIcRespFields[] = {{"pfv", offsetof(IcResp, pfv), 2},
                                          {"cpda", offsetof(IcResp, cpda), 1},
                                          {"dgst", offsetof(IcResp, dgst), 1},
                                          {"maxh2cdata", offsetof(IcResp, maxh2cdata), 4}};
inline constexpr Field kTermReqFields[] = {{"fes", offsetof(TermReq, fes), 2}, {"fei", offsetof(TermReq, fei), 4}};
inline constexpr Field kCapsuleCmdFields[] = {
    {"opcode", kSqe + offsetof(nvme::Sqe, opcode), 1},
    {"fuse", kSqe + offsetof(nvme::Sqe, flags), 1, 0, 2},
    {"psdt", kSqe + offsetof(nvme::Sqe, flags), 1, 6, 2},
    {"cid", kSqe + offsetof(nvme::Sqe, cid), 2},
    {"nsid", kSqe + offsetof(nvme::Sqe, nsid), 4},
    {"sgl.address", kSqe + offsetof(nvme::Sqe, sgl.address), 8},
    {"sgl.length", kSqe + offsetof(nvme::Sqe, sgl.length), 4},
    {"sgl.type", kSqe + offsetof(nvme::Sqe, sgl.type), 1},
    {"cdw10", kSqe + offsetof(nvme::Sqe, cdw10), 4},
    {"cdw11", kSqe + offsetof(nvme::Sqe, cdw11), 4},
    {"cdw12", kSqe + offsetof(nvme::Sqe, cdw12), 4},
    {"cdw13", kSqe + offsetof(nvme::Sqe, cdw13), 4},
    {"cdw14", kSqe + offsetof(nvme::Sqe, cdw14), 4},
    {"cdw15", kSqe + offsetof(nvme::Sqe, cdw15), 4},
    // Read, Write and their like.
    {"slba", kSqe + offsetof(nvme::Sqe, cdw10), 8},
    {"nlb", kSqe + offsetof(nvme::Sqe, cdw12), 2},
    // Fabrics commands.
    {"fctype", kSqe + offsetof(fabrics::ConnectSqe, fctype), 1},
    {"recfmt", kSqe + offsetof(fabrics::ConnectSqe, recfmt), 2},
    {"qid", kSqe + offsetof(fabrics::ConnectSqe, qid), 2},
    {"sqsize", kSqe + offsetof(fabrics::ConnectSqe, sqsize), 2},
    {"cattr", kSqe + offsetof(fabrics::ConnectSqe, cattr), 1},
    {"kato", kSqe + offsetof(fabrics::ConnectSqe, kato), 4},
    {"attrib", kSqe + offsetof(fabrics::PropertySqe, attrib), 1},
    {"ofst", kSqe + offsetof(fabrics::PropertySqe, ofst), 4},
    {"value", kSqe + offsetof(fabrics::PropertySqe, value), 8},
};
inline constexpr Field kCapsuleRespFields[] = {
    {"dw0", kCqe + offsetof(nvme::Cqe, dw0), 4},
    {"dw1", kCqe + offsetof(nvme::Cqe, dw1), 4},
    {"sqhd", kCqe + offsetof(nvme::Cqe, sqhd), 2},
    {"sqid", kCqe + offsetof(nvme::Cqe, sqid), 2},
    {"cid", kCqe + offsetof(nvme::Cqe, cid), 2},
    {"status", kCqe + offsetof(nvme::Cqe, status), 2, 1, 11},
    {"more", kCqe + offsetof(nvme::Cqe, status), 2, 14, 1},
    {"dnr", kCqe + offsetof(nvme::Cqe, status), 2, 15, 1},
};
inline constexpr Field kDataFields[] = {{"cccid", offsetof(DataPdu, cccid), 2},
                                        {"ttag", offsetof(DataPdu, ttag), 2},
                                        {"datao", offsetof(DataPdu, datao), 4},
                                        {"datal", offsetof(DataPdu, datal), 4}};
inline constexpr Field kR2tFields[] = {{"cccid", offsetof(R2t, cccid), 2},
                                       {"ttag", offsetof(R2t, ttag), 2},
                                       {"r2to", offsetof(R2t, r2to), 4},
                                       {"r2tl", offsetof(R2t, r2tl), 4}};

struct Form {
  size_t header_size = sizeof(CommonHeader);
  std::span<const Field> fields{};
};
inline Form form_of(PduType type) {
  switch (type) {
    case PduType::kIcReq:
      return {sizeof(IcReq), kIcReqFields};
    case PduType::kIcResp:
      return {sizeof(IcResp), kIcRespFields};
    case PduType::kH2cTermReq:
    case PduType::kC2hTermReq:
      return {sizeof(TermReq), kTermReqFields};
    case PduType::kCapsuleCmd:
      return {sizeof(CapsuleCmd), kCapsuleCmdFields};
    case PduType::kCapsuleResp:
      return {sizeof(CapsuleResp), kCapsuleRespFields};
    case PduType::kH2cData:
    case PduType::kC2hData:
      return {sizeof(DataPdu), kDataFields};
    case PduType::kR2t:
      return {sizeof(R2t), kR2tFields};
  }
  return {};
}

/// The words of a field's values: those of wire/print.h where it has them.
struct Vocabulary {
  std::string_view field;
  uint64_t count;
  std::string_view (*word_of)(uint64_t value);
};
inline constexpr Vocabulary kVocabularies[] = {
    // Admin opcodes, then those of I/O commands: no two have one name, and only the low byte is written.
    {"opcode", 512,
     [](uint64_t v) -> std::string_view {
       if (v == nvme::kFabricsOpcode) return "Fabrics";
       return v < 256 ? name_of(nvme::AdminOpcode(v)) : name_of(nvme::IoOpcode(v - 256));
     }},
    {"fctype", 256, [](uint64_t v) { return name_of(fabrics::Fctype(v)); }},
    {"status", 2048, [](uint64_t v) { return nvme::name_of(nvme::Status::from_cqe(uint16_t(v << 1))); }},
    {"fes", 256, [](uint64_t v) { return name_of(Fes(v)); }},
    {"fuse", 3, [](uint64_t v) -> std::string_view { return v == 1   ? "first"
                                                            : v == 2 ? "second"
                                                                     : "none"; }},
    {"dgst", 4,
     [](uint64_t v) -> std::string_view {
       return v == 1 ? "header" : v == 2 ? "data" : v == 3 ? "header and data" : "none";
     }},
    {"sgl.type", 256,
     [](uint64_t v) -> std::string_view {
       return v == nvme::SglDescriptor::kDataBlockOffset      ? "in-capsule"
              : v == nvme::SglDescriptor::kTransportDataBlock ? "transport"
                                                              : "";
     }},
};
inline std::optional<uint64_t> value_named(std::string_view field, std::string_view word) {
  const auto vocabulary = std::ranges::find(kVocabularies, field, &Vocabulary::field);
  if (vocabulary == std::end(kVocabularies)) return std::nullopt;
  for (uint64_t value = 0; value < vocabulary->count; ++value) {
    if (vocabulary->word_of(value) == word) return value;
  }
  return std::nullopt;
}

/// The `$name`s of a transcript.
using Variables = std::map<std::string, uint64_t, std::less<>>;
enum class Unbound : uint8_t { kIsError, kTakesWhatIsThere };

/// A PDU without its digests.
struct ParsedPdu {
  Bytes header;
  Bytes data;
  friend bool operator==(const ParsedPdu&, const ParsedPdu&) = default;
};

/// Reads numbers, words and `$name`s; `there` is what the field holds.
struct ValueReader {
  Variables& variables;
  Unbound unbound;

  OrMessage<uint64_t> operator()(std::string_view field, std::string_view text, uint64_t there) const {
    if (text == "*" && unbound == Unbound::kTakesWhatIsThere) return there;
    if (text.starts_with('$')) {
      if (unbound == Unbound::kTakesWhatIsThere) return variables.try_emplace(std::string{text}, there).first->second;
      if (const auto known = variables.find(text); known != variables.end()) return known->second;
      return std::unexpected(std::string{text} + " has no value yet");
    }
    auto value = number_of(text);
    if (!value) value = value_named(field, text);
    if (!value) return std::unexpected("not a value of " + std::string{field} + ": " + std::string{text});
    return *value;
  }
};

inline uint64_t load(std::span<const std::byte> bytes) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data(), bytes.size());
  return value;
}
inline void store(std::span<std::byte> bytes, uint64_t value) { std::memcpy(bytes.data(), &value, bytes.size()); }

inline OrMessage<void> assign_field(ParsedPdu& pdu, const Assignment& assignment, const ValueReader& read) {
  if (pdu.header.size() < sizeof(CommonHeader)) return std::unexpected("a header that is too short");
  const Form form = form_of(PduType(pdu.header[0]));
  const auto* field = std::ranges::find(kCommonFields, assignment.name, &Field::name);
  if (field == std::end(kCommonFields)) {
    const auto own = std::ranges::find(form.fields, assignment.name, &Field::name);
    if (own == form.fields.end()) return std::unexpected("no field of this PDU: " + assignment.name);
    field = &*own;
  }
  if (field->offset + field->size > pdu.header.size())
    return std::unexpected("the header ends before " + assignment.name);
  const auto bytes = std::span(pdu.header).subspan(field->offset, field->size);
  const uint64_t all = load(bytes);
  const uint64_t mask = field->width >= 64 ? ~uint64_t{0} : (uint64_t{1} << field->width) - 1;
  const auto value = read(field->name, assignment.value, all >> field->shift & mask);
  if (!value) return std::unexpected(value.error());
  store(bytes, (all & ~(mask << field->shift)) | (*value & mask) << field->shift);
  return {};
}

/// `zeroes N`, `hex 00 ff …`, `pattern SEED from OFFSET for N`.
inline OrMessage<Bytes> bytes_written(const std::string& text) {
  const auto words = words_of(text);
  if (words.size() == 2 && words[0] == "zeroes" && number_of(words[1])) return Bytes(*number_of(words[1]));
  if (words.size() == 6 && words[0] == "pattern" && words[2] == "from" && words[4] == "for") {
    const auto seed = number_of(words[1]), offset = number_of(words[3]), size = number_of(words[5]);
    if (!seed || !offset || !size) return std::unexpected("not a pattern: " + text);
    const Bytes whole = pattern(*offset + *size, uint8_t(*seed));
    return Bytes(whole.begin() + ptrdiff_t(*offset), whole.end());
  }
  if (words.empty() || words[0] != "hex") return std::unexpected("not data: " + text);
  Bytes bytes;
  for (size_t i = 1; i < words.size(); ++i) {
    const auto value = number_of("0x" + words[i]);
    if (!value || *value > 255) return std::unexpected("not a hex byte: " + words[i]);
    bytes.push_back(std::byte(*value));
  }
  return bytes;
}

/// `data = …`, `data[OFFSET:SIZE] = number`, `data[OFFSET] = "text"`.
inline OrMessage<void> assign_data(ParsedPdu& pdu, const Assignment& assignment, const ValueReader& read) {
  if (assignment.name == "data") {
    auto bytes = bytes_written(assignment.value);
    if (!bytes) return std::unexpected(bytes.error());
    pdu.data = std::move(*bytes);
    return {};
  }
  const auto inside = std::string_view{assignment.name}.substr(5, assignment.name.size() - 6);
  const size_t colon = inside.find(':');
  const auto offset = number_of(inside.substr(0, colon));
  const auto& text = assignment.value;
  if (!offset) return std::unexpected("no place in the data: " + assignment.name);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    if (*offset + text.size() - 2 > pdu.data.size()) return std::unexpected("the data ends before " + text);
    std::memcpy(pdu.data.data() + *offset, text.data() + 1, text.size() - 2);
    return {};
  }
  const auto size = colon == std::string_view::npos ? std::nullopt : number_of(inside.substr(colon + 1));
  if (!size || *size > sizeof(uint64_t)) return std::unexpected("not data[OFFSET:SIZE]: " + assignment.name);
  if (*offset + *size > pdu.data.size()) return std::unexpected("the data ends before " + assignment.name);
  const auto bytes = std::span(pdu.data).subspan(*offset, *size);
  const auto value = read(assignment.name, text, load(bytes));
  if (!value) return std::unexpected(value.error());
  store(bytes, *value);
  return {};
}

inline bool is_data(const Assignment& assignment) {
  return assignment.name == "data" || (assignment.name.starts_with("data[") && assignment.name.ends_with(']'));
}

inline OrMessage<void> assign(ParsedPdu& pdu, const Assignment& assignment, const ValueReader& read) {
  return is_data(assignment) ? assign_data(pdu, assignment, read) : assign_field(pdu, assignment, read);
}

}  // namespace weft::tcp::testing
