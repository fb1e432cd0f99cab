#!/bin/bash
# First process after switch_root: mounts what a Linux system has, brings up the user-mode network (the outer machine's loopback is
# 10.0.2.2), mounts the directory shared by run.sh and runs in_guest.sh from it. The guest powers off whatever happens.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
power_off() { sync; echo o >/proc/sysrq-trigger; sleep 60; }
trap power_off EXIT

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /dev/pts /dev/shm /run/lock
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
ln -s /proc/self/fd /dev/fd
hostname weft-guest
modprobe -a virtio_net 9pnet_virtio 9p
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
mkdir -p /share
mount -t 9p -o trans=virtio,version=9p2000.L,msize=131072 share /share || { echo "weft-guest: no shared directory"; exit 1; }
bash /share/in_guest.sh </dev/null
