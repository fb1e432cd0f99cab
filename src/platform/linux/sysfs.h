// What the kernel's trees of directories say about devices. A directory is a device; its files are what is known of it.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "platform/linux/proc_tables.h"

namespace weft::platform {

/// Where the kernel tells. A test puts its own tree there.
struct SystemRoot {
  std::string proc = "/proc";
  std::string sys = "/sys";
  std::string dev = "/dev";
};

/// The names in a directory, sorted; none when it cannot be read.
std::vector<std::string> names_in(const std::filesystem::path& directory);

bool is_there(const std::filesystem::path& path);

/// The name of what a link leads to: "nvme" of "driver -> ../../bus/pci/drivers/nvme". Empty when it is no link.
std::string link_name(const std::filesystem::path& link);

/// The first line as a number, decimal; 0 when it is none.
uint64_t read_number(const std::filesystem::path& path);

/// Of the `dev` file of a block or character device's directory.
std::optional<DeviceNumber> device_number_of(const std::filesystem::path& directory);

}  // namespace weft::platform
