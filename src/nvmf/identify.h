// The Identify command: builds the structures that describe a controller, its namespaces and its subsystem. Runs on the controller's reactor;
// the lists of controllers are fetched from the home reactor. NVM Express Base 2.0 §5.17, NVM Command Set 1.0 §4.1.5.
#pragma once
#include <span>

#include "bdev/bdev.h"
#include "core/limits.h"
#include "nvmf/namespace.h"
#include "nvmf/transport_ops.h"
#include "wire/nvme/identify.h"

namespace weft::nvmf {

class Controller;
struct Command;
struct SubsystemView;
enum class SubsystemKind : uint8_t;

/// FR of Identify Controller and of the firmware slot log: the project's version.
inline constexpr char kFirmwareRevision[] = "0.1.0";

/// Completes an Identify command, now or later. Requires: command.data is writable and holds at least nvme::kIdentifySize bytes.
void identify(Controller& controller, Command& command);

// --- what it answers with, as pure functions --------------------------------------------------------------------------------------------
/// CNS 01h of an NVM or a discovery controller that is reached over `transport`.
nvme::IdentifyController identify_controller_page(const SubsystemView& view, uint16_t cntlid, const Limits& limits, TransportType transport);
/// CNS 06h, CSI 00h.
nvme::NvmIdentifyController nvm_controller_page(const Limits& limits);
/// CNS 00h and 11h.
nvme::IdentifyNamespace namespace_page(const bdev::Info& info, const NamespaceIdentity& identity, const Limits& limits);
/// CNS 08h.
nvme::IndependentIdentifyNamespace independent_namespace_page(const bdev::Info& info);
/// CNS 03h.
std::array<std::byte, nvme::kIdentifySize> namespace_descriptors_page(const NamespaceIdentity& identity);
/// CNS 12h and 13h: those of `cntlids` (ascending) that are at least `first`.
nvme::ControllerList controller_list_page(std::span<const uint16_t> cntlids, uint16_t first);
/// OAES: the notices that a controller of that kind sends.
uint32_t oaes_of(SubsystemKind kind);

}  // namespace weft::nvmf
