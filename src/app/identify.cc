#include "app/identify.h"

#include <fmt/format.h>

#include "app/host_runtime.h"
#include "app/report_failure.h"
#include "wire/print.h"

namespace weft::app {
namespace {

struct Identified {
  nvme::IdentifyController controller;
  std::vector<IdentifiedNamespace> namespaces;
};

template <typename T>
std::span<std::byte> buffer_of(T& target) {
  static_assert(sizeof(T) == nvme::kIdentifySize);
  return {reinterpret_cast<std::byte*>(&target), sizeof target};
}

/// Active NSIDs; more than one list's worth is read in turns.
Task<Result<std::vector<uint32_t>>> active_namespaces(host::Controller& controller) {
  std::vector<uint32_t> nsids;
  auto list = std::make_unique<nvme::NamespaceList>();
  for (;;) {
    const uint32_t last = nsids.empty() ? 0 : nsids.back();
    if (auto done = co_await controller.identify({.cns = nvme::Cns::kActiveNamespaces, .nsid = last}, buffer_of(*list)); !done) {
      co_return std::unexpected(done.error());
    }
    for (const le32 nsid : list->nsid) {
      if (nsid == 0u) co_return std::move(nsids);
      if (nsid <= (nsids.empty() ? 0u : nsids.back())) co_return fail(Errc::kInvalid, "the list of active namespaces is not in ascending order");
      nsids.push_back(nsid);
    }
  }
}

Task<Result<IdentifiedNamespace>> identify_namespace(host::Controller& controller, uint32_t nsid) {
  auto ns = std::make_unique<IdentifiedNamespace>(IdentifiedNamespace{nsid, {}, std::vector<std::byte>(nvme::kIdentifySize)});
  if (auto done = co_await controller.identify({.cns = nvme::Cns::kNamespace, .nsid = nsid}, buffer_of(ns->id)); !done) {
    co_return std::unexpected(done.error());
  }
  if (ns->id.nsze == 0u) co_return fail(Errc::kNotFound, fmt::format("namespace {} is not active", nsid));
  if (auto done = co_await controller.identify({.cns = nvme::Cns::kNamespaceDescriptors, .nsid = nsid}, ns->descriptors); !done) {
    co_return std::unexpected(done.error());
  }
  co_return std::move(*ns);
}

Task<Result<std::unique_ptr<Identified>>> identify_all(host::Controller& controller, IdentifyOptions options) {
  auto all = std::make_unique<Identified>();
  all->controller = controller.identity();
  std::vector<uint32_t> nsids;
  if (options.nsid) {
    nsids.push_back(*options.nsid);
  } else {
    auto active = co_await active_namespaces(controller);
    if (!active) co_return std::unexpected(active.error());
    nsids = std::move(*active);
  }
  for (const uint32_t nsid : nsids) {
    auto ns = co_await identify_namespace(controller, nsid);
    if (!ns) co_return std::unexpected(ns.error());
    all->namespaces.push_back(std::move(*ns));
  }
  co_return std::move(all);
}

Task<Result<std::unique_ptr<Identified>>> identify(Reactor& reactor, host::Transport& transport, IdentifyOptions options) {
  const auto connect = connect_options(options.host);
  if (!connect) co_return std::unexpected(connect.error());
  host::Controller controller{reactor, transport, *connect};
  if (auto done = co_await controller.connect(); !done) co_return std::unexpected(done.error());
  auto all = co_await identify_all(controller, options);
  const auto ended = co_await controller.shutdown();
  if (all && !ended) co_return std::unexpected(ended.error());
  co_return std::move(all);
}

}  // namespace

void add_identify_options(CLI::App& command, IdentifyOptions& options) {
  add_host_options(command, options.host, SubnqnFlag::kRequired);
  command.add_option("--nsid", options.nsid, "This namespace only (default: all active ones)");
  command.footer(
      "Examples:\n"
      "  weft identify -a 127.0.0.1 -n nqn.2014-08.org.example:a\n"
      "  weft identify -t rdma -a 192.0.2.5 -n nqn.2014-08.org.example:a --nsid 2 -o json");
}

int run_identify(const IdentifyOptions& options) {
  auto runtime = HostRuntime::create(options.host.transport);
  if (!runtime) return report_failure("identify", runtime.error());
  const auto result = (*runtime)->run(identify((*runtime)->reactor(), (*runtime)->transport(), options));
  if (!result) return report_failure("identify", result.error());
  const Identified& all = **result;
  if (options.host.output == OutputFormat::kJson) {
    Json json = to_json(all.controller);
    json["namespaces"] = Json::array();
    for (const auto& ns : all.namespaces) json["namespaces"].push_back(to_json(ns));
    fmt::print("{}\n", to_text(json));
    return 0;
  }
  fmt::print("NVME Identify Controller:\n{}", nvme::to_text(all.controller));
  for (const auto& ns : all.namespaces) {
    fmt::print("\nNVME Identify Namespace {}:\n{}{}", ns.nsid, nvme::to_text(ns.id), nvme::namespace_descriptors_to_text(ns.descriptors));
  }
  return 0;
}

}  // namespace weft::app
