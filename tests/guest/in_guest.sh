#!/bin/bash
# in_guest.sh: runs the jobs named in /share/joblist ("NAME ARGUMENT..." a line) one after the other inside the guest, each with a time limit.
# run.sh puts it into the shared directory together with jobs/ and env. Where the fabric is not TCP (WEFT_FABRIC: rdma, iwarp, nvme, nvme_bare) it first makes a
# wire inside the guest, and for RDMA's sake starts the target at one end of it; with NVMe devices, jobs start it. Writes logs/NAME.log, a line "NAME STATUS SECONDS" in results for
# each job, and last the end marker that run.sh requires on the console.
set -u
# shellcheck source=/dev/null
. /share/env

# where_it_hangs: each process with what it waits for in the kernel, the I/O that block devices have outstanding (reads, writes), and RDMA's connections.
where_it_hangs() {
    local task
    for task in /proc/[0-9]*/task/*; do
        [ -n "$(tr -d '\0' <"${task%/task/*}/cmdline")" ] || continue  # of the kernel's own
        echo "-- $(cat "$task/comm") ${task##*/}: $(sed -n 's/^State:\t//p' "$task/status")"
        cat "$task/stack"
    done 2>/dev/null
    grep -H . /sys/block/nvme*/inflight
    # Who has connections, and what has come and gone: at which end it hangs.
    if [ "$WEFT_FABRIC" != tcp ]; then
        rdma resource show cm_id
        rdma resource show qp
        rdma statistic show
        ip neighbour show
        ip -s link show
    fi
}

# record NAME COMMAND...: runs what is no job and must succeed nevertheless; its log and its result stand beside the jobs'.
record() {
    local name=$1 start=$SECONDS status=0
    shift
    "$@" >"/share/logs/$name.log" 2>&1 || status=$?
    [ "$status" = 0 ] || failed=1
    echo "$name $status $((SECONDS - start))" >>/share/results
    return "$status"
}

# set_up_target: the wire, and the target at one end of it.
set_up_target() {
    make_wire || return 1
    # connect_100 looks for leaks: memory must not grow because the kernel joins pages, and fills the holes between them, of a RAM disk.
    echo 0 >/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none
    if [ "$WEFT_TARGET" = weft ]; then cp -r /share/weft /tmp/ || return 1; fi
    start_target
}

# watch PID SECONDS: waits for a job and answers what it asks of the target. One that outlives its limit may hang in the kernel, beyond the reach of kill: the blocked tasks go
# to the console, what every process waits for into logs/hang.log, and the job is given up (status 124).
watch() {
    local pid=$1 deadline=$((SECONDS + $2))
    while kill -0 "$pid" 2>/dev/null; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            echo "weft-guest: job is over its limit of $2 s; blocked tasks follow"
            echo w >/proc/sysrq-trigger
            where_it_hangs >/share/logs/hang.log 2>&1
            kill -KILL -- "-$pid"
            return 124
        fi
        if [ -n "$target_is_ours" ]; then answer_job; fi
        sleep 0.2
    done
    wait "$pid"
}

# clean_up: ends what a failed job left connected.
clean_up() {
    umount -q /tmp/mnt 2>/dev/null
    timeout 30 nvme disconnect-all
}

echo "weft-guest: $(uname -r) up after $(cut -d' ' -f1 /proc/uptime) s"
modprobe nvme-tcp
failed=0 target_is_ours=''
if [[ $WEFT_FABRIC = nvme* ]]; then
    # shellcheck source=SCRIPTDIR/jobs/wire.sh
    . /share/jobs/wire.sh
    cp -r /share/weft /tmp/
    record make_wire make_wire || : >/share/joblist
elif [ "$WEFT_FABRIC" != tcp ]; then
    say() { echo "weft-guest: $*"; }
    # Read by target.sh.
    # shellcheck disable=SC2034
    share=/share log_dir=/share/logs weft=(/tmp/weft/run) namespaces=(ram:320MiB "file:/var/tmp/namespace.img,size=512MiB")
    # shellcheck source=SCRIPTDIR/target.sh
    . /share/target.sh
    # shellcheck source=SCRIPTDIR/jobs/wire.sh
    . /share/jobs/wire.sh
    # shellcheck source=/dev/null
    [ "$WEFT_TARGET" = weft ] || . "/share/$WEFT_TARGET.sh"
    # shellcheck disable=SC2034,SC2154
    listen=("rdma://${wire_address[wt]}:$WEFT_PORT" "tcp://${wire_address[wt]}:$wire_tcp_port")
    target_is_ours=1
    record start_target set_up_target || : >/share/joblist
fi
while read -r name arguments <&3; do
    echo "weft-guest: job $name"
    # The kernel's log begins anew with each job.
    dmesg -c >>/share/logs/dmesg.log
    echo "weft-guest: job $name" >/dev/kmsg
    start=$SECONDS
    # shellcheck disable=SC2086  # arguments are words
    setsid bash "/share/jobs/$name.sh" $arguments >"/share/logs/$name.log" 2>&1 3<&- &
    watch "$!" "$WEFT_JOB_LIMIT"
    status=$?
    [ "$status" = 0 ] || failed=1
    echo "$name $status $((SECONDS - start))" >>/share/results
    echo "weft-guest: job $name status $status"
    # What a hung job holds would fail the jobs after it for no reason of theirs.
    [ "$status" != 124 ] || break
    clean_up
done 3</share/joblist
if [ -n "$target_is_ours" ]; then record stop_target stop_target; fi
dmesg >>/share/logs/dmesg.log
sync
echo "weft-guest: end status=$failed"
