#!/usr/bin/env bash
# build_modules.sh: builds what Debian has in source and does not build, for the guest's kernel 6.12, and puts it beside the kernel in the image's
# directory: siw (software iWARP), and VFIO with its no-IOMMU mode. The compiler must be that of the kernel, so it works in a throw-away root of
# the kernel's suite: about two minutes and 300 MB to download, once for an image. Does nothing when the modules are there. Needs root.
set -euo pipefail
# shellcheck source=SCRIPTDIR/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=SCRIPTDIR/debian.sh
. "$guest_dir/debian.sh"
exec </dev/null

readonly series=6.12
# Where in the kernel's source a module is, and what it is built with.
declare -rA source_of=([siw]=drivers/infiniband/sw/siw [vfio]=drivers/vfio)
declare -rA options_of=([siw]=CONFIG_RDMA_SIW=m [vfio]=KCFLAGS=-DCONFIG_VFIO_NOIOMMU=1)

# fetch_source VERSION: the headers of that very kernel, and the source of its series with the same package version.
fetch_source() {
    local headers=linux-headers-$1 common=linux-headers-${1%-amd64}-common kbuild=linux-kbuild-${1%-amd64} version
    version=$(apt-cache show "$headers" | awk '/^Version:/ { print $2; exit }')
    say "modules: source and headers of $1 ($version)"
    apt-get -qq download "linux-source-$series=$version" "$headers" "$common" "$kbuild"
}

# unpack WORK: the headers into the root, and of the source what is to be built.
unpack() {
    local work=$1 package module
    for package in "$work"/apt/deb/linux-{headers,kbuild}-*.deb; do dpkg -x "$package" "$work/root"; done
    dpkg -x "$work"/apt/deb/linux-source-*.deb "$work/source"
    tar -xJf "$work"/source/usr/src/linux-source-*.tar.xz -C "$work/source" "${source_of[@]/#/linux-source-$series/}"
    for module in "${!source_of[@]}"; do mv "$work/source/linux-source-$series/${source_of[$module]}" "$work/root/usr/src/$module"; done
}

# compile WORK VERSION MODULE OUT
compile() {
    local work=$1 version=$2 module=$3 out=$4
    say "modules: compiling $module"
    if ! chroot "$work/root" nice -n 10 make -C "/usr/src/linux-headers-$version" "M=/usr/src/$module" "${options_of[$module]}" "$module.ko" >"$work/make.log" 2>&1; then
        cat "$work/make.log"
        die "$module does not compile"
    fi
    chroot "$work/root" strip --strip-debug "/usr/src/$module/$module.ko"
    mv "$work/root/usr/src/$module/$module.ko" "$out/$module-$series.ko"
}

build() {
    local out=$1 version work mirror module suite=${suite_of[$series]}
    check_builder
    version=$(cat "$out/version-$series")
    mirror=$(find_mirror)
    work=$(mktemp -d "$guest_cache/build.XXXXXX")
    # shellcheck disable=SC2064  # the path is fixed now: $work is gone when the trap runs
    trap "remove_build '$work'" EXIT
    with_apt "$suite" "$mirror" "$work/apt" fetch_source "$version"
    say "modules: a root of $suite with the kernel's compiler"
    # pahole: the kernel has type information, and its modules' must match.
    bootstrap "$suite" "$mirror" "$work/root" gcc-14,make,pahole,libelf1t64
    unpack "$work"
    for module in "${!source_of[@]}"; do compile "$work" "$version" "$module" "$out"; done
}

"$guest_dir/build_image.sh"
exec 9>"$guest_cache/lock"
flock -n 9 || { say "waiting for another build in $guest_cache"; flock 9; }
out=$(image_dir)
missing=''
for module in "${!source_of[@]}"; do [ -e "$out/$module-$series.ko" ] || missing=1; done
if [ -n "$missing" ]; then
    (build "$out")
    say "built modules after $SECONDS s"
fi
