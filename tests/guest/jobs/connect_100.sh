# Job: connects and disconnects 100 times; the target's open files must be as many as before and its memory must not have grown.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"

readonly rounds=${1:-100} rss_growth_kib_max=16384

cycle() {
    local round
    for ((round = 0; round < $1; round++)); do
        connect -i 2 >/dev/null
        disconnect >/dev/null
    done
}

# stat_of NAME STATS: one number of an answer like "fds 12 rss_kib 3456".
stat_of() { sed -n "s/.*$1 \([0-9]*\).*/\1/p" <<<"$2"; }

# The target may still be closing what the host has left.
fds_are() { [ "$(stat_of fds "$(outer stats)")" -le "$1" ]; }

# The first connections fill caches and slabs.
cycle 3
if has_outer; then sleep 1; before=$(outer stats); note "before: $before"; fi
start=$SECONDS
cycle "$rounds"
echo "ok: connected and disconnected $rounds times in $((SECONDS - start)) s"
check "no controller is left" test -z "$(controllers)"
if has_outer; then
    check "open files of the target are back to $(stat_of fds "$before")" wait_until 20 fds_are "$(stat_of fds "$before")"
    after=$(outer stats)
    note "after: $after"
    growth=$(($(stat_of rss_kib "$after") - $(stat_of rss_kib "$before")))
    check "memory of the target grew by $growth KiB" test "$growth" -le "$rss_growth_kib_max"
else
    note "open files and memory are not checked: run this job by guest_test.sh"
fi
finish
