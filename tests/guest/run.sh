#!/usr/bin/env bash
# run.sh KERNEL JOB[,JOB...] [ARGUMENT...]: boots the guest with Linux KERNEL (6.12 or 6.1) and runs the jobs in it, one after the other.
# A JOB is the name of a file in jobs/ or the path of a script; ARGUMENTs go to each. Succeeds only if the guest reached its end marker
# and every job exited with 0; else prints the failed jobs' logs and the end of the console.
#
# From the environment: WEFT_PORT (default 4420) and WEFT_NQN of the target, WEFT_ADDRESS (default 10.0.2.2, this machine's loopback),
# WEFT_SHARE (a directory to share and keep; default: temporary, kept on failure), WEFT_JOB_LIMIT and WEFT_BOOT_LIMIT in seconds.
set -euo pipefail
# shellcheck source=SCRIPTDIR/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -ge 2 ] || die "usage: run.sh KERNEL JOB[,JOB...] [ARGUMENT...]"
kernel=$1 jobs=$2
shift 2
job_limit=${WEFT_JOB_LIMIT:-300} boot_limit=${WEFT_BOOT_LIMIT:-120}
need qemu-system-x86_64 qemu-system-x86
"$guest_dir/build_image.sh"
image=$(image_dir)
[ -e "$image/vmlinuz-$kernel" ] || die "no kernel $kernel; there are: $(cd "$image" && echo vmlinuz-* | sed 's/vmlinuz-//g')"

share=${WEFT_SHARE:-$(mktemp -d "${TMPDIR:-/tmp}/weft-guest.XXXXXX")}
console=$share/console.log
qemu=''

# Fills the shared directory: jobs, what they must know, and the list of those to run.
fill_share() {
    local job count=0
    mkdir -p "$share/logs" "$share/rpc"
    rm -rf "$share/jobs"
    cp -r "$guest_dir/jobs" "$guest_dir/in_guest.sh" "$share/"
    : >"$share/joblist"
    : >"$share/results"
    for job in ${jobs//,/ }; do
        case $job in
            */*) cp "$job" "$share/jobs/"; job=$(basename "$job" .sh) ;;
            *) [ -e "$share/jobs/$job.sh" ] || die "no job $job in $guest_dir/jobs" ;;
        esac
        echo "$job $*" >>"$share/joblist"
        count=$((count + 1))
    done
    cat >"$share/env" <<ENV
export WEFT_ADDRESS=${WEFT_ADDRESS:-10.0.2.2}
export WEFT_PORT=${WEFT_PORT:-4420}
export WEFT_NQN=${WEFT_NQN:-nqn.2014-08.org.nvmexpress:weft-guest}
export WEFT_OUTER=${WEFT_OUTER:-}
export WEFT_JOB_LIMIT=$job_limit
ENV
    time_limit=$((boot_limit + count * job_limit))
}

# TCG because /dev/kvm may be there and hang; -no-reboot turns the reboot of panic=-1 into an exit. no_timer_check: on a loaded machine the
# emulated timer does not tick in the few milliseconds that the kernel gives it at boot, and 6.1 panics.
boot() {
    timeout --kill-after=5 "$time_limit" nice -n 5 qemu-system-x86_64 \
        -accel tcg,thread=multi -cpu max -machine pc -m 1024 -smp 2 \
        -nodefaults -no-user-config -display none -no-reboot -serial "file:$console" \
        -kernel "$image/vmlinuz-$kernel" -initrd "$image/initramfs-$kernel" \
        -append "console=ttyS0 no_timer_check panic=-1 oops=panic mitigations=off loglevel=6" \
        -drive "file=$image/root.img,format=raw,if=virtio,snapshot=on" \
        -netdev user,id=net -device virtio-net-pci,netdev=net,romfile= -device virtio-rng-pci \
        -virtfs "local,path=$share,mount_tag=share,security_model=none" </dev/null >"$share/qemu.log" 2>&1 &
    qemu=$!
}

# report: says what failed and shows the logs that tell why.
report() {
    local name status seconds
    say "Linux $kernel failed; everything is in $share"
    while read -r name status seconds; do
        [ "$status" != 0 ] || continue
        say "log of job $name (status $status, $seconds s):"
        cat "$share/logs/$name.log"
    done <"$share/results"
    # A job without a result was running when the guest ended.
    while read -r name _; do
        if ! grep -q "^$name " "$share/results" && [ -s "$share/logs/$name.log" ]; then
            say "log of job $name, which did not end:"
            cat "$share/logs/$name.log"
        fi
    done <"$share/joblist"
    if [ -e "$share/logs/hang.log" ]; then
        say "what was running when the job was given up:"
        cat "$share/logs/hang.log"
    fi
    say "last lines of the console:"
    tail -n 60 "$console" 2>/dev/null || true
    cat "$share/qemu.log"
}

fill_share "$@"
say "booting Linux $kernel: $(cut -d' ' -f1 "$share/joblist" | paste -sd' ') (limit $time_limit s, console in $console)"
trap '[ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true' EXIT
trap 'exit 143' TERM INT HUP
boot
tail -q -n +1 -f --pid="$qemu" "$share/results" | while read -r name status seconds; do
    say "Linux $kernel: $name status $status ($seconds s)"
done &
wait "$qemu" || say "qemu ended with status $? (124: over the time limit)"
qemu=''
wait
if ! grep -q 'weft-guest: end status=0' "$console"; then
    report
    exit 1
fi
[ -n "${WEFT_SHARE:-}" ] || rm -rf "$share"
