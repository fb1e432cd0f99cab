# Job: discovery, connecting with one and many queues and with digests, and what an administrator asks a controller with nvme-cli.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"

discover() {
    local log
    log=$(nvme discover "${target[@]}" --hostnqn="$host_nqn" --hostid="$host_id" -o json)
    echo "$log"
    check_equal "discovery has our subsystem" \
        "$(jq -r --arg nqn "$WEFT_NQN" --arg transport "${target[1]}" '[.records[] | select(.subnqn == $nqn and .trtype == $transport)][0] | "\(.trsvcid) \(.subtype)"' <<<"$log")" \
        "$WEFT_PORT nvme subsystem"
}

# connect_with OPTION...: connects, reads and writes a little, looks at the number of queues that the kernel made (the admin queue counts).
connect_with() {
    local device
    note "connect $*"
    connect "$@"
    device=$(wait_device 1)
    check "write with $*" dd if=/dev/urandom of="$device" bs=64k count=8 oflag=direct status=none
    check "read with $*" dd if="$device" of=/dev/null bs=64k count=8 iflag=direct status=none
    disconnect
    check "no controller is left" test -z "$(controllers)"
}

# The kernel caps the queues at the number of processors, two in this guest.
queue_counts() {
    local count nsid
    for count in 1 2; do
        connect -i "$count"
        check_equal "queues asked: $count, and the admin queue" "$(cat "/sys/class/nvme/$(controllers)/queue_count")" $((count + 1))
        # A disconnect within the kernel's search for partitions is an error in its log; an open waits until that is over.
        for nsid in 1 2; do dd if="$(wait_device "$nsid")" of=/dev/null bs=4k count=1 iflag=direct status=none; done
        disconnect
    done
}

identify() {
    local controller=$1 device=$2 cmic uuid
    check "nvme list" nvme list
    nvme list
    check_equal "nvme list has namespace 1" "$(nvme list -o json | jq --arg d "$device" '[.Devices[] | select(.DevicePath == $d)] | length')" 1
    check "nvme list-subsys" nvme list-subsys
    nvme id-ctrl "$controller"
    check_equal "subnqn" "$(field subnqn nvme id-ctrl "$controller")" "$WEFT_NQN"
    cmic=$(field cmic nvme id-ctrl "$controller")
    check_equal "ANA is off (cmic bit 3)" $((cmic & 8)) 0
    check_equal "id-ns: size" "$(field nsze nvme id-ns "$device")" \
        "$(($(blockdev --getsize64 "$device") / $(blockdev --getss "$device")))"
    check "list-ns" nvme list-ns "$controller"
    nvme list-ns "$controller"
    nvme ns-descs "$controller" -n 1
    uuid=$(nvme ns-descs "$controller" -n 1 | awk '/uuid/ { print $3 }')
    check_equal "uuid in sysfs" "$(cat "/sys/block/$(basename "$device")/uuid")" "$uuid"
}

logs() {
    local controller=$1 log
    for log in smart-log error-log effects-log fw-log; do check "$log" nvme "$log" "$controller"; done
    nvme smart-log "$controller"
    nvme effects-log "$controller"
    check_fails "a log page that nobody has" 'Invalid (Log Page|Field)' nvme get-log "$controller" --log-id=0xbf --log-len=512
}

# host_identifier CONTROLLER: feature 0x81 in its 16-byte form, as hex digits.
host_identifier() { nvme get-feature "$1" -f 0x81 --cdw11=1 -l 16 -b | od -An -tx1 | tr -d ' \n'; }

# Features by number: volatile write cache, number of queues, asynchronous event configuration, keep-alive timer, host identifier.
features() {
    local controller=$1 id
    for id in 0x06 0x07 0x0b 0x0f; do
        # A write cache is optional; the feature exists where Identify says there is one.
        [ "$id" != 0x06 ] || [ $(($(field vwc nvme id-ctrl "$controller") & 1)) = 1 ] || continue
        check "get-feature $id" nvme get-feature "$controller" -f "$id" -H
    done
    check_equal "get-feature 0x81 (host identifier)" "$(host_identifier "$controller")" "${host_id//-/}"
    check_fails "a feature that nobody has" 'Invalid Field' nvme get-feature "$controller" -f 0xbf
}

# show-regs of nvme-cli 2.3 uses its buffer after freeing it when the controller refuses an optional property with DNR set, so its result
# says nothing; the controller must survive the reads of all properties.
properties() {
    local controller=$1 offset
    nvme show-regs "$controller" -H >/dev/null 2>&1 || note "show-regs ended with status $?"
    check "live after show-regs" is_live "$(basename "$controller")"
    for offset in 0x0 0x8 0x14 0x1c; do check "get-property $offset" nvme get-property "$controller" -o "$offset" -H; done
}

# is_live CONTROLLER
is_live() { [ "$(cat "/sys/class/nvme/$1/state")" = live ]; }

reset_controller() {
    local name=$1 device=$2 round
    for round in 1 2 3; do
        check "nvme reset, round $round" nvme reset "/dev/$name"
        check "live after reset $round" wait_until 20 is_live "$name"
        check "read after reset $round" dd if="$device" of=/dev/null bs=4k count=16 iflag=direct status=none
    done
}

discover
check_fails "connect to an NQN that is not there" 'could not add new controller|failed to write' \
    nvme connect "${target[@]}" -n nqn.2014-08.org.nvmexpress:nobody --hostnqn="$host_nqn" --hostid="$host_id"
allow_message 'Connect (Invalid Data Parameter|for subsystem|command failed)|failed to connect|rdma connection establishment failed|nvme_ctrl_set_name'
queue_counts
connect_with -i 1
connect_with -i 4
# Digests are TCP's.
if [ "$WEFT_FABRIC" = tcp ]; then
    connect_with -i 4 -g
    connect_with -i 4 -G
    connect_with -i 4 -g -G
fi
connect_with -i 2 -Q 16
connect -i 4
device=$(wait_device 1)
name=$(controllers)
identify "/dev/$name" "$device"
logs "/dev/$name"
features "/dev/$name"
properties "/dev/$name"
reset_controller "$name" "$device"
check "nothing about ANA in the kernel log" test -z "$(dmesg | grep -wiE 'ana' || true)"
finish
