// One human dump per wire struct, shared by logs, tests and tools: a line for small structs, "name : value" lines (each
// ended by a newline) for large ones. Any bytes may be dumped: values without a meaning are shown as numbers, text is
// escaped. Numbers are hex where the specifications write them so. The wording is for people: it may change, and
// programs do not parse it.
#pragma once
#include "wire/fabrics/connect.h"
#include "wire/fabrics/discovery.h"
#include "wire/nvme/command.h"
#include "wire/nvme/features.h"
#include "wire/nvme/identify.h"
#include "wire/nvme/log_pages.h"
#include "wire/tcp/pdu.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weft::nvme {

/// The specification's word, or "Unknown".
std::string_view name_of(AdminOpcode opcode);
std::string_view name_of(IoOpcode opcode);

std::string to_text(Status status);
std::string to_text(const SglDescriptor& sgl);
/// Fabrics commands by name and with their fields, others by number, since the names depend on the queue.
std::string to_text(const Sqe& sqe);
/// The same for a command of queue `qid` (0: admin), by name.
std::string to_text(const Sqe& sqe, uint16_t qid);
std::string to_text(const Cqe& cqe);
std::string to_text(const DsmRange& range);
std::string to_text(const CopyRange& range);

std::string to_text(const IdentifyController& id);
std::string to_text(const NvmIdentifyController& id);
std::string to_text(const PowerStateDescriptor& psd);
std::string to_text(const IdentifyNamespace& id);
std::string to_text(const NvmIdentifyNamespace& id);
std::string to_text(const IndependentIdentifyNamespace& id);
std::string to_text(const LbaFormat& format);
std::string to_text(const NamespaceList& list);
std::string to_text(const ControllerList& list);
std::string to_text(const IocsCombinations& combinations);
/// The list that CNS 03h returns, of any length.
std::string namespace_descriptors_to_text(std::span<const std::byte> list);

std::string to_text(const SupportedLogPages& log);
std::string to_text(const ErrorLogEntry& entry);
std::string to_text(const SmartLog& log);
std::string to_text(const FirmwareSlotLog& log);
std::string to_text(const ChangedNamespaces& log);
std::string to_text(const CommandEffects& log);
std::string to_text(const FeatureEffects& log);

std::string to_text(const AsyncEvent& event);
std::string to_text(const Timestamp& timestamp);
std::string to_text(const HostBehavior& behavior);

}  // namespace weft::nvme

namespace weft::fabrics {

/// The specification's word, or "Unknown".
std::string_view name_of(Fctype fctype);
std::string_view name_of(Trtype trtype);
std::string_view name_of(Adrfam adrfam);
std::string_view name_of(Subtype subtype);

std::string to_text(const ConnectSqe& sqe);
std::string to_text(const ConnectData& data);
std::string to_text(const PropertySqe& sqe);
std::string to_text(const DisconnectSqe& sqe);
std::string to_text(const DiscoveryLogHeader& header);
std::string to_text(const DiscoveryLogEntry& entry);

}  // namespace weft::fabrics

namespace weft::tcp {

/// The specification's word, or "Unknown".
std::string_view name_of(PduType type);
std::string_view name_of(Fes fes);

std::string to_text(const CommonHeader& header);
std::string to_text(const IcReq& pdu);
std::string to_text(const IcResp& pdu);
std::string to_text(const TermReq& pdu);
std::string to_text(const CapsuleCmd& pdu);
std::string to_text(const CapsuleResp& pdu);
std::string to_text(const DataPdu& pdu);
std::string to_text(const R2t& pdu);
/// The PDU that `bytes` begin with, by its type; as much of it as is there.
std::string pdu_to_text(std::span<const std::byte> bytes);

}  // namespace weft::tcp
