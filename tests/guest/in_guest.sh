#!/bin/bash
# in_guest.sh: runs the jobs named in /share/joblist ("NAME ARGUMENT..." a line) one after the other inside the guest, each with a time limit.
# run.sh puts it into the shared directory together with jobs/ and env. Writes logs/NAME.log, a line "NAME STATUS SECONDS" in results for
# each job, and last the end marker that run.sh requires on the console. A job that failed while the guest's own memory went corrupt gets
# status 75, and the boot is over: run.sh repeats it in a fresh one.
set -u
# shellcheck source=/dev/null
. /share/env
# shellcheck source=SCRIPTDIR/corruption.sh
. /share/corruption.sh

# where_it_hangs: each process with what it waits for in the kernel, and the I/O that block devices have outstanding (reads, writes).
where_it_hangs() {
    local task
    for task in /proc/[0-9]*/task/*; do
        [ -s "${task%/task/*}/cmdline" ] || continue
        echo "-- $(cat "$task/comm") ${task##*/}: $(sed -n 's/^State:\t//p' "$task/status")"
        cat "$task/stack"
    done 2>/dev/null
    grep -H . /sys/block/nvme*/inflight
}

# watch PID SECONDS: waits for a job. One that outlives its limit may hang in the kernel, beyond the reach of kill: the blocked tasks go
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
failed=0
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
    if [ "$status" != 0 ] && dmesg | shows_corruption; then status=75; fi
    [ "$status" = 0 ] || failed=1
    echo "$name $status $((SECONDS - start))" >>/share/results
    echo "weft-guest: job $name status $status"
    # What a hung job holds would fail the jobs after it for no reason of theirs.
    case $status in 75 | 124) break ;; esac
    clean_up
done 3</share/joblist
dmesg >>/share/logs/dmesg.log
sync
echo "weft-guest: end status=$failed"
