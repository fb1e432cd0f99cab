#!/usr/bin/env bash
# run.sh KERNEL JOB[,JOB...] [ARGUMENT...]: boots the guest with Linux KERNEL (6.12 or 6.1) and runs the jobs in it, one after the other.
# A JOB is the name of a file in jobs/ or the path of a script; ARGUMENTs go to each. Succeeds only if the guest reached its end marker
# and every job exited with 0; else prints the failed jobs' logs and the end of the console.
#
# From the environment: WEFT_PORT (default 4420) and WEFT_NQN of the target, WEFT_ADDRESS (default 10.0.2.2, this machine's loopback),
# WEFT_FABRIC (tcp; rdma and iwarp: a target inside the guest, over soft-RoCE or siw; WEFT_TARGET there: weft or, for comparison, nvmet; nvme: as
# rdma, on a machine with an IOMMU and two NVMe devices, and the jobs start the target; nvme_bare: the same without an IOMMU),
# WEFT_BINARY (what jobs that need a target inside the guest run there; they fail without it), WEFT_CONFORMANCE (tests/conformance, likewise),
# WEFT_SHARE (a directory to share and keep; default: temporary, kept on failure), WEFT_JOB_LIMIT and WEFT_BOOT_LIMIT in seconds.
set -euo pipefail
# shellcheck source=SCRIPTDIR/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -ge 2 ] || die "usage: run.sh KERNEL JOB[,JOB...] [ARGUMENT...]"
kernel=$1 jobs=$2
shift 2
job_limit=${WEFT_JOB_LIMIT:-300} boot_limit=${WEFT_BOOT_LIMIT:-120}
fabric=${WEFT_FABRIC:-tcp} inner_target=${WEFT_TARGET:-weft}
need qemu-system-x86_64 qemu-system-x86
can_ask=${WEFT_CAN_ASK:-}
# shellcheck disable=SC2054  # commas of QEMU's
machine=(-machine pc)
# shellcheck disable=SC2054
case $fabric in
    nvme) machine=(-machine q35,kernel-irqchip=split -device intel-iommu,intremap=on,caching-mode=on) ;;
    nvme_bare) machine=(-machine q35) ;;
esac
# shellcheck disable=SC2054
case $fabric in
    tcp) machine+=(-accel tcg,thread=single -m 1024) ;;
    # Host and target in one memory. Nothing outside has part in their conversation, so the guest's clock may count instructions: then time
    # stands still while the guest waits for a processor, and no time-out of RDMA's few seconds comes from a busy machine.
    rdma | iwarp) machine+=(-accel tcg,thread=single -icount shift=1 -m 1536) can_ask=1 ;;
    nvme) machine+=(-accel tcg,thread=single -icount shift=1 -m 1536) can_ask='' ;;
    nvme_bare) machine+=(-accel tcg,thread=single -icount shift=1 -m 2560) can_ask='' ;;  # 0.6 GiB of it in huge pages
    *) die "no fabric $fabric; there are tcp, rdma, iwarp, nvme and nvme_bare" ;;
esac
# The module of ours that a fabric needs in the place of, or besides, Debian's.
declare -A module_of=([iwarp]=siw [nvme_bare]=vfio)
module=${module_of[$fabric]:-}
if [ -n "$module" ]; then "$guest_dir/build_modules.sh"; else "$guest_dir/build_image.sh"; fi
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
    cp -r "$guest_dir/jobs" "$guest_dir/in_guest.sh" "$guest_dir/target.sh" "$guest_dir/nvmet.sh" "$share/"
    [ -z "$module" ] || cp "$image/$module-$kernel.ko" "$share/$module.ko"
    # Jobs run programs of tests/e2e in the guest, and the target.
    mkdir -p "$share/e2e"
    cp -r "$guest_dir"/../e2e/{crash,hostile} "$share/e2e/"
    [ -z "${WEFT_BINARY:-}" ] || pack_binary "$WEFT_BINARY" "$share/weft"
    [ -z "${WEFT_CONFORMANCE:-}" ] || pack_binary "$WEFT_CONFORMANCE" "$share/conformance"
    : >"$share/joblist"
    : >"$share/results"
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
export WEFT_FABRIC=$fabric
export WEFT_TARGET=$inner_target
export WEFT_CAN_ASK=$can_ask
export WEFT_JOB_LIMIT=$job_limit
ENV
}

# The NVMe devices of the fabrics nvme: 1 has blocks of 512 bytes, 2 of 4096, and one place of 2 cannot be read: its last but one MiB.
# Each is below a port that it can be pulled from.
readonly disk_mib=320
declare -rA block_bytes=([1]=512 [2]=4096)
nvme_device() { echo "nvme,id=nvme$1,bus=port$1,serial=weft-nvme-$1,drive=disk$1,logical_block_size=${block_bytes[$1]},physical_block_size=${block_bytes[$1]}"; }

# add_disks: fills `disks`, what QEMU is told of them, and of the pipe through which they are pulled and put back.
add_disks() {
    local n
    for n in 1 2; do
        truncate -s "${disk_mib}M" "$share/nvme$n.img"
        disks+=(-blockdev "driver=file,filename=$share/nvme$n.img,node-name=file$n" -device "pcie-root-port,id=port$n,chassis=$n,slot=$n")
    done
    disks+=(-blockdev "driver=raw,node-name=disk1,file=file1"
        -blockdev "driver=blkdebug,node-name=disk2,image=file2,inject-error.0.event=none,inject-error.0.iotype=read,inject-error.0.sector=$(((disk_mib - 2) * 2048))")
    for n in 1 2; do disks+=(-device "$(nvme_device "$n")"); done
    pipes=$(mktemp -d "${TMPDIR:-/tmp}/weft-monitor.XXXXXX")
    mkfifo "$pipes/monitor.in" "$pipes/monitor.out"
    disks+=(-chardev "pipe,id=monitor,path=$pipes/monitor" -mon chardev=monitor)
    cat "$pipes/monitor.out" >"$share/monitor.log" &
    drain=$!
}

# answer_machine: serves one request that a job put into the shared directory (`ask_machine` in jobs/lib.sh), if there is one.
answer_machine() {
    local verb n
    [ -e "$share/rpc/machine" ] || return 0
    read -r verb n <"$share/rpc/machine"
    case $verb in
        unplug) echo "device_del nvme$n" >"$pipes/monitor.in" ;;
        plug) echo "device_add $(nvme_device "$n")" >"$pipes/monitor.in" ;;
    esac
    rm "$share/rpc/machine"
}

# TCG because /dev/kvm may be there and hang. Both processors in one thread of it: in two, QEMU 7.2 lets one run an instruction that the other
# has just patched away, as Linux does with its own code at boot and for modules, and the kernel dies of it or, worse, lives on.
# -no-reboot turns the reboot of panic=-1 into an exit. no_timer_check: on a loaded machine the emulated timer does not tick in the few
# milliseconds that the kernel gives it at boot, and 6.1 panics.
# Without cx16: QEMU before 8.0 leaves half a pointer in EFLAGS after a CMPXCHG16B whose flags were not yet computed; an interrupt there and
# its return set the direction or the trap flag from it, and the kernel, whose allocators use the instruction, corrupts its own memory.
boot() {
    local time_limit
    time_limit=$((boot_limit + $(wc -l <"$share/joblist") * job_limit))
    say "booting Linux $kernel: $(cut -d' ' -f1 "$share/joblist" | paste -sd' ') (limit $time_limit s, console in $console)"
    timeout --kill-after=5 "$time_limit" nice -n 5 qemu-system-x86_64 \
        "${machine[@]}" -cpu max,cx16=off -smp 2 "${disks[@]}" \
        -nodefaults -no-user-config -display none -no-reboot -serial "file:$console" \
        -kernel "$image/vmlinuz-$kernel" -initrd "$image/initramfs-$kernel" \
        -append "console=ttyS0 no_timer_check panic=-1 oops=panic mitigations=off loglevel=6 intel_iommu=on" \
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
disks=() pipes='' drain=''
trap '[ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true; [ -z "$pipes" ] || rm -rf "$pipes"' EXIT
trap 'exit 143' TERM INT HUP
[[ $fabric != nvme* ]] || add_disks
boot
tail -q -n 0 -f --pid="$qemu" "$share/results" | while read -r name status seconds; do
    say "Linux $kernel: $name status $status ($seconds s)"
done &
while [ -n "$pipes" ] && kill -0 "$qemu" 2>/dev/null; do
    answer_machine
    sleep 0.2
done
wait "$qemu" || say "qemu ended with status $? (124: over the time limit)"
qemu=''
# It ends by itself, unless QEMU did not even begin.
[ -z "$drain" ] || kill "$drain" 2>/dev/null || true
wait || true
if ! grep -q 'weft-guest: end status=0' "$console" || grep -qv ' 0 [0-9]*$' "$share/results"; then
    report
    exit 1
fi
[ -n "${WEFT_SHARE:-}" ] || rm -rf "$share"
