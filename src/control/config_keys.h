// Every key that a configuration file may hold, by table. The loader refuses all others; the tests hold
// docs/configuration.md to this list.
#pragma once
#include <array>
#include <string_view>

namespace weft::control {

inline constexpr std::array<std::string_view, 3> kTopKeys{"target", "listener", "subsystem"};
inline constexpr std::array<std::string_view, 5> kTargetKeys{
    "cores", "poll", "io_timeout_s", "connections_max", "connections_per_peer_max"};
inline constexpr std::array<std::string_view, 1> kListenerKeys{"address"};
inline constexpr std::array<std::string_view, 7> kSubsystemKeys{"nqn",   "allow_any_host",  "allow_hosts", "serial",
                                                                "model", "subsystem_reset", "namespace"};
inline constexpr std::array<std::string_view, 4> kNamespaceKeys{"nsid", "device", "block_size", "uuid"};

}  // namespace weft::control
