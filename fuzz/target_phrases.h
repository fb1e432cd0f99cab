// What a target says over NVMe/TCP, in PDUs that a host understands: the vocabulary of the mutator for the host's side.
#pragma once
#include "fuzz/pdu_mutator.h"
#include "host/test_support.h"

#include <array>

namespace weft::fuzz {

// Bits of option 0 of a script for the host's side.
inline constexpr uint8_t kOptionHeaderDigest = 1 << 0;
inline constexpr uint8_t kOptionDataDigest = 1 << 1;
inline constexpr uint8_t kOptionNoFlowControl = 1 << 2;
inline constexpr uint8_t kOptionNoHandshake = 1 << 3;  // the script has ICResp itself, or not

inline Digests digests_of_target(const Script& script, uint8_t) {
  return {(script.options[0] & kOptionHeaderDigest) != 0, (script.options[0] & kOptionDataDigest) != 0};
}

class TargetPhrases {
 public:
  static std::vector<Step> handshake(Prng&, Digests digests, uint8_t) { return {step(pdus(digests).icresp())}; }
  static std::vector<Step> response(Prng& prng, Digests digests, uint8_t) {
    const auto status = prng.one_in(3) ? nvme::status::kInternalError : nvme::status::kSuccess;
    return {step(pdus(digests).response(cid(prng), status))};
  }
  /// One or two C2HData, the last with or without a response of its own.
  static std::vector<Step> read(Prng& prng, Digests digests, uint8_t) {
    static constexpr std::array<uint32_t, 4> kSizes{512, 4096, 8192, 100};
    const uint32_t size = kSizes[prng.below(kSizes.size())];
    const uint32_t first = prng.one_in(2) ? size : uint32_t(prng.below(size + 1));
    const uint16_t id = cid(prng);
    const Bytes data = host::testing_support::pattern(size, 3);
    const auto flags = uint8_t(tcp::kFlagLast | (prng.one_in(2) ? tcp::kFlagSuccess : 0));
    std::vector<Step> steps;
    if (first < size) steps.push_back(step(pdus(digests).data(id, 0, std::span(data).first(first), 0)));
    const uint32_t offset = first < size ? first : 0;
    steps.push_back(step(pdus(digests).data(id, offset, std::span(data).subspan(offset), flags)));
    if ((flags & tcp::kFlagSuccess) == 0 && !prng.one_in(4)) steps.push_back(step(pdus(digests).response(id)));
    return steps;
  }
  static std::vector<Step> write(Prng& prng, Digests digests, uint8_t) {
    const uint16_t id = cid(prng);
    const uint32_t size = 9000;
    const uint32_t first = prng.one_in(2) ? size : uint32_t(1 + prng.below(size));
    std::vector<Step> steps{step(pdus(digests).r2t(id, 0, first, uint16_t(prng.next())))};
    if (first < size && prng.one_in(2))
      steps.push_back(step(pdus(digests).r2t(id, first, size - first, uint16_t(prng.next()))));
    if (!prng.one_in(4)) steps.push_back(step(pdus(digests).response(id)));
    return steps;
  }
  static std::vector<Step> termination(Prng& prng, Digests digests, uint8_t) {
    return {step(pdus(digests).termination(tcp::Fes(1 + prng.below(6)), uint32_t(prng.below(128))))};
  }

 private:
  static host::testing_support::TargetPdus pdus(Digests digests) {
    return {.digests = {.header = digests.header, .data = digests.data}};
  }
  static Step step(Bytes bytes) { return {.is_echo = true, .bytes = std::move(bytes)}; }
  /// With the echo: which of the outstanding commands.
  static uint16_t cid(Prng& prng) { return uint16_t(prng.below(8)); }
};

inline constexpr std::array<Dialect::Phrase, 8> kTargetPhrases{
    &TargetPhrases::handshake, &TargetPhrases::response, &TargetPhrases::response, &TargetPhrases::read,
    &TargetPhrases::read,      &TargetPhrases::write,    &TargetPhrases::write,    &TargetPhrases::termination};
inline constexpr Dialect kTargetDialect{kTargetPhrases, &digests_of_target};

}  // namespace weft::fuzz
