// Feeds arbitrary bytes to every dump and decoder of nvme/ and fabrics/, one to an input: a dump reads its struct and
// nothing beyond it, what it writes is printable, ends where it should and has the texts of the struct whole; what
// decoders give is encoded to the same bits again. The bytes are copied to a buffer of exactly the struct's size, so
// that AddressSanitizer sees a read behind its end. Input: | kReaders index | bytes |
#include "base/assert.h"
#include "base/bytes.h"
#include "fuzz/input.h"
#include "wire/fabrics/nqn.h"
#include "wire/print.h"
#include "wire/print_pcie.h"
#include "wire/text_field.h"
#include "wire/uuid.h"

#include <array>
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

void check_controller(std::span<const std::byte> input) {
  const auto id = front<weft::nvme::IdentifyController>(input);
  check_whole(id, id.sn, id.mn, id.fr, id.subnqn);
}
void check_entry(std::span<const std::byte> input) {
  const auto entry = front<weft::fabrics::DiscoveryLogEntry>(input);
  check_whole(entry, entry.trsvcid, entry.subnqn, entry.traddr);
}
void check_connect(std::span<const std::byte> input) {
  const auto connect = front<weft::fabrics::ConnectData>(input);
  check_whole(connect, connect.subnqn, connect.hostnqn);
}

void check_codecs(std::span<const std::byte> input) {
  const uint32_t dword = front<weft::le32>(input);
  using namespace weft::nvme;
  WEFT_ASSERT(NumberOfQueues::from_wire(dword).to_wire() == dword);
  WEFT_ASSERT(AsyncEvent::from_dw0(dword).to_dw0() == (dword & 0xffff07));
  WEFT_ASSERT(Status::from_cqe(uint16_t(dword)).to_cqe() == (dword & 0xfffe));
  WEFT_ASSERT(AdminQueueAttributes::from_wire(dword).to_wire() == (dword & 0x0fff0fff));
  const uint64_t raw = front<weft::le64>(input);
  WEFT_ASSERT(Cap::from_wire(raw).to_wire() == (raw & 0x08ff003fff01ffff));
  check_printable(to_text(Cap::from_wire(raw)) + to_text(Cc{dword}) + csts_to_text(dword));
  const auto log = GetLogPage::from(front<Sqe>(input));
  WEFT_ASSERT(log.length_bytes % 4 == 0 && log.length_bytes > 0 && log.length_bytes <= uint64_t{4} << 32);
  const auto uuid = front<weft::Uuid>(input);
  const auto again = weft::parse_uuid(weft::to_text(uuid));
  WEFT_ASSERT(again.has_value() && *again == uuid);
}

// These read a length out of the bytes; the fuzzer's own buffer ends where the input does.
void read_pdu(std::span<const std::byte> input) { check_printable(weft::tcp::pdu_to_text(input)); }
void read_descriptors(std::span<const std::byte> input) {
  check_printable(weft::nvme::namespace_descriptors_to_text(input));
}
void read_nqn(std::span<const std::byte> input) {
  weft::fabrics::is_valid_nqn({reinterpret_cast<const char*>(input.data()), input.size()});
}

using namespace weft::nvme;
using namespace weft::fabrics;
using Reader = void (*)(std::span<const std::byte> input);
// Inputs name them by index: new ones come last.
constexpr std::array<Reader, 35> kReaders{
    &dump<Sqe>,
    &dump<Cqe>,
    &dump<SglDescriptor>,
    &dump<DsmRange>,
    &dump<CopyRange>,
    &dump<IdentifyController>,
    &dump<NvmIdentifyController>,
    &dump<IdentifyNamespace>,
    &dump<NvmIdentifyNamespace>,
    &dump<IndependentIdentifyNamespace>,
    &dump<NamespaceList>,
    &dump<ControllerList>,
    &dump<IocsCombinations>,
    &dump<SupportedLogPages>,
    &dump<ErrorLogEntry>,
    &dump<SmartLog>,
    &dump<FirmwareSlotLog>,
    &dump<ChangedNamespaces>,
    &dump<CommandEffects>,
    &dump<FeatureEffects>,
    &dump<Timestamp>,
    &dump<HostBehavior>,
    &dump<ConnectSqe>,
    &dump<ConnectData>,
    &dump<PropertySqe>,
    &dump<DisconnectSqe>,
    &dump<DiscoveryLogHeader>,
    &dump<DiscoveryLogEntry>,
    &check_controller,
    &check_entry,
    &check_connect,
    &check_codecs,
    &read_pdu,
    &read_descriptors,
    &read_nqn,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  weft::fuzz::Input input(data, size);
  const uint8_t reader = input.byte();
  kReaders[reader % kReaders.size()](input.rest());
  return 0;
}
