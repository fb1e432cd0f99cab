// Arguments of ours on the command line of every libFuzzer program; libFuzzer itself ignores what starts with two
// dashes.
//   --plant=NAME   switches on a planted bug (base/simulation.h): the run must find it
//   --plain        libFuzzer's own mutations only
#include "base/simulation.h"
#include "fuzz/pdu_mutator.h"

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

void plant(std::string_view name) {
  for (weft::Mark* mark = weft::Mark::first(weft::Mark::Kind::kPlant); mark != nullptr; mark = mark->next()) {
    if (mark->name() == name) return mark->turn(true);
  }
  std::fprintf(stderr, "no plant has this name: %.*s\n", int(name.size()), name.data());
  std::exit(2);
}

}  // namespace

/// A quarantine of freed memory that is reused while its pages are still warm: with the default of 256 MiB most of the
/// time goes to the kernel.
extern "C" const char* __asan_default_options() { return "quarantine_size_mb=32"; }

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  constexpr std::string_view kPlant = "--plant=";
  for (int i = 1; i < *argc; ++i) {
    const std::string_view argument = (*argv)[i];
    if (argument == "--plain") weft::fuzz::is_structure_aware = false;
    if (argument.starts_with(kPlant)) plant(argument.substr(kPlant.size()));
  }
  return 0;
}
