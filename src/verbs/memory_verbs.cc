#include "verbs/memory_verbs.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace weft::verbs {

static_assert(Verbs<MemoryVerbs>);

namespace {

std::vector<std::byte> copy_of(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

size_t size_of(const std::vector<ibv_sge>& pieces) {
  size_t size = 0;
  for (const ibv_sge& piece : pieces) size += piece.length;
  return size;
}

}  // namespace

// --- MemoryFabric ---------------------------------------------------------------------------------------------------------------------------

std::byte* MemoryFabric::translate(uint32_t key, uint64_t address, size_t size, int access, const MemoryDomain& domain) const {
  const auto found = regions_.find(key);
  if (found == regions_.end() || found->second.domain != &domain || (found->second.access & access) != access) return nullptr;
  const auto start = reinterpret_cast<uint64_t>(found->second.bytes.data());
  if (address < start || size > found->second.bytes.size() || address - start > found->second.bytes.size() - size) return nullptr;
  return found->second.bytes.data() + (address - start);
}

void MemoryFabric::release_established() {
  is_establishment_held = false;
  for (MemoryQueuePair* pair : std::exchange(unestablished_, {})) {
    pair->verbs_.post([pair] { pair->events_.on_established({}); });
  }
}

// --- MemoryHandle, MemoryListener -------------------------------------------------------------------------------------------------------------

MemoryHandle::~MemoryHandle() {
  if (call_ != nullptr && kind_ == Kind::kRequest) reject({});
}

void MemoryHandle::reject(std::span<const std::byte> private_data) {
  WEFT_ASSERT(kind_ == Kind::kRequest);
  const auto call = std::exchange(call_, nullptr);
  if (MemoryQueuePair* client = call->client) client->end(Ending::Kind::kRejected, copy_of(private_data));
}

MemoryListener::~MemoryListener() { verbs_.fabric_.listeners_.erase(address_.port); }

// --- MemoryDomain -----------------------------------------------------------------------------------------------------------------------------

MemoryDomain::MemoryDomain(MemoryVerbs& verbs, const DomainOptions& options, DomainEvents& events) : verbs_(verbs), options_(options), events_(events) {
  for (const RegionRequest& region : options.regions) {
    keys_.push_back(verbs.fabric_.next_key_++);
    verbs.fabric_.regions_.emplace(keys_.back(), MemoryFabric::Registered{region.bytes, region.access, this});
  }
}

MemoryDomain::~MemoryDomain() {
  for (const uint32_t key : keys_) verbs_.fabric_.regions_.erase(key);
}

const Device& MemoryDomain::device() const { return verbs_.fabric_.device; }

Posted MemoryDomain::post_receive(ibv_recv_wr* receives) {
  ++verbs_.counts.receive_posts;
  for (; receives != nullptr; receives = receives->next) {
    const bool is_well_made = receives->num_sge == 1 && receives_.size() < options_.receive_entries;
    if (!is_well_made) return {ENOMEM, receives};
    receives_.emplace_back(receives->wr_id, *receives->sg_list);
    ++verbs_.counts.receives;
  }
  return {};
}

int MemoryDomain::poll(std::span<ibv_wc> completions) {
  size_t count = 0;
  for (; count < completions.size() && !completions_.empty(); ++count) {
    const Completion done = completions_.front();
    completions_.pop_front();
    completions[count] = done.wc;
    if (!done.is_send) continue;
    ++verbs_.counts.send_completions;
    const auto pair = verbs_.fabric_.queue_pairs_.find(done.wc.qp_num);
    if (pair != verbs_.fabric_.queue_pairs_.end()) pair->second->freed_ = done.sequence + 1;
  }
  return int(count);
}

void MemoryDomain::close() {
  for (const uint32_t key : std::exchange(keys_, {})) verbs_.fabric_.regions_.erase(key);
  verbs_.post([this] { events_.on_closed(); });
}

void MemoryDomain::push(const Completion& completion) {
  WEFT_ASSERT(completions_.size() < options_.completion_entries);
  completions_.push_back(completion);
  if (std::exchange(is_armed_, false)) verbs_.post([this] { events_.on_completions(); });
}

// --- MemoryQueuePair: its life ------------------------------------------------------------------------------------------------------------------

MemoryQueuePair::MemoryQueuePair(MemoryVerbs& verbs, MemoryDomain& domain, std::shared_ptr<MemoryCall> call, const QueuePairOptions& options,
                                 QueuePairEvents& events)
    : verbs_(verbs), domain_(domain), call_(std::move(call)), options_(options), events_(events), number_(verbs.fabric_.next_number_++) {
  verbs.queue_pairs_.push_back(this);
  verbs.fabric_.queue_pairs_.emplace(number_, this);
}

MemoryQueuePair::~MemoryQueuePair() {
  if (call_ != nullptr && call_->client == this) call_->client = nullptr;
  if (peer_ != nullptr) peer_->peer_ = nullptr;
  std::erase(verbs_.queue_pairs_, this);
  std::erase(verbs_.fabric_.unestablished_, this);
  verbs_.fabric_.queue_pairs_.erase(number_);
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
  const auto found = verbs_.fabric_.listeners_.find(call_->address.port);
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
                           .peer = {"127.0.0.2", 1, false}};
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
  flush();
  verbs_.post([this, kind, data = std::move(private_data)] { events_.on_ended({.kind = kind, .private_data = data}); });
  if (!verbs_.fabric_.is_drain_silent) verbs_.post([this] { events_.on_drained(); });
}

// --- MemoryQueuePair: work ----------------------------------------------------------------------------------------------------------------------

Posted MemoryQueuePair::post_send(ibv_send_wr* sends) {
  ++verbs_.counts.send_posts;
  for (; sends != nullptr; sends = sends->next) {
    if (posted_ - freed_ >= options_.send_entries) return {ENOMEM, sends};
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
    std::byte* local = verbs_.fabric_.translate(piece.lkey, piece.addr, piece.length, local_access, domain_);
    if (local == nullptr) return IBV_WC_LOC_PROT_ERR;
    std::byte* remote = verbs_.fabric_.translate(work.request.wr.rdma.rkey, remote_address, piece.length, remote_access, peer_->domain_);
    if (remote == nullptr) return IBV_WC_REM_ACCESS_ERR;
    const bool is_read = work.request.opcode == IBV_WR_RDMA_READ;
    std::memcpy(is_read ? local : remote, is_read ? remote : local, piece.length);
    remote_address += piece.length;
  }
  return IBV_WC_SUCCESS;
}

std::optional<std::vector<std::byte>> MemoryQueuePair::gather(const Work& work) const {
  if ((work.request.send_flags & IBV_SEND_INLINE) != 0) return work.inline_data;
  std::vector<std::byte> data;
  for (const ibv_sge& piece : work.pieces) {
    const std::byte* local = verbs_.fabric_.translate(piece.lkey, piece.addr, piece.length, 0, domain_);
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
  std::byte* sink = verbs_.fabric_.translate(piece.lkey, piece.addr, piece.length, IBV_ACCESS_LOCAL_WRITE, target);
  if (data->size() > piece.length || sink == nullptr) {
    target.push({.wc = {.wr_id = wr_id, .status = sink == nullptr ? IBV_WC_LOC_PROT_ERR : IBV_WC_LOC_LEN_ERR, .qp_num = peer_->number_}, .sequence = 0, .is_send = false});
    peer_->state_ = State::kBroken;
    peer_->flush();
    status = IBV_WC_REM_INV_REQ_ERR;
    return Done::kYes;
  }
  ibv_wc wc{.wr_id = wr_id, .status = IBV_WC_SUCCESS, .opcode = IBV_WC_RECV, .byte_len = uint32_t(data->size()), .qp_num = peer_->number_};
  if (invalidates) {
    const auto region = verbs_.fabric_.regions_.find(work.request.invalidate_rkey);
    if (region == verbs_.fabric_.regions_.end() || region->second.domain != &target) {
      target.receives_.emplace_front(wr_id, piece);
      status = IBV_WC_REM_ACCESS_ERR;
      return Done::kYes;
    }
    verbs_.fabric_.regions_.erase(region);
    wc.wc_flags = IBV_WC_WITH_INV;
    wc.invalidated_rkey = work.request.invalidate_rkey;
  }
  std::memcpy(sink, data->data(), data->size());
  target.push({.wc = wc, .sequence = 0, .is_send = false});
  return Done::kYes;
}

void MemoryQueuePair::complete(const Work& work, ibv_wc_status status) {
  const ibv_wc_opcode opcode = work.request.opcode == IBV_WR_RDMA_READ    ? IBV_WC_RDMA_READ
                               : work.request.opcode == IBV_WR_RDMA_WRITE ? IBV_WC_RDMA_WRITE
                                                                          : IBV_WC_SEND;
  domain_.push({.wc = {.wr_id = work.request.wr_id, .status = status, .opcode = opcode, .qp_num = number_}, .sequence = work.sequence, .is_send = true});
}

void MemoryQueuePair::flush() {
  for (const Work& work : std::exchange(pending_, {})) complete(work, IBV_WC_WR_FLUSH_ERR);
}

// --- MemoryVerbs --------------------------------------------------------------------------------------------------------------------------------

std::unique_ptr<MemoryDomain> MemoryVerbs::open(const Device& device, const DomainOptions& options, DomainEvents& events) {
  WEFT_ASSERT(&device == &fabric_.device);
  auto domain = std::make_unique<MemoryDomain>(*this, options, events);
  post([this, &events] {
    if (open_error) return events.on_open(std::unexpected(*open_error));
    events.on_open({});
  });
  return domain;
}

std::unique_ptr<MemoryQueuePair> MemoryVerbs::adopt(MemoryDomain& domain, MemoryHandle handle, const QueuePairOptions& options, QueuePairEvents& events) {
  auto pair = std::make_unique<MemoryQueuePair>(*this, domain, handle.take(), options, events);
  post([&events] { events.on_ready({}); });
  return pair;
}

Result<std::unique_ptr<MemoryListener>> MemoryVerbs::listen(const net::Address& address, ListenerEvents<MemoryHandle>& events) {
  net::Address bound = address;
  if (bound.port == 0) bound.port = fabric_.next_port_++;
  if (fabric_.listeners_.contains(bound.port)) return fail(Errc::kExists, "in use: port " + std::to_string(bound.port));
  auto listener = std::make_unique<MemoryListener>(*this, bound, events);
  fabric_.listeners_.emplace(bound.port, listener.get());
  return listener;
}

void MemoryVerbs::resolve(const net::Address& address, ResolveEvents<MemoryHandle>& events) {
  auto call = std::make_shared<MemoryCall>();
  call->address = address;
  post([this, &events, call] { events.on_resolved(MemoryHandle{MemoryHandle::Kind::kRoute, call}, fabric_.device); });
}

size_t MemoryVerbs::poll() {
  size_t done = 0;
  for (size_t left = events_.size(); left > 0; --left, ++done) {
    auto event = std::move(events_.front());
    events_.pop_front();
    event();
  }
  for (MemoryQueuePair* pair : std::vector(queue_pairs_)) done += pair->run();
  return done;
}

}  // namespace weft::verbs
