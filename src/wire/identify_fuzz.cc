// Feeds arbitrary bytes to every dump and decoder of nvme/ and fabrics/: a dump reads its struct and nothing beyond it,
// what it writes is printable, ends where it should and has the texts of the struct whole; what decoders give is
// encoded to the same bits again. The bytes are copied to a buffer of exactly the struct's size, so that
// AddressSanitizer sees a read behind its end.
#include "base/assert.h"
#include "base/bytes.h"
#include "wire/fabrics/nqn.h"
#include "wire/print.h"
#include "wire/text_field.h"
#include "wire/uuid.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace {

void check_printable(const std::string& text) {
  for (const char c : text) WEFT_ASSERT(c == '\n' || (c >= ' ' && c <= '~'));
}

template <weft::WireStruct T>
void dump(std::span<const std::byte> input) {
  const auto value = std::make_unique_for_overwrite<T>();
  weft::copy_window({reinterpret_cast<std::byte*>(value.get()), sizeof(T)}, input, 0);
  check_printable(to_text(*value));
}

template <weft::WireStruct... T>
void dump_each(std::span<const std::byte> input) {
  (dump<T>(input), ...);
}

/// The struct at the front of the input.
template <weft::WireStruct T>
T front(std::span<const std::byte> input) {
  T value;
  weft::copy_window({reinterpret_cast<std::byte*>(&value), sizeof(T)}, input, 0);
  return value;
}

/// No text is cut in a dump, and a dump of lines ends with one.
template <weft::WireStruct T, typename... Texts>
void check_whole(const T& value, const Texts&... texts) {
  const std::string dump = to_text(value);
  (WEFT_ASSERT(dump.find(weft::escaped(weft::text_of(texts))) != std::string::npos), ...);
  WEFT_ASSERT(dump.find('\n') == std::string::npos || dump.back() == '\n');
}

void check_texts(std::span<const std::byte> input) {
  const auto id = front<weft::nvme::IdentifyController>(input);
  check_whole(id, id.sn, id.mn, id.fr, id.subnqn);
  const auto entry = front<weft::fabrics::DiscoveryLogEntry>(input);
  check_whole(entry, entry.trsvcid, entry.subnqn, entry.traddr);
  const auto connect = front<weft::fabrics::ConnectData>(input);
  check_whole(connect, connect.subnqn, connect.hostnqn);
}

void check_codecs(std::span<const std::byte> input) {
  const uint32_t dword = front<weft::le32>(input);
  using namespace weft::nvme;
  WEFT_ASSERT(NumberOfQueues::from_wire(dword).to_wire() == dword);
  WEFT_ASSERT(AsyncEvent::from_dw0(dword).to_dw0() == (dword & 0xffff07));
  WEFT_ASSERT(Status::from_cqe(uint16_t(dword)).to_cqe() == (dword & 0xfffe));
  const auto log = GetLogPage::from(front<Sqe>(input));
  WEFT_ASSERT(log.length_bytes % 4 == 0 && log.length_bytes > 0 && log.length_bytes <= uint64_t{4} << 32);
  const auto uuid = front<weft::Uuid>(input);
  const auto again = weft::parse_uuid(weft::to_text(uuid));
  WEFT_ASSERT(again.has_value() && *again == uuid);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> input = std::as_bytes(std::span(data, size));
  dump_each<weft::nvme::Sqe, weft::nvme::Cqe, weft::nvme::SglDescriptor, weft::nvme::DsmRange, weft::nvme::CopyRange>(
      input);
  dump_each<weft::nvme::IdentifyController, weft::nvme::NvmIdentifyController, weft::nvme::IdentifyNamespace,
            weft::nvme::NvmIdentifyNamespace, weft::nvme::IndependentIdentifyNamespace, weft::nvme::NamespaceList,
            weft::nvme::ControllerList, weft::nvme::IocsCombinations>(input);
  dump_each<weft::nvme::SupportedLogPages, weft::nvme::ErrorLogEntry, weft::nvme::SmartLog, weft::nvme::FirmwareSlotLog,
            weft::nvme::ChangedNamespaces, weft::nvme::CommandEffects, weft::nvme::FeatureEffects,
            weft::nvme::Timestamp, weft::nvme::HostBehavior>(input);
  dump_each<weft::fabrics::ConnectSqe, weft::fabrics::ConnectData, weft::fabrics::PropertySqe,
            weft::fabrics::DisconnectSqe, weft::fabrics::DiscoveryLogHeader, weft::fabrics::DiscoveryLogEntry>(input);
  check_texts(input);
  check_codecs(input);
  // These read a length out of the bytes; the fuzzer's own buffer ends where the input does.
  check_printable(weft::tcp::pdu_to_text(input));
  check_printable(weft::nvme::namespace_descriptors_to_text(input));
  weft::fabrics::is_valid_nqn({reinterpret_cast<const char*>(data), size});
  return 0;
}
