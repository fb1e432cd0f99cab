// The program of the raw ceiling: raw_ceiling --medium cold --rw write. Prints "listening tcp HOST:PORT" when it accepts connections, and
// its counts as JSON when SIGTERM or SIGINT ends it. Its client is raw_client without --nvme.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "bench/options.h"
#include "bench/raw_server.h"

int main(int argc, char** argv) {
  using namespace weft::bench;
  CLI::App app{"A server that moves the bytes of NVMe/TCP commands without a protocol"};
  RawServerOptions options;
  Endpoint endpoint;
  int cpu = -1;
  int spin_us = 0;
  add_workload_options(app, options.workload);
  app.add_option("--port", endpoint.port, "port on 127.0.0.1, 0: any")->capture_default_str();
  app.add_option("--medium", options.medium, "hot: one buffer; cold: random blocks of the capacity")
      ->transform(CLI::CheckedTransformer(std::map<std::string, RawMedium::Kind>{{"hot", RawMedium::Kind::kHot}, {"cold", RawMedium::Kind::kCold}}));
  app.add_option("--spin-us", spin_us, "how long to poll after the last work before blocking")->capture_default_str();
  app.add_option("--cpu", cpu, "CPU to run on, -1: any")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  options.spin = std::chrono::microseconds(spin_us);
  pin_to_cpu(cpu);
  Fd listener = listen_on(endpoint);
  const uint16_t port = port_of(listener);
  RawServer server(options, std::move(listener));  // touches all of its memory before anybody is told
  std::printf("listening tcp %s:%u\n", endpoint.host.c_str(), unsigned{port});
  std::fflush(stdout);
  const RawServerCounts counts = server.run();
  const nlohmann::json json{{"ios", counts.ios}, {"receives", counts.receives}, {"sends", counts.sends}};
  std::printf("%s\n", json.dump().c_str());
  return 0;
}
