// What there is to know of an RDMA device before anything is opened on it. Plain values, read once; any reactor may read them.
#pragma once
#include <cstdint>
#include <string>

namespace weft::verbs {

enum class LinkKind : uint8_t { kInfiniband, kRoce, kIwarp };

/// Lives as long as the process, also when the device has gone: its address is its identity, and a device that comes back is another one.
struct Device {
  std::string name;                           // "mlx5_0", "rxe0"
  LinkKind link = LinkKind::kRoce;
  uint64_t message_bytes_max = uint64_t{1} << 30;  // of one work request's data
  uint32_t queue_pair_entries_max = 8192;     // work requests of a send queue
  uint32_t completion_entries_max = 32768;    // of a completion queue
  uint32_t receive_entries_max = 8192;        // that the queue pairs of a domain share
  uint16_t initiated_reads_max = 16;          // RDMA READs that a queue pair may have outstanding (max_qp_init_rd_atom)
  uint16_t answered_reads_max = 16;           // RDMA READs of the peer that a queue pair answers at a time (max_qp_rd_atom)
  bool can_invalidate_remotely = false;       // SEND_WITH_INV works: memory management extensions
  bool has_windows = false;                   // memory windows of type 2
  bool reads_silent_data_late = false;        // an unsignalled WRITE's memory is still read after the completion of a later work request
  /// The sink of an RDMA READ needs REMOTE_WRITE, since an iWARP READ's answer is a write that names its sink to the peer.
  bool is_read_sink_remote() const { return link == LinkKind::kIwarp; }
};

}  // namespace weft::verbs
