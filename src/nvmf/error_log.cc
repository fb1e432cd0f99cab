#include "nvmf/error_log.h"

#include <utility>

#include "base/assert.h"
#include "base/simulation.h"
#include "nvmf/controller.h"
#include "nvmf/shard.h"

namespace weft::nvmf {

void ErrorLog::add(nvme::ErrorLogEntry entry) {
  entry.error_count = ++count_;
  if (count_ == entries_.size() + 1) WEFT_PROBE("nvmf/error-log-wraps");
  entries_[(count_ - 1) % entries_.size()] = entry;
}

nvme::ErrorLogEntry ErrorLog::newest(uint32_t i) const {
  if (i >= entries_.size() || i >= count_) return {};
  return entries_[(count_ - 1 - i) % entries_.size()];
}

nvme::ErrorLogEntry error_entry(const Command& command, nvme::Status status, uint16_t parameter_location) {
  WEFT_ASSERT(command.queue != nullptr);
  nvme::ErrorLogEntry entry{};
  entry.sqid = command.queue->qid();
  entry.cid = command.cid();
  entry.status_field = status.to_cqe();
  entry.parameter_error_location = parameter_location;
  entry.opcode = command.sqe.opcode;
  entry.trtype = uint8_t(command.queue->origin().type);
  if (command.sqe.opcode == nvme::kFabricsOpcode) return entry;  // has neither namespace nor blocks
  entry.nsid = command.sqe.nsid;
  if (!command.queue->is_admin()) entry.lba = command.sqe.slba();
  return entry;
}

void fail_command(Controller& controller, Command& command, nvme::Status status, size_t parameter_location) {
  const nvme::Status final = status.with_dnr().with_more();
  controller.errors().add(error_entry(command, final, uint16_t(parameter_location)));
  command.queue->complete(command, final);
}

}  // namespace weft::nvmf
