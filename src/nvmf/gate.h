// The gate that every command passes first: which class of command a queue takes in which state. NVMe Base 2.0 §3.3.1, §6.3.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "nvmf/queue.h"
#include "wire/fabrics/connect.h"

namespace weft::nvmf {

enum class CommandClass : uint8_t { kConnect, kFabrics, kAdmin, kIo };

constexpr CommandClass class_of(const nvme::Sqe& sqe, bool is_admin_queue) {
  if (sqe.opcode != nvme::kFabricsOpcode) return is_admin_queue ? CommandClass::kAdmin : CommandClass::kIo;
  return fabrics::Fctype(sqe.fctype()) == fabrics::Fctype::kConnect ? CommandClass::kConnect : CommandClass::kFabrics;
}

inline constexpr nvme::Status kOutOfOrder = nvme::status::kCommandSequenceError.with_dnr();

// kStopping and kDetached take nothing and are dealt with before the gate.
inline constexpr std::array<std::array<nvme::Status, 4>, 3> kGate{{
    // kConnect,                 kFabrics,                kAdmin,                  kIo
    {nvme::status::kSuccess, kOutOfOrder, kOutOfOrder, kOutOfOrder},                                          // kFresh
    {kOutOfOrder, kOutOfOrder, kOutOfOrder, kOutOfOrder},                                                     // kConnecting
    {kOutOfOrder, nvme::status::kSuccess, nvme::status::kSuccess, nvme::status::kSuccess},                    // kLive
}};

constexpr nvme::Status gate(QueueState state, CommandClass command_class) {
  return kGate[size_t(state)][size_t(command_class)];
}

}  // namespace weft::nvmf
