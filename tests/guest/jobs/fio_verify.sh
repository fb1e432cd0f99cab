# Job: fio writes with checksums and reads back, in blocks from 4 KiB to 1 MiB at once, with libaio and io_uring, with and without digests
# where the transport has them.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"

# Block sizes side by side, each in its own 16 MiB of the namespace.
write_fio_job() {
    local size offset=0
    cat <<JOB
[global]
direct=1
rw=randwrite
iodepth=8
verify=crc32c
verify_fatal=1
do_verify=1
group_reporting=1
JOB
    for size in 4k:2m 8k:2m 16k:4m 64k:8m 128k:8m 1m:16m; do
        printf '[bs-%s]\nbs=%s\nsize=%s\noffset=%sm\n' "${size%:*}" "${size%:*}" "${size#*:}" "$offset"
        offset=$((offset + 16))
    done
}

write_fio_job >/tmp/verify.fio
digests() { if [ "$WEFT_FABRIC" = tcp ]; then echo "$@"; fi; }

# run NSID ENGINE OPTION...
run() {
    local nsid=$1 engine=$2 device
    shift 2
    note "namespace $nsid, $engine, connect $*"
    connect "$@"
    device=$(wait_device "$nsid")
    check "fio on namespace $nsid with $engine $*" fio --filename="$device" --ioengine="$engine" /tmp/verify.fio
    disconnect
}

run 1 libaio -i 2
# shellcheck disable=SC2046  # each is a word
{
    run 1 io_uring -i 2 $(digests -g -G)
    run 2 libaio -i 1 $(digests -G)
}
run 2 io_uring -i 2
finish
