// Dumps of the Identify Namespace structures and of the lists that Identify returns.
#include "base/bytes.h"
#include "wire/print.h"
#include "wire/print_lines.h"
#include "wire/uuid.h"

#include <algorithm>
#include <fmt/format.h>

namespace weft::nvme {
namespace {

constexpr BitName kNsfeatNames[] = {{kNsfeatThinProvisioned, "thin provisioned"},
                                    {kNsfeatAtomics, "own atomics"},
                                    {kNsfeatDulbe, "deallocated error"},
                                    {kNsfeatUidReuse, "identifiers not reused"},
                                    {kNsfeatOptperf, "optimal performance fields"}};
constexpr BitName kIndependentNsfeatNames[] = {{kIndependentNsfeatRotational, "rotational"},
                                               {kIndependentNsfeatNoVolatileCache, "no volatile write cache"}};
constexpr BitName kMcNames[] = {{kMcExtended, "extended"}, {kMcSeparate, "separate"}};
constexpr BitName kNmicNames[] = {{kNmicShared, "shared"}};
constexpr BitName kRescapNames[] = {{kRescapPersistThroughPowerLoss, "persist through power loss"},
                                    {kRescapWriteExclusive, "write exclusive"},
                                    {kRescapExclusiveAccess, "exclusive access"},
                                    {kRescapWriteExclusiveRegistrants, "write exclusive registrants"},
                                    {kRescapExclusiveAccessRegistrants, "exclusive access registrants"},
                                    {kRescapWriteExclusiveAllRegistrants, "write exclusive all registrants"},
                                    {kRescapExclusiveAccessAllRegistrants, "exclusive access all registrants"},
                                    {kRescapIekey13, "IEKEY of 1.3"}};
constexpr BitName kDlfeatNames[] = {{kDlfeatReadsZeroes, "reads zeroes"},
                                    {kDlfeatReadsOnes, "reads ones"},
                                    {kDlfeatWriteZeroesDeallocates, "write zeroes deallocates"},
                                    {kDlfeatGuardCrc, "guard is CRC"}};
constexpr BitName kNsattrNames[] = {{kNsattrWriteProtected, "write protected"}};
constexpr BitName kNstatNames[] = {{kNstatNrdy, "ready"}};

std::string identifier_to_text(Nidt nidt, std::span<const std::byte> nid) {
  switch (nidt) {
    case Nidt::kEui64:
      return fmt::format("eui64     : {}\n", hex(nid));
    case Nidt::kNguid:
      return fmt::format("nguid     : {}\n", hex(nid));
    case Nidt::kCsi:
      return fmt::format("csi       : {}\n", hex(nid));
    case Nidt::kUuid: {
      const Uuid* uuid = view<Uuid>(nid);
      return fmt::format("uuid      : {}\n", uuid != nullptr ? to_text(*uuid) : hex(nid));
    }
  }
  return fmt::format("nidt {:02x}h  : {}\n", int(nidt), hex(nid));
}

}  // namespace

std::string to_text(const LbaFormat& format) {
  return fmt::format("ms {} lbads {} rp {}", format.ms, format.lbads, format.rp & 3);
}

std::string to_text(const IdentifyNamespace& id) {
  Lines out;
  out.add("nsze", "{:#x}", id.nsze);
  out.add("ncap", "{:#x}", id.ncap);
  out.add("nuse", "{:#x}", id.nuse);
  out.add_bits("nsfeat", id.nsfeat, kNsfeatNames);
  out.add("nlbaf", "{}", id.nlbaf);
  out.add("flbas", "{:#04x}", id.flbas);
  out.add_bits("mc", id.mc, kMcNames);
  out.add("dpc", "{:#04x}", id.dpc);
  out.add("dps", "{:#04x}", id.dps);
  out.add_bits("nmic", id.nmic, kNmicNames);
  out.add_bits("rescap", id.rescap, kRescapNames);
  out.add("fpi", "{:#04x}", id.fpi);
  out.add_bits("dlfeat", id.dlfeat, kDlfeatNames);
  out.add("nawun", "{}", id.nawun);
  out.add("nawupf", "{}", id.nawupf);
  out.add("nacwu", "{}", id.nacwu);
  out.add("nabsn", "{}", id.nabsn);
  out.add("nabo", "{}", id.nabo);
  out.add("nabspf", "{}", id.nabspf);
  out.add("noiob", "{}", id.noiob);
  out.add("nvmcap", "{}", decimal(id.nvmcap));
  out.add("npwg", "{}", id.npwg);
  out.add("npwa", "{}", id.npwa);
  out.add("npdg", "{}", id.npdg);
  out.add("npda", "{}", id.npda);
  out.add("nows", "{}", id.nows);
  out.add("mssrl", "{}", id.mssrl);
  out.add("mcl", "{}", id.mcl);
  out.add("msrc", "{}", id.msrc);
  out.add("nulbaf", "{}", id.nulbaf);
  out.add("anagrpid", "{}", id.anagrpid);
  out.add_bits("nsattr", id.nsattr, kNsattrNames);
  out.add("nvmsetid", "{}", id.nvmsetid);
  out.add("endgid", "{}", id.endgid);
  out.add("nguid", "{}", hex<uint8_t>(id.nguid));
  out.add("eui64", "{}", hex<uint8_t>(id.eui64));
  const size_t formats = std::min(size_t{id.nlbaf} + id.nulbaf + 1, id.lbaf.size());
  for (size_t i = 0; i < formats; ++i) {
    out.add(fmt::format("lbaf {}", i), "{}{}", to_text(id.lbaf[i]), i == id.format_index() ? " (in use)" : "");
  }
  return out.take();
}

std::string to_text(const NvmIdentifyNamespace& id) {
  Lines out;
  out.add("lbstm", "{:#018x}", id.lbstm);
  out.add("pic", "{:#04x}", id.pic);
  out.add("pifa", "{:#04x}", id.pifa);
  for (size_t i = 0; i < id.elbaf.size(); ++i) {
    if (uint32_t{id.elbaf[i]} != 0) out.add(fmt::format("elbaf {}", i), "{:#010x}", id.elbaf[i]);
  }
  out.add("npdgl", "{}", id.npdgl);
  out.add("nprg", "{}", id.nprg);
  out.add("npra", "{}", id.npra);
  out.add("nors", "{}", id.nors);
  out.add("npdal", "{}", id.npdal);
  return out.take();
}

std::string to_text(const IndependentIdentifyNamespace& id) {
  Lines out;
  out.add_bits("nsfeat", id.nsfeat, kIndependentNsfeatNames);
  out.add_bits("nmic", id.nmic, kNmicNames);
  out.add_bits("rescap", id.rescap, kRescapNames);
  out.add("fpi", "{:#04x}", id.fpi);
  out.add("anagrpid", "{}", id.anagrpid);
  out.add_bits("nsattr", id.nsattr, kNsattrNames);
  out.add("nvmsetid", "{}", id.nvmsetid);
  out.add("endgid", "{}", id.endgid);
  out.add_bits("nstat", id.nstat, kNstatNames);
  return out.take();
}

std::string to_text(const NamespaceList& list) {
  const auto end = std::find(list.nsid.begin(), list.nsid.end(), le32{0});
  return fmt::format("nsids [{}]", fmt::join(list.nsid.begin(), end, ", "));
}

std::string to_text(const ControllerList& list) {
  const size_t count = std::min(size_t{list.count}, list.cntlid.size());
  return fmt::format("count {} cntlids [{}]", list.count,
                     fmt::join(list.cntlid.begin(), list.cntlid.begin() + count, ", "));
}

std::string to_text(const IocsCombinations& combinations) {
  const auto end = std::find(combinations.vector.begin(), combinations.vector.end(), le64{0});
  return fmt::format("combinations [{:#x}]", fmt::join(combinations.vector.begin(), end, ", "));
}

std::string namespace_descriptors_to_text(std::span<const std::byte> list) {
  std::string out;
  while (const auto* header = view<NamespaceDescriptor>(list)) {
    if (header->nidl == 0) break;
    list = list.subspan(sizeof *header);
    const size_t length = std::min(size_t{header->nidl}, list.size());
    out += identifier_to_text(Nidt(header->nidt), list.first(length));
    list = list.subspan(length);
  }
  return out;
}

}  // namespace weft::nvme
