# Job: deallocate and write zeroes by the block layer and by nvme-cli, reads of zeroes, the other NVM commands (optional ones must answer
# as Identify promises), and reads and writes out of range, which must fail.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"

readonly mib=$((1024 * 1024)) pattern=/tmp/pattern zeroes=/tmp/zeroes
head -c "$mib" /dev/urandom >"$pattern"
head -c "$mib" /dev/zero >"$zeroes"

# fill DEVICE: puts the pattern into its second MiB, where every test of this job works.
fill() { dd if="$pattern" of="$1" bs=64k seek=16 oflag=direct status=none; }
read_back() { dd if="$1" bs=64k skip=16 count=16 iflag=direct status=none; }
holds() { read_back "$1" | cmp - "$2"; }

# has BIT: whether ONCS has an optional command.
has() { [ $((oncs >> $1 & 1)) = 1 ]; }

# optional BIT MESSAGE COMMAND...: an optional command must succeed when its bit in ONCS is set and fail when it is not.
optional() {
    local bit=$1 message=$2
    shift 2
    if has "$bit"; then check "$message" "$@"; else check_fails "$message, which ONCS does not have" 'Invalid Command Opcode' "$@"; fi
}

block_layer() {
    local device=$1
    fill "$device"
    check "pattern is there" holds "$device" "$pattern"
    check "blkdiscard -z" blkdiscard -z -o "$mib" -l "$mib" "$device"
    check "zeroes after blkdiscard -z" holds "$device" "$zeroes"
    if [ "$(cat "/sys/block/$(basename "$device")/queue/discard_max_bytes")" -gt 0 ]; then
        fill "$device"
        check "blkdiscard" blkdiscard -o "$mib" -l "$mib" "$device"
        # Bits 2:0 of DLFEAT: 1 = deallocated blocks read as zeroes.
        if [ $(($(field dlfeat nvme id-ns "$device") & 7)) = 1 ]; then check "zeroes after blkdiscard" holds "$device" "$zeroes"; fi
    fi
    check "blkdiscard of the whole device" blkdiscard -f "$device"
}

commands() {
    local device=$1 block first count
    block=$(blockdev --getss "$device")
    first=$((mib / block)) count=$((mib / block))
    fill "$device"
    check "flush" nvme flush "$device" -n "$(cat "/sys/block/$(basename "$device")/nsid")"
    # The NLB field counts from 0.
    check "write-zeroes" nvme write-zeroes "$device" -s "$first" -c $((count - 1))
    check "zeroes after write-zeroes" holds "$device" "$zeroes"
    fill "$device"
    check "dsm of two ranges" nvme dsm "$device" -d -s "$first,$((first + count / 2))" -b "$((count / 2)),$((count / 2))"
    fill "$device"
    # 64 KiB: passed-through commands are not split.
    optional 0 "compare" nvme compare "$device" -s "$first" -c $((65536 / block - 1)) -z 65536 -d "$pattern"
    if has 0; then
        check_fails "compare with other data" 'Compare Failure' \
            nvme compare "$device" -s "$first" -c $((65536 / block - 1)) -z 65536 -d "$zeroes"
    fi
    optional 7 "verify" nvme verify "$device" -s "$first" -c $((65536 / block - 1))
    optional 8 "copy" nvme copy "$device" -d $((3 * first)) -s "$first" -b $((65536 / block - 1))
    if has 8; then
        check "the copy equals its source" cmp -n 65536 <(dd if="$device" bs="$mib" skip=3 count=1 iflag=direct status=none) "$pattern"
    fi
}

out_of_range() {
    local device=$1 block blocks
    block=$(blockdev --getss "$device")
    blocks=$(field nsze nvme id-ns "$device")
    check "read of the last block" nvme read "$device" -s $((blocks - 1)) -c 0 -z "$block" -d /tmp/last
    check "write of the last block" nvme write "$device" -s $((blocks - 1)) -c 0 -z "$block" -d "$pattern"
    check_fails "read past the end" 'LBA Out of Range' nvme read "$device" -s "$blocks" -c 0 -z "$block" -d /tmp/past
    check_fails "write past the end" 'LBA Out of Range' nvme write "$device" -s "$blocks" -c 0 -z "$block" -d "$pattern"
    check_fails "read across the end" 'LBA Out of Range' nvme read "$device" -s $((blocks - 1)) -c 1 -z $((2 * block)) -d /tmp/past
    check_fails "write across the end" 'LBA Out of Range' nvme write "$device" -s $((blocks - 1)) -c 1 -z $((2 * block)) -d "$pattern"
    check_fails "write-zeroes across the end" 'LBA Out of Range' nvme write-zeroes "$device" -s $((blocks - 1)) -c 1
    check_fails "read at the largest address" 'LBA Out of Range' nvme read "$device" -s $((-1)) -c 0 -z "$block" -d /tmp/past
    check "the connection lives" dd if="$device" of=/dev/null bs=4k count=1 iflag=direct status=none
}

connect -i 2
oncs=$(field oncs nvme id-ctrl "/dev/$(controllers)")
note "oncs $oncs"
for nsid in 1 2; do
    device=$(wait_device "$nsid")
    note "namespace $nsid ($device)"
    block_layer "$device"
    commands "$device"
    out_of_range "$device"
done
finish
