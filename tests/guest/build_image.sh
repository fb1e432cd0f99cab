#!/usr/bin/env bash
# build_image.sh: makes the guest's root disk and, for Linux 6.1 (Debian 12) and 6.12 (Debian 13), a kernel and an initramfs, in
# ${WEFT_GUEST_CACHE:-~/.cache/weft-guest}/HASH where HASH is over this script, debian.sh and image/*. Does nothing when they are there. Needs root
# (debootstrap) only when it has to build. Takes a lock; builds aside and renames, so an interrupted build leaves nothing half-made.
set -euo pipefail
# shellcheck source=SCRIPTDIR/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=SCRIPTDIR/debian.sh
. "$guest_dir/debian.sh"
exec </dev/null

readonly root_size=1500M days_kept=14
# Module trees that no job needs; they are three quarters of the size.
readonly pruned_modules=(sound drivers/{gpu,media,iio,staging,usb,hid,input,bluetooth,isdn,comedi,mtd,video,net/{wireless,ethernet,usb,can}})

# fetch_kernel: fetches the suite's newest kernel.
fetch_kernel() {
    local package
    package=$(apt-cache depends linux-image-amd64 | awk '/Depends:/ { print $2; exit }')
    say "kernel package $package"
    apt-get -qq download "$package"
}

# download_kernel SUITE MIRROR WORK: fetches and unpacks the suite's newest kernel into WORK/SUITE.
download_kernel() {
    with_apt "$1" "$2" "$3/apt-$1" fetch_kernel
    dpkg -x "$3/apt-$1"/deb/*.deb "$3/$1"
}

# install_kernel SERIES WORK: puts the suite's modules into the root and its kernel and initramfs into WORK/out.
install_kernel() {
    local series=$1 work=$2 suite=${suite_of[$1]} vmlinuz version modules pruned
    vmlinuz=$(echo "$work/$suite"/boot/vmlinuz-*)
    version=${vmlinuz##*/vmlinuz-}
    modules=$work/$suite/lib/modules/$version
    [ -d "$modules" ] || modules=$work/$suite/usr/lib/modules/$version
    for pruned in "${pruned_modules[@]}"; do rm -rf "${modules:?}/kernel/$pruned"; done
    mkdir -p "$work/root/usr/lib/modules"
    cp -a "$modules" "$work/root/usr/lib/modules/"
    cp "$vmlinuz" "$work/out/vmlinuz-$series"
    echo "$version" >"$work/out/version-$series"
    chroot "$work/root" /usr/lib/weft-guest/pack_initramfs.sh "$version" "/tmp/initramfs"
    mv "$work/root/tmp/initramfs" "$work/out/initramfs-$series"
}

build_root() {
    local mirror=$1 work=$2
    bootstrap bookworm "$mirror" "$work/root" "$(grep -v '^#' "$guest_dir/image/packages.txt" | paste -sd,)"
    install -m 755 "$guest_dir/image/guest_init.sh" "$work/root/usr/sbin/weft-guest-init"
    install -D -m 755 -t "$work/root/usr/lib/weft-guest" "$guest_dir"/image/{pack_initramfs,initramfs_init}.sh
    rm -rf "$work"/root/var/cache/apt/archives/*.deb "$work"/root/var/lib/apt/lists/* "$work"/root/usr/share/{doc,man,locale}/* \
        "$work/root/etc/apt/sources.list" "$work/root/etc/resolv.conf"
}

build() {
    local out=$1 work mirror series
    check_builder
    need mke2fs e2fsprogs
    mirror=$(find_mirror)
    work=$(mktemp -d "$guest_cache/build.XXXXXX")
    # shellcheck disable=SC2064  # the path is fixed now: $work is gone when the trap runs
    trap "remove_build '$work'" EXIT
    mkdir "$work/out"
    say "building in $work (about two minutes)"
    say "root file system: debootstrap"
    build_root "$mirror" "$work"
    for series in "${!suite_of[@]}"; do
        say "kernel $series: download and unpack"
        download_kernel "${suite_of[$series]}" "$mirror" "$work"
        install_kernel "$series" "$work"
    done
    say "packing the root disk"
    nice -n 10 mke2fs -q -t ext4 -L weft-guest -d "$work/root" "$work/out/root.img" "$root_size" >/dev/null
    chmod 755 "$work/out"
    mv "$work/out" "$out"
}

need flock util-linux
mkdir -p "$guest_cache"
exec 9>"$guest_cache/lock"
flock -n 9 || { say "waiting for another build in $guest_cache"; flock 9; }
out=$(image_dir)
if [ -d "$out" ]; then
    touch "$out"
else
    # The lock is ours, so any build.* was interrupted; images unused for days belong to older trees.
    for left in "$guest_cache"/build.*; do [ ! -d "$left" ] || remove_build "$left"; done
    find "$guest_cache" -mindepth 1 -maxdepth 1 -type d -mtime +"$days_kept" -exec rm -rf {} +
    (build "$out")
    say "built $(du -sh "$out" | cut -f1) in $out after $SECONDS s"
fi
