// What is the same of commands and of Connect on every fabric, for the monitors of each. NVMe Base 2.0 §3.3, §6.3.
#pragma once
#include "sim/checkers/wire_events.h"
#include "wire/fabrics/connect.h"

#include <string>

namespace weft::sim {

bool is_fabrics(const nvme::Sqe& sqe);
bool is_connect(const nvme::Sqe& sqe);
nvme::DataDirection direction_of(const nvme::Sqe& sqe);

/// What is wrong with a command before its SGL is looked at, on a queue with `outstanding` others; empty: nothing.
std::string wrong_of_command(const nvme::Sqe& sqe, const WireQueue& queue, size_t outstanding);
/// What a host may not say in the flags of a command that is none of fabrics; empty: nothing.
std::string wrong_of_flags(const nvme::Sqe& sqe);
/// The queue is what this Connect has asked for and its completion grants.
void take_grant(WireQueue& queue, const nvme::Sqe& connect, const fabrics::ConnectData& data, const nvme::Cqe& cqe);

}  // namespace weft::sim
