// Every bound of the target, in one place: its default, its smallest legal value, the hostile value that the simulator draws, what one costs
// in bytes, and what it bounds. `weft serve --explain-memory` prints this table. Wire-given limits (sizes of fields) are not here.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace weft {

struct Limits {
  uint32_t connections = 16384;              // transport connections in all
  uint32_t connections_per_peer = 4096;      // of one peer address
  uint32_t queue_entries = 1024;             // SQSIZE + 1 of an I/O queue; CAP.MQES + 1
  uint32_t admin_queue_entries = 1024;       // SQSIZE + 1 of an admin queue
  uint32_t io_queues = 128;                  // per controller; Number of Queues grants at most this
  uint32_t controllers = 4096;               // per subsystem
  uint32_t slots_per_reactor = 1 << 20;      // command slots, reserved by Connect, touched when used
  uint32_t data_transfer_bytes = 1 << 20;    // MDTS, of which 4096 bytes would be 0, "no limit"; also R2T length
  uint32_t in_capsule_bytes = 8192;          // of an I/O command
  uint32_t admin_share_bytes = 8 << 20;      // per reactor, data of admin and fabrics commands, which data never starves
  uint32_t in_capsule_share_bytes = 16 << 20;  // per reactor, buffers for in-capsule writes of devices that need a stable buffer
  uint32_t transfer_share_bytes = 64 << 20;  // per reactor, buffers for data requested by R2T
  uint32_t read_share_bytes = 64 << 20;      // per reactor, buffers for reads that cannot lend
  uint32_t scratch_share_bytes = 16 << 20;   // per reactor, for Compare, Verify, Copy
  uint32_t fused_share_bytes = 16 << 20;      // per reactor, for fused pairs, whose halves wait for each other
  uint32_t account_part = 4;                 // a controller takes one part in so many of what is free in a share that hosts can hold
  uint32_t receive_buffer_bytes = 256 << 10; // per reactor
  uint32_t send_iovecs = 1024;               // per send
  uint32_t send_bytes = 768 << 10;           // per send: what one connection gets of a cycle; one more piece of data may begin before it is reached
  uint32_t async_events = 4;                 // outstanding Asynchronous Event Requests; AERL + 1
  uint32_t aborts = 4;                       // outstanding Abort commands; ACL + 1
  uint32_t error_log_entries = 64;           // per controller; ELPE + 1
  uint32_t namespaces = 1024;                // per subsystem; NN
  uint32_t dsm_ranges = 256;                 // per Dataset Management
  uint32_t copy_ranges = 128;                // per Copy; MSRC + 1
  uint32_t copy_blocks = 8192;               // per Copy, all ranges together; MCL
  uint32_t maxh2cdata_bytes = 1 << 20;       // NVMe/TCP: data of one H2CData
  uint32_t handshake_ms = 10000;             // from accept to a completed Connect
  uint32_t r2t_ms = 30000;                   // from R2T to its last H2CData
  uint32_t stalled_send_ms = 30000;          // a peer that takes no byte
  uint32_t termination_ms = 30000;           // from a termination request to the close
  uint32_t association_ms = 120000;          // a disabled controller without Connect or enable
  uint32_t discovery_idle_ms = 120000;       // a discovery controller with KATO 0 and no command
  uint32_t io_timeout_ms = 30000;            // a device that does not answer
  uint32_t shutdown_ms = 5000;               // SIGTERM to the end
  uint32_t old_association_ms = 5000;        // a new association waits for what reactors, and again for what devices, have of its host's old one
  uint32_t removal_ms = 10000;               // from asking for a removal to the answer, when a device holds it up
  uint32_t rdma_in_capsule_bytes = 4096;     // of an I/O command over RDMA: more corrupts writes of Linux 5.4 to 5.12
  uint32_t rdma_receives = 8192;             // per reactor and RDMA device: capsules that hosts may send at once, HSQSIZE + 1 of each queue
  uint32_t rdma_completions = 32768;         // per reactor and RDMA device: what may complete at once
  uint32_t rdma_reads = 16;                  // RDMA READs of a queue at a time, if host and device can
  uint32_t rdma_drain_ms = 1000;             // from the end of a queue pair to its destruction, if its device does not say that it is drained
  uint32_t rdma_linger_ms = 1000;            // from asking for a close to the disconnect, when responses do not leave
};

/// What a limit counts for: there is one of it for each of these.
enum class LimitScope : uint8_t { kTarget, kPeer, kReactor, kSubsystem, kController, kConnection, kCommand };

struct LimitRow {
  const char* name;
  uint32_t Limits::*value;
  uint32_t minimum;
  uint32_t hostile;
  uint32_t bytes_each;  // what one of them costs; 0: a time or a count that costs nothing by itself
  LimitScope scope;
  const char* meaning;
};

inline constexpr std::array kLimitTable{
    LimitRow{"connections", &Limits::connections, 1, 2, 10240, LimitScope::kTarget, "transport connections in all"},
    LimitRow{"connections_per_peer", &Limits::connections_per_peer, 1, 2, 0, LimitScope::kPeer, "transport connections of one peer address"},
    LimitRow{"queue_entries", &Limits::queue_entries, 2, 2, 0, LimitScope::kConnection, "outstanding commands of an I/O queue"},
    LimitRow{"admin_queue_entries", &Limits::admin_queue_entries, 32, 32, 0, LimitScope::kConnection, "outstanding commands of an admin queue"},
    LimitRow{"io_queues", &Limits::io_queues, 1, 1, 0, LimitScope::kController, "I/O queues of a controller"},
    LimitRow{"controllers", &Limits::controllers, 1, 2, 8192, LimitScope::kSubsystem, "controllers of a subsystem"},
    LimitRow{"slots_per_reactor", &Limits::slots_per_reactor, 64, 64, 448, LimitScope::kReactor, "command slots of a reactor, touched when used"},
    LimitRow{"data_transfer_bytes", &Limits::data_transfer_bytes, 8192, 8192, 0, LimitScope::kCommand, "data of one command (MDTS)"},
    LimitRow{"in_capsule_bytes", &Limits::in_capsule_bytes, 0, 0, 0, LimitScope::kCommand, "in-capsule data of an I/O command"},
    LimitRow{"admin_share_bytes", &Limits::admin_share_bytes, 1 << 20, 1 << 20, 1, LimitScope::kReactor, "admin and fabrics data"},
    LimitRow{"in_capsule_share_bytes", &Limits::in_capsule_share_bytes, 8192, 8192, 1, LimitScope::kReactor, "in-capsule writes in progress"},
    LimitRow{"transfer_share_bytes", &Limits::transfer_share_bytes, 1 << 20, 1 << 20, 1, LimitScope::kReactor, "data requested by R2T"},
    LimitRow{"read_share_bytes", &Limits::read_share_bytes, 1 << 20, 1 << 20, 1, LimitScope::kReactor, "reads in progress"},
    LimitRow{"scratch_share_bytes", &Limits::scratch_share_bytes, 1 << 20, 1 << 20, 1, LimitScope::kReactor, "Compare, Verify, Copy"},
    LimitRow{"fused_share_bytes", &Limits::fused_share_bytes, 8192, 8192, 1, LimitScope::kReactor, "fused pairs"},
    LimitRow{"account_part", &Limits::account_part, 1, 64, 0, LimitScope::kReactor, "a controller takes one part in so many of what is free"},
    LimitRow{"receive_buffer_bytes", &Limits::receive_buffer_bytes, 16384, 16384, 1, LimitScope::kReactor, "one receive"},
    LimitRow{"send_iovecs", &Limits::send_iovecs, 4, 4, 16, LimitScope::kReactor, "pieces of one send"},
    LimitRow{"send_bytes", &Limits::send_bytes, 1, 1, 0, LimitScope::kConnection, "bytes of one send, to the end of a command's data"},
    LimitRow{"async_events", &Limits::async_events, 1, 1, 0, LimitScope::kController, "Asynchronous Event Requests outstanding"},
    LimitRow{"aborts", &Limits::aborts, 1, 1, 0, LimitScope::kController, "Abort commands outstanding"},
    LimitRow{"error_log_entries", &Limits::error_log_entries, 1, 1, 64, LimitScope::kController, "error log of a controller"},
    LimitRow{"namespaces", &Limits::namespaces, 1, 64, 0, LimitScope::kSubsystem, "namespaces of a subsystem"},
    LimitRow{"dsm_ranges", &Limits::dsm_ranges, 1, 256, 0, LimitScope::kCommand, "ranges of a Dataset Management command"},
    LimitRow{"copy_ranges", &Limits::copy_ranges, 1, 2, 0, LimitScope::kCommand, "source ranges of a Copy command"},
    LimitRow{"copy_blocks", &Limits::copy_blocks, 1, 16, 0, LimitScope::kCommand, "logical blocks of a Copy command"},
    LimitRow{"maxh2cdata_bytes", &Limits::maxh2cdata_bytes, 4096, 4096, 0, LimitScope::kCommand, "data of one H2CData PDU"},
    LimitRow{"handshake_ms", &Limits::handshake_ms, 100, 100, 0, LimitScope::kConnection, "from accept to Connect"},
    LimitRow{"r2t_ms", &Limits::r2t_ms, 100, 100, 0, LimitScope::kCommand, "from R2T to its data"},
    LimitRow{"stalled_send_ms", &Limits::stalled_send_ms, 100, 100, 0, LimitScope::kConnection, "a peer that takes no byte"},
    LimitRow{"termination_ms", &Limits::termination_ms, 100, 100, 0, LimitScope::kConnection, "from a termination request to the close"},
    LimitRow{"association_ms", &Limits::association_ms, 1000, 1000, 0, LimitScope::kController, "a controller that stays disabled"},
    LimitRow{"discovery_idle_ms", &Limits::discovery_idle_ms, 1000, 1000, 0, LimitScope::kController, "a discovery controller without keep-alive"},
    LimitRow{"io_timeout_ms", &Limits::io_timeout_ms, 100, 100, 0, LimitScope::kCommand, "a device that does not answer"},
    LimitRow{"shutdown_ms", &Limits::shutdown_ms, 100, 100, 0, LimitScope::kTarget, "from SIGTERM to the end"},
    LimitRow{"old_association_ms", &Limits::old_association_ms, 100, 100, 0, LimitScope::kTarget, "that a new association waits for its host's old one"},
    LimitRow{"removal_ms", &Limits::removal_ms, 100, 100, 0, LimitScope::kTarget, "from asking for a removal to the answer"},
    LimitRow{"rdma_in_capsule_bytes", &Limits::rdma_in_capsule_bytes, 0, 0, 0, LimitScope::kCommand, "in-capsule data of an I/O command over RDMA"},
    LimitRow{"rdma_receives", &Limits::rdma_receives, 64, 64, 4160, LimitScope::kReactor, "capsules that arrive over one RDMA device"},
    LimitRow{"rdma_completions", &Limits::rdma_completions, 512, 512, 64, LimitScope::kReactor, "completions of one RDMA device"},
    LimitRow{"rdma_reads", &Limits::rdma_reads, 1, 1, 0, LimitScope::kConnection, "RDMA READs outstanding"},
    LimitRow{"rdma_drain_ms", &Limits::rdma_drain_ms, 10, 10, 0, LimitScope::kConnection, "from a queue pair's end to its destruction"},
    LimitRow{"rdma_linger_ms", &Limits::rdma_linger_ms, 10, 10, 0, LimitScope::kConnection, "responses that leave before a disconnect"},
};
static_assert(kLimitTable.size() * sizeof(uint32_t) == sizeof(Limits), "every limit has its row");

}  // namespace weft
