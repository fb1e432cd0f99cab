// Who may connect, and to which reactor.
#include "transport/admission.h"

#include <gtest/gtest.h>

namespace weft::transport {
namespace {

TEST(Admission, SpreadsConnectionsEvenlyAndInTurn) {
  const Limits limits;
  Admission admission(limits, 3);
  std::vector<size_t> reactors;
  for (int i = 0; i < 6; ++i) reactors.push_back(*admission.admit("a"));
  EXPECT_EQ(reactors, (std::vector<size_t>{0, 1, 2, 0, 1, 2}));
  admission.leave("a", 1);
  EXPECT_EQ(admission.admit("b"), 1u);
}

TEST(Admission, CapsEachPeerAndAll) {
  Limits limits;
  limits.connections = 3;
  limits.connections_per_peer = 2;
  Admission admission(limits, 1);
  EXPECT_TRUE(admission.admit("a"));
  EXPECT_TRUE(admission.admit("a"));
  EXPECT_FALSE(admission.admit("a"));
  EXPECT_TRUE(admission.admit("b"));
  EXPECT_FALSE(admission.admit("c"));
  admission.leave("a", 0);
  EXPECT_TRUE(admission.admit("c"));
}

}  // namespace
}  // namespace weft::transport
