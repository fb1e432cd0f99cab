// Queue pairs in memory: connecting, work requests, the end.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "verbs/memory_verbs.h"

namespace weft::verbs {

namespace {

std::vector<std::byte> copy_of(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

size_t size_of(const std::vector<ibv_sge>& pieces) {
  size_t size = 0;
  for (const ibv_sge& piece : pieces) size += piece.length;
  return size;
}

}  // namespace

// --- its life ------------------------------------------------------------------------------------------------------------------

MemoryQueuePair::MemoryQueuePair(MemoryVerbs& verbs, MemoryDomain& domain, std::shared_ptr<MemoryCall> call, const QueuePairOptions& options,
                                 QueuePairEvents& events)
    : verbs_(verbs), domain_(domain), call_(std::move(call)), options_(options), events_(events), number_(verbs.fabric_.next_number_++) {
  verbs.queue_pairs_.push_back(this);
  verbs.fabric_.queue_pairs_.emplace(number_, this);
  for (uint32_t i = 0; i < options.windows; ++i) {
    const uint32_t key = std::exchange(verbs.fabric_.next_window_key_, verbs.fabric_.next_window_key_ + 0x100);
    windows_.push_back(std::make_unique<Window>(Window{.mw = {.context = {}, .pd = {}, .rkey = key, .handle = 0, .type = IBV_MW_TYPE_2}, .last_key = key}));
  }
}

MemoryQueuePair::~MemoryQueuePair() {
  if (call_ != nullptr && call_->client == this) call_->client = nullptr;
  if (peer_ != nullptr) peer_->peer_ = nullptr;
  std::erase(verbs_.queue_pairs_, this);
  std::erase(verbs_.fabric_.unestablished_, this);
  verbs_.fabric_.queue_pairs_.erase(number_);
  std::erase_if(verbs_.fabric_.regions_, [this](const auto& region) { return region.second.pair == this; });
}

void MemoryQueuePair::accept(const AcceptOptions& options) {
  WEFT_ASSERT(state_ == State::kIdle && options.initiated_reads <= call_->answered_reads);
  MemoryQueuePair* client = call_->client;
  if (client == nullptr) return end(Ending::Kind::kUnreachable, {});
  state_ = client->state_ = State::kConnected;
  peer_ = client;
  client->peer_ = this;
  client->verbs_.post([client, data = copy_of(options.private_data)] { client->events_.on_established({.private_data = data}); });
  if (verbs_.fabric_.is_establishment_held) {
    verbs_.fabric_.unestablished_.push_back(this);
  } else {
    verbs_.post([this] { events_.on_established({}); });
  }
}

void MemoryQueuePair::connect(const ConnectOptions& options) {
  WEFT_ASSERT(state_ == State::kIdle);
  state_ = State::kConnecting;
  const auto found = verbs_.fabric_.listeners_.find(call_->route.to.port);
  if (found == verbs_.fabric_.listeners_.end()) return end(Ending::Kind::kUnreachable, {});
  call_->client = this;
  call_->private_data = copy_of(options.private_data);
  call_->answered_reads = options.answered_reads;
  MemoryListener& listener = *found->second;
  listener.verbs_.post([call = call_, &fabric = verbs_.fabric_, port = listener.address_.port] {
    const auto target = fabric.listeners_.find(port);
    MemoryHandle request{MemoryHandle::Kind::kRequest, call};
    if (target == fabric.listeners_.end()) return;  // rejects
    const RequestInfo info{.device = fabric.device,
                           .private_data = call->private_data,
                           .initiator_depth = call->answered_reads,
                           .responder_resources = 0,
                           .local = target->second->address(),
                           .peer = {call->route.from.empty() ? "127.0.0.2" : call->route.from, 1, false}};
    target->second->events_.on_request(std::move(request), info);
  });
}

void MemoryQueuePair::disconnect() {
  MemoryQueuePair* peer = peer_;
  end(Ending::Kind::kDisconnected, {});
  if (peer != nullptr) peer->end(Ending::Kind::kDisconnected, {});
}

void MemoryQueuePair::retire() {
  if (MemoryQueuePair* peer = std::exchange(peer_, nullptr)) {
    peer->peer_ = nullptr;
    peer->end(Ending::Kind::kDisconnected, {});
  }
  verbs_.post([this] { events_.on_retired(); });
}

void MemoryQueuePair::end(Ending::Kind kind, std::vector<std::byte> private_data) {
  if (std::exchange(state_, State::kEnded) == State::kEnded) return;
  if (call_ != nullptr && call_->client == this) call_->client = nullptr;  // nobody is there to be accepted
  flush();
  verbs_.post([this, kind, data = std::move(private_data)] { events_.on_ended({.kind = kind, .private_data = data}); });
  if (!verbs_.fabric_.is_drain_silent) verbs_.post([this] { events_.on_drained(); });
}

// --- work ----------------------------------------------------------------------------------------------------------------------

Posted MemoryQueuePair::post_send(ibv_send_wr* sends) {
  ++verbs_.counts.send_posts;
  for (; sends != nullptr; sends = sends->next) {
    if (posted_ - freed_ >= options_.send_entries) return {ENOMEM, sends};
    if (uint32_t(sends->num_sge) > options_.pieces_max) return {EINVAL, sends};
    const bool has_no_data = sends->opcode == IBV_WR_BIND_MW;
    if (has_no_data && (sends->num_sge != 0 || sends->imm_data != 0)) return {EINVAL, sends};  // as soft-RoCE
    Work work{.request = *sends, .pieces = {sends->sg_list, sends->sg_list + sends->num_sge}, .inline_data = {}, .sequence = posted_++};
    if ((sends->send_flags & IBV_SEND_INLINE) != 0) {
      if (size_of(work.pieces) > options_.inline_bytes) return {EINVAL, sends};
      for (const ibv_sge& piece : work.pieces) {
        const auto* from = reinterpret_cast<const std::byte*>(piece.addr);
        work.inline_data.insert(work.inline_data.end(), from, from + piece.length);
      }
    }
    pending_.push_back(std::move(work));
  }
  const auto reads = std::ranges::count_if(pending_, [](const Work& work) { return work.request.opcode == IBV_WR_RDMA_READ; });
  verbs_.counts.reads_outstanding_max = std::max(verbs_.counts.reads_outstanding_max, uint64_t(reads));
  if (state_ != State::kConnected) flush();
  return {};
}

size_t MemoryQueuePair::run() {
  size_t done = 0;
  for (; state_ == State::kConnected && !pending_.empty(); ++done) {
    Work work = std::move(pending_.front());
    pending_.pop_front();
    if (execute(work) == Done::kNotReady) {
      ++verbs_.counts.not_ready;
      pending_.push_front(std::move(work));
      break;
    }
  }
  return done;
}

MemoryQueuePair::Done MemoryQueuePair::execute(Work& work) {
  ibv_wc_status status = IBV_WC_SUCCESS;
  switch (work.request.opcode) {
    case IBV_WR_RDMA_WRITE:
      ++verbs_.counts.writes;
      status = transfer(work, IBV_ACCESS_REMOTE_WRITE, 0);
      break;
    case IBV_WR_RDMA_READ: {
      ++verbs_.counts.reads;
      const bool is_sink_remote = domain_.device().is_read_sink_remote();
      status = transfer(work, IBV_ACCESS_REMOTE_READ, IBV_ACCESS_LOCAL_WRITE | (is_sink_remote ? IBV_ACCESS_REMOTE_WRITE : 0));
      break;
    }
    case IBV_WR_BIND_MW:
      ++verbs_.counts.binds;
      status = bind(work.request);
      break;
    case IBV_WR_LOCAL_INV:
      ++verbs_.counts.local_invalidations;
      if (!verbs_.fabric_.invalidate(work.request.invalidate_rkey, *this)) status = IBV_WC_MW_BIND_ERR;
      break;
    case IBV_WR_SEND:
    case IBV_WR_SEND_WITH_INV:
      if (deliver(work, status) == Done::kNotReady) return Done::kNotReady;
      break;
    default: status = IBV_WC_LOC_QP_OP_ERR; break;  // libibverbs has more
  }
  if (status != IBV_WC_SUCCESS || (work.request.send_flags & IBV_SEND_SIGNALED) != 0) complete(work, status);
  if (status != IBV_WC_SUCCESS) {
    state_ = State::kBroken;
    flush();
  }
  return Done::kYes;
}

ibv_wc_status MemoryQueuePair::transfer(const Work& work, int remote_access, int local_access) {
  uint64_t remote_address = work.request.wr.rdma.remote_addr;
  for (const ibv_sge& piece : work.pieces) {
    std::byte* local = verbs_.fabric_.translate(piece.lkey, piece.addr, piece.length, local_access, domain_, nullptr);
    if (local == nullptr) return IBV_WC_LOC_PROT_ERR;
    std::byte* remote = verbs_.fabric_.translate(work.request.wr.rdma.rkey, remote_address, piece.length, remote_access, peer_->domain_, peer_);
    if (remote == nullptr) return IBV_WC_REM_ACCESS_ERR;
    const bool is_read = work.request.opcode == IBV_WR_RDMA_READ;
    std::memcpy(is_read ? local : remote, is_read ? remote : local, piece.length);
    remote_address += piece.length;
  }
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
  std::byte* memory = verbs_.fabric_.translate(info.mr->lkey, info.addr, info.length, needed, domain_, nullptr);
  if (!is_new || verbs_.fabric_.regions_.contains(last_key) || info.length == 0 || memory == nullptr) return IBV_WC_MW_BIND_ERR;
  verbs_.fabric_.regions_.emplace(request.bind_mw.rkey, MemoryFabric::Registered{{memory, info.length}, int(info.mw_access_flags), &domain_, this});
  return IBV_WC_SUCCESS;
}

std::optional<std::vector<std::byte>> MemoryQueuePair::gather(const Work& work) const {
  if ((work.request.send_flags & IBV_SEND_INLINE) != 0) return work.inline_data;
  std::vector<std::byte> data;
  for (const ibv_sge& piece : work.pieces) {
    const std::byte* local = verbs_.fabric_.translate(piece.lkey, piece.addr, piece.length, 0, domain_, nullptr);
    if (local == nullptr) return std::nullopt;
    data.insert(data.end(), local, local + piece.length);
  }
  return data;
}

MemoryQueuePair::Done MemoryQueuePair::deliver(Work& work, ibv_wc_status& status) {
  MemoryDomain& target = peer_->domain_;
  const bool invalidates = work.request.opcode == IBV_WR_SEND_WITH_INV;
  const auto data = gather(work);
  if (!data) {
    status = IBV_WC_LOC_PROT_ERR;
    return Done::kYes;
  }
  if (target.receives_.empty()) return Done::kNotReady;
  ++verbs_.counts.sends;
  verbs_.counts.invalidations += invalidates ? 1 : 0;
  const auto [wr_id, piece] = target.receives_.front();
  target.receives_.pop_front();
  if (target.receives_.size() < target.receive_limit_) {
    target.receive_limit_ = 0;
    target.verbs_.post([&target] { target.events_.on_receives_low(); });
  }
  std::byte* sink = verbs_.fabric_.translate(piece.lkey, piece.addr, piece.length, IBV_ACCESS_LOCAL_WRITE, target, nullptr);
  if (data->size() > piece.length || sink == nullptr) {
    target.push({.wc = {.wr_id = wr_id, .status = sink == nullptr ? IBV_WC_LOC_PROT_ERR : IBV_WC_LOC_LEN_ERR, .qp_num = peer_->number_}, .sequence = 0, .is_send = false});
    peer_->state_ = State::kBroken;
    peer_->flush();
    status = IBV_WC_REM_INV_REQ_ERR;
    return Done::kYes;
  }
  ibv_wc wc{.wr_id = wr_id, .status = IBV_WC_SUCCESS, .opcode = IBV_WC_RECV, .byte_len = uint32_t(data->size()), .qp_num = peer_->number_};
  if (invalidates) {
    if (!verbs_.fabric_.invalidate(work.request.invalidate_rkey, *peer_)) {
      target.receives_.emplace_front(wr_id, piece);
      status = IBV_WC_REM_ACCESS_ERR;
      return Done::kYes;
    }
    wc.wc_flags = IBV_WC_WITH_INV;
    wc.invalidated_rkey = work.request.invalidate_rkey;
  }
  std::memcpy(sink, data->data(), data->size());
  target.push({.wc = wc, .sequence = 0, .is_send = false});
  return Done::kYes;
}

void MemoryQueuePair::complete(const Work& work, ibv_wc_status status) {
  const auto opcode = [&] {
    switch (work.request.opcode) {
      case IBV_WR_RDMA_READ: return IBV_WC_RDMA_READ;
      case IBV_WR_RDMA_WRITE: return IBV_WC_RDMA_WRITE;
      case IBV_WR_BIND_MW: return IBV_WC_BIND_MW;
      case IBV_WR_LOCAL_INV: return IBV_WC_LOCAL_INV;
      default: return IBV_WC_SEND;
    }
  }();
  domain_.push({.wc = {.wr_id = work.request.wr_id, .status = status, .opcode = opcode, .qp_num = number_}, .sequence = work.sequence, .is_send = true});
}

void MemoryQueuePair::flush() {
  for (const Work& work : std::exchange(pending_, {})) complete(work, IBV_WC_WR_FLUSH_ERR);
}

}  // namespace weft::verbs
