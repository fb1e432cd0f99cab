// Feeds arbitrary bytes to every dump: a dump reads its struct and nothing beyond it, and what it writes is printable.
// The bytes are copied to a buffer of exactly the struct's size, so that AddressSanitizer sees a read behind its end.
#include "base/assert.h"
#include "base/bytes.h"
#include "wire/fabrics/nqn.h"
#include "wire/print.h"

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
  // These read a length out of the bytes; the fuzzer's own buffer ends where the input does.
  check_printable(weft::tcp::pdu_to_text(input));
  check_printable(weft::nvme::namespace_descriptors_to_text(input));
  weft::fabrics::is_valid_nqn({reinterpret_cast<const char*>(data), size});
  return 0;
}
