// Where checkers report. The first finding ends the run: what comes after it is usually its consequence.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace weft::sim {

struct Finding {
  std::string checker;  // the rule's name: "oracle", "wire", "liveness", …
  std::string what;     // in words, with the numbers that matter
};

class Referee {
 public:
  /// A rule is broken. Only the first call counts.
  void fail(std::string_view checker, std::string what) {
    if (!finding_) finding_ = Finding{std::string(checker), std::move(what)};
  }
  const std::optional<Finding>& finding() const { return finding_; }

 private:
  std::optional<Finding> finding_;
};

}  // namespace weft::sim
