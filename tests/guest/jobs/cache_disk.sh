# A disk that can lose its power, and a target on it inside this guest: null_blk with its data in memory and a write cache that power=0 drops.
# What was flushed stays until the disk is removed. Sourced after lib.sh by jobs that cut the power.
# shellcheck shell=bash

readonly disk_config=/sys/kernel/config/nullb/nullb0 disk=/dev/nullb0
readonly inner_port=4420 inner_nqn=nqn.2014-08.org.nvmexpress:weft-power-cut
inner_weft=''

# make_disk MIB: the cache is as large as the disk, so that nothing is written back for want of room.
make_disk() {
    modprobe null_blk nr_devices=0
    mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
    mkdir "$disk_config"
    echo 1 >"$disk_config/memory_backed"
    echo 512 >"$disk_config/blocksize"
    echo "$1" >"$disk_config/size"
    echo "$1" >"$disk_config/cache_size"
    power_on
}

power_on() { echo 1 >"$disk_config/power"; }
power_off() { echo 0 >"$disk_config/power"; }
remove_disk() { rmdir "$disk_config"; }

# drop_flushes: takes the flush out: the kernel now believes that the disk has no cache, and passes neither Flush nor FUA on. Until the next
# power_on. The target has asked before, and goes on flushing.
drop_flushes() { echo "write through" >"/sys/block/${disk##*/}/queue/write_cache"; }

# unpack_weft: makes $weft, the target's program. It runs from memory, not from the shared directory.
unpack_weft() {
    if [ ! -d /share/weft ]; then echo "no binary: run.sh needs WEFT_BINARY" >&2; return 1; fi
    cp -r /share/weft /tmp/
    weft=/tmp/weft/run
}

# start_inner_weft: a target in this guest with the disk as namespace 1, whatever is on it.
start_inner_weft() {
    "$weft" serve --listen "127.0.0.1:$inner_port" --subsystem "$inner_nqn" --allow-any-host --namespace "$disk,force=true" >/tmp/weft.out 2>>/tmp/weft.log &
    inner_weft=$!
    if ! wait_until 60 grep -qx ready /tmp/weft.out; then cat /tmp/weft.log; return 1; fi
}

# cut_power: the target dies as in a power cut, and the disk with it.
cut_power() {
    kill -KILL "$inner_weft"
    { wait "$inner_weft" || true; } 2>/dev/null
    power_off
}
