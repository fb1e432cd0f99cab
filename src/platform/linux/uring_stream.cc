#include <cerrno>
#include <cstring>

#include "platform/linux/uring_net.h"

namespace weft::platform {

UringStream::UringStream(UringStream&& other) noexcept : TcpSocket(std::move(other)), net_(other.net_) {
  WEFT_ASSERT(other.events_ == nullptr);
}

Result<void> UringStream::watch(net::StreamEvents& events) {
  WEFT_ASSERT(events_ == nullptr);
  set_stream_options();
  events_ = &events;
  net_->attach(*this);
  net_->start_receive(*this);
  net_->start_wait_to_send(*this);
  return {};
}

net::Transfer UringStream::receive(std::span<const iovec> iovecs) {
  using Kind = net::Transfer::Kind;
  if (is_receiving_) return {.kind = Kind::kWouldBlock};
  if (const int error_number = std::exchange(error_number_, 0); error_number != 0) {
    return {.kind = Kind::kError, .error_number = error_number};
  }
  net::Transfer transfer;
  if (held_.empty()) {
    transfer = TcpSocket::receive(iovecs);
  } else {
    transfer = {.kind = Kind::kBytes, .bytes = take_held(iovecs)};
    transfer.is_exhausted = held_.empty() && !has_more_;
  }
  if (events_ != nullptr && (transfer.kind == Kind::kWouldBlock || transfer.is_exhausted)) net_->start_receive(*this);
  return transfer;
}

size_t UringStream::take_held(std::span<const iovec> iovecs) {
  size_t taken = 0;
  for (const iovec& piece : iovecs) {
    const size_t count = std::min(piece.iov_len, held_.size());
    std::memcpy(piece.iov_base, held_.data(), count);
    held_ = held_.subspan(count);
    taken += count;
    if (held_.empty()) {
      net_->buffers_.give_back(buffer_);
      break;
    }
  }
  return taken;
}

net::Transfer UringStream::send(std::span<const iovec> iovecs) {
  const net::Transfer transfer = TcpSocket::send(iovecs);
  const bool is_full = transfer.kind == net::Transfer::Kind::kWouldBlock || transfer.is_exhausted;
  if (events_ != nullptr && is_full) net_->start_wait_to_send(*this);
  return transfer;
}

/// Without a buffer (-ENOBUFS: all are held by others) the bytes are in the socket, as they are after an interruption.
void UringStream::received(int result, uint32_t flags) {
  is_receiving_ = false;
  has_more_ = (flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
  if ((flags & IORING_CQE_F_BUFFER) != 0) {
    buffer_ = uint16_t(flags >> IORING_CQE_BUFFER_SHIFT);
    if (result > 0) {
      held_ = net_->buffers_.buffer(buffer_).first(size_t(result));
    } else {
      net_->buffers_.give_back(buffer_);
    }
  }
  if (result < 0 && result != -ENOBUFS && result != -EAGAIN && result != -EINTR) error_number_ = -result;
  events_->on_readable();
}

void UringStream::close() {
  if (!fd_.is_open()) return;
  if (std::exchange(events_, nullptr) != nullptr) {
    bool has_unread = net_->detach(*this);
    if (!held_.empty()) {
      net_->buffers_.give_back(buffer_);
      held_ = {};
      has_unread = true;
    }
    // The system does not know that these were not read.
    if (has_unread) reset_when_closed();
  }
  fd_.reset();
}

}  // namespace weft::platform
