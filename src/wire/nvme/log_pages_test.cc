#include "wire/nvme/log_pages.h"

#include "wire/print.h"
#include "wire/test_bytes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::nvme {
namespace {

using testing::HasSubstr;

TEST(GetLogPage, CommandIsTakenApart) {
  const auto sqe =
      from_bytes<Sqe>({{40, {0x70, 0x82, 0xff, 0x03, 0x01, 0x00, 0x05, 0x00}},  // LID, LSP and RAE, NUMDL, NUMDU, LSI
                       {48, {0x00, 0x04, 0, 0, 0x01, 0, 0, 0}},                 // LPO
                       {56, {0x03, 0x00, 0x80, 0x02}}});                        // UUID index, OT, CSI
  const GetLogPage get = GetLogPage::from(sqe);
  EXPECT_EQ(get.lid, 0x70);
  EXPECT_EQ(get.lsp, 2);
  EXPECT_TRUE(get.rae);
  EXPECT_EQ(get.length_bytes, (0x103ff + 1) * 4u);
  EXPECT_EQ(get.offset_bytes, 0x100000400u);
  EXPECT_TRUE(get.is_index);
  EXPECT_EQ(get.lsi, 5);
  EXPECT_EQ(get.csi, 2);
  EXPECT_EQ(get.uuid_index, 3);
}

TEST(GetLogPage, LongestLengthNeedsMoreThan32Bits) {
  const auto sqe = from_bytes<Sqe>({{42, {0xff, 0xff, 0xff, 0xff}}});
  EXPECT_EQ(GetLogPage::from(sqe).length_bytes, uint64_t{1} << 34);
}

TEST(ErrorLog, RoundTripAndDump) {
  const auto entry = from_bytes<ErrorLogEntry>({{0, {5}},
                                                {8, {1, 0, 0x34, 0x12, 0x05, 0xc0, 0x28, 0x03}},
                                                {16, {9}},
                                                {24, {2}},
                                                {29, {3, 0, 0x06}},
                                                {32, {7}},
                                                {40, {8}}});
  EXPECT_EQ(uint64_t{entry.error_count}, 5u);
  EXPECT_EQ(
      to_text(entry),
      "error 5 sqid 1 cid 0x1234 status 0/02h Invalid Field in Command M DNR location byte 40 bit 3 lba 9 nsid 0x2 "
      "trtype 3 csi 0 opcode 06h command specific 0x7 transport specific 0x8");
}

TEST(SmartLog, RoundTripAndDump) {
  const auto log = from_bytes<SmartLog>({{0, {0x08, 0x2c, 0x01, 100, 10, 3}},
                                         {32, {1}},
                                         {48, {2}},
                                         {64, {3}},
                                         {80, {4}},
                                         {96, {5}},
                                         {112, {6}},
                                         {128, {7}},
                                         {144, {8}},
                                         {160, {9}},
                                         {176, {10}},
                                         {202, {0x2d, 0x01}}});
  EXPECT_EQ(uint32_t{log.composite_temperature}, 300u);
  EXPECT_EQ(uint64_t{log.data_units_written.low}, 2u);
  EXPECT_EQ(uint64_t{log.error_log_entries.low}, 10u);
  const std::string text = to_text(log);
  for (const char* line :
       {"critical_warning          : 0x08 (read-only)\n", "composite_temperature     : 300 K\n",
        "available_spare           : 100 %\n", "data_units_read           : 1\n", "data_units_written        : 2\n",
        "host_read_commands        : 3\n", "host_write_commands       : 4\n", "controller_busy_time      : 5 min\n",
        "power_cycles              : 6\n", "power_on_hours            : 7\n", "unsafe_shutdowns          : 8\n",
        "media_errors              : 9\n", "error_log_entries         : 10\n", "temperature_sensor_2      : 301 K\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_EQ(text.find("temperature_sensor_1"), std::string::npos);
}

TEST(FirmwareSlotLog, RoundTripAndDump) {
  const auto log = from_bytes<FirmwareSlotLog>({{0, {0x21}}, {8, chars("0.1     ")}, {56, chars("7.7\x01    ")}});
  EXPECT_EQ(to_text(log), "afi       : 0x21 (active 1, next 2)\nfrs1      : 0.1\nfrs7      : 7.7\\x01\n");
}

TEST(ChangedNamespaces, DumpTellsAListFromAnOverflow) {
  EXPECT_EQ(to_text(from_bytes<ChangedNamespaces>({{0, {3, 0, 0, 0, 4}}})), "nsids [3, 4]");
  EXPECT_EQ(to_text(from_bytes<ChangedNamespaces>({{0, {0xff, 0xff, 0xff, 0xff}}})), "more namespaces than fit");
}

TEST(Effects, OnlyWhatIsSupportedIsDumped) {
  const auto log =
      from_bytes<CommandEffects>({{4 * 0x06, {0x01}}, {4 * 0x09, {0x02}}, {1024 + 4 * 0x01, {0x03, 0, 0x01, 0}}});
  EXPECT_EQ(uint32_t{log.iocs[1]}, CommandEffects::kCsupp | CommandEffects::kLbcc | CommandEffects::kCseOneNamespace);
  EXPECT_EQ(to_text(log), "admin 06h : 0x00000001\nio 01h    : 0x00010003 (LBCC, alone on its namespace)\n");
}

TEST(SupportedLogPages, RoundTripAndDump) {
  const auto log = from_bytes<SupportedLogPages>({{4 * 0x02, {0x03}}, {4 * 0x70, {0x01, 0, 0x02, 0}}});
  EXPECT_EQ(to_text(log), "lid 02h   : 0x00000003 (index offset)\nlid 70h   : 0x00020001\n");
}

TEST(FeatureEffects, RoundTripAndDump) {
  const auto log = from_bytes<FeatureEffects>({{4 * 0x0b, {0x11, 0, 0x20, 0}}});
  EXPECT_EQ(to_text(log), "fid 0bh   : 0x00200011 (CCC, controller)\n");
}

}  // namespace
}  // namespace weft::nvme
