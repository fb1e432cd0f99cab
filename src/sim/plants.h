// The planted bugs: one line of production code each, under WEFT_PLANTED("name") (base/simulation.h), off until --plant
// NAME. Each proves a checker: a test runs worlds with it and must see that checker, or one that the bug reaches first,
// find it. Sorted by name.
#pragma once
#include <array>

namespace weft::sim {

struct Plant {
  const char* name;
  const char* checker;  // who finds it
  const char* breaks;   // what it does
};

inline constexpr std::array kPlants{
    Plant{"buffer-freed-early", "oracle|crash", "the buffer of a read is given back before its data is sent"},
    Plant{"c2h-last-missing", "wire", "no C2HData has LAST_PDU"},
    Plant{"compare-too-little", "oracle|fused", "Compare looks at the first bytes only"},
    Plant{"completion-twice", "completion", "each response is sent twice"},
    Plant{"data-digest-unchecked", "wire|oracle", "data is taken whatever its digest says"},
    Plant{"flush-not-done", "durability|oracle", "Flush is answered without being done"},
    Plant{"freeze-lets-pass", "fused", "a frozen range keeps nobody out"},
    Plant{"fua-ignored", "durability", "a write that should be stable is not"},
    Plant{"header-digest-unchecked", "wire|completion", "headers are taken whatever their digest says"},
    Plant{"io-queue-outlives-association", "association", "an association that ends leaves its I/O queues open"},
    Plant{"keep-alive-deaf-to-completions", "keep-alive", "completions hold no keep-alive off"},
    Plant{"keep-alive-deaf-to-io-queues", "keep-alive", "only the admin queue holds keep-alive off"},
    Plant{"keep-alive-fed-by-data", "keep-alive", "the data of writes holds keep-alive off"},
    Plant{"keep-alive-impatient", "keep-alive", "associations end after a quarter of KATO"},
    Plant{"keep-alive-patient", "keep-alive", "associations end after one and three quarters of KATO"},
    Plant{"maxh2cdata-above-limit", "limits", "ICResp announces more MAXH2CDATA than the limit"},
    Plant{"namespace-freed-in-flight", "crash", "a namespace goes while commands run on it"},
    Plant{"phase-bit-set", "completion", "completions have the phase bit set"},
    Plant{"queues-granted-beyond-limit", "limits", "Set Features grants one I/O queue too many"},
    Plant{"r2t-length-off-by-one", "wire", "an R2T asks for one byte too many"},
    Plant{"r2t-sent-twice", "wire", "each R2T is sent twice"},
    Plant{"rdma-buffer-freed-early", "liveness|oracle|buffer-ownership|crash", "the buffer of a read is given back when its data is posted"},
    Plant{"rdma-invalidates-unasked", "wire", "responses invalidate keys that nobody has asked to be invalidated"},
    Plant{"rdma-key-used-after-invalidation", "wire", "data is written with a key that the response before it has invalidated"},
    Plant{"rdma-reads-beyond-depth", "wire", "more READs are outstanding than was settled"},
    Plant{"rdma-receives-overcommitted", "receive-room", "more capsules may come than there are receives"},
    Plant{"rdma-response-before-data", "wire", "the response of a read goes before its data"},
    Plant{"response-after-success-flag", "completion", "a response follows data with the SUCCESS flag"},
    Plant{"sqhd-stuck", "completion", "SQHD does not advance"},
    Plant{"success-flag-with-flow-control", "wire", "the SUCCESS flag is used on queues with SQ flow control"},
    Plant{"wake-up-lost", "liveness", "a message does not wake a reactor that sleeps"},
    Plant{"write-done-at-first-data", "wire", "a write is executed with its first H2CData"},
    Plant{"written-data-touched", "buffer-ownership", "data is changed while a disk has it"},
};

}  // namespace weft::sim
