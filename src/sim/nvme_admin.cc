// The admin commands of the simulated controller.
#include "base/bytes.h"
#include "sim/nvme_device.h"
#include "sim/nvme_function.h"
#include "wire/nvme/features.h"
#include "wire/nvme/log_pages.h"
#include "wire/text_field.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace weft::sim {
namespace {

namespace status = nvme::status;
using nvme::AdminOpcode;

constexpr uint8_t kAsyncEventsMax = 3;  // AERL, 0-based

uint32_t atomic_blocks(const NvmeNamespace& ns) { return std::max(1u, ns.disk->shape().atomic_bytes / ns.block_size); }

template <WireStruct T>
std::vector<std::byte> page_of(const T& value) {
  const auto bytes = bytes_of(value);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

void NvmeDevice::execute_admin(const nvme::Sqe& sqe) {
  const auto answer = [&](nvme::Status status, uint32_t dw0 = 0) { answer_admin(sqe.cid, status, dw0); };
  if (AdminOpcode(sqe.opcode) == nvme::kDoorbellBufferConfig && shape_.has_shadow_doorbells) {
    shadow_values_ = nvme::prps_of(sqe).prp1;
    shadow_events_ = nvme::prps_of(sqe).prp2;
    return answer(status::kSuccess);
  }
  switch (AdminOpcode(sqe.opcode)) {
    case AdminOpcode::kIdentify:
      return identify(sqe);
    case AdminOpcode::kCreateIoCq:
      return answer(create_cq(sqe));
    case AdminOpcode::kCreateIoSq:
      return answer(create_sq(sqe));
    case AdminOpcode::kDeleteIoSq:
      return answer(delete_sq(uint16_t(sqe.cdw10)));
    case AdminOpcode::kDeleteIoCq:
      return answer(delete_cq(uint16_t(sqe.cdw10)));
    case AdminOpcode::kAbort:
      return answer(status::kSuccess, abort(nvme::AbortTarget::from(sqe)) ? 0 : nvme::kNotAborted);
    case AdminOpcode::kSetFeatures:
      if (nvme::Feature(uint8_t(sqe.cdw10)) == nvme::Feature::kNumberOfQueues)
        return answer(status::kSuccess, nvme::NumberOfQueues{shape_.io_queues, shape_.io_queues}.to_wire());
      if (nvme::Feature(uint8_t(sqe.cdw10)) == nvme::Feature::kAsyncEventConfig) {
        wants_namespace_events_ = (sqe.cdw11 & nvme::kOaesNamespaceAttribute) != 0;
        return answer(status::kSuccess);
      }
      return answer(status::kInvalidField.with_dnr());
    case AdminOpcode::kAsyncEventRequest:
      if (event_cids_.size() > kAsyncEventsMax) return answer(status::kAsyncEventLimitExceeded.with_dnr());
      event_cids_.push_back(sqe.cid);
      return raise_event();
    case AdminOpcode::kGetLogPage: {
      const auto page = log_page(nvme::GetLogPage::from(sqe));
      if (page.empty()) return answer(nvme::status::kInvalidLogPage.with_dnr());
      write_page(sqe, page);
      return answer(status::kSuccess);
    }
    case AdminOpcode::kGetFeatures:
    case AdminOpcode::kKeepAlive:
      break;
  }
  answer(status::kInvalidOpcode.with_dnr());
}

/// As much of it as is asked for; empty: there is none.
std::vector<std::byte> NvmeDevice::log_page(const nvme::GetLogPage& request) {
  std::vector<std::byte> page;
  switch (nvme::LogPage(request.lid)) {
    case nvme::LogPage::kChangedNamespaces: {
      nvme::ChangedNamespaces log{};
      for (size_t i = 0; i < changed_.size(); ++i) log.nsid[i] = changed_[i];
      changed_.clear();
      is_event_masked_ = false;
      page = page_of(log);
      break;
    }
    case nvme::LogPage::kSmart: {
      nvme::SmartLog log{};
      log.composite_temperature = 310;
      log.available_spare = 97;
      log.media_errors = error_count_;
      page = page_of(log);
      break;
    }
    case nvme::LogPage::kError: {
      for (auto entry = errors_.rbegin(); entry != errors_.rend(); ++entry) {
        const auto bytes = bytes_of(*entry);
        page.insert(page.end(), bytes.begin(), bytes.end());
      }
      break;
    }
    default: return {};
  }
  page.resize(request.length_bytes);
  return page;
}

/// Into the error log, which has room for some.
void NvmeDevice::note_error(const Command& command, nvme::Status status) {
  nvme::ErrorLogEntry entry{};
  entry.error_count = ++error_count_;
  entry.sqid = command.sqid;
  entry.cid = command.sqe.cid;
  entry.status_field = status.to_cqe();
  entry.lba = command.sqe.slba();
  entry.nsid = command.sqe.nsid;
  errors_.push_back(entry);
  if (errors_.size() > kErrorEntriesMax) errors_.pop_front();
}

void NvmeDevice::write_page(const nvme::Sqe& sqe, std::span<const std::byte> bytes) {
  const uint64_t iova = nvme::prps_of(sqe).prp1;
  const auto memory = function_->memory(iova, bytes.size());
  if (memory.empty()) return fail("nvme-dma", fmt::format("{} bytes at {:#x} are to be written, which are not mapped", bytes.size(), iova));
  function_->write_later(iova, bytes);
}

void NvmeDevice::identify(const nvme::Sqe& sqe) {
  const auto page = identify_page(sqe);
  if (page.empty()) return answer_admin(sqe.cid, status::kInvalidNamespace.with_dnr());
  write_page(sqe, page);
  answer_admin(sqe.cid, status::kSuccess);
}

/// Empty: there is none.
std::vector<std::byte> NvmeDevice::identify_page(const nvme::Sqe& sqe) const {
  const bool is_there = is_attached(sqe.nsid);
  switch (nvme::Cns(uint8_t(sqe.cdw10))) {
    case nvme::Cns::kController:
      return page_of(controller_page());
    case nvme::Cns::kIocsController: {
      nvme::NvmIdentifyController page{};
      page.wzsl = shape_.wzsl;
      page.vsl = shape_.vsl;
      return page_of(page);
    }
    case nvme::Cns::kActiveNamespaces: {
      nvme::NamespaceList list{};
      size_t count = 0;
      for (uint32_t nsid = 1; nsid <= namespaces_.size(); ++nsid) {
        if (is_attached(nsid)) list.nsid[count++] = nsid;
      }
      return page_of(list);
    }
    case nvme::Cns::kNamespace:
      if (!is_there) return {};
      return page_of(namespace_page(namespaces_[sqe.nsid - 1]));
    case nvme::Cns::kNamespaceDescriptors: {
      if (!is_there) return {};
      std::vector<std::byte> list(nvme::kIdentifySize);
      list[0] = std::byte(nvme::Nidt::kUuid);
      list[1] = std::byte{16};
      list[4] = std::byte{shape_.uuid_first};
      list[19] = std::byte(uint8_t(sqe.nsid));
      return list;
    }
    default:
      return {};
  }
}

nvme::IdentifyController NvmeDevice::controller_page() const {
  nvme::IdentifyController id{};
  set_space_padded(id.sn, shape_.serial);
  set_space_padded(id.mn, "Simulated controller");
  set_space_padded(id.fr, "1");
  id.mdts = shape_.mdts;
  id.ver = nvme::kVersion2_0;
  id.oaes = nvme::kOaesNamespaceAttribute;
  id.aerl = kAsyncEventsMax;
  id.elpe = kErrorEntriesMax - 1;
  id.sqes = nvme::kSqes64Bytes;
  id.cqes = nvme::kCqes16Bytes;
  id.nn = uint32_t(namespaces_.size());
  id.oacs = shape_.has_shadow_doorbells ? nvme::kOacsDoorbellBuffer : uint16_t{0};
  id.oncs = uint16_t((shape_.has_write_zeroes ? nvme::kOncsWriteZeroes : 0) | (shape_.has_deallocate ? nvme::kOncsDatasetManagement : 0) |
                     (shape_.has_compare ? nvme::kOncsCompare : 0) | (shape_.has_verify ? nvme::kOncsVerify : 0) |
                     (shape_.has_copy ? nvme::kOncsCopy : 0));
  id.ocfs = shape_.has_copy ? nvme::kOcfsFormat0 : uint16_t{0};
  if (shape_.atomics == NvmeShape::Atomics::kOfController) {
    uint32_t blocks = 0xffff;
    for (const NvmeNamespace& ns : namespaces_) blocks = std::min(blocks, atomic_blocks(ns));
    id.awun = id.awupf = uint16_t(blocks - 1);
  }
  const bool has_cache = std::ranges::any_of(namespaces_, [](const NvmeNamespace& ns) { return ns.disk->shape().has_volatile_cache; });
  id.vwc = has_cache ? nvme::kVwcPresent : uint8_t{0};
  id.sgls = shape_.has_sgls ? nvme::kSglsSupported : 0;
  return id;
}

nvme::IdentifyNamespace NvmeDevice::namespace_page(const NvmeNamespace& ns) const {
  nvme::IdentifyNamespace id{};
  id.nsze = id.ncap = id.nuse = ns.block_count;
  id.lbaf[0].lbads = uint8_t(std::countr_zero(ns.block_size));
  id.lbaf[0].ms = ns.metadata_bytes;
  id.nguid = ns.nguid;
  id.eui64 = ns.eui64;
  if (ns.disk->shape().discarded_reads_zero) id.dlfeat = nvme::kDlfeatReadsZeroes;
  if (shape_.deallocates_when_zeroing) id.dlfeat |= nvme::kDlfeatWriteZeroesDeallocates;
  if (shape_.has_copy) {
    id.mssrl = shape_.mssrl;
    id.mcl = shape_.mcl;
    id.msrc = shape_.msrc;
  }
  if (shape_.atomics == NvmeShape::Atomics::kOfNamespace) {
    id.nsfeat |= nvme::kNsfeatAtomics;
    id.nawun = id.nawupf = uint16_t(atomic_blocks(ns) - 1);
  }
  const uint32_t boundary = ns.disk->shape().atomic_boundary_bytes;
  if (boundary != 0) id.nabsn = id.nabspf = uint16_t(boundary / ns.block_size - 1);
  return id;
}

nvme::Status NvmeDevice::create_cq(const nvme::Sqe& sqe) {
  const auto creation = nvme::QueueCreation::from(sqe);
  if (creation.qid == 0 || creation.qid > shape_.io_queues || completion_.contains(creation.qid)) return status::kInvalidQueueId.with_dnr();
  if (creation.entries < 2 || creation.entries > shape_.queue_entries_max) return status::kInvalidQueueSize.with_dnr();
  const uint64_t iova = nvme::prps_of(sqe).prp1;
  if (iova % nvme::kPageBytes != 0 || (sqe.cdw11 & nvme::kQueueContiguous) == 0) return status::kInvalidField.with_dnr();
  if (function_->memory(iova, creation.entries * sizeof(nvme::Cqe)).empty()) fail("nvme-dma", "a completion queue is not mapped");
  completion_[creation.qid] = {.iova = iova, .entries = creation.entries};
  if ((sqe.cdw11 & nvme::kCqInterruptsEnabled) != 0) completion_[creation.qid].vector = uint16_t(sqe.cdw11 >> 16);
  return status::kSuccess;
}

nvme::Status NvmeDevice::create_sq(const nvme::Sqe& sqe) {
  const auto creation = nvme::QueueCreation::from(sqe);
  const auto cqid = uint16_t(sqe.cdw11 >> 16);
  if (cqid == 0 || !completion_.contains(cqid)) return status::kInvalidCompletionQueue.with_dnr();
  if (creation.qid == 0 || creation.qid > shape_.io_queues || submission_.contains(creation.qid)) return status::kInvalidQueueId.with_dnr();
  if (creation.entries < 2 || creation.entries > shape_.queue_entries_max) return status::kInvalidQueueSize.with_dnr();
  const uint64_t iova = nvme::prps_of(sqe).prp1;
  if (iova % nvme::kPageBytes != 0 || (sqe.cdw11 & nvme::kQueueContiguous) == 0) return status::kInvalidField.with_dnr();
  submission_[creation.qid] = {.iova = iova, .entries = creation.entries, .cqid = cqid};
  if (shadow_values_ != 0) fetch_later(creation.qid);
  return status::kSuccess;
}

/// Its commands are forgotten; some are said to be.
nvme::Status NvmeDevice::delete_sq(uint16_t qid) {
  if (qid == 0 || !submission_.contains(qid)) return status::kInvalidQueueId.with_dnr();
  std::vector<uint16_t> cids;
  for (const auto& [key, command] : commands_) {
    if (key.first == qid) cids.push_back(key.second);
  }
  if (!cids.empty()) ++counts_.deletions;
  for (const uint16_t cid : cids) {
    Command& command = *commands_[{qid, cid}];
    forget(command);
    const bool is_said = !command.is_silent && random_.one_in(2);
    commands_.erase({qid, cid});
    const SubmissionQueue& queue = submission_[qid];
    if (!is_said) continue;
    post(queue.cqid, {.dw0 = 0, .dw1 = 0, .sqhd = uint16_t(queue.head), .sqid = qid, .cid = cid, .status = status::kAbortedSqDeleted.to_cqe()});
  }
  submission_.erase(qid);
  return status::kSuccess;
}

nvme::Status NvmeDevice::delete_cq(uint16_t qid) {
  if (qid == 0 || !completion_.contains(qid)) return status::kInvalidQueueId.with_dnr();
  const bool is_used = std::ranges::any_of(submission_, [&](const auto& entry) { return entry.first != 0 && entry.second.cqid == qid; });
  if (is_used) return status::kInvalidQueueDeletion.with_dnr();
  completion_.erase(qid);
  return status::kSuccess;
}

bool NvmeDevice::abort(const nvme::AbortTarget& target) {
  ++counts_.aborts;
  const auto found = commands_.find({target.sqid, target.cid});
  if (found == commands_.end() || happens(faults_.abort_fails_one_in)) return false;
  if (found->second->is_ending) return false;  // to this controller it is done
  forget(*found->second);
  complete_later(*found->second, status::kAbortRequested);
  return true;
}

void NvmeDevice::change(uint32_t nsid, const NvmeNamespace& ns) {
  namespaces_.at(nsid - 1) = ns;
  if (std::ranges::find(changed_, nsid) == changed_.end()) changed_.push_back(nsid);
  raise_event();
}

void NvmeDevice::raise_event() {
  if (changed_.empty() || event_cids_.empty() || !wants_namespace_events_ || is_event_masked_) return;
  is_event_masked_ = true;
  const uint16_t cid = event_cids_.back();
  event_cids_.pop_back();
  answer_admin(cid, status::kSuccess, nvme::kNamespaceAttributeChanged.to_dw0());
}

}  // namespace weft::sim
