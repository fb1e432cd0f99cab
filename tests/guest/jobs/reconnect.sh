# Job: the target is killed and started again twice while fio writes to the file namespace; the host reconnects, no I/O fails and all data
# verifies. Needs somebody who answers (guest_test.sh, or a target inside the guest).
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"

# The connection breaks on purpose: what the host says about its loss and its attempts is not an error here.
allow_message 'nvme nvme[0-9]+: .*(receive failed|failed to send request|starting error recovery|[Rr]econnect|Failed reconnect|failed to connect socket|failed nvme_keep_alive|queue .* error|Property (Set|Get) error|Connect command failed|creating|socket)'
allow_message 'nvme_tcp: queue [0-9]+: failed to receive icresp'
allow_message 'nvme nvme[0-9]+: (Connect rejected|rdma connection establishment failed|failed to submit|[A-Z]+ for CQE 0x[0-9a-f]+ failed)'
allow_message 'make_send_cqe: non-flush error'
allow_message 'no usable path - requeuing I/O'
# Namespace 1 is memory: after a restart it is another disk, with identifiers of its own.
allow_message 'nvme nvme[0-9]+: identifiers changed for nsid 1'
# The kernel retries these.
allow_message 'nvme[0-9]+c?[0-9]*n[0-9]+: I/O Cmd.*(Host Aborted|Host Pathing)'

is_live() { [ "$(cat "/sys/class/nvme/$name/state")" = live ]; }
is_not_live() { ! is_live; }

connect -i 2 --reconnect-delay=1 --ctrl-loss-tmo=120 --keep-alive-tmo=5
device=$(wait_device 2)
name=$(controllers)
uuid=$(cat "/sys/block/${device##*/}/uuid")
# About 25 s of writing, then the reads.
fio --name=reconnect --filename="$device" --direct=1 --ioengine=libaio --rw=randwrite --bs=4k --iodepth=8 --size=32m --rate_iops=330 \
    --verify=crc32c --verify_fatal=1 --do_verify=1 >/tmp/fio.log 2>&1 &
fio=$!
for round in 1 2; do
    sleep 3
    check "fio is still running before kill $round" kill -0 "$fio"
    check "the target is killed (round $round)" ask_target kill
    check "the host notices (round $round)" wait_until 30 is_not_live
    sleep 1
    check "the target is started again (round $round)" ask_target start
    check "the host is connected again (round $round)" wait_until 40 is_live
done
status=0
wait "$fio" || status=$?
cat /tmp/fio.log
check_equal "status of fio" "$status" 0
check_equal "UUID after the restart" "$(cat "/sys/block/${device##*/}/uuid")" "$uuid"
finish
