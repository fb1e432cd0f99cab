# Job: `weft devices` lists the machine's NVMe devices, takes from the kernel what nobody uses, refuses what holds a mounted file system, swap or data and
# says what it is, and gives a device back as it was.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/nvme_devices.sh
. "$(dirname "$0")/nvme_devices.sh"

readonly mount_point=/tmp/mnt

# in_kernel ADDRESS: prints its block device, when the kernel has it.
in_kernel() {
    wait_until 20 has_kernel_disk "$1"
    kernel_disk "$1"
}

check_fails "no VFIO in the kernel" 'modprobe vfio-pci' bind "$disk2"
modprobe -a nvme vfio-pci
first=$(in_kernel "$disk1")
second=$(in_kernel "$disk2")
"$weft_program" devices
check_equal "the first device" "$(device_field "$disk1" '"\(.driver) \(.model) \(.serial) \(.namespaces[0].size_bytes)"')" "nvme QEMU NVMe Ctrl weft-nvme-1 $((320 << 20))"
check "it has an IOMMU group" test "$(device_field "$disk1" .iommu_group)" != null
check_fails "no such device" 'there is no PCI device 0000:77:00.0' bind 77:00.0
check_fails "a device that is none of NVMe" 'not an NVMe device|no NVMe device' bind 00:00.0

note "a file system"
mkdir -p "$mount_point"
mkfs.ext4 -q -F "$first"
mount "$first" "$mount_point"
echo kept >"$mount_point/file"
sync
check_fails "a mounted file system is in use" "mounted on $mount_point" bind "$disk1"
check_fails "by force, too" "mounted on $mount_point" bind "$disk1" --force
check "the list says so" grep -q "mounted on $mount_point" <("$weft_program" devices)
check_equal "the kernel still has it" "$(driver_of "$disk1") $(cat "$mount_point/file")" "nvme kept"
umount "$mount_point"
check_fails "a file system that is not mounted is data" 'ext2/3/4.*--force' bind "$disk1"

note "partitions"
wipefs -q -a "$first"
# An MBR with one Linux partition of 16 MiB, a MiB from the start.
python3 -c 'import struct, sys; sys.stdout.buffer.write(bytes(446) + struct.pack("<8B2I", 0, 0, 0, 0, 0x83, 0, 0, 0, 2048, 32768) + bytes(48) + b"\x55\xaa")' |
    dd of="$first" conv=notrunc,fsync status=none
blockdev --rereadpt "$first"
wait_until 10 test -b "${first}p1"
check_fails "a partition table is data" 'partition.*--force' bind "$disk1"
mkfs.ext4 -q -F "${first}p1"
mount "${first}p1" "$mount_point"
check_fails "a partition in use is in use" "mounted on $mount_point" bind "$disk1" --force
umount "$mount_point"
wipefs -q -a "$first"
blockdev --rereadpt "$first"

note "swap"
mkswap -q "$second"
swapon "$second"
check_fails "swap is in use" 'swap' bind "$disk2" --force
swapoff "$second"
check_fails "swap that is off is data" 'swap.*--force' bind "$disk2"
wipefs -q -a "$second"

note "a device mapper"
modprobe dm-mod
echo "0 1024 linear $second 0" | dmsetup create weft-test
check_fails "a mapped device is in use" 'dm-0|weft-test' bind "$disk2" --force
dmsetup remove weft-test

note "a RAID"
modprobe raid1
mdadm --create /dev/md0 --run --force --level=1 --raid-devices=2 --metadata=1.2 "$second" missing
check_fails "a member of a RAID is in use" 'md0' bind "$disk2" --force
mdadm --stop /dev/md0
check_fails "a member of a RAID that is stopped is data" 'RAID.*--force' bind "$disk2"
mdadm --zero-superblock "$second"

note "a blank device"
check "a blank one is taken" bind "$disk2"
check_equal "VFIO has it" "$(driver_of "$disk2")" vfio-pci
check "again changes nothing" bind "$disk2" --owner nobody
check_equal "its owner" "$(stat -c %U "/dev/vfio/$(device_field "$disk2" .iommu_group)")" nobody
check "it is given back" unbind "$disk2"
check_equal "the kernel has its disk" "$(in_kernel "$disk2")" "$second"
check_fails "what VFIO does not have is not given back" 'VFIO does not have it' unbind "$disk2"

note "by force"
mkfs.ext4 -q -F "$first"
mount "$first" "$mount_point"
echo kept >"$mount_point/file"
umount "$mount_point"
check "data is taken by force" bind "$disk1" --force
check_equal "VFIO has it" "$(driver_of "$disk1")" vfio-pci
check "it is given back" unbind "$disk1"
in_kernel "$disk1"
mount "$first" "$mount_point"
check_equal "what was on it is still there" "$(cat "$mount_point/file")" kept
umount "$mount_point"
wipefs -q -a "$first"
finish
