# Job: NVMe namespaces by their character devices (/dev/ng0n1), which the kernel keeps driving: what is in use or holds data is refused, a user who owns the
# nodes needs no root, verified I/O, the block device suite, a target with the kernel's host, a place that cannot be read, a device pulled out under load.
# The block device beside each is held, and has no part in the I/O.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/nvme_devices.sh
. "$(dirname "$0")/nvme_devices.sh"
# shellcheck source=SCRIPTDIR/../target.sh
. /share/target.sh

say() { note "$@"; }
readonly mount_point=/tmp/mnt
# What the pulled device and the unreadable place make the kernel say, once as the device's driver and once as the target's host.
allow_message 'no (usable|available) path - |I/O error, dev nvme|critical medium error|I/O Cmd.*I/O Error \(sct|nvme[0-9]+c?[0-9]*n[0-9]+: .*(Internal Path Error|Unrecovered Read Error|Read)'
allow_message 'pcieport .*(Attention button|Powering off|Slot|Link)|nvme nvme[0-9]+: (Device not ready|failed to set APST|Removing)|identifiers changed for nsid'

# in_kernel ADDRESS: prints the character device of its first namespace.
in_kernel() {
    wait_until 20 has_kernel_disk "$1"
    kernel_disk "$1" | sed 's|^/dev/nvme|/dev/ng|'
}
# disk_of NODE: the block device beside it.
disk_of() { echo "/dev/nvme${1#/dev/ng}"; }
give() { chown "$1" "${@:2}"; }

perf() { "$weft_program" perf --device "$@"; }
# verified NODE OPTION...
verified() { as_user "$locked_kib" "$weft_program" perf --device "$1" --rw randrw --verify "${@:2}"; }
# The counters of the block layer.
block_layer() { cat "/sys/block/${1#/dev/}/stat"; }

modprobe nvme
for address in "$disk1" "$disk2"; do has_driver "$address" nvme || unbind "$address"; done
one=$(in_kernel "$disk1")
two=$(in_kernel "$disk2")
wipefs -q -a "$(disk_of "$one")" "$(disk_of "$two")"
note "$one has blocks of 512 bytes, $two of 4096"

note "what is refused"
mkdir -p "$mount_point"
mkfs.ext4 -q -F "$(disk_of "$one")"
check_fails "a file system that is not mounted is data" 'ext2/3/4.*force=true' perf "$one" --time 1
mount "$(disk_of "$one")" "$mount_point"
check_fails "a mounted one is in use, by force too" "mounted on $mount_point" perf "$one,force=true" --time 1
umount "$mount_point"
check "data is taken by force" perf "$one,force=true" --rw randread --io-count 10 --time 20
wipefs -q -a "$(disk_of "$one")"
check_fails "the controller's own device" 'not that of an NVMe namespace' perf "$(disk_of "${one%n1}")" --time 1
check_fails "another size of blocks" 'its blocks are 512 bytes' perf "$one,block_size=4096" --time 1
check_fails "not the owner" "it is root's" as_user "$locked_kib" "$weft_program" perf --device "$one" --time 1
give nobody "$one"
check_fails "the owner of half of it" 'this user needs it too' as_user "$locked_kib" "$weft_program" perf --device "$one" --time 1

note "as the owner"
give nobody "$(disk_of "$one")" "$two" "$(disk_of "$two")"
for size in 4KiB 64KiB 1MiB; do
    check "$one, $size" verified "$one" --block-size "$size" --io-count 200 --connections 2 --queue-depth 8 --time 60 --size 256MiB
    check "$two, $size" verified "$two" --block-size "$size" --io-count 200 --connections 2 --queue-depth 8 --time 60 --size 256MiB
done
check "512 bytes" verified "$one" --block-size 512 --io-count 200 --time 60
check_fails "the error is the medium's" 'Unrecovered Read Error' \
    perf "$two" --rw read --offset 318MiB --size 1MiB --io-count 16 --time 20 --connections 1 --queue-depth 4

note "the block device suite"
if [ ! -d /share/conformance ]; then echo "no suite: guest_test.sh needs --conformance" >&2; exit 1; fi
[ -d /tmp/conformance ] || cp -r /share/conformance /tmp/
status=0
# QEMU's device does not say that deallocated blocks read as zeroes.
WEFT_NVME_GENERIC="$one=512 $two=4096" WEFT_NVME_BYTES=$((320 << 20)) /tmp/conformance/run --gtest_filter='*NvmeGeneric*:-*WhereThatIsSaid*' >/tmp/suite.log 2>&1 || status=$?
tail -n 60 /tmp/suite.log
check_equal "status of the suite" "$status" 0
for size in 512 4096; do
    check "blocks of $size were asked" test "$(grep -c "^\[       OK \] .*NvmeGeneric$size" /tmp/suite.log)" -gt 10
done

note "a target"
# target.sh's.
# shellcheck disable=SC2034
weft=(prlimit "--memlock=$((locked_kib << 10))" setpriv --reuid nobody --regid nogroup --clear-groups --inh-caps=-all "$weft_program") \
    log_dir=/share/logs listen=("tcp://${wire_address[wt]}:$wire_tcp_port") namespaces=("$one" "$two")
# Where a target without a machine id keeps one of its own.
install -d -o nobody /var/lib/weft
if ! start_target; then cat "$log_dir/weft.log"; exit 1; fi
trap 'kill -KILL "$target_pid" 2>/dev/null || true' EXIT
check_fails "it is held" 'exclusively|[Bb]usy|in use' mkfs.ext4 -q -F "$(disk_of "$one")"
check_fails "another one does not get it" 'somebody else has it exclusively' perf "$one" --time 1
target=(-t tcp -a "${wire_address[wt]}" -s "$wire_tcp_port" --host-traddr "${wire_address[wh]}")
connect -i 2
first=$(wait_device 1)
second=$(wait_device 2)
check_equal "sizes of blocks" "$(blockdev --getss "$first") $(blockdev --getss "$second")" "512 4096"

# fio DEVICE OPTION...: verified.
verify() { fio --name=verify --filename="$1" --direct=1 --ioengine=libaio --rw=randwrite --iodepth=8 --verify=crc32c --verify_fatal=1 --do_verify=1 "${@:2}"; }

before=$(block_layer "$(disk_of "$one")" && block_layer "$(disk_of "$two")")
check "fio, blocks of 512" verify "$first" --bsrange=4k-1m --size=16m
check "fio, blocks of 4096" verify "$second" --bsrange=4k-128k --size=8m
check "trim" blkdiscard -o 0 -l 1048576 "$first"
check_fails "the error reaches the host" 'No data available|Input/output error' dd if="$second" of=/dev/null bs=4k count=1 skip=$((318 * 256)) iflag=direct
check "what is beside it can be read" dd if="$second" of=/dev/null bs=4k count=1 skip=$((310 * 256)) iflag=direct status=none
check_equal "the block layer has seen nothing of it" "$(block_layer "$(disk_of "$one")" && block_layer "$(disk_of "$two")")" "$before"

note "pulled out under load"
# The host tries again for as long as it is connected: there may be another path.
verify "$first" --bs=4k --size=32m --loops=100 >/tmp/one.log 2>&1 &
one_pid=$!
verify "$second" --bs=4k --size=8m >/tmp/two.log 2>&1 &
two_pid=$!
sleep 1
ask_machine unplug 1
check "the device goes" wait_until 60 is_gone "$disk1"
check_fails "who asks is told that the way is gone" 'Internal Path Error' nvme read "$first" --start-block=0 --block-count=0 --data-size=512
two_status=0
wait "$two_pid" || two_status=$?
check_equal "status of fio on the other device" "$two_status" 0
disconnect
one_status=0
wait "$one_pid" || one_status=$?
check_equal "status of fio on the device that was pulled out" "$one_status" 1
# Not by check: its subshell has no children to wait for.
if stop_target; then echo "ok: the target ends"; else fail "the target does not end well"; fi
trap - EXIT
ask_machine plug 1
check "it is back" wait_until 30 is_there "$disk1"
one=$(in_kernel "$disk1")
check "it works" perf "$one" --rw randrw --verify --io-count 200 --time 60

note "pulled out under load, without a target"
perf "$one" --rw randrw --verify --time 30 >/tmp/pulled.log 2>&1 &
pulled=$!
sleep 1
ask_machine unplug 1
status=0
wait "$pulled" || status=$?
cat /tmp/pulled.log
check_equal "status of who used it" "$status" 1
check "it says why" grep -q 'Internal Path Error' /tmp/pulled.log
check "the device goes" wait_until 30 is_gone "$disk1"
ask_machine plug 1
check "it is back" wait_until 30 is_there "$disk1"
finish
