# Job: ext4 and xfs on the RAM and on the file namespace: copy a tree, check sums, unmount, check the file system, mount again, check again.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"

readonly mount_point=/tmp/mnt tree=/usr/lib/x86_64-linux-gnu/perl-base sums=/tmp/sums

make() {
    case $1 in
        ext4) mkfs.ext4 -q -F "$2" ;;
        xfs) mkfs.xfs -q -f "$2" ;;
    esac
}

check_filesystem() {
    case $1 in
        ext4) e2fsck -f -n "$2" ;;
        xfs) xfs_repair -n "$2" ;;
    esac
}

verify_tree() { (cd "$mount_point/tree" && sha256sum --quiet -c "$sums"); }

# round FILESYSTEM NSID
round() {
    local type=$1 device
    device=$(wait_device "$2")
    note "$type on namespace $2 ($device)"
    check "mkfs.$type" make "$type" "$device"
    mount -t "$type" "$device" "$mount_point"
    check "copy a tree" cp -a "$tree" "$mount_point/tree"
    check "write a large file" dd if=/dev/urandom of="$mount_point/tree/large" bs=1M count=8 conv=fsync status=none
    (cd "$mount_point/tree" && find . -type f -exec sha256sum {} +) >"$sums"
    check "remove and trim" bash -c "cp '$mount_point/tree/large' '$mount_point/gone' && sync -f '$mount_point' && rm '$mount_point/gone' && fstrim '$mount_point'"
    umount "$mount_point"
    check "$type is clean" check_filesystem "$type" "$device"
    mount -t "$type" "$device" "$mount_point"
    check "sums after mounting again" verify_tree
    umount "$mount_point"
}

mkdir -p "$mount_point"
connect -i 2
for nsid in 1 2; do
    for type in ext4 xfs; do round "$type" "$nsid"; done
done
finish
