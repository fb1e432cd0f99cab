// A queue pair's work: what it sends, and what it takes from its peer. memory_queue_pair.cc has its life.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "base/crc32c.h"
#include "verbs/memory_pattern.h"
#include "verbs/memory_queue_pair.h"
#include "verbs/memory_verbs.h"

namespace weft::verbs {
namespace {

size_t size_of(const std::vector<ibv_sge>& pieces) {
  size_t size = 0;
  for (const ibv_sge& piece : pieces) size += piece.length;
  return size;
}

/// Memory that the poster has, whatever its key says.
std::span<std::byte> memory_of(const ibv_sge& piece) { return {reinterpret_cast<std::byte*>(piece.addr), piece.length}; }

std::vector<std::byte> bytes_of(const std::vector<ibv_sge>& pieces) {
  std::vector<std::byte> bytes;
  for (const ibv_sge& piece : pieces) {
    const auto memory = memory_of(piece);
    bytes.insert(bytes.end(), memory.begin(), memory.end());
  }
  return bytes;
}

ibv_wc_opcode completed_opcode(ibv_wr_opcode opcode) {
  switch (opcode) {
    case IBV_WR_RDMA_READ: return IBV_WC_RDMA_READ;
    case IBV_WR_RDMA_WRITE: return IBV_WC_RDMA_WRITE;
    case IBV_WR_BIND_MW: return IBV_WC_BIND_MW;
    case IBV_WR_LOCAL_INV: return IBV_WC_LOCAL_INV;
    default: return IBV_WC_SEND;  // the others are never taken
  }
}

uint32_t checksum_of(const std::vector<ibv_sge>& pieces) {
  uint32_t checksum = 0;
  for (const ibv_sge& piece : pieces) checksum = checksum * 31 + crc32c(memory_of(piece));
  return checksum;
}

bool is_message(ibv_wr_opcode opcode) { return opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_INV; }

}  // namespace

// --- posting ------------------------------------------------------------------------------------------------------------------------------------

Posted MemoryQueuePair::post_send(ibv_send_wr* sends) {
  ++verbs_.counts.send_posts;
  for (; sends != nullptr; sends = sends->next) {
    if (posted_ - freed_ >= options_.send_entries) return {ENOMEM, sends};
    if (uint32_t(sends->num_sge) > options_.pieces_max) return {EINVAL, sends};
    const bool has_no_data = sends->opcode == IBV_WR_BIND_MW;
    if (has_no_data && (sends->num_sge != 0 || sends->imm_data != 0)) return {EINVAL, sends};  // as soft-RoCE
    Work work{.sequence = posted_, .request = *sends, .pieces = {sends->sg_list, sends->sg_list + sends->num_sge}, .inline_data = {}};
    if (work.is_inline()) {
      if (size_of(work.pieces) > options_.inline_bytes) return {EINVAL, sends};
      work.inline_data = bytes_of(work.pieces);
    }
    ++posted_;
    if (!work.is_local()) work.packet = packets_++;
    Lent lent{.sequence = work.sequence, .request = work.request, .pieces = work.pieces, .checksum = {}};
    if (work.carries_data() && !work.is_inline() && is_registered(work.pieces)) lent.checksum = checksum_of(work.pieces);
    if (work.is_read()) {
      for (const ibv_sge& piece : work.pieces) {
        const auto sink = fabric_.keys_.find({.key = piece.lkey, .address = piece.addr, .size = piece.length, .access = IBV_ACCESS_LOCAL_WRITE, .domain = domain_.id_});
        if (sink) fill_with_pattern({*sink, piece.length});
      }
    }
    if (tap_ != nullptr) tap_->on_posted(tap_end(), work.request, is_message(work.request.opcode) ? bytes_of(work.pieces) : std::vector<std::byte>{});
    lent_.push_back(std::move(lent));
    works_.push_back(std::move(work));
  }
  const auto reads = uint64_t(std::ranges::count_if(works_, [](const Work& work) { return work.is_read(); }));
  verbs_.counts.reads_outstanding_max = std::max(verbs_.counts.reads_outstanding_max, reads);
  if (state_ == State::kConnected) {
    transmit_soon();
  } else {
    flush();
  }
  return {};
}

/// Whether the memory is there to be read: with a wrong key the work request fails, and nothing is.
bool MemoryQueuePair::is_registered(const std::vector<ibv_sge>& pieces) const {
  return std::ranges::all_of(pieces, [this](const ibv_sge& piece) {
    return fabric_.keys_.find({.key = piece.lkey, .address = piece.addr, .size = piece.length, .access = 0, .domain = domain_.id_}).has_value();
  });
}

void MemoryQueuePair::check(const Lent& lent) {
  if (!lent.checksum || checksum_of(lent.pieces) == *lent.checksum) return;
  fabric_.broken(std::string("the data of a ") + (is_message(lent.request.opcode) ? "SEND" : "WRITE") + " has changed before it was known to be done");
}

void MemoryQueuePair::polled(uint64_t sequence) {
  for (; !lent_.empty() && lent_.front().sequence <= sequence; lent_.pop_front()) {
    const Lent& lent = lent_.front();
    check(lent);
    if (tap_ == nullptr) continue;
    const bool is_read = lent.request.opcode == IBV_WR_RDMA_READ;
    tap_->on_done(tap_end(), lent.request, is_read ? bytes_of(lent.pieces) : std::vector<std::byte>{});
  }
  freed_ = std::max(freed_, sequence + 1);
}

void MemoryQueuePair::message_polled(std::span<const std::byte> message) {
  if (tap_ != nullptr) tap_->on_received(tap_end(), message);
}

// --- sending ------------------------------------------------------------------------------------------------------------------------------------

void MemoryQueuePair::transmit_soon() {
  if (std::exchange(is_transmitting_, true)) return;
  fabric_.soon(verbs_.machine_, [&fabric = fabric_, number = number_] {
    MemoryQueuePair* pair = fabric.find(number);
    if (pair == nullptr) return;
    pair->is_transmitting_ = false;
    pair->transmit();
  });
}

/// One work request: anything may happen before the next.
void MemoryQueuePair::transmit() {
  if (state_ != State::kConnected || is_waiting_ || next_ == posted_) return;
  const auto found = std::ranges::find(works_, next_, &Work::sequence);
  WEFT_ASSERT(found != works_.end());
  if (found->is_read() && reads_sent_ >= reads_max_) return;  // as devices do: it goes on when one is answered
  ++next_;
  found->stage = Stage::kSent;
  found->sent_at = fabric_.now();
  const ibv_wc_status status = start(*found);
  if (status != IBV_WC_SUCCESS || found->is_local()) {
    found->stage = Stage::kAnswered;
    found->status = status;
    reap();
  }
  if (state_ == State::kConnected && next_ != posted_) transmit_soon();
}

/// Sends it off, or says why not.
ibv_wc_status MemoryQueuePair::start(Work& work) {
  Packet packet{.from = number_, .to = peer_, .sequence = work.sequence, .number = work.packet, .opcode = work.request.opcode, .data = {}};
  switch (work.request.opcode) {
    case IBV_WR_RDMA_READ:
      ++reads_sent_;
      ++verbs_.counts.reads;
      packet.length = uint32_t(size_of(work.pieces));
      break;
    case IBV_WR_RDMA_WRITE: ++verbs_.counts.writes; break;
    case IBV_WR_SEND: break;  // counted when it is taken
    case IBV_WR_SEND_WITH_INV: packet.key = work.request.invalidate_rkey; break;
    case IBV_WR_BIND_MW: ++verbs_.counts.binds; return bind(work.request);
    case IBV_WR_LOCAL_INV:
      ++verbs_.counts.local_invalidations;
      return fabric_.keys_.invalidate(work.request.invalidate_rkey, domain_.id_, number_) ? IBV_WC_SUCCESS : IBV_WC_MW_BIND_ERR;
    default: return IBV_WC_LOC_QP_OP_ERR;  // libibverbs has more
  }
  if (work.carries_data()) {
    auto data = gather(work);
    if (!data) return IBV_WC_LOC_PROT_ERR;
    packet.data = std::move(*data);
  }
  if (!is_message(work.request.opcode)) {
    packet.address = work.request.wr.rdma.remote_addr;
    packet.key = work.request.wr.rdma.rkey;
  }
  fabric_.carry({verbs_.machine_, peer_machine_, number_}, [&fabric = fabric_, packet = std::move(packet)]() mutable {
    if (MemoryQueuePair* pair = fabric.find(packet.to)) pair->arrived(std::move(packet));
  });
  return IBV_WC_SUCCESS;
}

/// As devices do it: the window is this queue pair's, unbound, and called by its last key; the new one differs in the lowest byte; the region allows it.
ibv_wc_status MemoryQueuePair::bind(const ibv_send_wr& request) {
  const ibv_mw_bind_info& info = request.bind_mw.bind_info;
  const auto window = std::ranges::find_if(windows_, [&](const auto& each) { return &each->mw == request.bind_mw.mw; });
  if (window == windows_.end() || (*window)->last_key != request.bind_mw.mw->rkey) return IBV_WC_MW_BIND_ERR;
  const uint32_t last_key = std::exchange((*window)->last_key, request.bind_mw.rkey);
  const bool is_new = request.bind_mw.rkey != last_key && (request.bind_mw.rkey ^ last_key) < 0x100;
  const int needed = IBV_ACCESS_MW_BIND | ((info.mw_access_flags & IBV_ACCESS_REMOTE_WRITE) != 0 ? IBV_ACCESS_LOCAL_WRITE : 0);
  const auto memory = fabric_.keys_.find({.key = info.mr->lkey, .address = info.addr, .size = info.length, .access = needed, .domain = domain_.id_});
  if (!is_new || fabric_.keys_.contains(last_key) || info.length == 0 || !memory) return IBV_WC_MW_BIND_ERR;
  const MemoryKeys::Entry entry{.bytes = {*memory, info.length}, .access = int(info.mw_access_flags), .domain = domain_.id_, .pair = number_};
  return fabric_.keys_.bind(request.bind_mw.rkey, entry) ? IBV_WC_SUCCESS : IBV_WC_MW_BIND_ERR;
}

std::optional<std::vector<std::byte>> MemoryQueuePair::gather(const Work& work) const {
  if (work.is_inline()) return work.inline_data;
  std::vector<std::byte> data;
  for (const ibv_sge& piece : work.pieces) {
    const auto local = fabric_.keys_.find({.key = piece.lkey, .address = piece.addr, .size = piece.length, .access = 0, .domain = domain_.id_});
    if (!local) {
      fabric_.refused(std::string("a work request's own memory: ") + local.error());
      return std::nullopt;
    }
    data.insert(data.end(), *local, *local + piece.length);
  }
  return data;
}

/// False: the memory is not there to be written.
bool MemoryQueuePair::scatter(const Work& work, std::span<const std::byte> data) {
  const int access = IBV_ACCESS_LOCAL_WRITE | (domain_.device().is_read_sink_remote() ? IBV_ACCESS_REMOTE_WRITE : 0);
  for (const ibv_sge& piece : work.pieces) {
    const auto local = fabric_.keys_.find({.key = piece.lkey, .address = piece.addr, .size = piece.length, .access = access, .domain = domain_.id_});
    if (!local) {
      fabric_.refused(std::string("the sink of a READ: ") + local.error());
      return false;
    }
    if (!is_pattern({*local, piece.length})) fabric_.broken("the sink of a READ was touched before its data came");
    std::ranges::copy(data.first(piece.length), *local);
    data = data.subspan(piece.length);
  }
  return true;
}

void MemoryQueuePair::answered(Answer answer) {
  if (answer.is_not_ready) return not_ready(answer.sequence);
  const auto found = std::ranges::find(works_, answer.sequence, &Work::sequence);
  if (found == works_.end() || found->stage != Stage::kSent) return;
  if (found->is_read()) {
    --reads_sent_;
    if (answer.status == IBV_WC_SUCCESS && !scatter(*found, answer.data)) answer.status = IBV_WC_LOC_PROT_ERR;
    if (next_ != posted_) transmit_soon();
  }
  if (is_message(found->request.opcode) && answer.status == IBV_WC_SUCCESS) {
    ++verbs_.counts.sends;
    verbs_.counts.invalidations += found->request.opcode == IBV_WR_SEND_WITH_INV ? 1 : 0;
  }
  found->stage = Stage::kAnswered;
  found->status = answer.status;
  reap();
}

/// It is sent again, and all that was sent behind it: the other end has taken none of that.
void MemoryQueuePair::not_ready(uint64_t sequence) {
  if (state_ != State::kConnected) return;
  ++verbs_.counts.not_ready;
  for (Work& work : works_) {
    if (work.sequence < sequence || work.stage != Stage::kSent) continue;
    work.stage = Stage::kPosted;
    reads_sent_ -= work.is_read() ? 1 : 0;
  }
  next_ = std::min(next_, sequence);
  is_waiting_ = true;
  fabric_.not_ready(verbs_.machine_, peer_machine_, [&fabric = fabric_, number = number_] {
    MemoryQueuePair* pair = fabric.find(number);
    if (pair == nullptr) return;
    pair->is_waiting_ = false;
    pair->transmit_soon();
  });
}

/// Completes what is answered, in order.
void MemoryQueuePair::reap() {
  while (!works_.empty() && works_.front().stage == Stage::kAnswered) {
    const Work work = std::move(works_.front());
    works_.pop_front();
    const bool has_failed = work.status != IBV_WC_SUCCESS;
    if (has_failed || (work.request.send_flags & IBV_SEND_SIGNALED) != 0) complete(work, work.status);
    if (!has_failed) continue;
    state_ = State::kBroken;
    return flush();
  }
}

void MemoryQueuePair::complete(const Work& work, ibv_wc_status status) {
  domain_.push({.wc = {.wr_id = work.request.wr_id, .status = status, .opcode = completed_opcode(work.request.opcode), .qp_num = number_},
                .sequence = work.sequence,
                .is_send = true});
}

void MemoryQueuePair::flush() {
  for (const Work& work : std::exchange(works_, {})) complete(work, IBV_WC_WR_FLUSH_ERR);
  next_ = posted_;
  reads_sent_ = 0;
}

void MemoryQueuePair::give_up(Instant since) {
  if (state_ == State::kConnecting && asked_at_ < since) return end(Ending::Kind::kUnreachable, ETIMEDOUT, {});
  if (state_ != State::kConnected || works_.empty()) return;
  Work& oldest = works_.front();
  if (oldest.stage != Stage::kSent || oldest.sent_at >= since) return;
  oldest.stage = Stage::kAnswered;
  oldest.status = IBV_WC_RETRY_EXC_ERR;
  reap();
}

// --- receiving ----------------------------------------------------------------------------------------------------------------------------------

/// Nothing is said to who asks a queue pair that is not connected: it gives up in time.
void MemoryQueuePair::arrived(Packet packet) {
  if (state_ != State::kConnected || packet.from != peer_ || packet.number != expected_) return;
  Answer answer = execute(packet);
  if (!answer.is_not_ready) ++expected_;
  fabric_.carry({verbs_.machine_, peer_machine_, number_}, [&fabric = fabric_, to = packet.from, answer = std::move(answer)]() mutable {
    if (MemoryQueuePair* pair = fabric.find(to)) pair->answered(std::move(answer));
  });
}

MemoryQueuePair::Answer MemoryQueuePair::execute(Packet& packet) {
  if (is_message(packet.opcode)) return take_message(packet);
  const bool is_read = packet.opcode == IBV_WR_RDMA_READ;
  const size_t size = is_read ? packet.length : packet.data.size();
  const auto memory = fabric_.keys_.find({.key = packet.key,
                                          .address = packet.address,
                                          .size = size,
                                          .access = is_read ? IBV_ACCESS_REMOTE_READ : IBV_ACCESS_REMOTE_WRITE,
                                          .domain = domain_.id_,
                                          .pair = number_});
  if (!memory) return refuse(packet, IBV_WC_REM_ACCESS_ERR, memory.error());
  if (is_read) return {.sequence = packet.sequence, .data = {*memory, *memory + size}};
  std::ranges::copy(packet.data, *memory);
  return {.sequence = packet.sequence};
}

MemoryQueuePair::Answer MemoryQueuePair::take_message(Packet& packet) {
  if (domain_.receives_.empty()) return {.sequence = packet.sequence, .is_not_ready = true};
  ibv_wc wc{.status = IBV_WC_SUCCESS, .opcode = IBV_WC_RECV, .byte_len = uint32_t(packet.data.size()), .qp_num = number_};
  if (packet.opcode == IBV_WR_SEND_WITH_INV) {
    if (!fabric_.keys_.invalidate(packet.key, domain_.id_, number_)) return refuse(packet, IBV_WC_REM_ACCESS_ERR, "nothing to invalidate");
    wc.wc_flags = IBV_WC_WITH_INV;
    wc.invalidated_rkey = packet.key;
  }
  const auto receive = domain_.take_receive();
  wc.wr_id = receive.wr_id;
  const auto sink = fabric_.keys_.find(
      {.key = receive.piece.lkey, .address = receive.piece.addr, .size = receive.piece.length, .access = IBV_ACCESS_LOCAL_WRITE, .domain = domain_.id_});
  if (!sink || packet.data.size() > receive.piece.length) {
    wc.status = sink ? IBV_WC_LOC_LEN_ERR : IBV_WC_LOC_PROT_ERR;
    domain_.push({.wc = wc});
    fabric_.refused(std::string("a SEND: ") + (sink ? "more than the receive takes" : sink.error()));
    state_ = State::kBroken;  // the receive's completion says so
    flush();
    return {.sequence = packet.sequence, .status = IBV_WC_REM_INV_REQ_ERR};
  }
  if (!is_pattern({*sink, receive.piece.length})) fabric_.broken("the memory of a receive was touched before anything came");
  std::ranges::copy(packet.data, *sink);
  domain_.push({.wc = wc, .message = {*sink, packet.data.size()}});
  return {.sequence = packet.sequence};
}

/// Both ends fail: the sender by a completion, this one by an event of its device, as it has no work request to complete.
MemoryQueuePair::Answer MemoryQueuePair::refuse(const Packet& packet, ibv_wc_status status, const char* why) {
  fabric_.refused(std::string(packet.opcode == IBV_WR_RDMA_READ ? "a READ: " : packet.opcode == IBV_WR_RDMA_WRITE ? "a WRITE: " : "a SEND: ") + why);
  end(Ending::Kind::kFailed, EIO, {});
  return {.sequence = packet.sequence, .status = status};
}

}  // namespace weft::verbs
