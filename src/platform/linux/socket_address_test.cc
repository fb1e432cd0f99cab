#include "platform/linux/socket_address.h"

#include <gtest/gtest.h>

namespace weft::platform {
namespace {

TEST(SocketAddress, TheLongestAddressesAreReadBackWhole) {
  const net::Address addresses[] = {
      {"255.255.255.255", 65535, false},
      {"ffff:eeee:dddd:cccc:bbbb:aaaa:9999:8888", 65535, true},
      {"fe80:1111:2222:3333:4444:5555:6666:7777%lo", 65535, true},
  };
  for (const net::Address& address : addresses) {
    const auto system = to_socket_address(address);
    ASSERT_TRUE(system.has_value()) << system.error().what();
    EXPECT_EQ(from_socket_address(*system), address) << to_text(from_socket_address(*system));
  }
}

}  // namespace
}  // namespace weft::platform
