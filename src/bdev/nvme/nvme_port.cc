#include "bdev/nvme/nvme_port.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "bdev/nvme/nvme_channel.h"

namespace weft::bdev {

NvmePort::~NvmePort() {
  WEFT_ASSERT(queue_ == nullptr);
  WEFT_ASSERT(channels_.empty());
}

Result<void> NvmePort::enter(nvme::Controller& controller) {
  WEFT_ASSERT(queue_ == nullptr);
  pci::Function& function = controller.function();
  auto memory = pci::DmaBuffer::allocate(function, kMemoryBytes, "bounce buffers");
  if (!memory) return std::unexpected(memory.error());
  auto queue = controller.open_queue(reactor_, *this);
  if (!queue) return std::unexpected(queue.error());
  memory_ = std::move(*memory);
  bounces_.emplace(memory_.bytes());
  map_ = &function.map();
  queue_ = std::move(*queue);
  is_open_ = true;
  return {};
}

void NvmePort::show(NvmeView view) {
  view_ = std::move(view);
  for (NvmeChannel* channel : channels_) show(*channel);
}

void NvmePort::show(NvmeChannel& channel) {
  const auto found = std::ranges::find(view_.namespaces, channel.bdev(), &NvmeView::Namespace::bdev);
  if (found != view_.namespaces.end()) return channel.serve(view_.controller, found->facts);
  channel.refuse();
}

void NvmePort::add(NvmeChannel& channel) {
  channels_.push_back(&channel);
  show(channel);
}

void NvmePort::remove(NvmeChannel& channel) { std::erase(channels_, &channel); }

void NvmePort::leave(std::move_only_function<void()> left) {
  WEFT_ASSERT(!on_left_);
  is_open_ = false;
  end_waiting(nullptr);
  if (queue_ == nullptr) return left();
  on_left_ = std::move(left);
  if (queue_->outstanding() == 0) finish_leaving();
}

void NvmePort::finish_leaving() {
  WEFT_ASSERT(queue_->outstanding() == 0);
  queue_.reset();
  bounces_.reset();
  memory_ = {};
  map_ = nullptr;
  view_ = {};
  std::exchange(on_left_, {})();
}

void NvmePort::command_ended() {
  if (!on_left_ || queue_->outstanding() != 0) return;
  // Not from inside the queue, which tells others of commands that ended together with this one.
  reactor_.post([this] {
    if (on_left_) finish_leaving();
  });
}

void NvmePort::end_waiting(const NvmeChannel* channel) {
  IntrusiveList<Io, &Io::link> all;
  while (Io* io = waiting_.pop_front()) all.push_back(*io);
  while (Io* io = all.pop_front()) {
    if (channel == nullptr || &NvmeChannel::of(*io) == channel) {
      NvmeChannel::give_up(*io);
    } else {
      waiting_.push_back(*io);
    }
  }
}

void NvmePort::on_queue_changed() {
  if (queue_->state() != nvme::IoQueue::State::kFailed) return serve_waiting();
  is_open_ = false;
  end_waiting(nullptr);
}

void NvmePort::serve_waiting() {
  while (Io* io = waiting_.front()) {
    if (!NvmeChannel::go_on(*io)) return;
    io->link.unlink();
  }
}

}  // namespace weft::bdev
