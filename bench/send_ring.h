// The PDUs that a connection is to send: copies of headers, and payloads that are borrowed. Gathered into as few pieces as there are: headers without
// payload that lie side by side are one. A fixed number of slots; allocates nothing after the start.
#pragma once
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace weft::bench {

class SendRing {
 public:
  struct Options {
    size_t slots = 0;             // PDUs that may be pending
    size_t header_bytes_max = 0;  // headers of just this length pack best
  };
  explicit SendRing(const Options& options);

  size_t slots_free() const { return items_.size() - used_; }
  /// Adds one PDU. The payload outlives its sending. Requires: slots_free() > 0.
  void push(std::span<const std::byte> header, std::span<const std::byte> payload);

  bool has_pending() const { return used_ > 0; }
  /// Fills `iovecs` with what is pending, in order, as far as they reach; returns how many are used. Valid until the next push() or sent().
  size_t gather(std::span<iovec> iovecs) const;
  /// The first `bytes` of what is pending have been sent.
  void sent(size_t bytes);

 private:
  struct Item {
    const std::byte* payload = nullptr;
    uint32_t payload_bytes = 0;
    uint32_t header_bytes = 0;
  };
  std::byte* header_of(size_t slot) { return headers_.data() + slot * header_stride_; }
  const std::byte* header_of(size_t slot) const { return headers_.data() + slot * header_stride_; }

  const size_t header_stride_;
  std::vector<std::byte> headers_;
  std::vector<Item> items_;
  size_t first_ = 0;
  size_t used_ = 0;
  size_t sent_of_first_ = 0;  // bytes
};

}  // namespace weft::bench
