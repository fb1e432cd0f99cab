# Job: NVMe devices on a machine without an IOMMU: not taken, not bound and not served unless that is asked for by name; then verified I/O through physical
# addresses in reserved huge pages, alone and behind a target. VFIO is our own build: Debian's kernels cannot do without an IOMMU.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/nvme_devices.sh
. "$(dirname "$0")/nvme_devices.sh"
# shellcheck source=SCRIPTDIR/../target.sh
. /share/target.sh

say() { note "$@"; }
# target.sh's. One reactor: its buffers and its command slots are all in huge pages, and this machine is small.
# shellcheck disable=SC2034
weft=(taskset -c 0 "$weft_program") log_dir=/share/logs listen=("tcp://127.0.0.1:$WEFT_PORT") namespaces=("nvme:$disk1,unsafe_no_iommu=true")
target=(-t tcp -a 127.0.0.1 -s "$WEFT_PORT")

allow_message 'I/O error, dev nvme|critical medium error|nvme[0-9]+c?[0-9]*n[0-9]+: .*Unrecovered Read Error|I/O Cmd.*I/O Error \(sct'
allow_message 'vfio-pci .*Adding kernel taint for vfio-noiommu group|vfio-noiommu device opened by user'

# reserve COUNT: so many huge pages, of memory that has been used for other things.
reserve() {
    echo 3 >/proc/sys/vm/drop_caches
    echo 1 >/proc/sys/vm/compact_memory
    echo "$1" >/proc/sys/vm/nr_hugepages
    check_equal "huge pages" "$(cat /proc/sys/vm/nr_hugepages)" "$1"
}
without_iommu() { echo "$1,unsafe_no_iommu=true"; }

note "asked for by name, each time"
check_equal "there is no IOMMU" "$(device_field "$disk1" '"\(.has_iommu) \(.iommu_group)"')" "false null"
# Modules that ours stands on, as modprobe would load them for Debian's.
for module in $(modinfo -F depends vfio | tr , ' '); do modprobe "$module"; done
insmod /share/vfio.ko
modprobe -a nvme vfio-pci
wait_until 20 has_kernel_disk "$disk1"
check_fails "a device behind no IOMMU" 'behind no IOMMU.*anywhere' bind "$disk1" --force
check_fails "VFIO is not allowed to" 'echo 1 >' bind "$disk1" --force --unsafe-no-iommu
check_equal "the kernel still has it" "$(driver_of "$disk1")" nvme
echo 1 >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
for address in "$disk1" "$disk2"; do check "$address is taken" bind "$address" --force --unsafe-no-iommu; done
check_equal "VFIO has it" "$(device_field "$disk1" '"\(.driver) \(.has_iommu)"')" "vfio-pci false"
check_fails "who serves must say it too" 'all memory of this machine.*unsafe_no_iommu=true' measure "$disk1" --time 1
reserve 0
check_fails "no huge pages" 'reserved huge pages.*vm.nr_hugepages' measure "$(without_iommu "$disk1")" --time 1
reserve 64
bind "$disk1" --unsafe-no-iommu --owner nobody
check_fails "nobody but root" 'only root' setpriv --reuid nobody --regid nogroup --clear-groups --inh-caps=-all "$weft_program" perf --device "nvme:$(without_iommu "$disk1")" --time 1

note "the driver alone"
for size in 4KiB 1MiB; do
    check "$disk1, $size" measure "$(without_iommu "$disk1")" --block-size "$size" --io-count 400 --connections 2 --queue-depth 8 --time 60 --size 256MiB
    check "$disk2, $size" measure "$(without_iommu "$disk2")" --block-size "$size" --io-count 400 --connections 2 --queue-depth 8 --time 60 --size 256MiB
done
check_fails "the medium's error" 'Unrecovered Read Error' "$weft_program" perf --device "nvme:$(without_iommu "$disk2")" --rw read --offset 318MiB --size 1MiB --io-count 16 --time 20 --connections 1 --queue-depth 4

note "behind a target"
reserve 440
if ! start_target; then cat "$log_dir/weft.log"; exit 1; fi
trap 'kill -KILL "$target_pid" 2>/dev/null || true' EXIT
check "the log warns" grep -q "nvme:$disk1: no IOMMU stands before it" "$log_dir/weft.log"
connect -i 2
device=$(wait_device 1)
check "fio" fio --name=verify --filename="$device" --direct=1 --ioengine=libaio --rw=randwrite --iodepth=8 --bsrange=4k-512k --size=32m \
    --verify=crc32c --verify_fatal=1 --do_verify=1
check_equal "the subsystem has its only device's serial" "$(nvme id-ctrl "$device" -o json | jq -r .sn | tr -d ' ')" weft-nvme-1
disconnect
check_fails "a device that serves is not given back" "process $target_pid" unbind "$disk1"
# Not by check: its subshell has no children to wait for.
if stop_target; then echo "ok: the target ends"; else fail "the target does not end well"; fi
trap - EXIT
check "it is given back" unbind "$disk1"
check "the kernel has its disk" wait_until 20 has_kernel_disk "$disk1"
finish
