# Job: the NVMe driver alone, through VFIO and the IOMMU: verified I/O in blocks of 512 and 4096 bytes, the block device suite, as root and as a user who owns
# the VFIO group, a place that cannot be read, the process killed, a device pulled out under load and put back.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/nvme_devices.sh
. "$(dirname "$0")/nvme_devices.sh"

# ended PID: its exit status, in $status; at most 60 s.
ended() {
    status=0
    check "it ends" wait_until 60 bash -c "! kill -0 $1 2>/dev/null"
    wait "$1" || status=$?
}

take_both
note "$disk1 has blocks of 512 bytes, $disk2 of 4096"
for size in 4KiB 64KiB 1MiB; do
    check "$disk1, $size" measure "$disk1" --block-size "$size" --io-count 400 --connections 2 --queue-depth 8 --time 60 --size 256MiB
    check "$disk2, $size" measure "$disk2" --block-size "$size" --io-count 400 --connections 2 --queue-depth 8 --time 60 --size 256MiB
done
check "512 bytes" measure "$disk1" --block-size 512 --io-count 400 --time 60
check_fails "512 bytes of blocks of 4096" 'not a multiple' measure "$disk2" --block-size 512 --io-count 4
check_fails "a namespace that is not there" 'namespace 2|nsid' "$weft_program" perf --device "nvme:$disk1,nsid=2" --time 1

note "a place that cannot be read"
check_fails "the error is the medium's" 'Unrecovered Read Error' "$weft_program" perf --device "nvme:$disk2" --rw read --offset 318MiB --size 1MiB --io-count 16 --time 20 --connections 1 --queue-depth 4

note "the block device suite"
if [ ! -d /share/conformance ]; then echo "no suite: guest_test.sh needs --conformance" >&2; exit 1; fi
cp -r /share/conformance /tmp/
status=0
# QEMU's device does not say that deallocated blocks read as zeroes.
WEFT_NVME_DEVICES="$disk1=512 $disk2=4096" WEFT_NVME_BYTES=$((320 << 20)) /tmp/conformance/run --gtest_filter='*NvmeDevice*:-*WhereThatIsSaid*' >/tmp/suite.log 2>&1 || status=$?
tail -n 60 /tmp/suite.log
check_equal "status of the suite" "$status" 0
for size in 512 4096; do
    check "blocks of $size were asked" test "$(grep -c "^\[       OK \] .*NvmeDevice$size" /tmp/suite.log)" -gt 10
done

note "as a user"
check_fails "not the owner" "not this user's|--owner" as_user "$locked_kib" "$weft_program" perf --device "nvme:$disk1" --time 1
bind "$disk1" --owner nobody
check_fails "too little memory may be locked" 'memory.*(LimitMEMLOCK|ulimit)' as_user 512 "$weft_program" perf --device "nvme:$disk1" --time 1
check "the owner" as_user "$locked_kib" "$weft_program" perf --device "nvme:$disk1" --rw randrw --verify --io-count 400 --time 60

note "killed at work"
become_measure "$disk1" --time 60 >/tmp/killed.log 2>&1 &
killed=$!
sleep 3
check_fails "another process has it" 'is open in another process' measure "$disk1" --io-count 4
check_fails "it is not given back under it" "process $killed " unbind "$disk1"
kill -KILL "$killed"
{ wait "$killed" || true; } 2>/dev/null
check "the next one works" measure "$disk1" --io-count 400 --time 60

note "pulled out under load"
become_measure "$disk1" --time 12 >/tmp/pulled.log 2>&1 &
pulled=$!
become_measure "$disk2" --time 12 --size 256MiB >/tmp/other.log 2>&1 &
other=$!
sleep 2
ask_machine unplug 1
ended "$pulled"
cat /tmp/pulled.log
check_equal "status of who used it" "$status" 1
check "it says why" grep -qE 'Path|path' /tmp/pulled.log
check "the device goes" wait_until 30 is_gone "$disk1"
ended "$other"
check_equal "status of who uses the other" "$status" 0
ask_machine plug 1
check "it is back" wait_until 30 is_there "$disk1"
bind "$disk1" --force
check "it works" measure "$disk1" --io-count 400 --time 60
finish
