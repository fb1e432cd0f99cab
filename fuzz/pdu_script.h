// What the two NVMe/TCP fuzz targets read their input as: a few option bytes, then steps that happen one after the
// other. Every sequence of bytes is a script, and read() of write() is the same script, so libFuzzer's own mutations
// and those of pdu_mutator.h mix.
//
//   | options 2 | step | step | …        step: | kind 2:0, connection 4:3, echo 5 | argument 1 | length le16 | bytes
//   length |
#pragma once
#include "base/endian.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace weft::fuzz {

using Bytes = std::vector<std::byte>;

inline constexpr uint8_t kConnections = 4;

struct Step {
  enum class Kind : uint8_t {
    kSend,    // the bytes arrive, `argument` at a time (0: all at once)
    kHold,    // the bytes arrive together with those of the next kSend of the connection
    kTime,    // argument * 100 ms pass
    kWindow,  // from now on the peer takes 16 * argument bytes at a time (0: none, 255: any number)
    kHangUp,  // the peer closes the connection
  };
  static constexpr uint8_t kKinds = 5;

  Kind kind = Kind::kSend;
  uint8_t connection = 0;
  bool is_echo = false;  // kSend, kHold: who runs the script first puts in what the other side has asked for last
  uint8_t argument = 0;
  Bytes bytes;

  friend bool operator==(const Step&, const Step&) = default;
};

struct Script {
  std::array<uint8_t, 2> options{};
  std::vector<Step> steps;

  friend bool operator==(const Script&, const Script&) = default;
};

inline Script read_script(std::span<const std::byte> input) {
  Script script;
  for (size_t i = 0; i < script.options.size() && !input.empty(); ++i, input = input.subspan(1)) {
    script.options[i] = uint8_t(input[0]);
  }
  while (input.size() >= 4) {
    const auto head = uint8_t(input[0]);
    Step step{.kind = Step::Kind((head & 7) % Step::kKinds),
              .connection = uint8_t(head >> 3 & 3),
              .is_echo = (head & 0x20) != 0,
              .argument = uint8_t(input[1]),
              .bytes = {}};
    const size_t length = std::min<size_t>(load_le16(input.data() + 2), input.size() - 4);
    step.bytes.assign(input.begin() + 4, input.begin() + ptrdiff_t(4 + length));
    input = input.subspan(4 + length);
    script.steps.push_back(std::move(step));
  }
  return script;
}

/// Requires: no step has more than 65535 bytes.
inline Bytes write_script(const Script& script) {
  Bytes out;
  for (const uint8_t option : script.options) out.push_back(std::byte{option});
  for (const Step& step : script.steps) {
    out.push_back(std::byte(uint8_t(step.kind) | step.connection << 3 | (step.is_echo ? 0x20 : 0)));
    out.push_back(std::byte{step.argument});
    out.push_back(std::byte(step.bytes.size() & 0xff));
    out.push_back(std::byte(step.bytes.size() >> 8));
    out.insert(out.end(), step.bytes.begin(), step.bytes.end());
  }
  return out;
}

}  // namespace weft::fuzz
