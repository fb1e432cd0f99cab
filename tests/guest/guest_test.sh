#!/usr/bin/env bash
# guest_test.sh --weft PATH --kernel 6.12|6.1 [--job NAME[,NAME...]]: starts `weft serve` on this machine's loopback and runs the guest
# jobs (default: all) against it in one boot of a real Linux kernel. Answers what jobs ask of the outer machine (kill, start, stats). Ends
# weft by SIGTERM, which must give exit status 0. Prints one line per job and a summary; exit status 0 only if all of it is well.
set -euo pipefail
# shellcheck source=SCRIPTDIR/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly all_jobs=basic,two_hosts,trim,filesystems,fio_verify,connect_100,reconnect,power_cut
readonly nqn=nqn.2014-08.org.nvmexpress:weft-guest
readonly start_seconds=60 stop_seconds=20
weft='' kernel='' jobs=$all_jobs
while [ $# -gt 0 ]; do
    case $1 in
        --weft) weft=${2:?} ;;
        --kernel) kernel=${2:?} ;;
        --job) jobs=${2:?} ;;
        *) die "usage: guest_test.sh --weft PATH --kernel 6.12|6.1 [--job NAME[,NAME...]]" ;;
    esac
    shift 2
done
[ -n "$kernel" ] || die "--kernel is missing"
[ -x "$weft" ] || die "--weft: '$weft' is no program"
need qemu-system-x86_64 qemu-system-x86
"$guest_dir/build_image.sh"

work=$(mktemp -d "${TMPDIR:-/tmp}/weft-guest-test.XXXXXX")
share=$work/share
port=0 weft_pid='' run_pid=''
mkdir -p "$share/rpc"
# shellcheck disable=SC2317  # called by the trap
stop_all() {
    [ -z "$run_pid" ] || kill "$run_pid" 2>/dev/null || true
    [ -z "$weft_pid" ] || kill -KILL "$weft_pid" 2>/dev/null || true
}
trap stop_all EXIT
trap 'exit 143' TERM INT HUP

# start_weft: starts the target, on the port it had before if any, and waits for "ready". RAM is a little larger than mkfs.xfs demands.
start_weft() {
    local deadline=$((SECONDS + start_seconds))
    : >"$work/weft.out"  # not by the redirection alone: it happens when the new process gets to run, and the old one's "ready" is there until then
    "$weft" serve --listen "127.0.0.1:$port" --subsystem "$nqn" --namespace ram:320MiB \
        --namespace "file:$work/namespace.img,size=512MiB" </dev/null >"$work/weft.out" 2>>"$work/weft.log" &
    weft_pid=$!
    until grep -qx ready "$work/weft.out"; do
        kill -0 "$weft_pid" 2>/dev/null || { wait "$weft_pid" || say "weft ended with status $?"; weft_pid=''; return 1; }
        [ "$SECONDS" -lt "$deadline" ] || { say "weft is not ready after $start_seconds s"; return 1; }
        sleep 0.1
    done
    port=$(sed -n 's/^listening tcp 127\.0\.0\.1:\([0-9]*\)$/\1/p' "$work/weft.out")
    [ -n "$port" ] || { say "weft printed no line 'listening tcp 127.0.0.1:PORT'"; return 1; }
}

# kill_weft: ends the target as a crash would.
kill_weft() {
    kill -KILL "$weft_pid" || return 1
    # The shell would print "Killed".
    { wait "$weft_pid" || true; } 2>/dev/null
    weft_pid=''
}

# stop_weft: ends the target politely; its exit status must be 0 within the time limit.
stop_weft() {
    local status=0 deadline=$((SECONDS + stop_seconds))
    [ -n "$weft_pid" ] || { say "weft does not run"; return 1; }
    if ! kill -TERM "$weft_pid" 2>/dev/null; then
        wait "$weft_pid" || status=$?
        weft_pid=''
        say "weft ended before its SIGTERM, with status $status"
        return 1
    fi
    while kill -0 "$weft_pid" 2>/dev/null; do
        [ "$SECONDS" -lt "$deadline" ] || { say "weft still runs $stop_seconds s after SIGTERM"; return 1; }
        sleep 0.1
    done
    wait "$weft_pid" || status=$?
    weft_pid=''
    [ "$status" = 0 ] || { say "weft ended with status $status after SIGTERM"; return 1; }
}

weft_stats() {
    echo "fds $(find "/proc/$weft_pid/fd" -mindepth 1 | wc -l) rss_kib $(awk '/^VmRSS:/ { print $2 }' "/proc/$weft_pid/status")"
}

# answer_guest: serves one request that a job put into the shared directory (`outer` in jobs/lib.sh).
answer_guest() {
    local verb answer
    verb=$(cat "$share/rpc/ask")
    rm "$share/rpc/ask"
    case $verb in
        kill) kill_weft && answer="killed" || answer="error: no target to kill" ;;
        start) start_weft && answer="started as $weft_pid" || answer="error: the target did not start" ;;
        stats) answer=$(weft_stats) || answer="error: no target" ;;
        *) answer="error: unknown request $verb" ;;
    esac
    echo "$answer" >"$share/rpc/answer.new"
    mv "$share/rpc/answer.new" "$share/rpc/answer"
}

# verdicts: one line per job; those without a result did not end or were not reached. Fails if one failed.
verdicts() {
    local job status seconds again all=0
    for job in ${jobs//,/ }; do
        job=$(basename "$job" .sh)
        read -r status seconds < <(awk -v job="$job" '$1 == job { print $2, $3 }' "$share/results" 2>/dev/null; echo "none 0")
        again=''
        ! grep -qsx "$job" "$share/repeated" || again=", REPEATED after the guest's memory went corrupt"
        if [ "$status" = 0 ]; then
            echo "guest $kernel: job $job ok ($seconds s)$again"
        else
            echo "guest $kernel: job $job FAILED (status $status, $seconds s)$again"
            all=1
        fi
    done
    echo "guest $kernel: $(wc -l <"$share/repeated") jobs repeated"
    return "$all"
}

start_weft || { cat "$work/weft.out" "$work/weft.log"; die "cannot start $weft"; }
say "weft $weft_pid listens on port $port; logs in $work"
WEFT_SHARE=$share WEFT_PORT=$port WEFT_NQN=$nqn WEFT_OUTER=1 WEFT_BINARY=$weft "$guest_dir/run.sh" "$kernel" "$jobs" &
run_pid=$!
while kill -0 "$run_pid" 2>/dev/null; do
    if [ -e "$share/rpc/ask" ]; then answer_guest; fi
    sleep 0.2
done
failed=0
wait "$run_pid" || failed=1
run_pid=''
stopped="exit 0"
stop_weft || { stopped="FAILED"; failed=1; }
if [ "$failed" != 0 ]; then
    say "last lines of weft's log:"
    tail -n 60 "$work/weft.log"
fi
verdicts || failed=1
echo "guest $kernel: weft after SIGTERM: $stopped"
if [ "$failed" = 0 ]; then
    rm -rf "$work"
    echo "guest $kernel: all passed in $SECONDS s"
else
    echo "guest $kernel: FAILED after $SECONDS s, logs in $work"
fi
exit "$failed"
