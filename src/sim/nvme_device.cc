#include "sim/nvme_device.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "sim/nvme_function.h"
#include "wire/print.h"

#include <algorithm>
#include <cstring>

namespace weft::sim {
namespace {

using nvme::Cc;
using nvme::Csts;
namespace property = nvme::property;

constexpr uint32_t kLow = 0xffffffff;

void set_half(uint64_t& value, bool is_high, uint32_t half) {
  value = is_high ? (value & kLow) | uint64_t{half} << 32 : (value & ~uint64_t{kLow}) | half;
}

}  // namespace

NvmeDevice::NvmeDevice(const Disk::World& world, const NvmeShape& shape, std::vector<NvmeNamespace> namespaces, Prng random)
    : world_(world), shape_(shape), namespaces_(std::move(namespaces)), random_(random) {
  for (size_t i = 0; i < namespaces_.size(); ++i) ports_.push_back(std::make_unique<Port>(*this, i));
}

NvmeDevice::~NvmeDevice() { WEFT_ASSERT(function_ == nullptr); }

bool NvmeDevice::is_gone() const {
  for (size_t i = 0; i < removals_.size(); ++i) {
    if (!namespaces_[i].disk->is_there_since(removals_[i])) return true;
  }
  return false;
}

void NvmeDevice::attach(NvmeFunction& function) {
  WEFT_ASSERT(function_ == nullptr);
  function_ = &function;
  for (const NvmeNamespace& ns : namespaces_) removals_.push_back(ns.disk->open());
}

void NvmeDevice::detach() {
  forget_everything();
  cc_ = csts_ = 0;
  removals_.clear();
  function_ = nullptr;
}

void NvmeDevice::isolate() {
  ++counts_.isolations;
  forget_everything();
  cc_ = csts_ = 0;
}

/// As CC.EN to 0 does: what the disks still have may have been done in part, and is not done later.
void NvmeDevice::forget_everything() {
  ++epoch_;
  for (auto& [key, command] : commands_) forget(*command);
  commands_.clear();
  submission_.clear();
  completion_.clear();
  event_cids_.clear();
  wants_namespace_events_ = is_event_masked_ = false;
  shadow_values_ = shadow_events_ = 0;
}

void NvmeDevice::forget(Command& command) {
  if (command.number != 0) namespaces_[command.namespace_index].disk->abandon(command.number);
  command.number = 0;
}

void NvmeDevice::fail(std::string_view checker, std::string what) {
  world_.referee.fail(checker, fmt::format("{}: {}", shape_.name, what));
}

Duration NvmeDevice::draw(int64_t microseconds) { return nanoseconds(100 + int64_t(random_.below(uint64_t(microseconds) * 1000))); }

bool NvmeDevice::happens(uint64_t one_in) { return one_in != 0 && random_.one_in(one_in); }

// --- registers ---------------------------------------------------------------------------------------------------------

uint32_t NvmeDevice::read32(uint32_t offset) const {
  if (is_gone()) return nvme::kAllOnes;
  const uint64_t cap = nvme::Cap{.queue_entries_max = shape_.queue_entries_max,
                                 .timeout_500ms = shape_.ready_timeout_500ms,
                                 .doorbell_stride_log2 = shape_.doorbell_stride_log2,
                                 .has_nvm_commands = true}
                           .to_wire();
  switch (offset) {
    case property::kCap:
      return uint32_t(cap);
    case property::kCap + 4:
      return uint32_t(cap >> 32);
    case property::kVs:
      return nvme::kVersion2_0;
    case property::kCc:
      return cc_;
    case property::kCsts:
      return csts_;
    default:
      return 0;
  }
}

void NvmeDevice::write32(uint32_t offset, uint32_t value) {
  if (is_gone()) return;
  switch (offset) {
    case property::kCc:
      return on_cc(value);
    case property::kAqa:
      aqa_ = value;
      return;
    case property::kAsq:
    case property::kAsq + 4:
      return set_half(asq_, offset != property::kAsq, value);
    case property::kAcq:
    case property::kAcq + 4:
      return set_half(acq_, offset != property::kAcq, value);
    default:
      if (offset >= property::kDoorbells) return ring(offset - property::kDoorbells, value);
  }
}

void NvmeDevice::on_cc(uint32_t value) {
  const Cc before{cc_}, next{value};
  cc_ = value;
  if (next.en() && !before.en()) return start_enabling();
  if (!next.en() && before.en()) {
    ++counts_.resets;
    world_.trace.note(world_.agenda.now(), "{}: disabled", shape_.name);
    forget_everything();
    csts_ &= Csts::kRdy;
    world_.agenda.after(draw(2000), [this, epoch = epoch_] {
      if (epoch == epoch_) csts_ = 0;
    });
    return;
  }
  if (next.shn() != 0 && before.shn() == 0) start_shutdown();
}

void NvmeDevice::start_enabling() {
  if (faults_.never_ready > 0) {
    --faults_.never_ready;
    return;
  }
  after(draw(5000), [this] {
    const auto attributes = nvme::AdminQueueAttributes::from_wire(aqa_);
    submission_[0] = {.iova = asq_, .entries = attributes.submission_entries};
    completion_[0] = {.iova = acq_, .entries = attributes.completion_entries, .vector = 0};
    csts_ = Csts::kRdy;
    world_.trace.note(world_.agenda.now(), "{}: ready", shape_.name);
  });
}

void NvmeDevice::start_shutdown() {
  csts_ = (csts_ & ~Csts::kShstMask) | Csts::kShstOccurring;
  after(draw(3000), [this] {
    for (const NvmeNamespace& ns : namespaces_) ns.disk->flush();
    csts_ = (csts_ & ~Csts::kShstMask) | Csts::kShstComplete;
  });
}

// --- submission --------------------------------------------------------------------------------------------------------

void NvmeDevice::ring(uint32_t offset, uint32_t value) {
  ++counts_.doorbells;
  const uint32_t stride = 4u << shape_.doorbell_stride_log2;
  const auto qid = uint16_t(offset / stride / 2);
  const bool is_head = offset / stride % 2 != 0;
  if ((csts_ & Csts::kCfs) != 0) return;
  const uint32_t entries = is_head ? (completion_.contains(qid) ? completion_[qid].entries : 0)
                                   : (submission_.contains(qid) ? submission_[qid].entries : 0);
  if (value >= entries || offset % stride != 0) {
    return fail("nvme-queue", fmt::format("doorbell {} of queue {} was written with {}, of {} entries", is_head ? "head" : "tail", qid, value, entries));
  }
  if (!is_head) {
    submission_[qid].tail = value;
    return fetch_later(qid);
  }
  CompletionQueue& queue = completion_[qid];
  const uint32_t given = (queue.tail + queue.entries - queue.head) % queue.entries;
  if ((value + queue.entries - queue.head) % queue.entries > given) {
    return fail("nvme-queue", fmt::format("the head of completion queue {} went from {} to {}, beyond the tail {}", qid, queue.head, value, queue.tail));
  }
  queue.head = value;
  drain(qid);
}

void NvmeDevice::fetch_later(uint16_t sqid) {
  after(draw(5), [this, sqid] { fetch(sqid); });
}

/// Takes the entries up to the tail. While it is busy it looks at the shadow by itself; then it asks to be told.
void NvmeDevice::fetch(uint16_t sqid) {
  const auto found = submission_.find(sqid);
  if (found == submission_.end()) return;
  SubmissionQueue& queue = found->second;
  if (shadow_values_ != 0 && sqid != 0) look_at_shadows(sqid);
  while (queue.head != queue.tail && !world_.referee.finding()) take(sqid);
  if (shadow_values_ == 0 || sqid == 0) return;
  if (random_.one_in(2)) return fetch_later(sqid);
  const uint32_t stride = 4u << shape_.doorbell_stride_log2;
  const le32 event = queue.tail;
  std::ranges::copy(bytes_of(event), function_->memory(shadow_events_ + nvme::sq_tail_doorbell(sqid, stride), sizeof event).begin());
  const uint32_t tail = queue.tail;
  look_at_shadows(sqid);
  if (queue.tail != tail) fetch_later(sqid);
}

void NvmeDevice::look_at_shadows(uint16_t sqid) {
  const uint32_t stride = 4u << shape_.doorbell_stride_log2;
  const auto value = [&](uint32_t offset) { return load_le32(function_->seen(shadow_values_ + offset, 4).data()); };
  SubmissionQueue& queue = submission_[sqid];
  const uint32_t tail = value(nvme::sq_tail_doorbell(sqid, stride));
  if (tail >= queue.entries) return fail("nvme-queue", fmt::format("the shadow tail of queue {} is {}", sqid, tail));
  queue.tail = tail;
  if (const auto found = completion_.find(queue.cqid); found != completion_.end()) {
    found->second.head = value(nvme::cq_head_doorbell(queue.cqid, stride)) % found->second.entries;
    drain(queue.cqid);
  }
}

std::span<const std::byte> NvmeDevice::seen(uint64_t iova, size_t size) {
  const auto bytes = function_->seen(iova, size);
  if (bytes.empty()) fail("nvme-dma", fmt::format("{} bytes at {:#x} are to be read, which are not mapped", size, iova));
  return bytes;
}

void NvmeDevice::take(uint16_t sqid) {
  SubmissionQueue& queue = submission_[sqid];
  const uint64_t iova = queue.iova + uint64_t{queue.head} * sizeof(nvme::Sqe);
  const auto bytes = seen(iova, sizeof(nvme::Sqe));
  if (bytes.empty()) return;
  const nvme::Sqe sqe = *view<nvme::Sqe>(bytes);
  if (!std::ranges::equal(bytes, function_->memory(iova, sizeof(nvme::Sqe)))) {
    return fail("nvme-queue", fmt::format("entry {} of queue {} is fetched as {}, for it was not published", queue.head, sqid, to_text(sqe, sqid)));
  }
  queue.head = (queue.head + 1) % queue.entries;
  begin(sqid, sqe);
}

void NvmeDevice::begin(uint16_t sqid, const nvme::Sqe& sqe) {
  const Key key{sqid, sqe.cid};
  world_.trace.note(world_.agenda.now(), "{}: queue {} gets {:#06x} opcode {:02x}h", shape_.name, sqid, key.second, sqe.opcode);
  const bool is_event = sqid == 0 && std::ranges::find(event_cids_, uint16_t{sqe.cid}) != event_cids_.end();
  if (commands_.contains(key) || is_event) {
    return fail("nvme-queue", fmt::format("command ID {} of queue {} is in use", uint16_t{sqe.cid}, sqid));
  }
  if (sqid == 0) return execute_admin(sqe);
  ++counts_.commands;
  ++counts_.by_opcode[sqe.opcode];
  if (happens(faults_.fatal_one_in)) {
    ++counts_.fatal;
    world_.trace.note(world_.agenda.now(), "{}: fatal", shape_.name);
    csts_ |= Csts::kCfs;
    return;
  }
  auto command = std::make_unique<Command>();
  command->serial = ++serial_;
  command->sqid = sqid;
  command->sqe = sqe;
  Command& begun = *command;
  commands_.emplace(key, std::move(command));
  execute_io(begun);
}

// --- completion --------------------------------------------------------------------------------------------------------

void NvmeDevice::answer_admin(uint16_t cid, nvme::Status status, uint32_t dw0) {
  after(draw(20), [this, cid, status, dw0] {
    post(0, {.dw0 = dw0, .dw1 = 0, .sqhd = uint16_t(submission_[0].head), .sqid = 0, .cid = cid, .status = status.to_cqe()});
  });
}

void NvmeDevice::complete_later(Command& command, nvme::Status status) {
  command.is_ending = true;
  after(draw(20), [this, key = Key{command.sqid, command.sqe.cid}, serial = command.serial, status] { complete(key, serial, status); });
}

/// Ends a command: with its completion, with none, or with one that is wrong.
void NvmeDevice::complete(Key key, uint64_t serial, nvme::Status status) {
  const auto command = commands_.find(key);
  if (command == commands_.end() || command->second->serial != serial) return;  // forgotten meanwhile
  if (happens(faults_.completion_lost_one_in)) {
    ++counts_.lost;
    command->second->is_silent = true;
    return;
  }
  if (!status.ok()) note_error(*command->second, status);
  commands_.erase(command);
  ++counts_.completions;
  const SubmissionQueue& queue = submission_[key.first];
  nvme::Cqe cqe{.dw0 = 0, .dw1 = 0, .sqhd = uint16_t(queue.head), .sqid = key.first, .cid = key.second, .status = status.to_cqe()};
  if (happens(faults_.twice_one_in)) {
    ++counts_.lies;
    after(draw(200), [this, cqid = queue.cqid, cqe] { post(cqid, cqe); });
  } else if (happens(faults_.wrong_cid_one_in)) {
    ++counts_.lies;
    cqe.cid = uint16_t(0xffff - random_.below(100));
  } else if (happens(faults_.wrong_sqhd_one_in)) {
    ++counts_.lies;
    cqe.sqhd = uint16_t(queue.entries + random_.below(10));
  }
  post(queue.cqid, cqe);
}

void NvmeDevice::post(uint16_t cqid, nvme::Cqe cqe) {
  const auto found = completion_.find(cqid);
  if (found == completion_.end()) return;
  world_.trace.note(world_.agenda.now(), "{}: queue {} answers {:#06x} with {}", shape_.name, cqid, uint16_t{cqe.cid}, to_text(cqe.decoded_status()));
  found->second.waiting.push_back(cqe);
  drain(cqid);
}

void NvmeDevice::drain(uint16_t cqid) {
  CompletionQueue& queue = completion_[cqid];
  bool is_news = false;
  while (!queue.waiting.empty() && (queue.tail + 1) % queue.entries != queue.head) {
    nvme::Cqe cqe = queue.waiting.front();
    queue.waiting.pop_front();
    cqe.status = uint16_t(cqe.status | (queue.phase ? 1 : 0));
    const uint64_t iova = queue.iova + uint64_t{queue.tail} * sizeof cqe;
    const auto memory = function_->memory(iova, sizeof cqe);
    if (memory.empty()) return fail("nvme-dma", fmt::format("completion queue {} is not mapped any more", cqid));
    if (random_.one_in(2)) {
      // The phase bit is there before the rest, for who does not observe. What was there before it stays until then.
      ++counts_.half_visible;
      constexpr size_t kStatus = offsetof(nvme::Cqe, status);
      function_->write_later(iova, bytes_of(cqe).first(kStatus));
      std::ranges::copy(bytes_of(cqe).subspan(kStatus), memory.begin() + kStatus);
    } else {
      std::ranges::copy(bytes_of(cqe), memory.begin());
    }
    is_news = true;
    if (++queue.tail == queue.entries) {
      queue.tail = 0;
      queue.phase = !queue.phase;
    }
  }
  if (!is_news || !queue.vector) return;
  ++counts_.interrupts;
  function_->interrupt(*queue.vector);
}

}  // namespace weft::sim
