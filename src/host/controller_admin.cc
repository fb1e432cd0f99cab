// The admin commands that the tools use, each bounded in time.
#include "host/controller.h"

#include <fmt/format.h>

#include <bit>
#include <string>

#include "host/exchange.h"
#include "host/keep_alive.h"
#include "wire/print.h"
#include "wire/fabrics/connect.h"

namespace weft::host {

Task<Result<nvme::Cqe>> Controller::execute(Call call) {
  if (failure_) co_return std::unexpected(error(failure_->code, fmt::format("{}: {}", call.what, failure_->what())));
  Exchange exchange{reactor_, admin_.queue(), options_.timeout, call.what};
  exchange.sqe = call.sqe;
  exchange.out = call.out;
  exchange.in = call.in;
  const auto cqe = co_await exchange;
  if (failure_) co_return std::unexpected(error(failure_->code, fmt::format("{}: {}", call.what, failure_->what())));
  if (!cqe) co_return std::unexpected(error(Errc::kBusy, fmt::format("{}: the admin queue is full or closed", call.what)));
  if (!cqe->decoded_status().ok()) co_return std::unexpected(error(Errc::kIo, fmt::format("{}: {}", call.what, nvme::to_text(cqe->decoded_status()))));
  co_return *cqe;
}

Task<Result<uint64_t>> Controller::property(uint32_t offset, size_t size) {
  WEFT_ASSERT(size == 4 || size == 8);
  const std::string what = fmt::format("Property Get {:02x}h", offset);
  fabrics::PropertySqe sqe{};
  sqe.opcode = nvme::kFabricsOpcode;
  sqe.fctype = uint8_t(fabrics::Fctype::kPropertyGet);
  sqe.attrib = size == 8 ? 1 : 0;
  sqe.ofst = offset;
  Call call{.what = what.c_str()};
  call.sqe = std::bit_cast<nvme::Sqe>(sqe);
  const auto cqe = co_await execute(call);
  if (!cqe) co_return std::unexpected(cqe.error());
  const uint64_t high = size == 8 ? uint32_t{cqe->dw1} : 0;
  co_return high << 32 | uint32_t{cqe->dw0};
}

Task<Result<void>> Controller::set_property(uint32_t offset, uint32_t value) {
  const std::string what = fmt::format("Property Set {:02x}h", offset);
  fabrics::PropertySqe sqe{};
  sqe.opcode = nvme::kFabricsOpcode;
  sqe.fctype = uint8_t(fabrics::Fctype::kPropertySet);
  sqe.ofst = offset;
  sqe.value = value;
  Call call{.what = what.c_str()};
  call.sqe = std::bit_cast<nvme::Sqe>(sqe);
  const auto cqe = co_await execute(call);
  if (!cqe) co_return std::unexpected(cqe.error());
  co_return Result<void>{};
}

Task<Result<void>> Controller::identify(IdentifyRequest request, std::span<std::byte> buffer) {
  WEFT_ASSERT(buffer.size() == nvme::kIdentifySize);
  const std::string what = fmt::format("Identify CNS {:02x}h, NSID {}", uint8_t(request.cns), request.nsid);
  Call call{.what = what.c_str()};
  call.sqe.opcode = uint8_t(nvme::AdminOpcode::kIdentify);
  call.sqe.nsid = request.nsid;
  call.sqe.cdw10 = uint32_t(request.cns);
  call.sqe.cdw11 = uint32_t(request.csi) << 24;
  call.in = buffer;
  const auto cqe = co_await execute(call);
  if (!cqe) co_return std::unexpected(cqe.error());
  co_return Result<void>{};
}

Task<Result<void>> Controller::read_log(LogRequest request, std::span<std::byte> buffer) {
  WEFT_ASSERT(!buffer.empty());
  WEFT_ASSERT(buffer.size() % 4 == 0);
  const std::string what = fmt::format("Get Log Page {:02x}h", uint8_t(request.page));
  const auto numd = uint32_t(buffer.size() / 4 - 1);
  Call call{.what = what.c_str()};
  call.sqe.opcode = uint8_t(nvme::AdminOpcode::kGetLogPage);
  call.sqe.nsid = request.nsid;
  call.sqe.cdw10 = uint32_t(request.page) | uint32_t{request.lsp} << 8 | (numd & 0xffff) << 16;
  call.sqe.cdw11 = numd >> 16;
  call.sqe.cdw12 = uint32_t(request.offset_bytes);
  call.sqe.cdw13 = uint32_t(request.offset_bytes >> 32);
  call.in = buffer;
  const auto cqe = co_await execute(call);
  if (!cqe) co_return std::unexpected(cqe.error());
  co_return Result<void>{};
}

}  // namespace weft::host
