// `weft identify`: a controller and its namespaces, decoded; as JSON with nvme-cli's key names.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/host_options.h"
#include "app/json.h"
#include "wire/nvme/identify.h"

namespace weft::app {

struct IdentifyOptions {
  HostOptions host;
  std::optional<uint32_t> nsid;  // all active namespaces without it
};

void add_identify_options(CLI::App& command, IdentifyOptions& options);

/// Prints on stdout. Returns the exit code: 0, or 1 with the reason on stderr.
int run_identify(const IdentifyOptions& options);

/// A namespace and its identifiers (CNS 00h and 03h).
struct IdentifiedNamespace {
  uint32_t nsid;
  nvme::IdentifyNamespace id;
  std::vector<std::byte> descriptors;
};

/// The keys of `nvme id-ctrl -o json`.
Json to_json(const nvme::IdentifyController& id);
/// The keys of `nvme id-ns -o json`, with nsid and the identifiers of the descriptors.
Json to_json(const IdentifiedNamespace& ns);

}  // namespace weft::app
