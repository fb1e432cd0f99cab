// Changes scripts of PDUs (pdu_script.h) so that they stay streams of PDUs: whole steps are added, repeated, dropped,
// moved and cut elsewhere; fields are set to borders or to what another PDU says; lengths and digests are made right
// again, mostly. What is well-formed in one direction comes from its Dialect. The same script, dialect and seed give
// the same result.
#pragma once
#include "base/prng.h"
#include "fuzz/pdu_fields.h"
#include "fuzz/pdu_parts.h"

#include <cstring>
#include <utility>

/// libFuzzer's own mutations.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace weft::fuzz {

struct Dialect {
  /// Makes well-formed steps of one connection: one PDU, or a few that belong together.
  using Phrase = std::vector<Step> (*)(Prng& prng, Digests digests, uint8_t connection);
  std::span<const Phrase> phrases;
  /// The digests that a connection of the script has.
  Digests (*digests_of)(const Script& script, uint8_t connection);
};

class PduMutator {
 public:
  PduMutator(const Dialect& dialect, uint64_t seed) : dialect_(dialect), prng_(seed) {}

  /// A few changes.
  void mutate(Script& script) {
    for (uint64_t left = 1 + prng_.below(4); left > 0; --left) mutate_once(script);
  }
  /// The front of `first` and the back of `second`.
  Script cross(Script first, const Script& second) {
    first.steps.resize(prng_.below(first.steps.size() + 1));
    const size_t from = prng_.below(second.steps.size() + 1);
    first.steps.insert(first.steps.end(), second.steps.begin() + ptrdiff_t(from), second.steps.end());
    return first;
  }

 private:
  static constexpr size_t kStepsMax = 64;
  static constexpr size_t kStepBytesMax = 20000;

  void mutate_once(Script& script) {
    if (script.steps.empty()) {
      for (uint8_t& option : script.options) option = uint8_t(prng_.one_in(2) ? prng_.next() : 0);
      return insert_phrase(script);
    }
    switch (prng_.below(20)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return insert_phrase(script);
      case 4:
        return duplicate(script);
      case 5:
        return drop(script);
      case 6:
        return move(script);
      case 7:
        return cut_elsewhere(script);
      case 8:
        return insert_event(script);
      case 9:
        script.options[prng_.below(script.options.size())] = uint8_t(prng_.next());
        return;
      case 10:
        return tear(script);
      case 11:
        return change_bytes(script);
      case 12:
      case 13:
        return resize_data(script);
      case 14:
      case 15:
        return take_over_field(script);
      default:
        return set_field(script);
    }
  }

  // --- steps ---------------------------------------------------------------------------------------------------------
  size_t any_step(const Script& script) { return size_t(prng_.below(script.steps.size())); }
  /// Mostly the end: what came before has made the state that the new step meets.
  ptrdiff_t any_place(const Script& script) {
    return prng_.one_in(2) ? ptrdiff_t(script.steps.size()) : ptrdiff_t(prng_.below(script.steps.size() + 1));
  }
  void insert(Script& script, std::vector<Step> steps) {
    if (script.steps.size() + steps.size() > kStepsMax) return drop(script);
    script.steps.insert(script.steps.begin() + any_place(script), steps.begin(), steps.end());
  }
  void insert_phrase(Script& script) {
    const auto connection = uint8_t(prng_.one_in(2) ? prng_.below(2) : prng_.below(kConnections));
    const auto phrase = dialect_.phrases[prng_.below(dialect_.phrases.size())];
    insert(script, phrase(prng_, dialect_.digests_of(script, connection), connection));
  }
  void insert_event(Script& script) {
    Step step{
        .kind = Step::Kind(prng_.below(Step::kKinds)), .connection = uint8_t(prng_.below(kConnections)), .bytes = {}};
    step.argument = prng_.one_in(3) ? uint8_t(255) : uint8_t(prng_.below(12));
    insert(script, {step});
  }
  void duplicate(Script& script) { insert(script, {script.steps[any_step(script)]}); }
  void drop(Script& script) { script.steps.erase(script.steps.begin() + ptrdiff_t(any_step(script))); }
  void move(Script& script) { std::swap(script.steps[any_step(script)], script.steps[any_step(script)]); }
  void cut_elsewhere(Script& script) {
    static constexpr std::array<uint8_t, 12> kPieces{0, 0, 1, 2, 3, 7, 8, 9, 24, 71, 72, 128};
    Step& step = script.steps[any_step(script)];
    switch (prng_.below(4)) {
      case 0:
        step.kind = step.kind == Step::Kind::kHold ? Step::Kind::kSend : Step::Kind::kHold;
        return;
      case 1:
        step.connection = uint8_t(prng_.below(kConnections));
        return;
      case 2:
        step.is_echo = !step.is_echo;
        return;
      default:
        step.argument = prng_.one_in(3) ? uint8_t(prng_.next()) : kPieces[prng_.below(kPieces.size())];
        return;
    }
  }
  /// A frame that is too short, too long, or runs into the next.
  void tear(Script& script) {
    Bytes& bytes = script.steps[any_step(script)].bytes;
    if (prng_.one_in(2)) return bytes.resize(size_t(prng_.below(bytes.size() + 1)));
    const Bytes other = script.steps[any_step(script)].bytes;
    if (bytes.size() + other.size() <= kStepBytesMax) bytes.insert(bytes.end(), other.begin(), other.end());
  }
  void change_bytes(Script& script) {
    Bytes& bytes = script.steps[any_step(script)].bytes;
    if (bytes.empty()) return;
    for (uint64_t left = 1 + prng_.below(4); left > 0; --left)
      bytes[prng_.below(bytes.size())] = std::byte(prng_.next());
  }

  // --- PDUs ----------------------------------------------------------------------------------------------------------
  /// A step that holds a PDU, with its parts; null when the one that was tried does not.
  Step* any_pdu(Script& script, PduParts& parts) {
    Step& step = script.steps[any_step(script)];
    auto found = take_apart(step.bytes, dialect_.digests_of(script, step.connection));
    if (!found) return nullptr;
    parts = std::move(*found);
    return &step;
  }
  /// Puts the changed parts back, mostly with right lengths and digests. The common header is then overwritten by what
  /// is right, so a change of it needs the other way.
  void put_back(const Script& script, Step& step, PduParts parts) {
    Bytes whole = put_together(parts, dialect_.digests_of(script, step.connection));
    if (prng_.one_in(6)) std::memcpy(whole.data(), parts.header.data(), parts.header.size());
    step.bytes = std::move(whole);
  }
  static uint64_t load(const Bytes& header, Field field) {
    uint64_t value = 0;
    std::memcpy(&value, header.data() + field.offset, field.width);
    return value;
  }
  static void store(Bytes& header, Field field, uint64_t value) {
    std::memcpy(header.data() + field.offset, &value, field.width);
  }
  Field any_field(uint8_t type) {
    const auto own = fields_of(type);
    if (own.empty() || prng_.one_in(8)) return kCommonFields[prng_.below(kCommonFields.size())];
    return own[prng_.below(own.size())];
  }
  uint64_t border(uint64_t value) {
    static constexpr std::array<uint64_t, 34> kBorders{
        0,    1,    2,    3,    4,      7,      8,       15,         16,         24,        31,   32,
        63,   64,   127,  128,  255,    256,    511,     512,        513,        1024,      4095, 4096,
        4097, 8191, 8192, 8193, 0x7fff, 0xffff, 1 << 20, 0x7fffffff, 0x80000000, 0xffffffff};
    switch (prng_.below(6)) {
      case 0:
        return value + 1;
      case 1:
        return value - 1;
      case 2:
        return value ^ uint64_t { 1 } << prng_.below(32);
      case 3:
        return prng_.below(16);
      case 4:
        return prng_.next();
      default:
        return kBorders[prng_.below(kBorders.size())];
    }
  }
  void set_field(Script& script) {
    PduParts parts;
    Step* step = any_pdu(script, parts);
    if (step == nullptr) return;
    const Field field = any_field(uint8_t(parts.header[0]));
    store(parts.header, field, border(load(parts.header, field)));
    put_back(script, *step, std::move(parts));
  }
  /// One PDU speaks of another's command, tag, offset or length.
  void take_over_field(Script& script) {
    PduParts parts;
    PduParts other;
    Step* step = any_pdu(script, parts);
    if (step == nullptr || any_pdu(script, other) == nullptr) return;
    const Field to = any_field(uint8_t(parts.header[0]));
    if (to.meaning == Meaning::kOther) return;
    for (const Field from : fields_of(uint8_t(other.header[0]))) {
      if (from.meaning == to.meaning) store(parts.header, to, load(other.header, from));
    }
    put_back(script, *step, std::move(parts));
  }
  void resize_data(Script& script) {
    PduParts parts;
    Step* step = any_pdu(script, parts);
    if (step == nullptr) return;
    const size_t size = prng_.one_in(2) ? size_t(border(parts.data.size())) : parts.data.size() + 512;
    if (size > 16384) return;
    parts.data.resize(size, std::byte{0x5a});
    if (tcp::PduType(parts.header[0]) == tcp::PduType::kCapsuleCmd) {
      store(parts.header, kCapsuleFields[6], size);
    }
    put_back(script, *step, std::move(parts));
  }

  const Dialect& dialect_;
  Prng prng_;
};

/// False: libFuzzer's own mutations only, to see what this file is good for (fuzz_main.cc, --plain).
inline bool is_structure_aware = true;

/// The bodies of LLVMFuzzerCustomMutator and LLVMFuzzerCustomCrossOver.
struct RawInput {
  uint8_t* data;
  size_t size;
  size_t size_max;
};

inline size_t store_script(const Script& script, std::span<uint8_t> room) {
  Script kept = script;
  Bytes bytes = write_script(kept);
  while (bytes.size() > room.size() && !kept.steps.empty()) {
    kept.steps.pop_back();
    bytes = write_script(kept);
  }
  if (bytes.size() > room.size()) return 0;
  std::memcpy(room.data(), bytes.data(), bytes.size());
  return bytes.size();
}

inline size_t mutate_script(const Dialect& dialect, RawInput input, uint64_t seed) {
  Prng prng(seed);
  if (!is_structure_aware || prng.one_in(10)) return LLVMFuzzerMutate(input.data, input.size, input.size_max);
  Script script = read_script(std::as_bytes(std::span(input.data, input.size)));
  PduMutator(dialect, prng.next()).mutate(script);
  return store_script(script, {input.data, input.size_max});
}

inline size_t cross_scripts(const Dialect& dialect, std::span<const uint8_t> first, std::span<const uint8_t> second,
                            std::span<uint8_t> out, uint64_t seed) {
  PduMutator mutator(dialect, seed);
  return store_script(mutator.cross(read_script(std::as_bytes(first)), read_script(std::as_bytes(second))), out);
}

}  // namespace weft::fuzz
