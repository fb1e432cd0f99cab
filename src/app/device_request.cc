#include "app/device_request.h"

namespace weft::app {
namespace {

platform::DeviceKind kind_of(control::DeviceKind kind) {
  switch (kind) {
    case control::DeviceKind::kRam: return platform::DeviceKind::kRam;
    case control::DeviceKind::kNull: return platform::DeviceKind::kNull;
    case control::DeviceKind::kFile: return platform::DeviceKind::kFile;
    case control::DeviceKind::kBlockDevice: return platform::DeviceKind::kDisk;
    case control::DeviceKind::kNvme: return platform::DeviceKind::kNvme;
  }
  return platform::DeviceKind::kNull;
}

bdev::OpClass class_of(control::FilterOp op) {
  switch (op) {
    case control::FilterOp::kAny: return bdev::OpClass::kAny;
    case control::FilterOp::kRead: return bdev::OpClass::kRead;
    case control::FilterOp::kWrite: return bdev::OpClass::kWrite;
    case control::FilterOp::kFlush: return bdev::OpClass::kFlush;
  }
  return bdev::OpClass::kAny;
}

platform::Filter filter_of(const control::DelayFilter& filter) {
  return bdev::DelayRule{.op = class_of(filter.op), .delay = filter.delay};
}

platform::Filter filter_of(const control::ErrorFilter& filter) {
  bdev::ErrorRule rule{.op = class_of(filter.op), .times = filter.times};
  if (filter.range) rule.range = bdev::BlockRange{.block = filter.range->lba, .block_count = filter.range->blocks};
  return rule;
}

}  // namespace

platform::DeviceRequest device_request(const control::DeviceSpec& spec) {
  platform::DeviceRequest request{.kind = kind_of(spec.kind),
                                  .name = control::to_text(spec),
                                  .path = spec.path,
                                  .size_bytes = spec.size_bytes,
                                  .block_size = spec.block_size,
                                  .force = spec.force,
                                  .nsid = spec.nsid,
                                  .allows_no_iommu = spec.allows_no_iommu,
                                  .filters = {}};
  for (const control::Filter& filter : spec.filters) {
    request.filters.push_back(std::visit([](const auto& one) { return filter_of(one); }, filter));
  }
  return request;
}

}  // namespace weft::app
