#include "nvmf/async_events.h"

#include <algorithm>
#include <array>

#include "base/simulation.h"
#include "nvmf/queue.h"
#include "wire/nvme/features.h"

namespace weft::nvmf {
namespace {

struct Kind {
  nvme::AsyncEvent event;
  uint32_t enable;  // the bit of feature 0Bh
};

/// By AsyncEvent. The earlier one is reported first when several wait.
constexpr std::array<Kind, 3> kKinds{{
    {{nvme::AsyncEventType::kSmart, uint8_t(nvme::SmartInfo::kTemperature), nvme::LogPage::kSmart}, nvme::kWarningTemperature},
    {nvme::kNamespaceAttributeChanged, nvme::kOaesNamespaceAttribute},
    {nvme::kDiscoveryLogChanged, nvme::kOaesDiscoveryLog},
}};

constexpr uint32_t bit_of(size_t kind) { return 1u << kind; }

}  // namespace

void AsyncEvents::request(Command& command) {
  if (held_.size() >= requests_max_) {
    return command.queue->complete(command, nvme::status::kAsyncEventLimitExceeded.with_dnr());
  }
  command.queue->hold_event(command);
  held_.push_back(&command);
  deliver();
}

void AsyncEvents::raise(AsyncEvent event, uint32_t config) {
  if ((kKinds[size_t(event)].enable & config) == 0) return;
  if (held_.empty()) WEFT_PROBE("nvmf/event-without-request");
  pending_ |= bit_of(size_t(event));
  deliver();
}

void AsyncEvents::log_page_read(uint8_t lid, LogRead read) {
  for (size_t kind = 0; kind < kKinds.size(); ++kind) {
    if (uint8_t(kKinds[kind].event.log_page) != lid) continue;
    masked_ &= ~bit_of(kind);
    if (read == LogRead::kPresent) pending_ &= ~bit_of(kind);
  }
  deliver();
}

void AsyncEvents::deliver() {
  for (size_t kind = 0; kind < kKinds.size() && !held_.empty(); ++kind) {
    if ((pending_ & masked_ & bit_of(kind)) != 0) WEFT_PROBE("nvmf/event-masked");
    if ((pending_ & ~masked_ & bit_of(kind)) == 0) continue;
    pending_ &= ~bit_of(kind);
    masked_ |= bit_of(kind);
    Command& command = *held_.front();
    held_.erase(held_.begin());
    command.queue->complete(command, nvme::status::kSuccess, kKinds[kind].event.to_dw0());
  }
}

bool AsyncEvents::release(Command& command) { return std::erase(held_, &command) > 0; }

std::vector<Command*> AsyncEvents::take_all() {
  pending_ = masked_ = 0;
  return std::exchange(held_, {});
}

}  // namespace weft::nvmf
