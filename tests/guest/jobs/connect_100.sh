# Job: connects and disconnects 100 times; the target's open files must be as many as before and its memory must not have grown.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"

readonly rounds=${1:-100} rss_growth_kib_max=16384

# The host still looks for partitions when it is told to disconnect; with the kernel's own target it complains likewise.
allow_message 'no available path - failing I/O|Buffer I/O error on dev nvme|unable to read RDB'

cycle() {
    local round
    for ((round = 0; round < $1; round++)); do
        connect -i 2 >/dev/null
        disconnect >/dev/null
    done
}

# The target may still be closing what the host has left.
fds_are() { [ "$(number_of fds "$(ask_target stats)")" -le "$1" ]; }

# The first connections fill caches and slabs.
cycle 3
if can_ask; then sleep 1; before=$(ask_target stats); note "before: $before"; fi
start=$SECONDS
cycle "$rounds"
echo "ok: connected and disconnected $rounds times in $((SECONDS - start)) s"
check "no controller is left" test -z "$(controllers)"
if can_ask; then
    check "open files of the target are back to $(number_of fds "$before")" wait_until 20 fds_are "$(number_of fds "$before")"
    check "the target has no queue pair" wait_qps 0
    after=$(ask_target stats)
    note "after: $after"
    growth=$(($(number_of rss_kib "$after") - $(number_of rss_kib "$before")))
    check "memory of the target grew by $growth KiB" test "$growth" -le "$rss_growth_kib_max"
else
    note "open files and memory are not checked: run this job by guest_test.sh"
fi
finish
