# Job: two hosts (two host NQNs and host IDs from this one guest) on one subsystem: both see the namespaces, each reads what the other wrote.
# The kernel's multipathing is off meanwhile: with it both connections would become two paths of one device.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"

readonly other_id=22222222-2222-4222-8222-222222222222
readonly other_nqn=nqn.2014-08.org.nvmexpress:uuid:$other_id

# load_host MULTIPATH: loads the kernel's host anew with multipathing Y or N.
load_host() {
    modprobe -r nvme_tcp
    modprobe -r nvme_core 2>/dev/null || true
    modprobe nvme_core multipath="$1"
    modprobe nvme_tcp
}

# connect_other: connects as the second host. It speaks to the kernel itself: nvme-cli 2.3 looks at address and subsystem only, says
# "already connected" and does not even try.
connect_other() {
    echo "transport=tcp,traddr=$WEFT_ADDRESS,trsvcid=$WEFT_PORT,nqn=$WEFT_NQN,hostnqn=$other_nqn,hostid=$other_id,nr_io_queues=1" \
        >/dev/nvme-fabrics
}

# exchange FROM TO: what is written through one device is read through the other.
exchange() {
    head -c 262144 /dev/urandom >/tmp/data
    dd if=/tmp/data of="$1" bs=32k seek=32 oflag=direct status=none
    check "$2 reads what was written through $1" cmp /tmp/data <(dd if="$2" bs=32k skip=32 count=8 iflag=direct status=none)
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
for nsid in 1 2; do
    a=$(wait_device "$nsid" "$first")
    b=$(wait_device "$nsid" "$second")
    check "both hosts have a device of their own for namespace $nsid" test "$a" != "$b"
    check_equal "UUID of namespace $nsid on both" "$(cat "/sys/block/${a##*/}/uuid")" "$(cat "/sys/block/${b##*/}/uuid")"
    exchange "$a" "$b"
    exchange "$b" "$a"
done
nvme disconnect -d "$first"
check "the second host goes on after the first left" dd if="$b" of=/dev/null bs=4k count=8 iflag=direct status=none
disconnect_all
load_host Y
finish
