// A table of the wire monitor's rules: what breaks each, and what is legal beside it. Not part of the library.
#pragma once
#include "sim/checkers/test_support.h"

#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::sim::testing {

using Act = std::function<void(Line&)>;

struct Rule {
  const char* name;
  Act legal;
  Act broken;
  const char* says;
  LineOptions options{};
};

inline std::string outcome(const LineOptions& options, const Act& act) {
  Watched watched;
  Line line(watched, options);
  act(line);
  return watched.finding();
}

/// Its tests are in wire_monitor_test.cc; tables may be anywhere.
class WireRule : public ::testing::TestWithParam<Rule> {};

inline std::string name_of_rule(const ::testing::TestParamInfo<Rule>& info) { return info.param.name; }

inline constexpr PeerOptions kDigests{.has_header_digest = true, .has_data_digest = true};

/// After a handshake and Connect.
inline Act opened(std::function<void(Line&)> act) {
  return [act = std::move(act)](Line& line) {
    line.open();
    act(line);
  };
}
/// With a write of 16 blocks and CID 7 that the target has asked for with TTAG 1.
inline Act writing(std::function<void(Line&)> act) {
  return opened([act = std::move(act)](Line& line) {
    line.host(line.write(7, 16));
    line.target(line.r2t(7, 1, 0, 8192));
    act(line);
  });
}
/// With a read of 2 blocks and CID 7 that the target has not answered.
inline Act reading(std::function<void(Line&)> act) {
  return opened([act = std::move(act)](Line& line) {
    line.host(line.read(7, 2));
    act(line);
  });
}
inline void send_all(Line& line) {
  line.host(line.h2c(7, 1, 0, 4096, 0));
  line.host(line.h2c(7, 1, 4096, 4096, kLast));
}
inline void give_all(Line& line) {
  line.target(line.c2h(7, 0, 512, 0));
  line.target(line.c2h(7, 512, 512, kLast));
}
inline Bytes changed(Bytes bytes, size_t offset) {
  bytes[offset] ^= std::byte{4};
  return bytes;
}

}  // namespace weft::sim::testing
