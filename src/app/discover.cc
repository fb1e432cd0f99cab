#include "app/discover.h"

#include <fmt/format.h>

#include "app/discovery_words.h"
#include "app/host_runtime.h"
#include "app/json.h"
#include "app/report_failure.h"
#include "base/bytes.h"
#include "wire/fabrics/connect.h"
#include "wire/text_field.h"

namespace weft::app {
namespace {

/// What is said of an entry's transport alone: names as nvme-cli has them, and values.
std::vector<std::pair<std::string_view, Json>> tsas_of(const fabrics::DiscoveryLogEntry& entry) {
  if (entry.trtype == uint8_t(fabrics::Trtype::kRdma)) {
    const auto& rdma = *view<fabrics::TsasRdma>(entry.tsas);
    return {{"rdma_prtype", word_of(fabrics::RdmaPrtype(rdma.prtype))},
            {"rdma_qptype", word_of(fabrics::RdmaQptype(rdma.qptype))},
            {"rdma_cms", rdma_cms_word(rdma.cms)},
            {"rdma_pkey", uint16_t{rdma.pkey}}};
  }
  const bool is_tcp = entry.trtype == uint8_t(fabrics::Trtype::kTcp);
  return {{"sectype", word_of(is_tcp ? fabrics::Sectype(entry.tsas[0]) : fabrics::Sectype::kNone)}};
}

Json to_json(const host::DiscoveryLog& log) {
  Json records = Json::array();
  for (const auto& entry : log.entries) {
    records.push_back({{"trtype", word_of(fabrics::Trtype(entry.trtype))},
                       {"adrfam", word_of(fabrics::Adrfam(entry.adrfam))},
                       {"subtype", word_of(fabrics::Subtype(entry.subtype))},
                       {"treq", treq_words(entry.treq)},
                       {"portid", uint16_t{entry.portid}},
                       {"trsvcid", text_of(entry.trsvcid)},
                       {"subnqn", text_of(entry.subnqn)},
                       {"traddr", text_of(entry.traddr)},
                       {"eflags", eflags_words(entry.eflags)}});
    for (const auto& [name, value] : tsas_of(entry)) records.back()[std::string{name}] = value;
  }
  return {{"genctr", log.genctr}, {"records", records}};
}

std::string to_table(const host::DiscoveryLog& log) {
  std::string text = fmt::format("Discovery Log Number of Records {}, Generation counter {}\n", log.entries.size(), log.genctr);
  for (size_t i = 0; i < log.entries.size(); ++i) {
    const auto& entry = log.entries[i];
    text += fmt::format("=====Discovery Log Entry {}======\n", i);
    text += fmt::format("trtype:  {}\n", word_of(fabrics::Trtype(entry.trtype)));
    text += fmt::format("adrfam:  {}\n", word_of(fabrics::Adrfam(entry.adrfam)));
    text += fmt::format("subtype: {}\n", word_of(fabrics::Subtype(entry.subtype)));
    text += fmt::format("treq:    {}\n", treq_words(entry.treq));
    text += fmt::format("portid:  {}\n", uint16_t{entry.portid});
    text += fmt::format("trsvcid: {}\n", escaped(text_of(entry.trsvcid)));
    text += fmt::format("subnqn:  {}\n", escaped(text_of(entry.subnqn)));
    text += fmt::format("traddr:  {}\n", escaped(text_of(entry.traddr)));
    text += fmt::format("eflags:  {}\n", eflags_words(entry.eflags));
    for (const auto& [name, value] : tsas_of(entry)) {
      const std::string label = std::string{name} + ":";
      text += value.is_number() ? fmt::format("{:<8} 0x{:04x}\n", label, value.get<uint16_t>()) : fmt::format("{:<8} {}\n", label, value.get<std::string>());
    }
  }
  return text;
}

}  // namespace

void add_discover_options(CLI::App& command, HostOptions& options) {
  add_host_options(command, options, SubnqnFlag::kOptional);
  command.footer(
      "Examples:\n"
      "  weft discover -a 127.0.0.1\n"
      "  weft discover -t rdma -a 192.0.2.5\n"
      "  weft discover -a 192.0.2.5 -s 8009 -q nqn.2014-08.org.nvmexpress:uuid:… -o json");
}

Task<Result<host::DiscoveryLog>> discover(Reactor& reactor, host::Transport& transport, HostOptions options) {
  auto connect = connect_options(options);
  if (!connect) co_return std::unexpected(connect.error());
  if (connect->subnqn.empty()) connect->subnqn = fabrics::kDiscoveryNqn;
  connect->keep_alive = Duration{};  // it lasts a moment
  host::Controller controller{reactor, transport, *connect};
  if (auto done = co_await controller.connect(); !done) co_return std::unexpected(done.error());
  auto log = co_await host::read_discovery_log(controller);
  const auto ended = co_await controller.shutdown();
  if (log && !ended) co_return std::unexpected(ended.error());
  co_return std::move(log);
}

int run_discover(const HostOptions& options) {
  auto runtime = HostRuntime::create(options.transport);
  if (!runtime) return report_failure("discover", runtime.error());
  const auto log = (*runtime)->run(discover((*runtime)->reactor(), (*runtime)->transport(), options));
  if (!log) return report_failure("discover", log.error());
  fmt::print("{}", options.output == OutputFormat::kJson ? to_text(to_json(*log)) + "\n" : to_table(*log));
  return 0;
}

}  // namespace weft::app
