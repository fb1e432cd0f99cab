#include "verbs/memory_domain.h"

#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "verbs/memory_pattern.h"
#include "verbs/memory_queue_pair.h"
#include "verbs/memory_verbs.h"

namespace weft::verbs {

MemoryDomain::MemoryDomain(MemoryVerbs& verbs, const Device& device, const DomainOptions& options, DomainEvents& events)
    : verbs_(verbs), fabric_(verbs.fabric_), device_(device), options_(options), events_(events), id_(fabric_.next_id_++) {
  fabric_.domains_.emplace(id_, this);
}

MemoryDomain::~MemoryDomain() {
  fabric_.keys_.remove_domain(id_);
  fabric_.domains_.erase(id_);
}

void MemoryDomain::open(std::optional<Error> error) {
  if (!error) {
    for (const RegionRequest& region : options_.regions) {
      const uint32_t key = fabric_.keys_.add({.bytes = region.bytes, .access = region.access, .domain = id_});
      regions_.push_back(std::make_unique<ibv_mr>(
          ibv_mr{.context = {}, .pd = {}, .addr = region.bytes.data(), .length = region.bytes.size(), .handle = 0, .lkey = key, .rkey = key}));
    }
    life_ = Life::kOpen;
  } else {
    fabric_.domains_.erase(id_);
  }
  verbs_.post([this, error = std::move(error)] {
    if (error) return events_.on_open(std::unexpected(*error));
    events_.on_open({});
  });
}

Posted MemoryDomain::post_receive(ibv_recv_wr* receives) {
  WEFT_ASSERT(life_ == Life::kOpen);
  ++verbs_.counts.receive_posts;
  for (; receives != nullptr; receives = receives->next) {
    const bool is_well_made = receives->num_sge == 1 && receives_.size() < options_.receive_entries;
    if (!is_well_made) return {ENOMEM, receives};
    const ibv_sge& piece = *receives->sg_list;
    const auto memory = fabric_.keys_.find({.key = piece.lkey, .address = piece.addr, .size = piece.length, .access = IBV_ACCESS_LOCAL_WRITE, .domain = id_});
    if (memory) fill_with_pattern({*memory, piece.length});
    receives_.push_back({receives->wr_id, piece});
    ++verbs_.counts.receives;
  }
  return {};
}

MemoryDomain::Receive MemoryDomain::take_receive() {
  WEFT_ASSERT(!receives_.empty());
  const Receive receive = receives_.front();
  receives_.pop_front();
  if (receives_.size() < receive_limit_) {
    receive_limit_ = 0;
    verbs_.post([this] { events_.on_receives_low(); });
  }
  return receive;
}

int MemoryDomain::poll(std::span<ibv_wc> completions) {
  size_t count = 0;
  for (; count < completions.size() && !completions_.empty(); ++count) {
    const Completion done = completions_.front();
    completions_.pop_front();
    completions[count] = done.wc;
    MemoryQueuePair* pair = fabric_.find(done.wc.qp_num);
    if (done.is_send) ++verbs_.counts.send_completions;
    if (pair == nullptr) continue;
    if (done.is_send) {
      pair->polled(done.sequence);
    } else if (done.wc.status == IBV_WC_SUCCESS) {
      pair->message_polled(done.message);
    }
  }
  return int(count);
}

void MemoryDomain::close() {
  WEFT_ASSERT(life_ == Life::kOpen);
  life_ = Life::kClosing;
  fabric_.control(verbs_.machine_, [&fabric = fabric_, id = id_] {
    MemoryDomain* domain = fabric.find_domain(id);
    if (domain == nullptr) return;
    fabric.keys_.remove_domain(id);
    fabric.domains_.erase(id);
    domain->verbs_.post([domain] { domain->events_.on_closed(); });
  });
}

void MemoryDomain::push(const Completion& completion) {
  WEFT_ASSERT(completions_.size() < options_.completion_entries);
  completions_.push_back(completion);
  if (std::exchange(is_armed_, false)) verbs_.post([this] { events_.on_completions(); });
}

/// Its device is gone.
void MemoryDomain::removed() {
  fabric_.keys_.remove_domain(id_);
  if (life_ == Life::kOpen) verbs_.post([this] { if (life_ == Life::kOpen) events_.on_removed(); });
}

}  // namespace weft::verbs
