# Job: the host falls silent under load: the wire is cut while fio writes or reads. Nobody tells the target, which must let go of the host's queue
# pairs by itself, with what was under way on them. When the wire is whole again the host comes back, no I/O has failed and all data verifies.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"

# The connection breaks on purpose.
allow_message 'nvme nvme[0-9]+: |no usable path - requeuing I/O|make_send_cqe: non-flush error'
allow_message 'nvme[0-9]+c?[0-9]*n[0-9]+: I/O Cmd.*(Host Aborted|Host Pathing)'

is_cut=''
trap '[ -z "$is_cut" ] || mend_wire' EXIT
is_live() { [ "$(cat "/sys/class/nvme/$name/state")" = live ]; }

# lose_host OPTION...: fio with these options; the wire is cut until the target has forgotten the host. The host may be in the middle of an attempt to
# connect then, which its connection manager repeats for a minute.
lose_host() {
    local fio status=0
    fio --name=lost --filename="$device" --direct=1 --ioengine=libaio --bsrange=4k-256k --iodepth=16 --size=32m --rate=4m "$@" >/tmp/fio.log 2>&1 &
    fio=$!
    sleep 3
    check "fio is running ($1)" kill -0 "$fio"
    check "the target has three queue pairs" wait_qps 3
    is_cut=1
    cut_wire
    check "the target lets go of the silent host's queue pairs ($1)" wait_qps 0
    check "fio waits ($1)" kill -0 "$fio"
    mend_wire
    is_cut=''
    check "the host is connected again ($1)" wait_until 120 is_live
    wait "$fio" || status=$?
    cat /tmp/fio.log
    check_equal "status of fio ($1)" "$status" 0
}

check "nobody is connected" wait_qps 0
connect -i 2 --keep-alive-tmo=5 --reconnect-delay=1 --ctrl-loss-tmo=300
device=$(wait_device 1)
name=$(controllers)
lose_host --rw=randwrite --verify=crc32c --verify_fatal=1 --do_verify=1
lose_host --rw=randread
disconnect
finish
