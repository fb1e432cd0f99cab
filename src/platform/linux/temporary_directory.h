// A directory for one test, in the current (build) folder, which is on a real file system. Part of no program.
#pragma once
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/assert.h"

namespace weft::platform {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char name[] = "weft_test.XXXXXX";
    WEFT_ASSERT(::mkdtemp(name) != nullptr);
    path_ = std::filesystem::absolute(name);
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  std::string path(const std::string& name) const { return path_ / name; }
  /// Makes the directories on the way, and the file.
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream{path_ / name} << text;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace weft::platform
