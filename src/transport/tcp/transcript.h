// A transcript: what a host and the target say to each other, as a text file that people read; testdata/README.md gives
// the format. This file makes steps of the text; transcript_fields.h knows the fields of the PDUs, transcript_player.h
// replays the steps. For tests only.
#pragma once
#include "base/time.h"
#include "core/limits.h"
#include "wire/print.h"

#include <algorithm>
#include <charconv>
#include <expected>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace weft::tcp::testing {

/// What failed, with file and line, for the one who reads the test's output.
template <typename T>
using OrMessage = std::expected<T, std::string>;

/// `name = value` below a PDU.
struct Assignment {
  std::string name;
  std::string value;
};

struct Step {
  enum class Kind : uint8_t {
    kSend,           // H2C QUEUE Type
    kExpect,         // C2H QUEUE Type
    kClose,          // H2C QUEUE close
    kExpectClose,    // C2H QUEUE close
    kExpectNothing,  // C2H QUEUE nothing
    kWait,           // wait N ms
  };
  Kind kind;
  std::string place;  // file:line
  std::string queue;
  PduType type = PduType::kIcReq;
  std::vector<Assignment> fields;
  Duration time{};
};

struct Transcript {
  std::vector<Step> steps;
  std::vector<Assignment> limits;  // that differ from small_limits()
};

inline std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  return first == std::string_view::npos ? std::string_view{}
                                         : text.substr(first, text.find_last_not_of(" \t\r") + 1 - first);
}

inline std::vector<std::string> words_of(std::string_view text) {
  std::istringstream stream{std::string{text}};
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

/// A decimal or 0x… number, and nothing else.
inline std::optional<uint64_t> number_of(std::string_view text) {
  const bool is_hex = text.starts_with("0x");
  if (is_hex) text.remove_prefix(2);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, is_hex ? 16 : 10);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional{value} : std::nullopt;
}

/// Reads transcripts from one folder, in which `include` looks too.
class TranscriptReader {
 public:
  explicit TranscriptReader(std::string folder) : folder_(std::move(folder)) {}

  OrMessage<Transcript> read(const std::string& file) {
    std::ifstream stream{folder_ + "/" + file};
    if (!stream) return std::unexpected("cannot read " + folder_ + "/" + file);
    std::ostringstream text;
    text << stream.rdbuf();
    return parse(file, text.str());
  }

  OrMessage<Transcript> parse(const std::string& file, const std::string& text) {
    transcript_ = {};
    if (auto added = add(file, text); !added) return std::unexpected(added.error());
    return std::move(transcript_);
  }

 private:
  OrMessage<void> add(const std::string& file, const std::string& text) {
    if (!text.starts_with("# ")) return std::unexpected(file + ":1: a transcript starts by saying what it shows");
    std::istringstream stream{text};
    size_t number = 0;
    for (std::string line; std::getline(stream, line);) {
      const std::string place = file + ":" + std::to_string(++number);
      const bool is_field = line.starts_with(' ');
      const auto content = trimmed(std::string_view{line}.substr(0, line.find('#')));
      if (content.empty()) continue;
      const auto added = is_field ? add_field(content) : add_head(content, place);
      if (!added) return std::unexpected(place + ": " + added.error());
    }
    return {};
  }

  OrMessage<void> add_field(std::string_view content) {
    if (transcript_.steps.empty() || transcript_.steps.back().kind > Step::Kind::kExpect)
      return std::unexpected("a field without a PDU");
    auto field = assignment(content);
    if (!field) return std::unexpected(field.error());
    transcript_.steps.back().fields.push_back(std::move(*field));
    return {};
  }

  OrMessage<void> add_head(std::string_view content, const std::string& place) {
    const auto words = words_of(content);
    if (words[0] == "limit") return add_limit(content.substr(5));
    if (words[0] == "include" && words.size() == 2) return include(words[1]);
    if (words[0] == "wait" && words.size() == 3 && words[2] == "ms" && number_of(words[1])) {
      transcript_.steps.push_back(
          {.kind = Step::Kind::kWait, .place = place, .time = milliseconds(int64_t(*number_of(words[1])))});
      return {};
    }
    const bool is_from_host = words[0] == "H2C";
    if ((!is_from_host && words[0] != "C2H") || words.size() != 3)
      return std::unexpected("unknown: " + std::string{content});
    Step step{.kind = is_from_host ? Step::Kind::kSend : Step::Kind::kExpect, .place = place, .queue = words[1]};
    if (words[2] == "close") {
      step.kind = is_from_host ? Step::Kind::kClose : Step::Kind::kExpectClose;
    } else if (words[2] == "nothing" && !is_from_host) {
      step.kind = Step::Kind::kExpectNothing;
    } else if (const auto type = type_named(words[2])) {
      step.type = *type;
    } else {
      return std::unexpected("unknown PDU: " + words[2]);
    }
    transcript_.steps.push_back(std::move(step));
    return {};
  }

  OrMessage<void> add_limit(std::string_view content) {
    auto limit = assignment(content);
    if (!limit) return std::unexpected(limit.error());
    transcript_.limits.push_back(std::move(*limit));
    return {};
  }

  OrMessage<void> include(const std::string& file) {
    TranscriptReader other(folder_);
    auto included = other.read(file);
    if (!included) return std::unexpected(included.error());
    for (Step& step : included->steps) transcript_.steps.push_back(std::move(step));
    return {};
  }

  static OrMessage<Assignment> assignment(std::string_view content) {
    const size_t equals = content.find('=');
    if (equals == std::string_view::npos) return std::unexpected("not NAME = VALUE: " + std::string{content});
    return Assignment{std::string{trimmed(content.substr(0, equals))},
                      std::string{trimmed(content.substr(equals + 1))}};
  }

  static std::optional<PduType> type_named(std::string_view name) {
    for (unsigned type = 0; type < 256; ++type) {
      if (name_of(PduType(type)) == name) return PduType(type);
    }
    return std::nullopt;
  }

  std::string folder_;
  Transcript transcript_;
};

/// `base` with the limits that the transcript gives.
inline OrMessage<Limits> limits_of(const Transcript& transcript, Limits base) {
  for (const Assignment& limit : transcript.limits) {
    const auto value = number_of(limit.value);
    const auto row = std::ranges::find(kLimitTable, limit.name, &LimitRow::name);
    if (row == kLimitTable.end() || !value)
      return std::unexpected("no such limit: " + limit.name + " = " + limit.value);
    base.*row->value = uint32_t(*value);
  }
  return base;
}

}  // namespace weft::tcp::testing
