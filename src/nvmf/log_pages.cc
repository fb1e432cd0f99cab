#include "nvmf/log_pages.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "nvmf/controller.h"
#include "nvmf/identify.h"
#include "nvmf/shard.h"
#include "nvmf/target.h"
#include "wire/text_field.h"

namespace weft::nvmf {
namespace {

using nvme::AdminOpcode;
using nvme::GetLogPage;
using nvme::IoOpcode;
using nvme::LogPage;
namespace status = nvme::status;

constexpr size_t kOffsetTypeLocation = location::kCdw14 + 2;
constexpr size_t kCsiLocation = location::kCdw14 + 3;
constexpr size_t kMiEffectsSize = 4096;  // bytes; no management command is supported in band, so it is all zeroes

enum class Where : uint8_t { kNvm, kDiscovery, kEverywhere };

struct PageRow {
  LogPage lid;
  Where where;
};

constexpr PageRow kPages[] = {
    {LogPage::kSupported, Where::kEverywhere},      {LogPage::kError, Where::kEverywhere},
    {LogPage::kSmart, Where::kNvm},                 {LogPage::kFirmwareSlot, Where::kNvm},
    {LogPage::kChangedNamespaces, Where::kNvm},     {LogPage::kCommandEffects, Where::kEverywhere},
    {LogPage::kFeatureEffects, Where::kEverywhere}, {LogPage::kMiCommandEffects, Where::kEverywhere},
    {LogPage::kDiscovery, Where::kDiscovery},
};

constexpr AdminOpcode kAdminCommands[] = {AdminOpcode::kGetLogPage,  AdminOpcode::kIdentify,    AdminOpcode::kAbort,
                                          AdminOpcode::kSetFeatures, AdminOpcode::kGetFeatures, AdminOpcode::kAsyncEventRequest,
                                          AdminOpcode::kKeepAlive};

struct IoCommandRow {
  IoOpcode opcode;
  bool changes_blocks;
};
constexpr IoCommandRow kIoCommands[] = {
    {IoOpcode::kFlush, false},      {IoOpcode::kWrite, true},             {IoOpcode::kRead, false},   {IoOpcode::kCompare, false},
    {IoOpcode::kWriteZeroes, true}, {IoOpcode::kDatasetManagement, true}, {IoOpcode::kVerify, false}, {IoOpcode::kCopy, true},
};

constexpr uint64_t data_units(uint64_t bytes) { return (bytes + nvme::kSmartDataUnit - 1) / nvme::kSmartDataUnit; }

template <WireStruct T>
std::vector<std::byte> copy_of(const T& page) {
  const auto bytes = bytes_of(page);
  return {bytes.begin(), bytes.end()};
}

/// What the host sees of a page: `bytes` of it, in a page that reads may address up to `size`.
struct Contents {
  std::vector<std::byte> bytes;
  size_t size = 0;
  LogRead read = LogRead::kPresent;

  Contents(std::vector<std::byte> page) : bytes(std::move(page)), size(bytes.size()) {}  // NOLINT: a page is its contents
};
using MaybeContents = std::expected<Contents, size_t>;  // or the location of what is wrong with the command

MaybeContents smart(Controller& controller, uint32_t nsid) {
  Health health{.errors = controller.errors().count(),
                .uptime = controller.reactor().now() - controller.shard().target().created()};
  const auto add = [&](NamespaceView& view) {
    health.totals.add(view.ns().all_counters());
    health.is_degraded |= view.ns().is_failed();
  };
  if (nsid == 0 || nsid == nvme::kNsidAll) {
    for (const auto& [id, view] : controller.view().by_nsid) add(*view);
  } else {
    NamespaceView* view = controller.view().find(nsid);
    if (view == nullptr) return std::unexpected(location::kNsid);
    add(*view);
  }
  return copy_of(smart_page(health, controller.features()));
}

std::vector<std::byte> smart_of_medium(std::vector<std::byte> page, bool is_degraded) {
  page.resize(sizeof(nvme::SmartLog));
  auto* smart = reinterpret_cast<nvme::SmartLog*>(page.data());
  if (is_degraded) smart->critical_warning |= nvme::kWarningReliability;
  return page;
}

/// In as many entries as this controller's log has. Queue and command are the target's own way to the device, and no host's.
std::vector<std::byte> errors_of_medium(Controller& controller, NamespaceView& view, std::vector<std::byte> page) {
  const size_t count = page.size() / sizeof(nvme::ErrorLogEntry);
  page.resize(controller.errors().capacity() * sizeof(nvme::ErrorLogEntry));
  const std::span entries{reinterpret_cast<nvme::ErrorLogEntry*>(page.data()), controller.errors().capacity()};
  for (nvme::ErrorLogEntry& entry : entries.first(std::min(count, entries.size()))) {
    entry.sqid = entry.cid = nvme::ErrorLogEntry::kNoCid;
    entry.nsid = view.ns().nsid();
  }
  return page;
}

MaybeContents discovery(Controller& controller, const GetLogPage& request) {
  std::optional<DiscoveryLog>& log = controller.discovery_log();
  const LogRead read = request.offset_bytes == 0 || !log ? LogRead::kPresent : LogRead::kContinued;
  if (read == LogRead::kPresent) {
    const Shard& shard = controller.shard();
    log = DiscoveryLog::build({.subsystems = shard.views(),
                               .listeners = shard.discovery().listeners,
                               .generation = shard.discovery().generation,
                               .admin_queue_entries = shard.limits().admin_queue_entries},
                              controller.host().nqn, controller.admin_queue()->origin());
  }
  Contents contents{log->page(request.lsp)};
  contents.size = log->size();
  contents.read = read;
  return contents;
}

MaybeContents contents_of(Controller& controller, const Command& command, const GetLogPage& request) {
  const SubsystemKind kind = controller.subsystem().kind();
  switch (LogPage(request.lid)) {
    case LogPage::kSupported: return copy_of(supported_log_pages_page(kind));
    case LogPage::kError: return error_page(controller.errors());
    case LogPage::kSmart: return smart(controller, command.sqe.nsid);
    case LogPage::kFirmwareSlot: return copy_of(firmware_slot_page());
    case LogPage::kChangedNamespaces: return copy_of(controller.changed_namespaces().page());
    case LogPage::kCommandEffects:
      if (nvme::Csi(request.csi) != nvme::Csi::kNvm) return std::unexpected(kCsiLocation);
      return copy_of(command_effects_page(kind));
    case LogPage::kFeatureEffects: return copy_of(feature_effects_page(kind));
    case LogPage::kMiCommandEffects: return std::vector<std::byte>(kMiEffectsSize);
    case LogPage::kDiscovery: return discovery(controller, request);
    case LogPage::kSelfTest:
    case LogPage::kTelemetryHost:
    case LogPage::kTelemetryController:
    case LogPage::kEnduranceGroup:
    case LogPage::kAna:
    case LogPage::kPersistentEvent:
    case LogPage::kLbaStatus:
    case LogPage::kReservationNotification:
    case LogPage::kSanitizeStatus: break;
  }
  return std::unexpected(location::kCdw10);
}

void answer(Controller& controller, Command& command, const Contents& contents) {
  const GetLogPage request = GetLogPage::from(command.sqe);
  if (request.offset_bytes > contents.size) return fail_command(controller, command, status::kInvalidField, location::kCdw12);
  copy_window(command.data.first(request.length_bytes), contents.bytes, request.offset_bytes);
  std::ranges::fill(command.data.subspan(request.length_bytes), std::byte{0});
  command.response_data = command.data;
  if (!request.rae && LogPage(request.lid) == LogPage::kChangedNamespaces) controller.changed_namespaces().clear();
  command.queue->complete(command, status::kSuccess);
  // After the page, so that the host has read it when the next event comes.
  if (!request.rae) controller.events().log_page_read(request.lid, contents.read);
}

// --- pages that a medium has ---------------------------------------------------------------------------------------------------------------

/// Of one namespace, by its NSID. Of the controller (NSID 0h, FFFFFFFFh) they are this target's, about all of its namespaces and commands.
bool is_of_medium(Controller& controller, const GetLogPage& request, uint32_t nsid) {
  if (LogPage(request.lid) != LogPage::kSmart && LogPage(request.lid) != LogPage::kError) return false;
  NamespaceView* view = controller.view().find(nsid);
  return view != nullptr && view->info().has_logs;
}

void medium_has_answered(Controller& controller, Command& command, Result<std::vector<std::byte>> page) {
  const GetLogPage request = GetLogPage::from(command.sqe);
  NamespaceView* view = controller.view().find(command.sqe.nsid);
  if (view == nullptr) return fail_command(controller, command, status::kInvalidField, location::kNsid);  // removed meanwhile
  if (!page) return command.queue->complete(command, status::kInternalError);  // the device may be back soon
  const bool is_smart = LogPage(request.lid) == LogPage::kSmart;
  answer(controller, command, is_smart ? smart_of_medium(std::move(*page), view->ns().is_failed()) : errors_of_medium(controller, *view, std::move(*page)));
}

/// The device belongs to the home reactor; the command waits in kExecuting, so that it, its queue and its controller stay.
void ask_medium(Controller& controller, Command& command) {
  controller.shard().home().post([&controller, &command] {
    const auto tell = [&controller, &command](Result<std::vector<std::byte>> page) {
      controller.reactor().post([&controller, &command, page = std::move(page)]() mutable { medium_has_answered(controller, command, std::move(page)); });
    };
    const auto& namespaces = controller.subsystem().namespaces();
    const auto found = namespaces.find(command.sqe.nsid);
    if (found == namespaces.end()) return tell(fail(Errc::kNotFound, "the namespace was removed"));
    found->second->bdev().read_log(LogPage(uint8_t(command.sqe.cdw10)), tell);
  });
}

}  // namespace

bool has_log_page(uint8_t lid, SubsystemKind kind) {
  const auto row = std::ranges::find(kPages, LogPage(lid), &PageRow::lid);
  if (row == std::end(kPages)) return false;
  return row->where == Where::kEverywhere || (row->where == Where::kDiscovery) == (kind == SubsystemKind::kDiscovery);
}

nvme::SupportedLogPages supported_log_pages_page(SubsystemKind kind) {
  nvme::SupportedLogPages page{};
  for (const PageRow& row : kPages) {
    if (has_log_page(uint8_t(row.lid), kind)) page.lid[size_t(row.lid)] = nvme::SupportedLogPages::kLsupp;
  }
  if (kind == SubsystemKind::kDiscovery) {
    page.lid[size_t(LogPage::kDiscovery)] =
        nvme::SupportedLogPages::kLsupp | uint32_t{fabrics::kLspPortLocal} << nvme::SupportedLogPages::kLidspShift;
  }
  return page;
}

nvme::CommandEffects command_effects_page(SubsystemKind kind) {
  nvme::CommandEffects page{};
  for (const AdminOpcode opcode : kAdminCommands) page.acs[size_t(opcode)] = nvme::CommandEffects::kCsupp;
  if (kind == SubsystemKind::kDiscovery) return page;
  for (const IoCommandRow& row : kIoCommands) {
    page.iocs[size_t(row.opcode)] = nvme::CommandEffects::kCsupp | (row.changes_blocks ? nvme::CommandEffects::kLbcc : 0);
  }
  return page;
}

nvme::FeatureEffects feature_effects_page(SubsystemKind kind) {
  nvme::FeatureEffects page{};
  for (size_t fid = 0; fid < page.fid.size(); ++fid) {
    if (!has_feature(uint8_t(fid), kind)) continue;
    page.fid[fid] = nvme::FeatureEffects::kFsupp | nvme::FeatureEffects::kScopeController;
  }
  return page;
}

nvme::FirmwareSlotLog firmware_slot_page() {
  nvme::FirmwareSlotLog page{};
  page.afi = 1;  // slot 1 is in use, and stays so
  set_space_padded(page.frs[0], kFirmwareRevision);
  return page;
}

std::vector<std::byte> error_page(const ErrorLog& log) {
  std::vector<std::byte> page(log.capacity() * sizeof(nvme::ErrorLogEntry));
  for (uint32_t i = 0; i < log.capacity(); ++i) {
    const nvme::ErrorLogEntry entry = log.newest(i);
    std::memcpy(page.data() + i * sizeof entry, &entry, sizeof entry);
  }
  return page;
}

void NamespaceTotals::add(std::span<const NamespaceCounters> counters_by_shard) {
  for (const NamespaceCounters& counters : counters_by_shard) {
    reads += counters.reads.value();
    writes += counters.writes.value();
    read_bytes += counters.read_bytes.value();
    written_bytes += counters.written_bytes.value();
    media_errors += counters.media_errors.value();
  }
}

nvme::SmartLog smart_page(const Health& health, const Features& features) {
  constexpr int64_t kHourNs = seconds(3600).ns;
  nvme::SmartLog page{};
  page.critical_warning = uint8_t((is_temperature_critical(features) ? nvme::kWarningTemperature : 0) |
                                  (health.is_degraded ? nvme::kWarningReliability : 0));
  page.composite_temperature = kCompositeTemperature;
  page.available_spare = 100;
  page.data_units_read = data_units(health.totals.read_bytes);
  page.data_units_written = data_units(health.totals.written_bytes);
  page.host_read_commands = health.totals.reads;
  page.host_write_commands = health.totals.writes;
  page.power_cycles = 1;  // the start of the target; it keeps no count from one to the next
  page.power_on_hours = uint64_t(health.uptime.ns / kHourNs);
  page.media_errors = health.totals.media_errors;
  page.error_log_entries = health.errors;
  return page;
}

void get_log_page(Controller& controller, Command& command) {
  const GetLogPage request = GetLogPage::from(command.sqe);
  const auto refuse = [&](size_t parameter_location) {
    fail_command(controller, command, status::kInvalidField, parameter_location);
  };
  WEFT_ASSERT(request.length_bytes <= command.data.size());
  if (!has_log_page(request.lid, controller.subsystem().kind())) return refuse(location::kCdw10);
  if (request.is_index) return refuse(kOffsetTypeLocation);  // IOS is 0 for every page
  if (request.offset_bytes % 4 != 0) return refuse(location::kCdw12);
  if (is_of_medium(controller, request, command.sqe.nsid)) return ask_medium(controller, command);
  const auto contents = contents_of(controller, command, request);
  if (!contents) return refuse(contents.error());
  answer(controller, command, *contents);
}

}  // namespace weft::nvmf
