# Helpers of the jobs, which run inside the guest: connect and disconnect, devices by NSID, checks, the kernel log, requests about the
# target. Sourced first by every job; a job ends with `finish`, which fails when a check failed or the kernel complained about NVMe.
# A command that a job depends on runs under set -e; `check` counts a failure and goes on.
# shellcheck shell=bash disable=SC2034
set -euo pipefail

# This guest's host identity; two_hosts.sh adds a second one.
host_id=11111111-1111-4111-8111-111111111111
host_nqn=nqn.2014-08.org.nvmexpress:uuid:$host_id
# Where the target is, for nvme-cli; a second host asks the kernel itself (connect_other), by another transport where there are two.
target=(-t tcp -a "$WEFT_ADDRESS" -s "$WEFT_PORT")
other_target=transport=tcp,traddr=$WEFT_ADDRESS,trsvcid=$WEFT_PORT
if [ "$WEFT_FABRIC" != tcp ]; then
    # shellcheck source=SCRIPTDIR/wire.sh
    . /share/jobs/wire.sh
    target=(-t rdma -a "${wire_address[wt]}" -s "$WEFT_PORT" -w "${wire_address[wh]}")
    other_target=transport=tcp,traddr=${wire_address[wt]},trsvcid=$wire_tcp_port,host_traddr=${wire_address[wh]}
fi
failures=0
job_start=$(cut -d' ' -f1 /proc/uptime)
# Kernel messages of level warning and worse that are fine in any job.
allowed_messages=(
    'resetting controller'          # what `nvme reset` says
    'long keepalive RTT'            # software emulation is slow
    '[0-9]+ callbacks suppressed'   # a message that is allowed, too often
    'queue_size [0-9]+ > ctrl sqsize [0-9]+, clamping down'  # the host prefers 128 entries; a target may have fewer
)

note() { printf '%s\n' "-- $*"; }
fail() { printf 'FAILED: %s\n' "$*"; failures=$((failures + 1)); }

# check MESSAGE COMMAND...: the command must succeed; its output is shown when it does not.
check() {
    local message=$1 output
    shift
    if output=$("$@" 2>&1); then echo "ok: $message"; else fail "$message: $*"; printf '%s\n' "$output"; fi
}

# check_fails MESSAGE REGEX COMMAND...: the command must fail and say why.
check_fails() {
    local message=$1 regex=$2 output status=0
    shift 2
    output=$("$@" 2>&1) || status=$?
    if [ "$status" != 0 ] && grep -qE "$regex" <<<"$output"; then
        echo "ok: $message"
    else
        fail "$message: $* gave status $status, want a failure that says '$regex'"
        printf '%s\n' "$output"
    fi
}

check_equal() {
    if [ "$2" = "$3" ]; then echo "ok: $1: $2"; else fail "$1: got '$2', want '$3'"; fi
}

# allow_message REGEX: a kernel warning that this job provokes on purpose.
allow_message() { allowed_messages+=("$1"); }

# kernel_complaints: what the kernel said since the job began about NVMe or block devices at level warning or worse, or about itself.
kernel_complaints() {
    local allowed
    allowed=$(IFS='|'; echo "${allowed_messages[*]}")
    dmesg --level=emerg,alert,crit,err,warn | awk -v start="$job_start" '{ t = $0; sub(/^\[ */, "", t); if (t + 0 >= start) print }' |
        grep -E 'nvme|rdma|rxe|siw|blk_|I/O error|EXT4-fs|XFS|BUG|WARNING|Call Trace|hung_task' | grep -vE "$allowed" || true
}

finish() {
    local complaints
    disconnect_all
    complaints=$(kernel_complaints)
    if [ -n "$complaints" ]; then fail "kernel complaints:"; printf '%s\n' "$complaints"; fi
    echo "$failures failures"
    [ "$failures" = 0 ]
}

# connect [OPTION...]: connects to the subsystem as this guest's host; options are those of `nvme connect`.
connect() { nvme connect "${target[@]}" -n "$WEFT_NQN" --hostnqn="$host_nqn" --hostid="$host_id" "$@"; }

disconnect() { nvme disconnect -n "$WEFT_NQN"; }
disconnect_all() { nvme disconnect-all; }

# controllers: the names (nvme0 ...) of the controllers of our subsystem.
controllers() {
    local path
    for path in /sys/class/nvme/nvme*; do
        [ "$(cat "$path/subsysnqn" 2>/dev/null)" != "$WEFT_NQN" ] || basename "$path"
    done
}

# find_device NSID [CONTROLLER]: prints the block device of a namespace of our subsystem. The number in its name need not be the NSID.
# With the host's multipathing off each controller has a device of its own; name the controller then.
find_device() {
    local path
    for path in /sys/block/nvme*; do
        [ "$(cat "$path/nsid" 2>/dev/null)" = "$1" ] || continue
        [ "$(cat "$path/hidden")" = 0 ] || continue
        [ "$(cat "$path/device/subsysnqn" 2>/dev/null)" = "$WEFT_NQN" ] || continue
        [ -z "${2:-}" ] || [ "$(basename "$(readlink -f "$path/device")")" = "$2" ] || continue
        [ -b "/dev/$(basename "$path")" ] && echo "/dev/$(basename "$path")" && return 0
    done
    return 1
}

# wait_device NSID [CONTROLLER]: as find_device, for up to 20 s: the scan runs after connect returned.
wait_device() {
    local tries=200
    until find_device "$@"; do
        tries=$((tries - 1))
        if [ "$tries" = 0 ]; then
            echo "namespace $1 did not appear" >&2
            ls /sys/block >&2
            for tries in $(controllers); do nvme list-ns "/dev/$tries" >&2; done
            return 1
        fi
        sleep 0.1
    done
}

# wait_until SECONDS COMMAND...: polls a condition.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}

# ask_target VERB: asks whoever started the target, guest_test.sh on the outer machine or in_guest.sh, for something (`answer_job` in target.sh
# lists the verbs) and prints the answer. Fails when the answer begins with "error" or does not come.
ask_target() {
    local answer=/share/rpc/answer
    rm -f "$answer"
    echo "$*" >/share/rpc/ask.new
    mv /share/rpc/ask.new /share/rpc/ask
    if ! wait_until 90 test -e "$answer"; then echo "nobody answers '$*'" >&2; return 1; fi
    cat "$answer"
    ! grep -q ^error "$answer"
}
# ask_machine unplug|plug N: pulls NVMe device N out of the machine, or puts it back. It is only asked here: see wait_until.
ask_machine() {
    echo "$*" >/share/rpc/machine.new
    mv /share/rpc/machine.new /share/rpc/machine
    wait_until 30 test ! -e /share/rpc/machine
}
can_ask() { [ -n "$WEFT_CAN_ASK" ]; }

# number_of NAME ANSWER: one number of an answer like "fds 12 rss_kib 3456 qps 3".
number_of() { sed -n "s/.*$1 \([0-9]*\).*/\1/p" <<<"$2"; }

# wait_qps COUNT: until the target has so many queue pairs, for up to 60 s. They outlive their connections by what the completion queue still holds.
wait_qps() {
    local tries=60
    until [ "$(number_of qps "$(ask_target stats)")" -eq "$1" ]; do
        tries=$((tries - 1))
        if [ "$tries" = 0 ]; then ask_target stats; return 1; fi
        sleep 1
    done
}

# field NAME JSON-COMMAND...: one top-level field of a command's JSON output.
field() {
    local name=$1
    shift
    "$@" -o json | jq -r ".$name"
}
