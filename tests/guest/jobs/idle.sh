# Job: a target with connected hosts that ask for nothing uses no processor: its reactors sleep, over RDMA with the completion queue armed, and wake
# when a command comes.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"

# A keep-alive that is under way when the host disconnects.
allow_message 'failed nvme_keep_alive_end_io'

# Of 1,000 hundredths of a second: what the host's keep-alive may cost.
readonly seconds=10 ticks_max=20

ticks() { number_of cpu_ticks "$(ask_target stats)"; }

connect -i 2
device=$(wait_device 1)
dd if="$device" of=/dev/null bs=4k count=8 iflag=direct status=none
sleep 3
before=$(ticks)
sleep "$seconds"
after=$(ticks)
check "ten idle seconds cost the target $((after - before)) ticks of 10 ms" test $((after - before)) -le "$ticks_max"
check "it wakes up for a read" dd if="$device" of=/dev/null bs=4k count=8 iflag=direct status=none
disconnect
finish
