# Job: the whole path without the kernel: a target that drives both NVMe devices by itself, its host by NVMe/TCP and by NVMe/RDMA: verified I/O, file systems,
# a device that is not given back while it serves, one pulled out under load and put back, an error of the medium. The kernel's own driver for NVMe
# devices is not even loaded.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/nvme_devices.sh
. "$(dirname "$0")/nvme_devices.sh"
# shellcheck source=SCRIPTDIR/../target.sh
. /share/target.sh

say() { note "$@"; }
# target.sh's.
# shellcheck disable=SC2034
weft=("$weft_program") log_dir=/share/logs listen=("rdma://${wire_address[wt]}:$WEFT_PORT" "tcp://${wire_address[wt]}:$wire_tcp_port")
readonly mount_point=/tmp/mnt
by_rdma=("${target[@]}")
by_tcp=(-t tcp -a "${wire_address[wt]}" -s "$wire_tcp_port" --host-traddr "${wire_address[wh]}")

# What the pulled device's I/O, the unreadable place and lost connections make the host's kernel say.
allow_message 'no usable path - requeuing I/O|I/O error, dev nvme|critical medium error|nvme[0-9]+c?[0-9]*n[0-9]+: .*(Internal Path Error|Unrecovered Read Error|Read)'
allow_message 'I/O Cmd.*(I/O Error \(sct|Invalid Namespace)|operation not supported error, dev nvme'
allow_message 'pcieport .*(Attention button|Powering off|Slot|Link)|vfio-pci .*Relaying device request|make_send_cqe: non-flush error'
allow_message 'identifiers changed for nsid'

# fio NSID OPTION...: verified.
verify() {
    local device=$1
    shift
    fio --name=verify --filename="$device" --direct=1 --ioengine=libaio --rw=randwrite --iodepth=8 --verify=crc32c --verify_fatal=1 --do_verify=1 "$@"
}

has_no_device() { ! find_device "$1"; }

# path_is_ours: nothing of the kernel's NVMe or block layer has a device of the target's.
path_is_ours() {
    local address file
    [ ! -d /sys/module/nvme ] || { echo "the kernel's NVMe driver is loaded"; return 1; }
    for address in "$disk1" "$disk2"; do
        [ "$(basename "$(readlink "/sys/bus/pci/devices/$address/driver")")" = vfio-pci ] || { echo "$address is not VFIO's"; return 1; }
    done
    for file in /proc/"$target_pid"/fd/*; do
        file=$(readlink "$file")
        echo "$file"
        [ ! -b "$file" ] || return 1
        case $file in /dev/* ) [[ $file =~ ^/dev/(null|vfio/.*|infiniband/.*)$ ]] || return 1 ;; *.img) return 1 ;; esac
    done
}

file_system() {
    local device=$1 type=$2
    check "mkfs.$type on $device" "mkfs.$type" -q "$device"
    mkdir -p "$mount_point"
    mount -t "$type" "$device" "$mount_point"
    check "copy a tree" cp -a /usr/lib/x86_64-linux-gnu/perl-base "$mount_point/tree"
    (cd "$mount_point/tree" && find . -type f -exec sha256sum {} +) >/tmp/sums
    umount "$mount_point"
    case $type in ext4) check "ext4 is clean" e2fsck -f -n "$device" ;; xfs) check "xfs is clean" xfs_repair -n "$device" ;; esac
    mount -t "$type" "$device" "$mount_point"
    check "sums after mounting again" bash -c "cd $mount_point/tree && sha256sum --quiet -c /tmp/sums"
    umount "$mount_point"
    wipefs -q -a "$device"
}

take_both
# What an earlier job has left on them is nobody's.
if [ -d /sys/module/nvme ]; then rmmod nvme; fi
# After the first device is brought up, which the next start shows to be free again.
check_fails "a namespace that is not there" "$disk2: there is no namespace 2" timeout 120 "$weft_program" serve --listen tcp://127.0.0.1:0 --allow-any-host \
    --namespace "nvme:$disk1" --namespace "nvme:$disk2,nsid=2"
namespaces=("nvme:$disk1" "nvme:$disk2")
if ! start_target; then cat "$log_dir/weft.log"; exit 1; fi
trap 'kill -KILL "$target_pid" 2>/dev/null || true' EXIT

note "by NVMe/TCP"
target=("${by_tcp[@]}")
connect -i 2
one=$(wait_device 1)
two=$(wait_device 2)
check_equal "sizes of blocks" "$(blockdev --getss "$one") $(blockdev --getss "$two")" "512 4096"
check "fio, blocks of 512" verify "$one" --bs=4k --size=4m
check "fio, blocks of 4096" verify "$two" --bsrange=4k-128k --size=16m
check "no kernel on the target's path" path_is_ours
check_fails "a device that serves is not given back" "process $target_pid" unbind "$disk1"

note "pulled out under load"
verify "$one" --bs=4k --size=8m >/tmp/one.log 2>&1 &
one_pid=$!
verify "$two" --bs=4k --size=32m >/tmp/two.log 2>&1 &
two_pid=$!
sleep 1
ask_machine unplug 1
check "the device goes" wait_until 60 is_gone "$disk1"
one_status=0
wait "$one_pid" || one_status=$?
check_equal "status of fio on the device that was pulled out" "$one_status" 1
check "hosts see that the namespace has gone" wait_until 30 has_no_device 1
two_status=0
wait "$two_pid" || two_status=$?
check_equal "status of fio on the other device" "$two_status" 0
check "the target serves the other one" dd if="$two" of=/dev/null bs=1M count=4 iflag=direct status=none
ask_machine plug 1
check "it is back" wait_until 30 is_there "$disk1"
bind "$disk1" --force
one=$(wait_device 1)
check "fio on the device that is back" verify "$one" --bs=4k --size=4m

note "a place that cannot be read"
check_fails "the error reaches the host" 'No data available|Input/output error' dd if="$two" of=/dev/null bs=4k count=1 skip=$((318 * 256)) iflag=direct
check "what is beside it can be read" dd if="$two" of=/dev/null bs=4k count=1 skip=$((310 * 256)) iflag=direct status=none
disconnect

note "by NVMe/RDMA"
target=("${by_rdma[@]}")
connect -i 2
one=$(wait_device 1)
two=$(wait_device 2)
check "fio, blocks of 512" verify "$one" --bsrange=4k-128k --size=16m
check "fio, blocks of 4096" verify "$two" --bs=4k --size=4m
check "no kernel on the target's path" path_is_ours
file_system "$one" ext4
file_system "$two" xfs
disconnect
# Not by check: its subshell has no children to wait for.
if stop_target; then echo "ok: the target ends"; else fail "the target does not end well"; fi
trap - EXIT
check "the devices work for the next one" measure "$disk1" --io-count 100 --time 60
finish
