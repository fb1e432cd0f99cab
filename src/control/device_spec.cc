#include "control/device_spec.h"

#include "base/units.h"
#include "control/problem.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fmt/format.h>
#include <limits>

namespace weft::control {
namespace {

constexpr uint64_t kSizeMax = uint64_t(std::numeric_limits<int64_t>::max());  // bytes: what a file offset can say

std::unexpected<Error> bad_spec(std::string_view why) { return fail(Errc::kInvalid, why); }

/// Takes the text up to the next comma off the front of `rest`.
std::string_view take_part(std::string_view& rest) {
  const size_t comma = rest.find(',');
  const std::string_view part = rest.substr(0, comma);
  rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  return part;
}

Result<uint64_t> parse_nonzero_size(std::string_view text) {
  const auto size = parse_size(text);
  if (!size)
    return bad_spec(fmt::format("{} is not a size: write bytes, or a number with KiB, MiB, GiB or TiB", shown(text)));
  if (*size == 0) return bad_spec(fmt::format("the size {} is nothing: give at least one block", shown(text)));
  if (*size > kSizeMax) return bad_spec(fmt::format("the size {} is beyond the largest file offset", shown(text)));
  return *size;
}

bool is_below_dev(std::string_view path) {
  return std::filesystem::path{path}.lexically_normal().string().starts_with("/dev/");
}

Result<DeviceSpec> parse_sized(DeviceKind kind, std::string_view size_text) {
  const auto size = parse_nonzero_size(size_text);
  if (!size) return std::unexpected(size.error());
  return DeviceSpec{.kind = kind, .size_bytes = *size};
}

Result<DeviceSpec> parse_file(std::string_view path) {
  if (path.empty()) return bad_spec("file: needs a path: file:PATH,size=8GiB");
  const bool in_memory = std::filesystem::path{path}.lexically_normal().string().starts_with("/dev/shm/");
  if (is_below_dev(path) && !in_memory)
    return bad_spec(fmt::format("{} is not a regular file: write a block device without file:", shown(path)));
  return DeviceSpec{.kind = DeviceKind::kFile, .path = std::string{path}};
}

Result<DeviceSpec> parse_nvme(std::string_view address) {
  if (address.empty()) return bad_spec("nvme: needs a PCI address: nvme:0000:01:00.0; `weft devices` lists them");
  return DeviceSpec{.kind = DeviceKind::kNvme, .path = std::string{address}};
}

/// KIND:… without its options.
Result<DeviceSpec> parse_medium(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return bad_spec(fmt::format("{} holds a zero byte", shown(text)));
  if (text.starts_with("ram:")) return parse_sized(DeviceKind::kRam, text.substr(4));
  if (text.starts_with("null:")) return parse_sized(DeviceKind::kNull, text.substr(5));
  if (text.starts_with("file:")) return parse_file(text.substr(5));
  if (text.starts_with("nvme:")) return parse_nvme(text.substr(5));
  if (is_below_dev(text)) return DeviceSpec{.kind = DeviceKind::kBlockDevice, .path = std::string{text}};
  if (text.starts_with('/'))
    return bad_spec(fmt::format("{} is not below /dev: write a regular file as file:PATH", shown(text)));
  return bad_spec(
      fmt::format("{} is not a device: write ram:1GiB, null:10GiB, file:PATH,size=8GiB, /dev/NAME or nvme:0000:01:00.0", shown(text)));
}

Result<DeviceSpec> with_size(DeviceSpec spec, std::string_view value) {
  if (spec.kind == DeviceKind::kBlockDevice || spec.kind == DeviceKind::kNvme) return bad_spec("size= is for files: a block device has its own size");
  if (spec.kind != DeviceKind::kFile)
    return bad_spec("size= is for files: ram and null have theirs after the colon, as in ram:1GiB");
  const auto size = parse_nonzero_size(value);
  if (!size) return std::unexpected(size.error());
  spec.size_bytes = *size;
  return spec;
}

Result<DeviceSpec> with_block_size(DeviceSpec spec, std::string_view value) {
  if (spec.kind == DeviceKind::kNvme) return bad_spec("block_size= is not for nvme: the namespace is formatted with its own (`nvme format --lbaf`)");
  const auto size = parse_nonzero_size(value);
  if (!size || *size > UINT32_MAX)
    return bad_spec(fmt::format("block_size={} is not a block size: write 512 or 4096", shown(value)));
  spec.block_size = uint32_t(*size);
  return spec;
}

Result<DeviceSpec> with_uuid(DeviceSpec spec, std::string_view value) {
  const auto uuid = parse_uuid(value);
  if (!uuid) return bad_spec(fmt::format("uuid={} is not a UUID: write 8-4-4-4-12 hexadecimal digits", shown(value)));
  spec.uuid = *uuid;
  return spec;
}

Result<bool> parse_bool(std::string_view key, std::string_view value) {
  if (value == "true") return true;
  if (value == "false") return false;
  return bad_spec(fmt::format("{}={}: write {}=true or {}=false", key, shown(value), key, key));
}

Result<DeviceSpec> with_force(DeviceSpec spec, std::string_view value) {
  if (spec.kind != DeviceKind::kBlockDevice) return bad_spec("force= is for block devices only");
  const auto force = parse_bool("force", value);
  if (!force) return std::unexpected(force.error());
  spec.force = *force;
  return spec;
}

Result<DeviceSpec> with_unsafe_no_iommu(DeviceSpec spec, std::string_view value) {
  if (spec.kind != DeviceKind::kNvme) return bad_spec("unsafe_no_iommu= is for nvme only");
  const auto allows = parse_bool("unsafe_no_iommu", value);
  if (!allows) return std::unexpected(allows.error());
  spec.allows_no_iommu = *allows;
  return spec;
}

Result<DeviceSpec> with_nsid(DeviceSpec spec, std::string_view value) {
  if (spec.kind != DeviceKind::kNvme) return bad_spec("nsid= here is for nvme only: the namespace of the device");
  uint32_t nsid = 0;
  const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), nsid);
  if (failed != std::errc{} || end != value.data() + value.size() || nsid == 0 || nsid == UINT32_MAX)
    return bad_spec(fmt::format("nsid={} is not a namespace: write a number from 1 on", shown(value)));
  spec.nsid = nsid;
  return spec;
}

Result<DeviceSpec> with_option(DeviceSpec spec, std::string_view key, std::string_view value) {
  if (key == "size") return with_size(std::move(spec), value);
  if (key == "block_size") return with_block_size(std::move(spec), value);
  if (key == "uuid") return with_uuid(std::move(spec), value);
  if (key == "force") return with_force(std::move(spec), value);
  if (key == "nsid") return with_nsid(std::move(spec), value);
  if (key == "unsafe_no_iommu") return with_unsafe_no_iommu(std::move(spec), value);
  return bad_spec(fmt::format(
      "{} is not an option: there are size=, block_size=, uuid=, force=, nsid= and unsafe_no_iommu=; a path cannot hold a comma", shown(key)));
}

bool is_filter(std::string_view text) { return text.starts_with(kDelayPrefix) || text.starts_with(kErrorPrefix); }

}  // namespace

Result<DeviceSpec> parse_device_spec(std::string_view text) {
  if (text.ends_with(',')) return bad_spec("nothing stands after the last comma: leave it out");
  std::string_view rest = text;
  std::vector<Filter> filters;
  while (is_filter(rest)) {
    const std::string_view part = take_part(rest);
    const auto filter = parse_filter(part);
    if (!filter) return std::unexpected(filter.error());
    if (rest.empty())
      return bad_spec(fmt::format("after {} stands the device: {},ram:1GiB", shown(part), part.substr(0, 40)));
    if (filters.size() == kFiltersMax)
      return bad_spec(fmt::format("more than {} filters before one device", kFiltersMax));
    filters.push_back(*filter);
  }

  auto spec = parse_medium(take_part(rest));
  std::vector<std::string_view> seen;
  while (spec && !rest.empty()) {
    const std::string_view option = take_part(rest);
    const size_t equals = option.find('=');
    const std::string_view key = option.substr(0, equals);
    if (equals == std::string_view::npos) {
      return bad_spec(fmt::format("after the device stand options as key=value, not {}; a path cannot hold a comma",
                                  shown(option)));
    }
    if (std::ranges::find(seen, key) != seen.end())
      return bad_spec(fmt::format("the option {} is given twice", shown(key)));
    seen.push_back(key);
    spec = with_option(*std::move(spec), key, option.substr(equals + 1));
  }
  if (spec) spec->filters = std::move(filters);
  return spec;
}

std::string to_text(const DeviceSpec& spec) {
  switch (spec.kind) {
    case DeviceKind::kRam:
      return fmt::format("ram:{}", format_size(spec.size_bytes));
    case DeviceKind::kNull:
      return fmt::format("null:{}", format_size(spec.size_bytes));
    case DeviceKind::kFile:
      return "file:" + spec.path;
    case DeviceKind::kBlockDevice:
      return spec.path;
    case DeviceKind::kNvme:
      return fmt::format("nvme:{},nsid={}", spec.path, spec.nsid);
  }
  return {};
}

}  // namespace weft::control
