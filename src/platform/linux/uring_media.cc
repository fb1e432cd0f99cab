#include "platform/linux/uring_media.h"

namespace weft::platform {

UringQueue::UringQueue(const OpenMedium& medium, Ring& ring, Reactor& reactor, BlockingWorkers* discards)
    : medium_(medium), ring_(ring) {
  if (discards != nullptr) discards_ = std::make_unique<BlockingQueue>(*discards, reactor);
}

void UringQueue::submit(media::Operation& operation) {
  if (operation.kind == media::Kind::kDiscard && discards_ != nullptr) return discards_->submit(operation);
  operation.handle = medium_.fd.get();
  ring_.submit(operation);
}

bool UringQueue::has_vanished() const { return medium_.kind == FileKind::kBlockDevice && disk_has_vanished(medium_.fd.get()); }

Result<std::unique_ptr<UringMedium>> UringMedium::create(OpenMedium medium, Rings& rings) {
  std::unique_ptr<UringMedium> created{new UringMedium(std::move(medium), rings)};
  if (created->medium_.kind == FileKind::kBlockDevice) {
    auto workers = BlockingWorkers::start(created->medium_.fd.get(), FileKind::kBlockDevice, 1);
    if (!workers) return std::unexpected(workers.error());
    created->discards_ = std::move(*workers);
  }
  return created;
}

Result<std::unique_ptr<UringQueue>> UringMedium::open_queue(Reactor& reactor) {
  auto ring = rings_.ring_of(reactor);
  if (!ring) return std::unexpected(ring.error());
  return std::make_unique<UringQueue>(medium_, **ring, reactor, discards_.get());
}

}  // namespace weft::platform
