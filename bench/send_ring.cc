#include "bench/send_ring.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace weft::bench {
namespace {

/// Appends to `iovecs[0..used)`; returns false when it does not fit.
struct Gatherer {
  std::span<iovec> iovecs;
  size_t used = 0;

  bool add(const std::byte* bytes, size_t count) {
    if (count == 0) return true;
    if (used > 0) {
      iovec& last = iovecs[used - 1];
      if (static_cast<const std::byte*>(last.iov_base) + last.iov_len == bytes) {
        last.iov_len += count;
        return true;
      }
    }
    if (used == iovecs.size()) return false;
    iovecs[used++] = {.iov_base = const_cast<std::byte*>(bytes), .iov_len = count};  // only sent from
    return true;
  }
};

}  // namespace

SendRing::SendRing(const Options& options)
    : header_stride_(options.header_bytes_max), headers_(options.slots * options.header_bytes_max), items_(options.slots) {}

void SendRing::push(std::span<const std::byte> header, std::span<const std::byte> payload) {
  WEFT_ASSERT(used_ < items_.size());
  WEFT_ASSERT(header.size() <= header_stride_);
  const size_t slot = (first_ + used_++) % items_.size();
  std::memcpy(header_of(slot), header.data(), header.size());
  items_[slot] = {.payload = payload.data(), .payload_bytes = uint32_t(payload.size()), .header_bytes = uint32_t(header.size())};
}

size_t SendRing::gather(std::span<iovec> iovecs) const {
  Gatherer gatherer{.iovecs = iovecs};
  size_t skipped = sent_of_first_;
  size_t slot = first_;
  for (size_t i = 0; i < used_; ++i) {
    const Item& item = items_[slot];
    const size_t of_header = std::min<size_t>(skipped, item.header_bytes);
    const size_t of_payload = skipped - of_header;
    skipped = 0;
    if (!gatherer.add(header_of(slot) + of_header, item.header_bytes - of_header)) break;
    if (!gatherer.add(item.payload + of_payload, item.payload_bytes - of_payload)) break;
    if (++slot == items_.size()) slot = 0;
  }
  return gatherer.used;
}

void SendRing::sent(size_t bytes) {
  sent_of_first_ += bytes;
  while (used_ > 0) {
    const Item& item = items_[first_];
    const size_t item_bytes = size_t{item.header_bytes} + item.payload_bytes;
    if (sent_of_first_ < item_bytes) return;
    sent_of_first_ -= item_bytes;
    if (++first_ == items_.size()) first_ = 0;
    --used_;
  }
  WEFT_ASSERT(sent_of_first_ == 0);
}

}  // namespace weft::bench
