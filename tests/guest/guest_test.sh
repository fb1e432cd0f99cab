#!/usr/bin/env bash
# guest_test.sh --weft PATH --kernel 6.12|6.1 [--fabric tcp|rdma|iwarp|nvme|nvme_bare] [--job NAME[,NAME...]] [--conformance PATH]: runs the guest jobs
# (default: all of the fabric) in one boot of a real Linux kernel. With tcp (the default) `weft serve` runs on this machine's loopback, and what
# jobs ask about it (kill, start, stats) is answered here; with RDMA and NVMe it runs inside the guest (in_guest.sh). The target is ended by SIGTERM,
# which must give exit status 0. Prints one line per job and a summary; exit status 0 only if all of it is well.
set -euo pipefail
# shellcheck source=SCRIPTDIR/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=SCRIPTDIR/target.sh
. "$guest_dir/target.sh"

# shellcheck disable=SC2054  # lists with commas
declare -rA all_jobs=(
    [tcp]=basic,idle,two_hosts,trim,filesystems,fio_verify,connect_100,reconnect,power_cut
    [rdma]=basic,idle,two_hosts,trim,filesystems,fio_verify,connect_100,reconnect,rdma_own_host,rdma_host_lost,rdma_unplug,verbs_conformance
    [iwarp]=basic,idle,fio_verify,rdma_own_host
    [nvme]=nvme_binding,nvme_generic,nvme_driver,nvme_target
    [nvme_bare]=nvme_no_iommu
)
readonly usage="usage: guest_test.sh --weft PATH --kernel 6.12|6.1 [--fabric tcp|rdma|iwarp|nvme|nvme_bare] [--job NAME[,NAME...]] [--conformance PATH]"
program='' kernel='' fabric=tcp jobs='' conformance=''
while [ $# -gt 0 ]; do
    case $1 in
        --weft) program=${2:?} ;;
        --kernel) kernel=${2:?} ;;
        --fabric) fabric=${2:?} ;;
        --job) jobs=${2:?} ;;
        --conformance) conformance=${2:?} ;;
        *) die "$usage" ;;
    esac
    shift 2
done
[ -n "$kernel" ] || die "--kernel is missing"
[ -x "$program" ] || die "--weft: '$program' is no program"
[ -n "${all_jobs[$fabric]:-}" ] || die "$usage"
jobs=${jobs:-${all_jobs[$fabric]}}
need qemu-system-x86_64 qemu-system-x86
"$guest_dir/build_image.sh"
readonly title="guest $kernel $fabric"

WEFT_NQN=nqn.2014-08.org.nvmexpress:weft-guest
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-guest-test.XXXXXX")
share=$work/share
port=4420 run_pid=''
mkdir -p "$share/rpc"
# shellcheck disable=SC2317  # called by the trap
stop_all() {
    [ -z "$run_pid" ] || kill "$run_pid" 2>/dev/null || true
    [ -z "$target_pid" ] || kill -KILL "$target_pid" 2>/dev/null || true
}
trap stop_all EXIT
trap 'exit 143' TERM INT HUP

# start_outside: starts the target on this machine; it keeps the port that it gets first. The variables are target.sh's.
# shellcheck disable=SC2034
start_outside() {
    weft=("$program") log_dir=$work listen=(127.0.0.1:0)
    # Memory: a little more than mkfs.xfs demands.
    namespaces=(ram:320MiB "file:$work/namespace.img,size=512MiB")
    start_target || { cat "$work/weft.out" "$work/weft.log"; die "cannot start $program"; }
    port=$(sed -n 's/^listening tcp 127\.0\.0\.1:\([0-9]*\)$/\1/p' "$work/weft.out")
    [ -n "$port" ] || die "weft printed no line 'listening tcp 127.0.0.1:PORT'"
    listen=("127.0.0.1:$port")
    say "weft $target_pid listens on port $port; logs in $work"
}

# verdicts: one line per job; those without a result did not end or were not reached. Fails if one failed.
verdicts() {
    local job status seconds all=0
    for job in ${jobs//,/ } "${steps[@]}"; do
        job=$(basename "$job" .sh)
        read -r status seconds < <(awk -v job="$job" '$1 == job { print $2, $3 }' "$share/results" 2>/dev/null; echo "none 0")
        if [ "$status" = 0 ]; then
            echo "$title: $job ok ($seconds s)"
        else
            echo "$title: $job FAILED (status $status, $seconds s)"
            all=1
        fi
    done
    return "$all"
}

# What has a result besides the jobs.
steps=(start_target stop_target)
[[ $fabric != nvme* ]] || steps=(make_wire)
if [ "$fabric" = tcp ]; then steps=(stop_target); start_outside; fi
WEFT_SHARE=$share WEFT_PORT=$port WEFT_NQN=$WEFT_NQN WEFT_FABRIC=$fabric WEFT_CAN_ASK=1 WEFT_BINARY=$program WEFT_CONFORMANCE=$conformance \
    "$guest_dir/run.sh" "$kernel" "$jobs" &
run_pid=$!
while kill -0 "$run_pid" 2>/dev/null; do
    if [ "$fabric" = tcp ]; then answer_job; fi
    sleep 0.2
done
failed=0
wait "$run_pid" || failed=1
run_pid=''
if [ "$fabric" = tcp ]; then
    status=0
    stop_target || { status=1; failed=1; }
    echo "stop_target $status 0" >>"$share/results"
    if [ "$failed" != 0 ]; then
        say "last lines of weft's log:"
        tail -n 60 "$work/weft.log"
    fi
fi
verdicts || failed=1
if [ "$failed" = 0 ]; then
    rm -rf "$work"
    echo "$title: all passed in $SECONDS s"
else
    echo "$title: FAILED after $SECONDS s, logs in $work"
fi
exit "$failed"
