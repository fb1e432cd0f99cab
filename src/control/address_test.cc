#include "control/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::control {
namespace {

using testing::HasSubstr;

TEST(Address, ReadsHostAndPortAndWritesThemBack) {
  static constexpr struct {
    std::string_view text;
    std::string_view expected;
  } kCases[] = {
      {"127.0.0.1:4420", "127.0.0.1:4420"},
      {"tcp://10.0.0.5:8009", "10.0.0.5:8009"},
      {"0.0.0.0:0", "0.0.0.0:0"},
      {"[::1]:4420", "[::1]:4420"},
      {"[::]:4420", "[::]:4420"},
      {"tcp://[2001:DB8:0:0::1]:1", "[2001:db8::1]:1"},
      {"[::ffff:10.0.0.1]:65535", "[::ffff:10.0.0.1]:65535"},
      {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
  };
  for (const auto& [text, expected] : kCases) {
    const auto address = parse_address(text);
    ASSERT_TRUE(address.has_value()) << text << ": " << address.error().what();
    EXPECT_EQ(to_text(*address), expected);
  }
}

TEST(Address, RefusesWhatIsNoneAndSaysHowToWriteIt) {
  static constexpr struct {
    std::string_view text;
    const char* advice;
  } kCases[] = {
      {"", "HOST:PORT"},
      {"4420", "HOST:PORT"},
      {"127.0.0.1", "HOST:PORT"},
      {"127.0.0.1:", "port must be a number"},
      {"127.0.0.1:65536", "port must be a number"},
      {"127.0.0.1:44 20", "port must be a number"},
      {"127.0.0.1:-1", "port must be a number"},
      {":4420", "0.0.0.0:PORT"},
      {"*:4420", "0.0.0.0:PORT"},
      {"localhost:4420", "numeric"},
      {"127.1:4420", "numeric"},
      {"256.0.0.1:4420", "numeric"},
      {"[127.0.0.1]:4420", "numeric"},
      {"::1:4420", "brackets"},
      {"[::1]", "HOST:PORT"},
      {"[::1]4420", "HOST:PORT"},
      {"[::1:4420", "HOST:PORT"},
      {"[fe80::1%eth0]:4420", "zones"},
      {"rdma://10.0.0.1:4420", "only transport"},  // of a host; a listener may have it: ParseEndpoint
      {std::string_view{"127.0.0.1\0:4420", 15}, "HOST:PORT"},
  };
  for (const auto& [text, advice] : kCases) {
    const auto address = parse_address(text);
    ASSERT_FALSE(address.has_value()) << text;
    EXPECT_THAT(std::string{address.error().what()}, HasSubstr(advice)) << text;
  }
}

TEST(Address, KnowsLoopbackAndWildcard) {
  static constexpr struct {
    std::string_view text;
    bool is_loopback;
    bool is_wildcard;
  } kCases[] = {
      {"127.0.0.1:1", true, false},          {"127.255.255.254:1", true, false}, {"[::1]:1", true, false},
      {"[::ffff:127.0.0.1]:1", true, false}, {"0.0.0.0:1", false, true},         {"[::]:1", false, true},
      {"10.0.0.1:1", false, false},          {"[::2]:1", false, false},          {"[::ffff:0.0.0.0]:1", false, true},
      {"[7f00::1]:1", false, false},         {"128.0.0.1:1", false, false},
  };
  for (const auto& row : kCases) {
    const auto address = parse_address(row.text);
    ASSERT_TRUE(address.has_value()) << row.text;
    EXPECT_EQ(is_loopback(*address), row.is_loopback) << row.text;
    EXPECT_EQ(is_wildcard(*address), row.is_wildcard) << row.text;
  }
}

TEST(ParseEndpoint, TakesBothTransportsAndTcpWhereNoneIsNamed) {
  EXPECT_EQ(parse_endpoint("127.0.0.1:4420")->scheme, Scheme::kTcp);
  EXPECT_EQ(parse_endpoint("tcp://127.0.0.1:4420")->scheme, Scheme::kTcp);
  const auto rdma = parse_endpoint("rdma://[::1]:4420");
  ASSERT_TRUE(rdma.has_value());
  EXPECT_EQ(rdma->scheme, Scheme::kRdma);
  EXPECT_EQ(to_text(*rdma), "rdma://[::1]:4420");
  for (const char* wrong : {"udp://127.0.0.1:4420", "rdma://tcp://127.0.0.1:4420", "rdma://"}) EXPECT_FALSE(parse_endpoint(wrong)) << wrong;
}

}  // namespace
}  // namespace weft::control
