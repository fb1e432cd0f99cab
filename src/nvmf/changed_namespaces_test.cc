#include "nvmf/changed_namespaces.h"

#include <gtest/gtest.h>

namespace weft::nvmf {
namespace {

TEST(ChangedNamespaces, ListsEachNsidOnceAndAscending) {
  ChangedNamespaces changed;
  for (const uint32_t nsid : {7u, 2u, 7u, 5u}) changed.add(nsid);
  const auto page = changed.page();
  EXPECT_EQ(uint32_t{page.nsid[0]}, 2u);
  EXPECT_EQ(uint32_t{page.nsid[1]}, 5u);
  EXPECT_EQ(uint32_t{page.nsid[2]}, 7u);
  EXPECT_EQ(uint32_t{page.nsid[3]}, 0u);
}

TEST(ChangedNamespaces, HoldsAsManyAsThePageThenSaysAll) {
  ChangedNamespaces changed;
  for (uint32_t nsid = 1; nsid <= 1024; ++nsid) changed.add(nsid);
  EXPECT_EQ(uint32_t{changed.page().nsid[1023]}, 1024u);
  changed.add(500);  // is there already
  EXPECT_EQ(uint32_t{changed.page().nsid[0]}, 1u);
  changed.add(1025);
  EXPECT_EQ(uint32_t{changed.page().nsid[0]}, nvme::kNsidAll);
  EXPECT_EQ(uint32_t{changed.page().nsid[1]}, 0u);
}

TEST(ChangedNamespaces, IsEmptyAfterClearEvenIfTooManyHadChanged) {
  ChangedNamespaces changed;
  for (uint32_t nsid = 1; nsid <= 1025; ++nsid) changed.add(nsid);
  changed.clear();
  EXPECT_EQ(uint32_t{changed.page().nsid[0]}, 0u);
  changed.add(3);
  EXPECT_EQ(uint32_t{changed.page().nsid[0]}, 3u);
}

}  // namespace
}  // namespace weft::nvmf
