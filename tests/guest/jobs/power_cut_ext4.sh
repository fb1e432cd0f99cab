# Job: a file system of this guest's own host on a target inside the guest, whose disk loses its power: every file that was fsynced is there
# afterwards. With the flushes taken out, files must be missing.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/cache_disk.sh
. "$(dirname "$0")/cache_disk.sh"

readonly mib=64 files=${1:-15} mount_point=/tmp/mnt
target=(-t tcp -a 127.0.0.1 -s "$inner_port")
WEFT_NQN=$inner_nqn

# up: the target starts and the host connects; sets $device.
up() {
    start_inner_weft || return 1
    connect -i 2 >/dev/null || return 1
    device=$(wait_device 1)
}

# write_files: each is synced before the next begins; the last ones may share the journal's last commit and no more.
write_files() {
    local number
    for ((number = 0; number < files; number++)); do
        dd if=/dev/urandom of="$mount_point/$number" bs=4k count=$((1 + number % 20)) conv=fsync status=none || return 1
    done
    (cd "$mount_point" && sha256sum -- *[0-9]) >/tmp/sums
}

# files_survive COMMAND: makes a file system, runs COMMAND, writes files, cuts the power, looks at the files. Not under set -e: it is checked.
files_survive() {
    local status=0
    make_disk "$mib" && up && mkfs.ext4 -q "$device" && sync || return 1
    "$1" && mount -t ext4 "$device" "$mount_point" && write_files || return 1
    cut_power
    # The host still has the file system; its I/O fails now, and what it has in memory dies with it.
    disconnect >/dev/null
    umount "$mount_point"
    power_on && up && mount -t ext4 "$device" "$mount_point" || return 1
    (cd "$mount_point" && sha256sum --quiet -c /tmp/sums) || status=$?
    umount "$mount_point"
    disconnect >/dev/null
    cut_power
    remove_disk
    return "$status"
}

# The host loses its target, and the file system its disk, on purpose.
allow_message 'nvme|EXT4-fs|JBD2|I/O error|Buffer I/O|null_blk|lost async page write'
unpack_weft
mkdir -p "$mount_point"
check "every file that was fsynced survives a power cut" files_survive true
check_fails "without flushes files are missing" ': (FAILED|No such file)' files_survive drop_flushes
finish
