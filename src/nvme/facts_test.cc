#include "nvme/facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/text_field.h"

namespace weft::nvme {
namespace {

using ::testing::HasSubstr;

IdentifyController controller() {
  IdentifyController id{};
  set_space_padded(id.sn, "S1");
  set_space_padded(id.mn, "Model");
  id.sqes = kSqes64Bytes;
  id.cqes = kCqes16Bytes;
  return id;
}

IdentifyNamespace ns(uint8_t lbads = 9) {
  IdentifyNamespace id{};
  id.nsze = 1000;
  id.lbaf[0].lbads = lbads;
  return id;
}

std::string refusal_of(const IdentifyNamespace& id, std::span<const std::byte> descriptors = {}) {
  const auto facts = facts_of(7, id, descriptors);
  return facts ? "" : std::string(facts.error().what());
}

TEST(Capabilities, WhatCannotBeDrivenIsRefused) {
  const Cap good{.queue_entries_max = 64, .has_nvm_commands = true};
  EXPECT_TRUE(check_capabilities(good, 0x2000).has_value());
  Cap cap = good;
  cap.has_nvm_commands = false;
  EXPECT_FALSE(check_capabilities(cap, 0x2000).has_value());
  cap = good;
  cap.page_log2_min = 1;
  EXPECT_FALSE(check_capabilities(cap, 0x2000).has_value());
  cap = good;
  cap.queue_entries_max = 1;
  EXPECT_FALSE(check_capabilities(cap, 0x2000).has_value());
  EXPECT_FALSE(check_capabilities(good, 0x1000).has_value());
}

TEST(ControllerFacts, LimitsAreBytesAndNeverMoreThanAListCarries) {
  IdentifyController id = controller();
  EXPECT_EQ(facts_of(id, nullptr, kVersion1_4)->transfer_bytes_max, 512u * 4096);
  id.mdts = 5;
  EXPECT_EQ(facts_of(id, nullptr, kVersion1_4)->transfer_bytes_max, 128u << 10);
  EXPECT_EQ(facts_of(id, nullptr, kVersion1_4)->zeroes_bytes_max, 128u << 10);
  EXPECT_EQ(facts_of(id, nullptr, kVersion1_4)->verify_bytes_max, 128u << 10);
  NvmIdentifyController nvm{};
  nvm.wzsl = 8;
  nvm.vsl = 3;
  nvm.dmrsl = 5000;
  EXPECT_EQ(facts_of(id, &nvm, kVersion2_0)->zeroes_bytes_max, 1u << 20);
  EXPECT_EQ(facts_of(id, &nvm, kVersion2_0)->verify_bytes_max, 32u << 10);
  EXPECT_EQ(facts_of(id, &nvm, kVersion2_0)->deallocate_blocks_max, 5000u);
}

TEST(ControllerFacts, WhatItCanIsReadFromItsBits) {
  IdentifyController id = controller();
  EXPECT_FALSE(facts_of(id, nullptr, 0)->has_volatile_cache);
  id.vwc = kVwcPresent;
  id.oncs = kOncsWriteZeroes;
  id.oacs = kOacsDoorbellBuffer;
  id.sgls = kSglsSupported;
  id.aerl = 3;
  const auto facts = facts_of(id, nullptr, 0);
  EXPECT_EQ(facts->serial, "S1");
  EXPECT_TRUE(facts->has_volatile_cache);
  EXPECT_TRUE(facts->has_write_zeroes);
  EXPECT_FALSE(facts->has_deallocate);
  EXPECT_TRUE(facts->has_shadow_doorbells);
  EXPECT_EQ(facts->data_pointers, DataPointers::kSgls);
  EXPECT_EQ(facts->async_events, 4u);
}

TEST(ControllerFacts, CompareVerifyAndCopyAreItsOwnBitsAndCopyNeedsAFormatThatWeSpeak) {
  IdentifyController id = controller();
  EXPECT_FALSE(facts_of(id, nullptr, 0)->has_compare || facts_of(id, nullptr, 0)->has_verify || facts_of(id, nullptr, 0)->has_copy);
  id.oncs = kOncsCompare;
  EXPECT_TRUE(facts_of(id, nullptr, 0)->has_compare);
  EXPECT_FALSE(facts_of(id, nullptr, 0)->has_verify);
  id.oncs = kOncsVerify | kOncsCopy;
  EXPECT_TRUE(facts_of(id, nullptr, 0)->has_verify);
  EXPECT_FALSE(facts_of(id, nullptr, 0)->has_compare || facts_of(id, nullptr, 0)->has_copy);
  id.ocfs = kOcfsFormat0;
  EXPECT_TRUE(facts_of(id, nullptr, 0)->has_copy);
}

TEST(ControllerFacts, EntriesOfOtherSizesAreRefused) {
  IdentifyController id = controller();
  id.sqes = 0x77;
  EXPECT_FALSE(facts_of(id, nullptr, 0).has_value());
  id = controller();
  id.cqes = 0x55;
  EXPECT_FALSE(facts_of(id, nullptr, 0).has_value());
}

TEST(NamespaceFacts, BothBlockSizesAreTaken) {
  EXPECT_EQ(facts_of(1, ns(9), {})->block_size, 512u);
  EXPECT_EQ(facts_of(1, ns(12), {})->block_size, 4096u);
}

TEST(NamespaceFacts, ItsAtomicsCountWhereItSaysSoAndItsBoundariesAlways) {
  IdentifyNamespace id = ns();
  id.nawun = 31;
  id.nawupf = 7;
  id.nabsn = 127;
  id.nabo = 3;
  EXPECT_EQ(facts_of(1, id, {})->atomic_blocks, 0u);
  EXPECT_EQ(facts_of(1, id, {})->atomic_boundary_blocks, 128u);
  EXPECT_EQ(facts_of(1, id, {})->atomic_power_fail_boundary_blocks, 0u);
  id.nsfeat = kNsfeatAtomics;
  EXPECT_EQ(facts_of(1, id, {})->atomic_blocks, 32u);
  EXPECT_EQ(facts_of(1, id, {})->atomic_power_fail_blocks, 8u);
  EXPECT_EQ(facts_of(1, id, {})->atomic_boundary_offset, 3u);
  id.nawupf = 0;
  EXPECT_EQ(facts_of(1, id, {})->atomic_power_fail_blocks, 0u);
}

TEST(NamespaceFacts, WhatCannotBeServedIsRefusedWithWords) {
  IdentifyNamespace id = ns();
  id.nsze = 0;
  EXPECT_THAT(refusal_of(id), HasSubstr("namespace 7 is not there"));
  id = ns();
  id.lbaf[0].ms = 8;
  EXPECT_THAT(refusal_of(id), HasSubstr("8 bytes of metadata"));
  EXPECT_THAT(refusal_of(ns(10)), HasSubstr("blocks of 2^10 bytes"));
  id = ns();
  id.flbas = 1;
  EXPECT_THAT(refusal_of(id), HasSubstr("a format that it does not describe"));
  constexpr std::byte kZoned[]{std::byte(Nidt::kCsi), std::byte{1}, std::byte{0}, std::byte{0}, std::byte(Csi::kZoned)};
  EXPECT_THAT(refusal_of(ns(), kZoned), HasSubstr("not of the NVM command set"));
}

TEST(NamespaceFacts, ADescriptorThatRunsOverTheEndIsNotRead) {
  constexpr std::byte kCut[]{std::byte(Nidt::kUuid), std::byte{16}, std::byte{0}, std::byte{0}, std::byte{1}};
  const auto facts = facts_of(1, ns(), kCut);
  ASSERT_TRUE(facts.has_value());
  EXPECT_EQ(facts->uuid, (std::array<uint8_t, 16>{}));
}

TEST(NamespaceFacts, TheLastingIdIsTheBestThatThereIs) {
  const ControllerFacts controller{.serial = "S1", .model = "M"};
  NamespaceFacts facts{.nsid = 2};
  EXPECT_EQ(lasting_id(controller, facts), "nvme.M-S1-2");
  facts.eui64[0] = 0xab;
  EXPECT_EQ(lasting_id(controller, facts), "eui.ab00000000000000");
  facts.nguid[15] = 1;
  EXPECT_EQ(lasting_id(controller, facts), "eui.00000000000000000000000000000001");
  facts.uuid[0] = 0xcd;
  EXPECT_EQ(lasting_id(controller, facts), "uuid.cd000000000000000000000000000000");
}

}  // namespace
}  // namespace weft::nvme
