# Job: an RDMA device is taken away under load and comes back: first the host's, then the target's, which still serves TCP meanwhile, and RDMA again
# when its device is back; no I/O fails then.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"

# The connections break on purpose; in the first half the host loses its controllers for good, and I/O fails with them.
allow_message 'nvme|I/O error|infiniband rdma_w|make_send_cqe: non-flush error|rdma_rxe: (un)?loaded|no usable path'

is_gone() { [ -z "$(controllers)" ]; }
is_live() { [ "$(cat "/sys/class/nvme/$name/state")" = live ]; }
is_not_live() { ! is_live; }
tcp_serves() { nvme discover -t tcp -a "${wire_address[wt]}" -s "$wire_tcp_port" -w "${wire_address[wh]}" -o json | jq -e '.records | length > 0'; }

# start_fio NSID OPTION...: writes and verifies in the background; sets $fio.
start_fio() {
    local device
    device=$(wait_device "$1")
    shift
    fio --name=unplug --filename="$device" --direct=1 --ioengine=libaio --rw=randwrite --bsrange=4k-128k --iodepth=8 "$@" >/tmp/fio.log 2>&1 &
    fio=$!
    sleep 3
    check "fio is running" kill -0 "$fio"
}

# unplug END: takes its RDMA device away, which waits, out of reach of any signal, until every program has closed it. A target that keeps it is
# killed and started anew, so that the other jobs have one.
unplug() {
    local pid
    delete_rdma_device "$1" >/tmp/unplug.log 2>&1 &
    pid=$!
    if wait_until 60 has_ended "$pid"; then
        echo "ok: the device of $1 is taken away"
        return
    fi
    fail "the device of $1 cannot be taken away: somebody keeps it open"
    ask_target kill
    wait_until 60 has_ended "$pid"
    add_rdma_device "$1"
    ask_target start
    return 1
}
has_ended() { ! kill -0 "$1" 2>/dev/null; }

unplug_host() {
    local status=0
    connect -i 2
    start_fio 1 --size=64m --time_based --runtime=120
    unplug wh || return 0
    check "the host has lost its controller" wait_until 30 is_gone
    wait "$fio" || status=$?
    check "fio has lost its namespace" test "$status" != 0
    check "the target has let go of its queue pairs" wait_qps 0
    check "the host's device is back" add_rdma_device wh
}

unplug_target() {
    local status=0
    connect -i 2 --reconnect-delay=1 --ctrl-loss-tmo=120 --keep-alive-tmo=5
    name=$(controllers)
    start_fio 2 --size=32m --rate=1m --verify=crc32c --verify_fatal=1 --do_verify=1
    unplug wt || return 0
    check "the host notices" wait_until 40 is_not_live
    check "the target serves TCP meanwhile" tcp_serves
    check "the target has no queue pair" wait_qps 0
    check "the target's device is back" add_rdma_device wt
    check "the host is connected again" wait_until 60 is_live
    wait "$fio" || status=$?
    cat /tmp/fio.log
    check_equal "status of fio" "$status" 0
    disconnect
}

unplug_host
unplug_target
finish
