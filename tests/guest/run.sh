#!/usr/bin/env bash
# run.sh KERNEL JOB[,JOB...] [ARGUMENT...]: boots the guest with Linux KERNEL (6.12 or 6.1) and runs the jobs in it, one after the other.
# A JOB is the name of a file in jobs/ or the path of a script; ARGUMENTs go to each. Succeeds only if the guest reached its end marker
# and every job exited with 0; else prints the failed jobs' logs and the end of the console. A job that failed while the guest's own memory went
# corrupt (corruption.sh) is repeated once, in a fresh boot with the jobs after it; that is said, and counted in the file `repeated`.
#
# From the environment: WEFT_PORT (default 4420) and WEFT_NQN of the target, WEFT_ADDRESS (default 10.0.2.2, this machine's loopback),
# WEFT_BINARY (what jobs that need a target inside the guest run there; they fail without it),
# WEFT_SHARE (a directory to share and keep; default: temporary, kept on failure), WEFT_JOB_LIMIT and WEFT_BOOT_LIMIT in seconds.
set -euo pipefail
# shellcheck source=SCRIPTDIR/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=SCRIPTDIR/corruption.sh
. "$(dirname "${BASH_SOURCE[0]}")/corruption.sh"

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

# pack_binary BINARY DIRECTORY: puts a program with its libraries and its loader into a directory, and a script `run` that starts it from
# wherever the directory is then: the guest need not have what this machine has.
pack_binary() {
    local loader
    mkdir -p "$2"
    ldd "$1" | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' | xargs cp -L -t "$2" "$1"
    loader=$(basename "$(ldd "$1" | awk '$1 ~ /^\// { print $1 }')")
    # shellcheck disable=SC2016  # $0 and $here are the script's
    printf '#!/bin/sh\nhere=$(dirname "$0")\nexec "$here/%s" --library-path "$here" "$here/%s" "$@"\n' "$loader" "$(basename "$1")" >"$2/run"
    chmod 755 "$2/run"
}

# Fills the shared directory: jobs, what they must know, and the list of those to run.
fill_share() {
    local job
    mkdir -p "$share/logs" "$share/rpc"
    rm -rf "$share/jobs"
    cp -r "$guest_dir/jobs" "$guest_dir/in_guest.sh" "$guest_dir/corruption.sh" "$share/"
    # Jobs run programs of tests/e2e in the guest, and the target.
    mkdir -p "$share/e2e"
    cp -r "$guest_dir"/../e2e/{crash,hostile} "$share/e2e/"
    [ -z "${WEFT_BINARY:-}" ] || pack_binary "$WEFT_BINARY" "$share/weft"
    : >"$share/joblist"
    : >"$share/results"
    : >"$share/repeated"
    for job in ${jobs//,/ }; do
        case $job in
            */*) cp "$job" "$share/jobs/"; job=$(basename "$job" .sh) ;;
            *) [ -e "$share/jobs/$job.sh" ] || die "no job $job in $guest_dir/jobs" ;;
        esac
        echo "$job $*" >>"$share/joblist"
    done
    cat >"$share/env" <<ENV
export WEFT_ADDRESS=${WEFT_ADDRESS:-10.0.2.2}
export WEFT_PORT=${WEFT_PORT:-4420}
export WEFT_NQN=${WEFT_NQN:-nqn.2014-08.org.nvmexpress:weft-guest}
export WEFT_OUTER=${WEFT_OUTER:-}
export WEFT_JOB_LIMIT=$job_limit
ENV
}

# TCG because /dev/kvm may be there and hang; -no-reboot turns the reboot of panic=-1 into an exit. no_timer_check: on a loaded machine the
# emulated timer does not tick in the few milliseconds that the kernel gives it at boot, and 6.1 panics.
# Without cx16: QEMU before 8.0 leaves half a pointer in EFLAGS after a CMPXCHG16B whose flags were not yet computed; an interrupt there and
# its return set the direction or the trap flag from it, and the kernel, whose allocators use the instruction, corrupts its own memory.
boot() {
    local time_limit
    time_limit=$((boot_limit + $(wc -l <"$share/joblist") * job_limit))
    say "booting Linux $kernel: $(cut -d' ' -f1 "$share/joblist" | paste -sd' ') (limit $time_limit s, console in $console)"
    timeout --kill-after=5 "$time_limit" nice -n 5 qemu-system-x86_64 \
        -accel tcg,thread=multi -cpu max,cx16=off -machine pc -m 1024 -smp 2 \
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

# run_boot: one boot of what is in the job list, to its end.
run_boot() {
    boot
    tail -q -n 0 -f --pid="$qemu" "$share/results" | while read -r name status seconds; do
        say "Linux $kernel: $name status $status ($seconds s)"
    done &
    wait "$qemu" || say "qemu ended with status $? (124: over the time limit)"
    qemu=''
    wait
}

# corrupted_job: the job at whose time the guest's own memory went corrupt, if that is what ended the boot.
corrupted_job() {
    local name
    while read -r name _; do
        grep -q "^$name 0 " "$share/results" && continue
        if grep -q "^$name 75 " "$share/results"; then echo "$name"; fi
        # The guest may not have lived to tell.
        if ! grep -q "^$name " "$share/results" && shows_corruption <"$console" >/dev/null; then echo "$name"; fi
        return
    done <"$share/joblist"
}

# prepare_repeat JOB: what comes next is JOB and the jobs behind it. Fails when JOB has had its second try.
prepare_repeat() {
    ! grep -qx "$1" "$share/repeated" || return 1
    say "GUEST MEMORY CORRUPT in job $1 of Linux $kernel, not by NVMe: the job is repeated in a fresh boot. The kernel says:"
    cat "$share"/logs/dmesg.log "$console" | shows_corruption | sort -u
    echo "$1" >>"$share/repeated"
    mv "$console" "$share/console.before-$1.log"
    sed -i "/^$1 /d" "$share/results"
    sed -i "0,/^$1 /{/^$1 /!d}" "$share/joblist"
}

fill_share "$@"
trap '[ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true' EXIT
trap 'exit 143' TERM INT HUP
run_boot
while job=$(corrupted_job) && [ -n "$job" ] && prepare_repeat "$job"; do run_boot; done
if ! grep -q 'weft-guest: end status=0' "$console" || grep -qv ' 0 [0-9]*$' "$share/results"; then
    report
    exit 1
fi
[ -n "${WEFT_SHARE:-}" ] || rm -rf "$share"
