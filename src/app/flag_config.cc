#include "app/flag_config.h"

#include "base/assert.h"
#include "control/address.h"
#include "control/device_spec.h"
#include "control/validate.h"

#include <charconv>
#include <fmt/format.h>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::app {
namespace {

constexpr uint32_t kCoreMax = 1023;  // what a CPU set of Linux can say

std::optional<uint32_t> parse_core(std::string_view text) {
  uint32_t core = 0;
  const auto [end, errc] = std::from_chars(text.data(), text.data() + text.size(), core);
  if (errc != std::errc{} || end != text.data() + text.size() || core > kCoreMax) return std::nullopt;
  return core;
}

/// "0,2-4" as 0, 2, 3, 4.
std::optional<std::vector<uint32_t>> parse_cores(std::string_view text) {
  std::vector<uint32_t> cores;
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const size_t dash = part.find('-');
    const auto first = parse_core(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_core(part.substr(dash + 1));
    if (!first || !last || *first > *last) return std::nullopt;
    for (uint32_t core = *first; core <= *last; ++core) cores.push_back(core);
    if (comma == std::string_view::npos) return cores;
    text.remove_prefix(comma + 1);
  }
}

class FlagReader {
 public:
  FlagReader() { config_.subsystems.emplace_back(); }

  void take(const FlagUse& flag) {
    if (flag.name == "--listen") return take_listener(flag.value);
    if (flag.name == "--subsystem") return take_subsystem(flag.value);
    if (flag.name == "--namespace") return take_namespace(flag.value);
    if (flag.name == "--allow-host") return subsystem().allow_hosts.push_back(flag.value);
    if (flag.name == "--block-size") return take_block_size(flag.value);
    if (flag.name == "--cores") return take_cores(flag.value);
    if (flag.name == "--poll") return take_poll(flag.value);
    WEFT_ASSERT(flag.name == "--allow-any-host");
    subsystem().allow_any_host = true;
  }

  control::Checked<control::Config> finish() {
    end_subsystem();
    config_ = control::with_nsids(std::move(config_));
    control::Problems rules = control::validate(config_, control::Wording::kFlags);
    problems_.insert(problems_.end(), std::make_move_iterator(rules.begin()), std::make_move_iterator(rules.end()));
    if (!problems_.empty()) return std::unexpected(std::move(problems_));
    return std::move(config_);
  }

 private:
  control::SubsystemConfig& subsystem() { return config_.subsystems.back(); }
  void report(std::string text) { problems_.push_back({{}, std::move(text)}); }

  void take_listener(std::string_view text) {
    const auto endpoint = control::parse_endpoint(text);
    if (!endpoint) report(fmt::format("--listen: {}", endpoint.error().what()));
    // A listener that was not understood still counts as one, so that no second problem says that there is none.
    const control::Endpoint taken = endpoint.value_or(control::Endpoint{.address = {.host = "127.0.0.1"}});
    config_.listeners.push_back({.at = {}, .address = taken.address, .scheme = taken.scheme});
  }

  void take_subsystem(const std::string& nqn) {
    if (nqn.empty()) return report("--subsystem: the NQN is empty: leave the flag out for the default one");
    if (is_named_) {
      end_subsystem();
      config_.subsystems.emplace_back();
    }
    is_named_ = true;
    subsystem().nqn = nqn;
  }

  void take_namespace(std::string_view text) {
    auto device = control::parse_device_spec(text);
    if (!device) report(fmt::format("--namespace {}: {}", control::shown(text), device.error().what()));
    subsystem().namespaces.push_back({.device = std::move(device).value_or(control::DeviceSpec{})});
  }

  void take_block_size(std::string_view text) {
    if (text != "512" && text != "4096")
      return report(fmt::format("--block-size {}: write 512 or 4096", control::shown(text)));
    if (block_size_) return report("--block-size is given twice for one subsystem");
    block_size_ = text == "512" ? 512 : 4096;
  }

  void take_cores(std::string_view text) {
    if (!config_.target.cores.empty()) return report("--cores is given twice");
    auto cores = parse_cores(text);
    if (!cores)
      return report(
          fmt::format("--cores {}: write CPU numbers up to {}, as in 0,1 or 0-3", control::shown(text), kCoreMax));
    config_.target.cores = *std::move(cores);
  }

  void take_poll(std::string_view text) {
    if (is_poll_given_) return report("--poll is given twice");
    is_poll_given_ = true;
    if (text == "always") {
      config_.target.poll = control::PollMode::kAlways;
    } else if (text != "adaptive") {
      report(fmt::format("--poll {}: write adaptive or always", control::shown(text)));
    }
  }

  /// Gives the subsystem's block size to those of its namespaces that have none.
  void end_subsystem() {
    if (block_size_) {
      for (control::NamespaceConfig& ns : subsystem().namespaces) {
        if (ns.device.block_size == 0) ns.device.block_size = *block_size_;
      }
    }
    block_size_.reset();
  }

  control::Config config_;
  control::Problems problems_;
  std::optional<uint32_t> block_size_;  // of the subsystem being read
  bool is_named_ = false;               // whether a --subsystem was there
  bool is_poll_given_ = false;
};

}  // namespace

control::Checked<control::Config> config_from_flags(std::span<const FlagUse> flags) {
  FlagReader reader;
  for (const FlagUse& flag : flags) reader.take(flag);
  return reader.finish();
}

}  // namespace weft::app
