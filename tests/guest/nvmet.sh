# nvmet.sh: the kernel's own target in place of weft, as a reference: where a job fails with both, the fault is in the job, the host or the
# guest. Sourced by in_guest.sh after target.sh (WEFT_TARGET=nvmet), whose functions it replaces. Its disks live as long as the guest.
# shellcheck shell=bash disable=SC2034,SC2154

readonly config=/sys/kernel/config

# make_disk NAME: 320 MiB of memory.
make_disk() {
    local disk=$config/nullb/$1
    mkdir "$disk"
    echo 1 >"$disk/memory_backed"
    echo 1 >"$disk/discard"
    echo 320 >"$disk/size"
    echo 512 >"$disk/blocksize"
    echo 1 >"$disk/power"
}

# make_port ID LISTENER: LISTENER as `weft serve --listen` has it.
make_port() {
    local port=$config/nvmet/ports/$1 transport=${2%%://*} address=${2#*://}
    mkdir "$port"
    echo ipv4 >"$port/addr_adrfam"
    echo "$transport" >"$port/addr_trtype"
    echo "${address%:*}" >"$port/addr_traddr"
    echo "${address##*:}" >"$port/addr_trsvcid"
}

make_nvmet() {
    local subsystem=$config/nvmet/subsystems/$WEFT_NQN number=0 listener
    modprobe null_blk nr_devices=0
    modprobe -a nvmet nvmet-tcp nvmet-rdma
    mountpoint -q "$config" || mount -t configfs configfs "$config"
    mkdir "$subsystem"
    echo 1 >"$subsystem/attr_allow_any_host"
    for number in 1 2; do
        make_disk "weft$number"
        mkdir "$subsystem/namespaces/$number"
        echo -n "/dev/weft$number" >"$subsystem/namespaces/$number/device_path"
        echo 1 >"$subsystem/namespaces/$number/enable"
    done
    number=0
    for listener in "${listen[@]}"; do number=$((number + 1)); make_port "$number" "$listener"; done
}

start_target() {
    local port
    [ -d "$config/nvmet/subsystems/$WEFT_NQN" ] || make_nvmet
    for port in "$config"/nvmet/ports/*; do ln -s "$config/nvmet/subsystems/$WEFT_NQN" "$port/subsystems/$WEFT_NQN" || return 1; done
    target_pid=0
}

# kill_target: it ends its controllers and does not listen.
kill_target() {
    local port
    for port in "$config"/nvmet/ports/*; do rm "$port/subsystems/$WEFT_NQN"; done
}

stop_target() { kill_target; }

target_stats() {
    echo "fds 0 rss_kib 0 qps $(rdma resource show qp | grep -c "link $(rdma_device wt)/1 .* type RC")"
}
