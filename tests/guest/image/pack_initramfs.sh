#!/bin/sh
# pack_initramfs.sh VERSION OUTPUT: packs the initramfs of one kernel. Runs inside the new root (chroot), whose busybox and kmod it uses,
# so that the outer machine needs neither cpio nor xz. Expects initramfs_init.sh beside itself.
set -eu
version=$1 output=$2 here=$(dirname "$0")
tree=$(mktemp -d)
mkdir -p "$tree/bin" "$tree/dev" "$tree/proc" "$tree/sys" "$tree/root" "$tree/lib"
cp /bin/busybox "$tree/bin/busybox"
cp "$here/initramfs_init.sh" "$tree/init"
chmod 755 "$tree/init"

depmod "$version"
# --show-depends prints "insmod PATH" for each module and what it needs, in load order; "builtin NAME" needs nothing.
modprobe -S "$version" -a --show-depends virtio_pci virtio_blk ext4 | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
while read -r module; do
    name=$(basename "$module"); name=${name%.xz}
    case $module in
        *.xz) busybox unxz -c "$module" >"$tree/lib/$name" ;;
        *) cp "$module" "$tree/lib/$name" ;;
    esac
    echo "/lib/$name" >>"$tree/modules"
done
(cd "$tree" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$output"
rm -rf "$tree"
