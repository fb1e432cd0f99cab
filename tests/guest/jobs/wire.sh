# A wire inside the guest: two network interfaces of one machine, a software RDMA device on each, and whatever one end sends to the other really
# goes over it. So host and target are in one kernel, and yet have a device each that can be taken away, and a wire that can be cut between
# them. Sourced by in_guest.sh, which makes the wire, and by jobs that hurt it. Where WEFT_FABRIC is iwarp, it is siw; else soft-RoCEv2 (rdma_rxe).
# shellcheck shell=bash disable=SC2034

# The ends: the target's and the host's.
readonly wire_ends=(wt wh)
declare -rA wire_address=([wt]=10.9.0.1 [wh]=10.9.0.2)
# Frames that hold RoCE's largest packets; every packet costs the emulated processor dearly.
readonly wire_mtu=4500
# RDMA listens at WEFT_PORT. Ports of iWARP are ports of TCP, so the target's TCP has another.
readonly wire_tcp_port=$((WEFT_PORT + 1))

# other_end END
other_end() { if [ "$1" = wt ]; then echo wh; else echo wt; fi; }

# rdma_device END: the name of its RDMA device.
rdma_device() { echo "rdma_$1"; }

add_rdma_device() {
    local kind=rxe
    [ "$WEFT_FABRIC" != iwarp ] || kind=siw
    rdma link add "$(rdma_device "$1")" type "$kind" netdev "$1"
}
delete_rdma_device() { rdma link delete "$(rdma_device "$1")"; }

load_rdma() {
    modprobe -a ib_uverbs rdma_ucm nvme-rdma || return 1
    if [ "$WEFT_FABRIC" != iwarp ]; then modprobe rdma_rxe; return; fi
    # Debian does not build siw: build_modules.sh does, and run.sh shares it. Debian's own modules that it needs:
    modprobe -a ib_core iw_cm libcrc32c && insmod /share/siw.ko
}

# make_wire: a kernel delivers to its own addresses without a network, unless its table of them is asked last for what goes from end to end.
make_wire() {
    local end other table=100
    load_rdma || return 1
    ip link add "${wire_ends[0]}" mtu "$wire_mtu" type veth peer name "${wire_ends[1]}" mtu "$wire_mtu"
    echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter
    for end in "${wire_ends[@]}"; do
        echo 0 >"/proc/sys/net/ipv4/conf/$end/rp_filter"
        # Packets from one of our own addresses are welcome, and each end answers only for its own.
        echo 1 >"/proc/sys/net/ipv4/conf/$end/accept_local"
        echo 1 >"/proc/sys/net/ipv4/conf/$end/arp_ignore"
        ip address add "${wire_address[$end]}/24" dev "$end"
        ip link set "$end" up
        ip rule add pref 10 iif "$end" lookup local
    done
    for end in "${wire_ends[@]}"; do
        other=$(other_end "$end")
        table=$((table + 1))
        ip rule add pref 20 from "${wire_address[$end]}" to "${wire_address[$other]}" lookup "$table"
        ip route add "${wire_address[$other]}" dev "$end" src "${wire_address[$end]}" table "$table"
        add_rdma_device "$end" || return 1
    done
    ip rule add pref 1000 lookup local
    ip rule delete pref 0
    rdma link show
}

# cut_wire: nothing arrives any more, and neither end is told; mend_wire: it is whole again.
cut_wire() {
    local end
    modprobe sch_netem
    for end in "${wire_ends[@]}"; do tc qdisc add dev "$end" root netem loss 100%; done
}
mend_wire() {
    local end
    for end in "${wire_ends[@]}"; do tc qdisc delete dev "$end" root; done
}
