// The flags that the host tools share, with nvme-cli's letters: where the target is, who we are, how to print.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "host/controller.h"
#include "wire/fabrics/discovery.h"

namespace weft::app {

enum class OutputFormat : uint8_t { kTable, kJson };

struct HostOptions {
  fabrics::Trtype transport = fabrics::Trtype::kTcp;  // or kRdma
  std::string address;
  uint16_t service = 4420;
  std::string host_address;  // empty: the system's choice
  std::string subnqn;
  std::string hostnqn;
  std::string hostid;
  OutputFormat output = OutputFormat::kTable;
};

enum class SubnqnFlag : uint8_t { kRequired, kOptional };

/// Adds -t, -a, -s, -w, -n, -q, --hostid and -o. Outlives the parse: `options`.
void add_host_options(CLI::App& command, HostOptions& options, SubnqnFlag subnqn);

/// Who this host is: from the flags, else from /etc/nvme/hostnqn and hostid, else derived from the machine's id, else random.
/// Errors: what is wrong with a flag or a file.
Result<host::HostIdentity> identity_of(const HostOptions& options);

/// The part of the connect options that the flags give. Errors: as identity_of().
Result<host::ConnectOptions> connect_options(const HostOptions& options);

}  // namespace weft::app
