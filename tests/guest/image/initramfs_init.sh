#!/bin/busybox sh
# shellcheck shell=dash
# First process of the guest, in the initramfs: loads the modules that the root disk needs, mounts it and hands over to guest_init.sh.
# /modules lists the module files in the order in which they must be loaded (pack_initramfs.sh writes it).
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "$module" || echo "weft-guest: cannot load $module"; done </modules
tries=100
while [ ! -b /dev/vda ] && [ "$tries" -gt 0 ]; do sleep 0.1; tries=$((tries - 1)); done
mount -t ext4 -o rw,noatime /dev/vda /root || { echo "weft-guest: no root disk"; echo o >/proc/sysrq-trigger; sleep 60; }
umount /proc /sys
mount --move /dev /root/dev
exec switch_root /root /usr/sbin/weft-guest-init
