#include "wire/nvme/identify.h"

#include "wire/print.h"
#include "wire/test_bytes.h"
#include "wire/text_field.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::nvme {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(IdentifyController, FieldsLieAtTheirOffsets) {
  const auto id =
      from_bytes<IdentifyController>({{4, chars("SERIAL              ")},
                                      {24, chars("Weft")},
                                      {76, {0x0b, 0x08, 0x34, 0x12, 0x00, 0x00, 0x02, 0x00}},
                                      {92, {0x00, 0x09, 0x00, 0x80, 0x41, 0x00, 0x00, 0x00}},
                                      {111, {0x01}},
                                      {256, {0x02, 0x00, 3, 4, 0x03, 0x27, 63}},
                                      {280, {0x00, 0x00, 0x00, 0x40}},
                                      {320, {10, 0}},
                                      {342, {10, 0x1f}},
                                      {386, {0x10, 0x27}},
                                      {512, {0x66, 0x44, 0x00, 0x04, 0xff, 0, 0, 0, 0x8d, 0x01, 0x01, 0x00, 0, 0x07}},
                                      {534, {0x01, 0x00, 0x01, 0x00, 0x30, 0x00, 0xff, 0, 0, 0}},
                                      {768, chars("nqn.2024-01.io.example:a")},
                                      {1792, {0x04, 0x02, 0, 0, 1, 0, 0, 0, 0, 0, 0x00, 0x01, 0x01, 0x00, 0x02}},
                                      {2048, {0xe8, 0x03}},
                                      {3072, {0xaa}}});
  EXPECT_EQ(text_of(id.sn), "SERIAL");
  EXPECT_EQ(id.cmic, kCmicMultiPort | kCmicMultiController | kCmicAna);
  EXPECT_EQ(id.mdts, 8);
  EXPECT_EQ(uint32_t{id.cntlid}, 0x1234u);
  EXPECT_EQ(uint32_t{id.ver}, 0x00020000u);
  EXPECT_EQ(uint32_t{id.oaes}, kOaesNamespaceAttribute | kOaesAnaChange | kOaesDiscoveryLog);
  EXPECT_EQ(uint32_t{id.ctratt}, kCtrattHostId128 | kCtrattTbkas);
  EXPECT_EQ(ControllerType(id.cntrltype), ControllerType::kIo);
  EXPECT_EQ(id.acl, 3);
  EXPECT_EQ(id.aerl, 4);
  EXPECT_EQ(id.elpe, 63);
  EXPECT_EQ(uint64_t{id.tnvmcap.low}, 0x40000000u);
  EXPECT_EQ(uint32_t{id.kas}, 10u);
  EXPECT_EQ(id.anacap, 0x1f);
  EXPECT_EQ(uint32_t{id.cqt}, 10000u);
  EXPECT_EQ(uint32_t{id.maxcmd}, 1024u);
  EXPECT_EQ(uint32_t{id.nn}, 255u);
  EXPECT_EQ(uint32_t{id.oncs},
            uint32_t{kOncsCompare | kOncsDatasetManagement | kOncsWriteZeroes | kOncsVerify | kOncsCopy});
  EXPECT_EQ(uint32_t{id.fuses}, kFusesCompareAndWrite);
  EXPECT_EQ(id.vwc, kVwcPresent | kVwcFlushAllSupported);
  EXPECT_EQ(uint32_t{id.ocfs}, kOcfsFormat0);
  EXPECT_EQ(uint32_t{id.sgls}, kSglsSupported | kSglsOffset | kSglsTransportDataBlock);
  EXPECT_EQ(uint32_t{id.mnan}, 255u);
  EXPECT_EQ(uint32_t{id.ioccsz}, 0x204u);
  EXPECT_EQ(id.msdbd, 1);
  EXPECT_EQ(uint32_t{id.ofcs}, kOfcsDisconnect);
  EXPECT_EQ(DiscoveryControllerType(id.dctype), DiscoveryControllerType::kCentral);
  EXPECT_EQ(uint32_t{id.psd[0].mp}, 1000u);
  EXPECT_EQ(id.vs[0], std::byte{0xaa});
}

TEST(IdentifyController, FieldsAreWrittenLittleEndian) {
  IdentifyController id{};
  id.cntlid = 0x1234;
  id.nn = 0x11223344;
  set_space_padded(id.fr, "1.0");
  EXPECT_EQ(bytes_at(id, 78, 2), (std::vector<uint8_t>{0x34, 0x12}));
  EXPECT_EQ(bytes_at(id, 516, 4), (std::vector<uint8_t>{0x44, 0x33, 0x22, 0x11}));
  EXPECT_EQ(bytes_at(id, 64, 8), chars("1.0     "));
}

TEST(IdentifyController, DumpShowsFieldsWithTheNamesOfTheirBits) {
  IdentifyController id{};
  set_space_padded(id.sn, "SERIAL");
  set_nul_padded(id.mn, "bad\nmodel");
  id.ieee = {0x01, 0x02, 0x03};
  id.cmic = kCmicMultiPort | kCmicMultiController;
  id.ver = 0x00020000;
  id.cntrltype = 1;
  id.kas = 10;
  id.vwc = kVwcPresent | kVwcFlushAllSupported;
  id.oncs = kOncsCompare | kOncsCopy;
  id.ioccsz = 516;
  id.tnvmcap = 1 << 30;
  id.npss = 1;
  const std::string text = to_text(id);
  EXPECT_TRUE(
      text.starts_with("vid       : 0x0000\nssvid     : 0x0000\nsn        : SERIAL\nmn        : bad\\x0amodel\n"));
  for (const char* line :
       {"\nieee      : 030201\n", "\ncmic      : 0x03 (multi-port, multi-controller)\n",
        "\nver       : 0x20000 (2.0.0)\n", "\ncntrltype : 1 (I/O)\n", "\nkas       : 10 (1000 ms)\n",
        "\nvwc       : 0x07 (present, flush of all namespaces)\n", "\noncs      : 0x0101 (compare, copy)\n",
        "\nioccsz    : 516 (8256 bytes)\n", "\ntnvmcap   : 1073741824\n", "\npsd 1     : mp 0 "}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_THAT(text, Not(HasSubstr("psd 2")));
}

TEST(IdentifyController, DumpOfEveryBitSetStaysInside) {
  IdentifyController id;
  std::memset(static_cast<void*>(&id), 0xff, sizeof id);
  const std::string text = to_text(id);
  EXPECT_THAT(text, HasSubstr("psd 31"));
  EXPECT_THAT(text, Not(HasSubstr("psd 32")));
  EXPECT_THAT(text, HasSubstr("\ntnvmcap   : 0xffffffffffffffffffffffffffffffff\n"));
}

TEST(IdentifyNamespace, FieldsLieAtTheirOffsets) {
  const auto id = from_bytes<IdentifyNamespace>({{0, {0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 1}},
                                                 {24, {0x10, 1, 0x01, 0, 0, 0, 0x01, 0x80, 0, 0x09}},
                                                 {46, {0, 8}},
                                                 {64, {7, 0, 7, 0}},
                                                 {74, {0, 1, 0, 4, 0, 0, 15}},
                                                 {92, {1, 0, 0, 0}},
                                                 {99, {0x01}},
                                                 {104, {0xde, 0xad}},
                                                 {120, {0xbe, 0xef}},
                                                 {128, {0, 0, 9, 0, 0, 0, 12, 1}}});
  EXPECT_EQ(uint64_t{id.nsze}, 0x200000u);
  EXPECT_EQ(uint64_t{id.ncap}, 0x200000u);
  EXPECT_EQ(uint64_t{id.nuse}, 1u);
  EXPECT_EQ(id.nsfeat, kNsfeatOptperf);
  EXPECT_EQ(id.format_index(), 1u);
  EXPECT_EQ(id.nmic, kNmicShared);
  EXPECT_EQ(id.rescap, kRescapIekey13);
  EXPECT_EQ(id.dlfeat, kDlfeatReadsZeroes | kDlfeatWriteZeroesDeallocates);
  EXPECT_EQ(uint32_t{id.noiob}, 2048u);
  EXPECT_EQ(uint32_t{id.npwa}, 7u);
  EXPECT_EQ(uint32_t{id.mssrl}, 256u);
  EXPECT_EQ(uint32_t{id.mcl}, 1024u);
  EXPECT_EQ(id.msrc, 15);
  EXPECT_EQ(uint32_t{id.anagrpid}, 1u);
  EXPECT_EQ(id.nsattr, kNsattrWriteProtected);
  EXPECT_EQ(id.nguid[0], 0xde);
  EXPECT_EQ(id.eui64[1], 0xef);
  EXPECT_EQ(id.lbaf[1].lbads, 12);

  const std::string text = to_text(id);
  for (const char* line : {"nsze      : 0x200000\n", "nmic      : 0x01 (shared)\n",
                           "dlfeat    : 0x09 (reads zeroes, write zeroes deallocates)\n",
                           "nguid     : dead0000000000000000000000000000\n", "eui64     : beef000000000000\n",
                           "lbaf 0    : ms 0 lbads 9 rp 0\n", "lbaf 1    : ms 0 lbads 12 rp 1 (in use)\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_THAT(text, Not(HasSubstr("lbaf 2")));
}

TEST(IdentifyNamespace, FormatIndexTakesBothParts) {
  IdentifyNamespace id{};
  id.flbas = 0x20 | kFlbasExtendedMetadata | 0x03;
  EXPECT_EQ(id.format_index(), 19u);
  id.flbas = 0xff;
  EXPECT_EQ(id.format_index(), 63u);
}

TEST(IdentifyNamespace, DumpOfEveryBitSetStaysInside) {
  IdentifyNamespace id;
  std::memset(static_cast<void*>(&id), 0xff, sizeof id);
  const std::string text = to_text(id);
  EXPECT_THAT(text, HasSubstr("lbaf 63   : ms 65535 lbads 255 rp 3 (in use)\n"));
  EXPECT_THAT(text, Not(HasSubstr("lbaf 64")));
}

TEST(NvmIdentify, RoundTripAndDump) {
  const auto controller =
      from_bytes<NvmIdentifyController>({{0, {1, 2, 3, 4, 5, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0}}, {18, {7, 0}}});
  EXPECT_EQ(
      to_text(controller),
      "vsl       : 1\nwzsl      : 2\nwusl      : 3\ndmrl      : 4\ndmrsl     : 5\ndmsl      : 6\naocs      : 0x0007\n");
  const auto nvm = from_bytes<NvmIdentifyNamespace>(
      {{8, {1, 2}}, {16, {0x80}}, {268, {3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 7}}});
  EXPECT_EQ(
      to_text(nvm),
      "lbstm     : 0x0000000000000000\npic       : 0x01\npifa      : 0x02\nelbaf 1   : 0x00000080\nnpdgl     : 3\n"
      "nprg      : 4\nnpra      : 5\nnors      : 6\nnpdal     : 7\n");
}

TEST(IndependentIdentifyNamespace, RoundTripAndDump) {
  const auto id =
      from_bytes<IndependentIdentifyNamespace>({{0, {0x20, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0x01}}});
  EXPECT_EQ(
      to_text(id),
      "nsfeat    : 0x20 (no volatile write cache)\nnmic      : 0x01 (shared)\nrescap    : 0x00\nfpi       : 0x00\n"
      "anagrpid  : 1\nnsattr    : 0x00\nnvmsetid  : 2\nendgid    : 3\nnstat     : 0x01 (ready)\n");
}

TEST(Lists, DumpStopsAtTheFirstZero) {
  EXPECT_EQ(to_text(from_bytes<NamespaceList>({{0, {1, 0, 0, 0, 7, 0, 0, 0}}})), "nsids [1, 7]");
  EXPECT_EQ(to_text(from_bytes<IocsCombinations>({{0, {5}}})), "combinations [0x5]");
}

TEST(Lists, ControllerListIsDumpedAsFarAsItsCountAndNoFurtherThanItsEnd) {
  EXPECT_EQ(to_text(from_bytes<ControllerList>({{0, {2, 0, 1, 0, 0xef, 0xff, 9, 0}}})), "count 2 cntlids [1, 65519]");
  EXPECT_TRUE(to_text(from_bytes<ControllerList>({{0, {0xff, 0xff}}})).starts_with("count 65535 cntlids [0, "));
}

TEST(NamespaceDescriptors, EachTypeIsDumpedUntilTheListEnds) {
  const std::vector<uint8_t> list{1, 8,  0, 0, 1,    2, 3, 4, 5, 6, 7, 8,                                // EUI64
                                  3, 16, 0, 0, 0,    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,  // UUID
                                  4, 1,  0, 0, 0,                                                        // CSI
                                  9, 1,  0, 0, 0xff,                                                     // unknown
                                  0, 0,  0, 0, 1,    8};
  EXPECT_EQ(namespace_descriptors_to_text(std::as_bytes(std::span(list))),
            "eui64     : 0102030405060708\nuuid      : 00010203-0405-0607-0809-0a0b0c0d0e0f\ncsi       : 00\nnidt 09h  "
            ": ff\n");
}

TEST(NamespaceDescriptors, DumpOfACutListStaysInside) {
  const std::vector<uint8_t> list{3, 16, 0, 0, 0xaa, 0xbb};
  EXPECT_EQ(namespace_descriptors_to_text(std::as_bytes(std::span(list))), "uuid      : aabb\n");
  EXPECT_EQ(namespace_descriptors_to_text(std::as_bytes(std::span(list)).first(3)), "");
}

TEST(NamespaceDescriptors, EachTypeHasItsLength) {
  EXPECT_EQ(identifier_length(Nidt::kEui64), 8);
  EXPECT_EQ(identifier_length(Nidt::kNguid), 16);
  EXPECT_EQ(identifier_length(Nidt::kUuid), 16);
  EXPECT_EQ(identifier_length(Nidt::kCsi), 1);
  EXPECT_EQ(identifier_length(Nidt{9}), 0);
}

}  // namespace
}  // namespace weft::nvme
