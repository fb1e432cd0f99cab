#include "nvmf/features.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/simulation.h"
#include "nvmf/controller.h"
#include "nvmf/identify.h"
#include "nvmf/log_pages.h"

namespace weft::nvmf {
namespace {

using nvme::Feature;
using nvme::FeatureSelect;
namespace status = nvme::status;

const Features kDefaults{};

/// What a handler of Get Features works on. `values` are the current ones or the defaults.
struct Get {
  Controller& controller;
  Command& command;
  const Features& values;
  FeatureSelect select;

  bool is_current() const { return select == FeatureSelect::kCurrent; }
  void reply(uint32_t value) const { command.queue->complete(command, status::kSuccess, value); }
  void reply(std::span<const std::byte> data) const {
    copy_window(command.data, data, 0);
    command.response_data = command.data;
    command.queue->complete(command, status::kSuccess);
  }
  void refuse(size_t parameter_location) const {
    fail_command(controller, command, status::kInvalidField, parameter_location);
  }
};

uint8_t fid_of(const Command& command) { return uint8_t(bits<7, 0>(uint32_t{command.sqe.cdw10})); }

/// Checks CDW11, then stores it by `store(features, cdw11)` and completes the command. False when it was refused.
template <typename Store>
bool set_checked(Controller& controller, Command& command, Store store) {
  const auto checked = check_feature_value(Feature(fid_of(command)), command.sqe.cdw11, controller.subsystem().kind());
  if (!checked.ok()) {
    fail_command(controller, command, checked, location::kCdw11);
    return false;
  }
  store(controller.features(), uint32_t{command.sqe.cdw11});
  command.queue->complete(command, status::kSuccess);
  return true;
}

// --- features that are nothing but a dword ------------------------------------------------------------------------------------------------

template <uint32_t Features::*kValue>
void get_dword(const Get& get) {
  get.reply(get.values.*kValue);
}
template <uint32_t Features::*kValue>
void set_dword(Controller& controller, Command& command) {
  set_checked(controller, command, [](Features& features, uint32_t value) { features.*kValue = value; });
}

// --- 04h: temperature threshold -----------------------------------------------------------------------------------------------------------

constexpr uint32_t kCompositeSensor = 0;
constexpr uint32_t kAllSensors = 0xf;  // Set Features only
constexpr uint32_t kOverThreshold = 0;
constexpr uint32_t kUnderThreshold = 1;
uint32_t sensor_of(uint32_t cdw11) { return bits<19, 16>(cdw11); }
uint32_t threshold_of(uint32_t cdw11) { return bits<21, 20>(cdw11); }

void raise_if_critical(Controller& controller) {
  const Features& features = controller.features();
  if (is_temperature_critical(features)) controller.events().raise(AsyncEvent::kTemperature, features.async_event_config);
}

void get_temperature_threshold(const Get& get) {
  const uint32_t cdw11 = get.command.sqe.cdw11;
  if (sensor_of(cdw11) != kCompositeSensor) return get.refuse(location::kCdw11);
  if (threshold_of(cdw11) == kOverThreshold) return get.reply(get.values.over_temperature);
  if (threshold_of(cdw11) == kUnderThreshold) return get.reply(get.values.under_temperature);
  get.refuse(location::kCdw11);
}

void set_temperature_threshold(Controller& controller, Command& command) {
  const bool is_set = set_checked(controller, command, [](Features& features, uint32_t cdw11) {
    auto& threshold = threshold_of(cdw11) == kUnderThreshold ? features.under_temperature : features.over_temperature;
    threshold = bits<15, 0>(cdw11);
  });
  if (is_set) raise_if_critical(controller);
}

// --- 06h, 07h, 0Bh, 0Fh -------------------------------------------------------------------------------------------------------------------

void get_write_cache(const Get& get) { get.reply(get.values.is_write_cache_enabled ? nvme::kWriteCacheEnable : 0); }

void set_write_cache(Controller& controller, Command& command) {
  controller.features().is_write_cache_enabled = (command.sqe.cdw11 & nvme::kWriteCacheEnable) != 0;
  controller.publish_settings([&command] { command.queue->complete(command, status::kSuccess); });
}

void get_number_of_queues(const Get& get) {
  const uint32_t queues = get.is_current() ? get.controller.io_queues_granted() : get.controller.limits().io_queues;
  get.reply(nvme::NumberOfQueues{queues, queues}.to_wire());
}

void set_number_of_queues(Controller& controller, Command& command) {
  const auto asked = nvme::NumberOfQueues::from_wire(command.sqe.cdw11);
  if (!asked.is_valid()) return fail_command(controller, command, status::kInvalidField, location::kCdw11);
  if (!controller.io_queues().empty()) {
    return fail_command(controller, command, status::kCommandSequenceError, location::kCdw10);
  }
  // Over fabrics a queue is both, so there are as many as the host wants of the kind of which it wants fewer.
  uint32_t granted = std::min({asked.submission, asked.completion, controller.limits().io_queues});
  if (WEFT_PLANTED("queues-granted-beyond-limit")) granted = controller.limits().io_queues + 1;
  controller.grant_io_queues(uint16_t(granted));
  command.queue->complete(command, status::kSuccess, nvme::NumberOfQueues{granted, granted}.to_wire());
}

void set_async_event_config(Controller& controller, Command& command) {
  const bool is_set = set_checked(controller, command, [](Features& features, uint32_t cdw11) {
    features.async_event_config = cdw11;
  });
  if (is_set) raise_if_critical(controller);
}

void get_keep_alive(const Get& get) { get.reply(get.is_current() ? get.controller.keep_alive().timeout_ms() : 0); }

void set_keep_alive(Controller& controller, Command& command) {
  controller.keep_alive().set_timeout_ms(command.sqe.cdw11);
  command.queue->complete(command, status::kSuccess, controller.keep_alive().timeout_ms());
}

// --- features with data -------------------------------------------------------------------------------------------------------------------

void get_timestamp(const Get& get) { get.reply(bytes_of(timestamp_at(get.values, get.controller.reactor().now()))); }

void set_timestamp(Controller& controller, Command& command) {
  const auto* wanted = view<nvme::Timestamp>(command.data);
  WEFT_ASSERT(wanted != nullptr);
  Features& features = controller.features();
  features.timestamp_ms = wanted->timestamp_ms;
  features.timestamp_since = controller.reactor().now();
  features.is_timestamp_set = true;
  command.queue->complete(command, status::kSuccess);
}

void get_host_behavior(const Get& get) { get.reply(get.values.host_behavior); }

void set_host_behavior(Controller& controller, Command& command) {
  Features& features = controller.features();
  WEFT_ASSERT(command.data.size() >= features.host_behavior.size());
  const auto data = std::span<const std::byte>(command.data).first(features.host_behavior.size());
  if (!check_host_behavior(data).ok()) return fail_command(controller, command, status::kInvalidField, location::kCdw10);
  std::ranges::copy(data, features.host_behavior.begin());
  command.queue->complete(command, status::kSuccess);
}

void get_host_identifier(const Get& get) {
  // NVMe Base 2.0 §5.27.1.25: over fabrics the identifier has 16 bytes.
  if ((get.command.sqe.cdw11 & nvme::kHostIdentifierExtended) == 0) return get.refuse(location::kCdw11);
  get.reply(get.controller.host().id);
}

void refuse_host_identifier(Controller& controller, Command& command) {
  // The host gave its identifier by Connect.
  fail_command(controller, command, status::kCommandSequenceError, location::kCdw10);
}

// --- the table ----------------------------------------------------------------------------------------------------------------------------

enum class Where : uint8_t { kNvm, kEverywhere };

struct FeatureRow {
  Feature fid;
  Where where;
  uint32_t data_length;  // bytes, 0: the value is a dword
  uint32_t capabilities;
  void (*get)(const Get&);
  void (*set)(Controller&, Command&);
};

constexpr uint32_t kChangeable = nvme::kFeatureChangeable;
constexpr FeatureRow kFeatures[] = {
    {Feature::kArbitration, Where::kNvm, 0, kChangeable, get_dword<&Features::arbitration>, set_dword<&Features::arbitration>},
    {Feature::kPowerManagement, Where::kNvm, 0, kChangeable, get_dword<&Features::power_state>, set_dword<&Features::power_state>},
    {Feature::kTemperatureThreshold, Where::kNvm, 0, kChangeable, get_temperature_threshold, set_temperature_threshold},
    {Feature::kErrorRecovery, Where::kNvm, 0, kChangeable, get_dword<&Features::error_recovery>, set_dword<&Features::error_recovery>},
    {Feature::kVolatileWriteCache, Where::kNvm, 0, kChangeable, get_write_cache, set_write_cache},
    {Feature::kNumberOfQueues, Where::kNvm, 0, kChangeable, get_number_of_queues, set_number_of_queues},
    {Feature::kWriteAtomicity, Where::kNvm, 0, kChangeable, get_dword<&Features::write_atomicity>, set_dword<&Features::write_atomicity>},
    {Feature::kAsyncEventConfig, Where::kEverywhere, 0, kChangeable, get_dword<&Features::async_event_config>, set_async_event_config},
    {Feature::kTimestamp, Where::kNvm, sizeof(nvme::Timestamp), kChangeable, get_timestamp, set_timestamp},
    {Feature::kKeepAliveTimer, Where::kEverywhere, 0, kChangeable, get_keep_alive, set_keep_alive},
    {Feature::kHostBehavior, Where::kNvm, sizeof(nvme::HostBehavior), kChangeable, get_host_behavior, set_host_behavior},
    {Feature::kHostIdentifier, Where::kNvm, sizeof(HostIdentity::id), 0, get_host_identifier, refuse_host_identifier},
};

const FeatureRow* find(uint8_t fid) {
  const auto row = std::ranges::find(kFeatures, Feature(fid), &FeatureRow::fid);
  return row == std::end(kFeatures) ? nullptr : &*row;
}

/// The row of the feature that the command names, or null when the controller does not have it.
const FeatureRow* find(Controller& controller, const Command& command) {
  const bool is_there = has_feature(fid_of(command), controller.subsystem().kind());
  return is_there ? find(fid_of(command)) : nullptr;
}

}  // namespace

uint32_t feature_data_length(uint8_t fid) {
  const FeatureRow* row = find(fid);
  return row == nullptr ? 0 : row->data_length;
}

bool has_feature(uint8_t fid, SubsystemKind kind) {
  const FeatureRow* row = find(fid);
  return row != nullptr && (kind != SubsystemKind::kDiscovery || row->where == Where::kEverywhere);
}

uint32_t async_event_mask(SubsystemKind kind) {
  constexpr uint32_t kWarnings = nvme::kWarningSpare | nvme::kWarningTemperature | nvme::kWarningReliability |
                                 nvme::kWarningReadOnly | nvme::kWarningVolatileBackup | nvme::kWarningPersistentMemory;
  return oaes_of(kind) | (kind == SubsystemKind::kNvm ? kWarnings : 0);
}

nvme::Status check_feature_value(Feature feature, uint32_t value, SubsystemKind kind) {
  bool is_valid = true;
  if (feature == Feature::kPowerManagement) is_valid = bits<4, 0>(value) == 0;  // NPSS 0: there is one power state
  if (feature == Feature::kErrorRecovery) is_valid = (value & nvme::kErrorRecoveryDulbe) == 0;  // NSFEAT bit 2 is 0
  if (feature == Feature::kAsyncEventConfig) is_valid = (value & ~async_event_mask(kind)) == 0;
  if (feature == Feature::kTemperatureThreshold) {
    const uint32_t sensor = sensor_of(value);
    is_valid = (sensor == kCompositeSensor || sensor == kAllSensors) && threshold_of(value) <= kUnderThreshold;
  }
  return is_valid ? status::kSuccess : status::kInvalidField;
}

nvme::Status check_host_behavior(std::span<const std::byte> data) {
  const auto* wanted = view<nvme::HostBehavior>(data);
  WEFT_ASSERT(wanted != nullptr);
  const bool are_flags = wanted->acre <= 1 && wanted->etdas <= 1 && wanted->lbafee <= 1;
  // HDISNS and CDFE are of later revisions: reserved in 2.0, as what follows them.
  const auto reserved = data.subspan(offsetof(nvme::HostBehavior, hdisns));
  const bool is_zero = std::ranges::all_of(reserved, [](std::byte b) { return b == std::byte{0}; });
  return are_flags && is_zero ? status::kSuccess : status::kInvalidField;
}

nvme::Timestamp timestamp_at(const Features& features, Instant now) {
  nvme::Timestamp timestamp{};
  timestamp.timestamp_ms = features.timestamp_ms + uint64_t((now - features.timestamp_since).milliseconds());
  timestamp.attributes = features.is_timestamp_set ? nvme::Timestamp::kOriginSet : nvme::Timestamp::kOriginReset;
  return timestamp;
}

bool is_temperature_critical(const Features& features) {
  return kCompositeTemperature >= features.over_temperature || kCompositeTemperature <= features.under_temperature;
}

void get_features(Controller& controller, Command& command) {
  const FeatureRow* row = find(controller, command);
  const auto select = FeatureSelect(nvme::feature_select(command.sqe.cdw10));
  if (row == nullptr || select > FeatureSelect::kCapabilities) {
    return fail_command(controller, command, status::kInvalidField, location::kCdw10);
  }
  if (select == FeatureSelect::kCapabilities) {
    return command.queue->complete(command, status::kSuccess, row->capabilities);
  }
  // Nothing can be saved, so the saved values are the defaults. NVMe Base 2.0 §5.15.1.
  const Features& values = select == FeatureSelect::kCurrent ? controller.features() : kDefaults;
  row->get({.controller = controller, .command = command, .values = values, .select = select});
}

void set_features(Controller& controller, Command& command) {
  const FeatureRow* row = find(controller, command);
  if (row == nullptr) return fail_command(controller, command, status::kInvalidField, location::kCdw10);
  if ((command.sqe.cdw10 & nvme::kSetFeaturesSave) != 0) {
    return fail_command(controller, command, status::kFeatureNotSaveable, location::kCdw10);
  }
  const uint32_t nsid = command.sqe.nsid;
  if (nsid != 0 && nsid != nvme::kNsidAll) {
    const bool is_valid = nsid <= controller.limits().namespaces;
    return fail_command(controller, command, is_valid ? status::kFeatureNotNamespaceSpecific : status::kInvalidNamespace,
                        location::kNsid);
  }
  row->set(controller, command);
}

}  // namespace weft::nvmf
