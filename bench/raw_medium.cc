#include "bench/raw_medium.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "bench/system.h"

namespace weft::bench {
namespace {

constexpr size_t kHotBytes = 1 << 20;  // half of the second-level cache

/// Memory in huge pages where the system gives them, all of it touched.
std::span<std::byte> map_region(size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("mmap");
  ::madvise(memory, bytes, MADV_HUGEPAGE);
  std::memset(memory, 0x5a, bytes);
  return {static_cast<std::byte*>(memory), bytes};
}

}  // namespace

RawMedium::RawMedium(Kind kind, const Workload& workload)
    : kind_(kind), block_bytes_(workload.io_bytes), hot_(std::max<size_t>(kHotBytes, workload.io_bytes)) {
  if (kind == Kind::kCold) cold_ = map_region(workload.capacity_bytes);
}

RawMedium::~RawMedium() {
  if (!cold_.empty()) ::munmap(cold_.data(), cold_.size());
}

}  // namespace weft::bench
