# Job: two hosts (two host NQNs and host IDs from this one guest) on one subsystem: both see the namespaces, each reads what the other wrote.
# Then both write at once, each its own half of what the other reads next. Where the target has two transports, each host has one of its own: the first
# RDMA, the second TCP. The kernel's multipathing is off meanwhile: with it both connections would become two paths of one device.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"

readonly other_id=22222222-2222-4222-8222-222222222222
readonly other_nqn=nqn.2014-08.org.nvmexpress:uuid:$other_id

# load_host MULTIPATH: loads the kernel's host anew with multipathing Y or N.
load_host() {
    modprobe -r -a nvme_tcp nvme_rdma
    modprobe -r nvme_core 2>/dev/null || true
    modprobe nvme_core multipath="$1"
    modprobe -a nvme_tcp nvme_rdma
}

# connect_other: connects as the second host. It speaks to the kernel itself: nvme-cli 2.3 looks at address and subsystem only, says
# "already connected" and does not even try.
connect_other() {
    echo "$other_target,nqn=$WEFT_NQN,hostnqn=$other_nqn,hostid=$other_id,nr_io_queues=1" >/dev/nvme-fabrics
}

# exchange FROM TO: what is written through one device is read through the other.
exchange() {
    head -c 262144 /dev/urandom >/tmp/data
    dd if=/tmp/data of="$1" bs=32k seek=32 oflag=direct status=none
    check "$2 reads what was written through $1" cmp /tmp/data <(dd if="$2" bs=32k skip=32 count=8 iflag=direct status=none)
}

# half DEVICE MIB [OPTION...]: writes and verifies 8 MiB from there on; or, by --verify_only, verifies what was so written.
half() {
    fio --name="half-$2" --filename="$1" --offset="$2m" --size=8m --direct=1 --ioengine=libaio --rw=randwrite --bs=16k --iodepth=8 \
        --verify=crc32c --verify_fatal=1 --do_verify=1 "${@:3}"
}

# at_once A B: both hosts work on the one namespace side by side; each finds what the other wrote.
at_once() {
    local first status=0
    half "$1" 8 >/tmp/first.log 2>&1 &
    first=$!
    check "$2 is written and verified beside $1" half "$2" 16
    wait "$first" || status=$?
    cat /tmp/first.log
    check_equal "status of fio on $1" "$status" 0
    check "$1 has what was written through $2" half "$1" 16 --verify_only
    check "$2 has what was written through $1" half "$2" 8 --verify_only
}

allow_message 'Found shared namespace [0-9]+, but multipathing not supported'
allow_message 'Support for shared namespaces without CONFIG_NVME_MULTIPATH'
disconnect_all
load_host N
connect -i 1
first=$(controllers)
connect_other
second=$(controllers | grep -vx "$first")
note "host 1: $first, host 2: $second"
check "controller IDs differ" test "$(cat "/sys/class/nvme/$first/cntlid")" != "$(cat "/sys/class/nvme/$second/cntlid")"
check_equal "host NQN of $second" "$(cat "/sys/class/nvme/$second/hostnqn")" "$other_nqn"
check_equal "transports" "$(cat "/sys/class/nvme/$first/transport" "/sys/class/nvme/$second/transport" | paste -sd' ')" "${target[1]} tcp"
for nsid in 1 2; do
    a=$(wait_device "$nsid" "$first")
    b=$(wait_device "$nsid" "$second")
    check "both hosts have a device of their own for namespace $nsid" test "$a" != "$b"
    check_equal "UUID of namespace $nsid on both" "$(cat "/sys/block/${a##*/}/uuid")" "$(cat "/sys/block/${b##*/}/uuid")"
    exchange "$a" "$b"
    exchange "$b" "$a"
    at_once "$a" "$b"
done
nvme disconnect -d "$first"
check "the second host goes on after the first left" dd if="$b" of=/dev/null bs=4k count=8 iflag=direct status=none
disconnect_all
load_host Y
finish
