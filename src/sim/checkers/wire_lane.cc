#include "sim/checkers/wire_lane.h"

#include "base/assert.h"

#include <algorithm>
#include <cstring>

namespace weft::sim {

void WireLane::append(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }

std::span<const std::byte> WireLane::in_progress() const {
  const std::span all{at(sending_), size_t(sent() - sending_)};
  return frame_ ? all.first(std::min<size_t>(all.size(), frame_->size)) : all;
}

void WireLane::open(const WireFrame& frame) {
  WEFT_ASSERT(stage_ == Stage::kCommonHeader);
  frame_ = frame;
  known_.push_back({sending_, frame});
  stage_ = Stage::kHeader;
}

void WireLane::close_pdu() {
  sending_ += frame_->size;
  frame_.reset();
  stage_ = Stage::kCommonHeader;
}

void WireLane::receive(std::span<const std::byte> bytes, const std::function<void(const WireArrival&)>& arrived) {
  WEFT_ASSERT(bytes.size() <= in_flight());
  while (!bytes.empty()) {
    if (has_spoiled_header_) {  // the rest only fills up the head
      take(bytes);
      break;
    }
    const Known* known = known_.empty() ? nullptr : &known_.front();
    const uint64_t end = known != nullptr ? receiving_ + known->frame.size : received_ + bytes.size();
    const auto part = bytes.first(std::min<size_t>(bytes.size(), end - received_));
    if (std::memcmp(part.data(), at(received_), part.size()) != 0) {
      for (size_t i = 0; i < part.size(); ++i) {
        if (part[i] != at(received_)[i])
          note_change(received_ + i - receiving_, known != nullptr ? &known->frame : nullptr);
      }
    }
    take(part);
    bytes = bytes.subspan(part.size());
    if (known == nullptr || received_ < end || has_spoiled_header_) continue;
    arrived({known->frame, {at(receiving_), known->frame.size}, is_spoiled_});
    known_.pop_front();
    receiving_ = received_;
    head_size_ = 0;
    is_spoiled_ = false;
  }
  forget_old();
}

void WireLane::take(std::span<const std::byte> bytes) {
  const size_t kept = std::min(bytes.size(), head_.size() - head_size_);
  std::copy_n(bytes.begin(), kept, head_.begin() + ptrdiff_t(head_size_));
  head_size_ += kept;
  received_ += bytes.size();
}

void WireLane::note_change(uint64_t offset, const WireFrame* frame) {
  if (frame == nullptr || offset < frame->header_size) {
    has_spoiled_header_ = true;
  } else if (offset >= frame->data_offset) {
    is_spoiled_ = has_spoiled_data_ = true;
  }  // else it is padding, which nobody looks at
}

void WireLane::forget_old() {
  constexpr size_t kWorthIt = 64 << 10;
  const uint64_t needed = std::min(sending_, has_spoiled_header_ ? received_ : receiving_);
  const size_t dead = needed - base_;
  if (dead == bytes_.size()) {
    bytes_.clear();
  } else if (dead > kWorthIt && dead > bytes_.size() / 2) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + ptrdiff_t(dead));
  } else {
    return;
  }
  base_ = needed;
}

}  // namespace weft::sim
