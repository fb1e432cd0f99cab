#!/usr/bin/env bash
# corruption_test.sh: what corruption.sh takes for a guest with corrupt memory, and what it must not.
set -euo pipefail
# shellcheck source=SCRIPTDIR/corruption.sh
. "$(dirname "${BASH_SOURCE[0]}")/corruption.sh"
failed=0

# expect STATUS NAME: the log on stdin must give that status.
expect() {
    local status=0
    shows_corruption >/dev/null || status=$?
    if [ "$status" = "$1" ]; then echo "ok: $2"; else echo "FAILED: $2: status $status, want $1"; failed=1; fi
}

expect 0 "a bad page that virtio_net finds" <<'LOG'
[   41.367261] nvme nvme0: new ctrl: NQN "nqn.2014-08.org.nvmexpress:weft-guest"
[   51.579225] BUG: Bad page state in process rcu_preempt  pfn:029dd
[   51.582645] page: refcount:-1 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0x29dd
[   51.584162] Modules linked in: nvme_tcp nvme_fabrics nvme_core virtio_net ext4
[   51.588176]  try_fill_recv+0x318/0xaa0 [virtio_net]
[   51.589550]  </TASK>
[   53.240301] nvme nvme0: Removing ctrl: NQN "nqn.2014-08.org.nvmexpress:weft-guest"
LOG
expect 0 "a command header without a reference" <<'LOG'
[   16.192943] WARNING: CPU: 0 PID: 161 at net/core/skbuff.c:7279 skb_splice_from_iter+0x116/0x310
[   16.201268]  tcp_sendmsg_locked+0x44a/0xe60
[   16.202050]  nvme_tcp_try_send_cmd_pdu+0x131/0x3a0 [nvme_tcp]
[   16.203458] ---[ end trace 0000000000000000 ]---
[   16.204562] nvme nvme0: failed to send request -5
LOG
expect 1 "data without a reference, which a target may have freed too early" <<'LOG'
[   16.192943] WARNING: CPU: 0 PID: 161 at net/core/skbuff.c:7279 skb_splice_from_iter+0x116/0x310
[   16.202050]  nvme_tcp_try_send_data+0x131/0x3a0 [nvme_tcp]
[   16.203458] ---[ end trace 0000000000000000 ]---
LOG
expect 1 "a bad page in the NVMe host's hands" <<'LOG'
[   51.579225] BUG: Bad page state in process kworker/0:1H  pfn:029dd
[   51.588176]  nvme_tcp_recv_skb+0x318/0xaa0 [nvme_tcp]
[   51.589550]  </TASK>
LOG
expect 1 "any other warning" <<'LOG'
[   51.579225] WARNING: CPU: 1 PID: 9 at block/blk-mq.c:100 blk_mq_end_request+0x1/0x2
[   51.588176]  process_one_work+0x318/0xaa0
[   51.589550]  </TASK>
LOG
expect 1 "a quiet log" <<'LOG'
[   41.367261] nvme nvme0: failed to send request -5
LOG
exit "$failed"
