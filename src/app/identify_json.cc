// Identify structures with nvme-cli's key names.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <ranges>

#include "app/identify.h"
#include "wire/text_field.h"
#include "wire/uuid.h"

namespace weft::app {
namespace {

template <std::ranges::range R>
std::string hex(const R& bytes) {
  std::string text;
  for (const auto byte : bytes) text += fmt::format("{:02x}", unsigned(byte));
  return text;
}

/// nvme-cli prints 128-bit numbers as text.
std::string decimal(const nvme::Le128& value) { return value.high == 0u ? fmt::format("{}", uint64_t{value.low}) : fmt::format("{:#x}{:016x}", uint64_t{value.high}, uint64_t{value.low}); }

std::string uuid_in(std::span<const std::byte> list) {
  while (list.size() >= sizeof(nvme::NamespaceDescriptor)) {
    const auto& header = *reinterpret_cast<const nvme::NamespaceDescriptor*>(list.data());
    list = list.subspan(sizeof header);
    if (header.nidl == 0 || header.nidl > list.size()) break;
    if (header.nidt == uint8_t(nvme::Nidt::kUuid) && header.nidl == sizeof(Uuid)) {
      Uuid uuid;
      std::memcpy(uuid.bytes.data(), list.data(), sizeof uuid.bytes);
      return weft::to_text(uuid);
    }
    list = list.subspan(header.nidl);
  }
  return "";
}

}  // namespace

Json to_json(const nvme::IdentifyController& id) {
  const auto u16 = [](le16 value) { return uint16_t{value}; };
  const auto u32 = [](le32 value) { return uint32_t{value}; };
  Json json = {{"vid", u16(id.vid)},       {"ssvid", u16(id.ssvid)},     {"sn", text_of(id.sn)},         {"mn", text_of(id.mn)},         {"fr", text_of(id.fr)},
               {"rab", id.rab},            {"ieee", id.ieee[2] << 16 | id.ieee[1] << 8 | id.ieee[0]},    {"cmic", id.cmic},              {"mdts", id.mdts},
               {"cntlid", u16(id.cntlid)}, {"ver", u32(id.ver)},         {"rtd3r", u32(id.rtd3r)},       {"rtd3e", u32(id.rtd3e)},       {"oaes", u32(id.oaes)},
               {"ctratt", u32(id.ctratt)}, {"rrls", u16(id.rrls)},       {"cntrltype", id.cntrltype},    {"fguid", hex(id.fguid)}, {"crdt1", u16(id.crdt1)},
               {"crdt2", u16(id.crdt2)},   {"crdt3", u16(id.crdt3)},     {"nvmsr", id.nvmsr},            {"vwci", id.vwci},              {"mec", id.mec},
               {"oacs", u16(id.oacs)},     {"acl", id.acl},              {"aerl", id.aerl},              {"frmw", id.frmw},              {"lpa", id.lpa},
               {"elpe", id.elpe},          {"npss", id.npss},            {"avscc", id.avscc},            {"apsta", id.apsta},            {"wctemp", u16(id.wctemp)},
               {"cctemp", u16(id.cctemp)}, {"mtfa", u16(id.mtfa)},       {"hmpre", u32(id.hmpre)},       {"hmmin", u32(id.hmmin)},       {"tnvmcap", decimal(id.tnvmcap)},
               {"unvmcap", decimal(id.unvmcap)}, {"rpmbs", u32(id.rpmbs)}, {"edstt", u16(id.edstt)},     {"dsto", id.dsto},              {"fwug", id.fwug},
               {"kas", u16(id.kas)},       {"hctma", u16(id.hctma)},     {"mntmt", u16(id.mntmt)},       {"mxtmt", u16(id.mxtmt)},       {"sanicap", u32(id.sanicap)},
               {"hmminds", u32(id.hmminds)}, {"hmmaxd", u16(id.hmmaxd)}, {"nsetidmax", u16(id.nsetidmax)}, {"endgidmax", u16(id.endgidmax)}, {"anatt", id.anatt},
               {"anacap", id.anacap},      {"anagrpmax", u32(id.anagrpmax)}, {"nanagrpid", u32(id.nanagrpid)}, {"pels", u32(id.pels)},     {"domainid", u16(id.domain_identifier)},
               {"megcap", decimal(id.megcap)}, {"sqes", id.sqes},        {"cqes", id.cqes},              {"maxcmd", u16(id.maxcmd)},     {"nn", u32(id.nn)},
               {"oncs", u16(id.oncs)},     {"fuses", u16(id.fuses)},     {"fna", id.fna},                {"vwc", id.vwc},                {"awun", u16(id.awun)},
               {"awupf", u16(id.awupf)},   {"icsvscc", id.icsvscc},      {"nwpc", id.nwpc},              {"acwu", u16(id.acwu)},         {"ocfs", u16(id.ocfs)},
               {"sgls", u32(id.sgls)},     {"mnan", u32(id.mnan)},       {"maxdna", decimal(id.maxdna)}, {"maxcna", u32(id.maxcna)},     {"subnqn", text_of(id.subnqn)},
               {"ioccsz", u32(id.ioccsz)}, {"iorcsz", u32(id.iorcsz)},   {"icdoff", u16(id.icdoff)},     {"fcatt", id.fcatt},            {"msdbd", id.msdbd},
               {"ofcs", u16(id.ofcs)},     {"dctype", id.dctype}};
  Json states = Json::array();
  for (size_t i = 0; i <= std::min<size_t>(id.npss, id.psd.size() - 1); ++i) {
    const auto& psd = id.psd[i];
    states.push_back({{"max_power", u16(psd.mp)}, {"flags", psd.flags}, {"entry_lat", u32(psd.enlat)}, {"exit_lat", u32(psd.exlat)}});
  }
  json["psds"] = states;
  return json;
}

Json to_json(const IdentifiedNamespace& ns) {
  const auto u16 = [](le16 value) { return uint16_t{value}; };
  const nvme::IdentifyNamespace& id = ns.id;
  Json formats = Json::array();
  for (size_t i = 0; i <= std::min<size_t>(id.nlbaf, id.lbaf.size() - 1); ++i) {
    formats.push_back({{"ms", u16(id.lbaf[i].ms)}, {"ds", id.lbaf[i].lbads}, {"rp", id.lbaf[i].rp & 3}});
  }
  return {{"nsid", ns.nsid},
          {"nsze", uint64_t{id.nsze}},
          {"ncap", uint64_t{id.ncap}},
          {"nuse", uint64_t{id.nuse}},
          {"nsfeat", id.nsfeat},
          {"nlbaf", id.nlbaf},
          {"flbas", id.flbas},
          {"mc", id.mc},
          {"dpc", id.dpc},
          {"dps", id.dps},
          {"nmic", id.nmic},
          {"rescap", id.rescap},
          {"fpi", id.fpi},
          {"dlfeat", id.dlfeat},
          {"nawun", u16(id.nawun)},
          {"nawupf", u16(id.nawupf)},
          {"nacwu", u16(id.nacwu)},
          {"nabsn", u16(id.nabsn)},
          {"nabo", u16(id.nabo)},
          {"nabspf", u16(id.nabspf)},
          {"noiob", u16(id.noiob)},
          {"nvmcap", decimal(id.nvmcap)},
          {"npwg", u16(id.npwg)},
          {"npwa", u16(id.npwa)},
          {"npdg", u16(id.npdg)},
          {"npda", u16(id.npda)},
          {"nows", u16(id.nows)},
          {"mssrl", u16(id.mssrl)},
          {"mcl", uint32_t{id.mcl}},
          {"msrc", id.msrc},
          {"nulbaf", id.nulbaf},
          {"anagrpid", uint32_t{id.anagrpid}},
          {"nsattr", id.nsattr},
          {"nvmsetid", u16(id.nvmsetid)},
          {"endgid", u16(id.endgid)},
          {"nguid", hex(id.nguid)},
          {"eui64", hex(id.eui64)},
          {"uuid", uuid_in(ns.descriptors)},
          {"lbafs", formats}};
}

}  // namespace weft::app
