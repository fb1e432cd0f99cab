# The two NVMe devices of the fabrics nvme and nvme_bare (run.sh): where they are, and what gives them to VFIO. Sourced by their jobs, after lib.sh.
# shellcheck shell=bash

readonly weft_program=/tmp/weft/run

# devices: `weft devices`, as JSON lines.
devices() { "$weft_program" devices -o json | jq -c '.devices[]'; }

# The devices in the order of their slots, where they stay for good.
mapfile -t nvme_address < <(devices | jq -r .address)
readonly disk1=${nvme_address[0]} disk2=${nvme_address[1]}

# device_field ADDRESS FIELD
device_field() { devices | jq -r --arg address "$1" "select(.address == \$address) | $2"; }
driver_of() { device_field "$1" .driver; }
has_driver() { [ "$(driver_of "$1")" = "$2" ]; }
is_gone() { [ ! -e "/sys/bus/pci/devices/$1" ]; }
is_there() { ! is_gone "$1"; }

bind() { "$weft_program" devices bind "$@"; }
unbind() { "$weft_program" devices unbind "$@"; }

# take_both: both devices are VFIO's from here on, whatever is on them.
take_both() {
    local address
    modprobe vfio-pci
    for address in "$disk1" "$disk2"; do has_driver "$address" vfio-pci || bind "$address" --force; done
}

# kernel_disk ADDRESS: the block device of its first namespace, while the kernel drives it.
kernel_disk() { device_field "$1" '.namespaces[0].name // empty' | sed 's|^|/dev/|'; }
has_kernel_disk() { [ -b "$(kernel_disk "$1")" ]; }

# as_user KIB COMMAND...: as somebody who is nobody, with so much memory that may be locked.
# shellcheck disable=SC2034  # the jobs use it
readonly locked_kib=131072
as_user() {
    local kib=$1
    shift
    prlimit --memlock=$((kib << 10)) setpriv --reuid nobody --regid nogroup --clear-groups --inh-caps=-all "$@"
}

# measure ADDRESS OPTION...: `weft perf` on the device alone, everything verified.
measure() { (become_measure "$@"); }
# In the background: `become_measure … &` is the process itself, not a shell that waits for it.
become_measure() {
    local address=$1
    shift
    exec "$weft_program" perf --device "nvme:$address" --rw randrw --verify "$@"
}
