#include "host/discovery.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::host {
namespace {

constexpr size_t kHeaderRead = 20;     // bytes: GENCTR, NUMREC and RECFMT, as libnvme reads them
constexpr size_t kChunk = 4096;        // bytes of entries per command
constexpr size_t kEntry = sizeof(fabrics::DiscoveryLogEntry);
static_assert(kChunk % kEntry == 0);

struct Header {
  uint64_t genctr;
  uint64_t numrec;
};

Error log_error(const Controller& controller, Errc code, std::string_view what) {
  const Endpoint& endpoint = controller.options().endpoint;
  return {code, fmt::format("{}:{}: discovery log: {}", endpoint.host, endpoint.port, what)};
}

Task<Result<Header>> read_header(Controller& controller) {
  fabrics::DiscoveryLogHeader header{};
  const std::span<std::byte> buffer{reinterpret_cast<std::byte*>(&header), kHeaderRead};
  if (auto done = co_await controller.read_log({.page = nvme::LogPage::kDiscovery}, buffer); !done) co_return std::unexpected(done.error());
  if (uint16_t{header.recfmt} != 0) co_return std::unexpected(log_error(controller, Errc::kUnsupported, fmt::format("record format {} is not known", uint16_t{header.recfmt})));
  if (header.numrec > kDiscoveryRecordsMax) {
    co_return std::unexpected(log_error(controller, Errc::kLimit, fmt::format("{} records are more than {}", uint64_t{header.numrec}, kDiscoveryRecordsMax)));
  }
  co_return Header{header.genctr, header.numrec};
}

Task<Result<void>> read_entries(Controller& controller, std::span<fabrics::DiscoveryLogEntry> entries) {
  const std::span<std::byte> bytes{reinterpret_cast<std::byte*>(entries.data()), entries.size_bytes()};
  for (size_t offset = 0; offset < bytes.size(); offset += kChunk) {
    const LogRequest request{.page = nvme::LogPage::kDiscovery, .offset_bytes = sizeof(fabrics::DiscoveryLogHeader) + offset};
    const auto piece = bytes.subspan(offset, std::min(kChunk, bytes.size() - offset));
    if (auto done = co_await controller.read_log(request, piece); !done) co_return done;
  }
  co_return Result<void>{};
}

}  // namespace

Task<Result<DiscoveryLog>> read_discovery_log(Controller& controller) {
  DiscoveryLog log;
  auto header = co_await read_header(controller);
  if (!header) co_return std::unexpected(header.error());
  for (int attempt = 0; attempt < kDiscoveryAttempts; ++attempt) {
    log.genctr = header->genctr;
    log.entries.assign(size_t(header->numrec), {});
    if (auto done = co_await read_entries(controller, log.entries); !done) co_return std::unexpected(done.error());
    const auto again = co_await read_header(controller);
    if (!again) co_return std::unexpected(again.error());
    if (again->genctr == log.genctr) {
      if (again->numrec != log.entries.size()) {
        co_return std::unexpected(log_error(controller, Errc::kInvalid, fmt::format("the number of records went from {} to {}, the generation stayed {}",
                                                                                    log.entries.size(), again->numrec, log.genctr)));
      }
      co_return std::move(log);
    }
    header = again;
  }
  co_return std::unexpected(log_error(controller, Errc::kBusy, fmt::format("it changed during each of {} attempts to read it", kDiscoveryAttempts)));
}

}  // namespace weft::host
