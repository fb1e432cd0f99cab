#!/usr/bin/env bash
# build_image.sh: makes the guest's root disk and, for Linux 6.1 (Debian 12) and 6.12 (Debian 13), a kernel and an initramfs, in
# ${WEFT_GUEST_CACHE:-~/.cache/weft-guest}/HASH where HASH is over this script and image/*. Does nothing when they are there. Needs root
# (debootstrap) only when it has to build. Takes a lock; builds aside and renames, so an interrupted build leaves nothing half-made.
set -euo pipefail
# shellcheck source=SCRIPTDIR/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
exec </dev/null

readonly root_size=1500M days_kept=14
# Kernel series and the Debian suite that has it.
declare -rA suite_of=([6.1]=bookworm [6.12]=trixie)
# Module trees that no job needs; they are three quarters of the size.
readonly pruned_modules=(sound drivers/{gpu,media,iio,staging,usb,hid,input,bluetooth,isdn,comedi,mtd,video,net/{wireless,ethernet,usb,can}})
readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The Debian mirror in the machine's own apt sources: no host is written down here.
find_mirror() {
    # shellcheck disable=SC2016  # apt's own variables
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk '$3 == "main" && $2 ~ /^(bookworm|trixie|stable|oldstable|testing|sid)$/ { print $1; exit }'
}

# download_kernel SUITE MIRROR WORK: fetches and unpacks the suite's newest kernel into WORK/SUITE, with an apt of its own so that the
# machine's sources and lists stay as they are. apt checks the signatures.
download_kernel() {
    local suite=$1 mirror=$2 apt=$3/apt-$1 package
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/deb"
    printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$suite" >"$apt/sources.list"
    cat >"$apt/apt.conf" <<CONF
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$apt/lists";
Dir::State::status "/dev/null";
Dir::Cache "$apt/cache";
APT::Sandbox::User "root";
CONF
    (
        export APT_CONFIG=$apt/apt.conf
        cd "$apt/deb"
        apt-get -qq update
        package=$(apt-cache depends linux-image-amd64 | awk '/Depends:/ { print $2; exit }')
        say "kernel package $package"
        apt-get -qq download "$package"
    )
    dpkg -x "$apt"/deb/*.deb "$3/$suite"
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
    chroot "$work/root" /usr/lib/weft-guest/pack_initramfs.sh "$version" "/tmp/initramfs"
    mv "$work/root/tmp/initramfs" "$work/out/initramfs-$series"
}

# An interrupted debootstrap leaves /proc and /sys of the new root mounted.
remove_build() {
    umount -q "$1/root/proc" "$1/root/sys" 2>/dev/null || true
    rm -rf --one-file-system "$1"
}

build_root() {
    local mirror=$1 work=$2 packages
    packages=$(grep -v '^#' "$guest_dir/image/packages.txt" | paste -sd,)
    if ! nice -n 10 debootstrap --variant=minbase --include="$packages" --keyring="$keyring" bookworm "$work/root" "$mirror" \
        >"$work/debootstrap.log" 2>&1; then
        tail -n 20 "$work/debootstrap.log" "$work/root/debootstrap/debootstrap.log" 2>/dev/null || true
        die "debootstrap failed"
    fi
    install -m 755 "$guest_dir/image/guest_init.sh" "$work/root/usr/sbin/weft-guest-init"
    install -D -m 755 -t "$work/root/usr/lib/weft-guest" "$guest_dir"/image/{pack_initramfs,initramfs_init}.sh
    rm -rf "$work"/root/var/cache/apt/archives/*.deb "$work"/root/var/lib/apt/lists/* "$work"/root/usr/share/{doc,man,locale}/* \
        "$work/root/etc/apt/sources.list" "$work/root/etc/resolv.conf"
}

build() {
    local out=$1 work mirror series http_proxy=''
    [ "$(id -u)" = 0 ] || die "building the guest images needs root (debootstrap); run $0 once as root with WEFT_GUEST_CACHE=$guest_cache"
    need debootstrap debootstrap
    need mke2fs e2fsprogs
    [ -r "$keyring" ] || die "$keyring is missing: apt-get install debian-archive-keyring"
    mirror=$(find_mirror)
    [ -n "$mirror" ] || die "no Debian mirror in this machine's apt sources"
    # debootstrap downloads by itself: give it the proxy that apt would use.
    eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
    [ -z "$http_proxy" ] || export http_proxy

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
