#include "bdev/nvme/nvme_bdev.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/bytes.h"
#include "bdev/nvme/command_limits.h"
#include "bdev/nvme/nvme_channel.h"

namespace weft::bdev {
namespace {

/// The entries that are about one namespace.
std::vector<std::byte> errors_of(uint32_t nsid, std::span<const std::byte> log) {
  std::vector<std::byte> kept;
  for (; const auto* entry = view<nvme::ErrorLogEntry>(log); log = log.subspan(sizeof *entry)) {
    if (entry->error_count == 0 || entry->nsid != nsid) continue;
    const auto bytes = bytes_of(*entry);
    kept.insert(kept.end(), bytes.begin(), bytes.end());
  }
  return kept;
}

}  // namespace

NvmeBdev::~NvmeBdev() { std::erase(device_.bdevs_, this); }

Result<uint64_t> NvmeBdev::blocks_available() {
  const auto now = device_.look_for(*this);
  if (!now) return std::unexpected(now.error());
  return now->block_count;
}

Result<std::unique_ptr<Channel>> NvmeBdev::open_channel(Reactor& reactor) {
  return std::make_unique<NvmeChannel>(device_.port(reactor), *this);
}

void NvmeBdev::read_log(nvme::LogPage page, LogDone done) {
  nvme::Controller* controller = device_.controller_;
  if (controller == nullptr) return done(fail(Errc::kNotFound, "the device is away"));
  const nvme::ControllerFacts& facts = controller->facts();
  if (page == nvme::LogPage::kSmart) {
    const uint32_t nsid = facts.has_smart_per_namespace ? nsid_ : nvme::kNsidAll;
    return controller->read_log({page, nsid, sizeof(nvme::SmartLog)}, std::move(done));
  }
  WEFT_ASSERT(page == nvme::LogPage::kError);
  const auto bytes = uint32_t(std::min<size_t>(facts.error_entries * sizeof(nvme::ErrorLogEntry), nvme::Controller::kLogBytesMax));
  controller->read_log({page, nvme::kNsidAll, bytes}, [nsid = nsid_, done = std::move(done)](Result<std::vector<std::byte>> read) mutable {
    done(read ? errors_of(nsid, *read) : std::move(read));
  });
}

Result<void> NvmeBdev::compare(const Info& now) const {
  const auto different = [&](const char* what) { return fail(Errc::kUnsupported, fmt::format("{}: it has come back with {}", info_.name, what)); };
  if (now.medium_id != info_.medium_id || now.identity != info_.identity) {
    return different(fmt::format("another identity ({}, serial {}): this is another disk", now.medium_id, now.identity.serial).c_str());
  }
  if (now.block_size != info_.block_size) return different("blocks of another size: it was formatted");
  // Hosts were told so, and go by it: they do not flush what has no cache, and rely on zeroes.
  if (now.has_volatile_cache && !info_.has_volatile_cache) return different("a volatile cache that it did not have");
  if (!keeps(now.atomicity, info_.atomicity)) return different("writes that are torn sooner");
  if (!now.deallocated_reads_zero && info_.deallocated_reads_zero) return different("blocks that do not read as zeroes when they are deallocated");
  return {};
}

void NvmeBdev::look_again() {
  const auto now = device_.look_for(*this);
  std::string trouble{now ? std::string_view() : now.error().what()};
  if (trouble != trouble_) {
    trouble_ = std::move(trouble);
    Log& log = device_.home_.log();
    now ? log.warn("{}: it is back", info_.name) : log.error("{}: its I/O fails: {}", info_.name, trouble_);
  }
  if (on_change_) on_change_();
}

}  // namespace weft::bdev
