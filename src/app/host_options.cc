#include "app/host_options.h"

#include <fstream>
#include <map>
#include <random>

#include "control/identity.h"

namespace weft::app {
namespace {

constexpr char kHostnqnFile[] = "/etc/nvme/hostnqn";
constexpr char kHostidFile[] = "/etc/nvme/hostid";
constexpr char kMachineIdFile[] = "/etc/machine-id";

/// The first line of a file; empty when it cannot be read.
std::string first_line(const char* path) {
  std::ifstream file{path};
  std::string line;
  std::getline(file, line);
  return line;
}

/// The same at each call on one machine, if the machine has an id.
Uuid uuid_of_this_host() {
  std::string machine = first_line(kMachineIdFile);
  if (machine.empty()) machine = std::to_string(std::random_device{}()) + std::to_string(std::random_device{}());
  return control::derive_identity({.machine_id = machine, .subsystem_nqn = "host", .medium_id = "host"}).uuid;
}

}  // namespace

void add_host_options(CLI::App& command, HostOptions& options, SubnqnFlag subnqn) {
  const std::map<std::string, fabrics::Trtype> transports{{"tcp", fabrics::Trtype::kTcp}, {"rdma", fabrics::Trtype::kRdma}};
  command.add_option("-t,--transport", options.transport, "tcp or rdma")->transform(CLI::CheckedTransformer(transports))->default_str("tcp");
  command.add_option("-a,--traddr", options.address, "Address of the target: IPv4 or IPv6, numeric")->required();
  command.add_option("-s,--trsvcid", options.service, "Port of the target")->capture_default_str()->check(CLI::Range(1, 65535));
  command.add_option("-w,--host-traddr", options.host_address, "RDMA: address of this host to connect from, where it has several");
  auto* nqn = command.add_option("-n,--nqn", options.subnqn, "NQN of the subsystem");
  if (subnqn == SubnqnFlag::kRequired) nqn->required();
  command.add_option("-q,--hostnqn", options.hostnqn, "NQN of this host (default: /etc/nvme/hostnqn, else made from the machine's id)");
  command.add_option("-I,--hostid", options.hostid, "Identifier of this host, a UUID (default: the one in the host NQN)");
  const std::map<std::string, OutputFormat> formats{{"normal", OutputFormat::kTable}, {"json", OutputFormat::kJson}};
  command.add_option("-o,--output-format", options.output, "normal or json (JSON alone on stdout)")
      ->transform(CLI::CheckedTransformer(formats))
      ->default_str("normal");
}

Result<host::HostIdentity> identity_of(const HostOptions& options) {
  std::string nqn = options.hostnqn;
  std::string id = options.hostid;
  if (nqn.empty()) {
    nqn = first_line(kHostnqnFile);
    if (id.empty()) id = first_line(kHostidFile);
  }
  return host::make_identity(nqn, id, uuid_of_this_host());
}

Result<host::ConnectOptions> connect_options(const HostOptions& options) {
  auto identity = identity_of(options);
  if (!identity) return std::unexpected(identity.error());
  host::ConnectOptions connect;
  connect.endpoint = {.host = options.address == "localhost" ? "127.0.0.1" : options.address, .port = options.service, .from = options.host_address};
  connect.subnqn = options.subnqn;
  connect.host = std::move(*identity);
  return connect;
}

}  // namespace weft::app
