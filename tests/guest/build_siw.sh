#!/usr/bin/env bash
# build_siw.sh: builds siw, Linux's software iWARP, for the guest's kernel 6.12 and puts it beside the kernel in the image's directory. Debian
# has the source and does not build it. The compiler must be that of the kernel, so it works in a throw-away root of the kernel's suite:
# about two minutes and 300 MB to download, once for an image. Does nothing when siw is there. Needs root.
set -euo pipefail
# shellcheck source=SCRIPTDIR/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=SCRIPTDIR/debian.sh
. "$guest_dir/debian.sh"
exec </dev/null

readonly series=6.12

# fetch_source VERSION: the headers of that very kernel, and the source of its series with the same package version.
fetch_source() {
    local headers=linux-headers-$1 common=linux-headers-${1%-amd64}-common kbuild=linux-kbuild-${1%-amd64} version
    version=$(apt-cache show "$headers" | awk '/^Version:/ { print $2; exit }')
    say "siw: source and headers of $1 ($version)"
    apt-get -qq download "linux-source-$series=$version" "$headers" "$common" "$kbuild"
}

# unpack_siw WORK: the headers into the root, and of the source what is siw.
unpack_siw() {
    local work=$1 package
    for package in "$work"/apt/deb/linux-{headers,kbuild}-*.deb; do dpkg -x "$package" "$work/root"; done
    dpkg -x "$work"/apt/deb/linux-source-*.deb "$work/source"
    mkdir "$work/root/usr/src/siw"
    tar -xJf "$work"/source/usr/src/linux-source-*.tar.xz -C "$work/root/usr/src/siw" --strip-components=5 \
        "linux-source-$series/drivers/infiniband/sw/siw"
}

build() {
    local out=$1 version work mirror suite=${suite_of[$series]}
    check_builder
    version=$(cat "$out/version-$series")
    mirror=$(find_mirror)
    work=$(mktemp -d "$guest_cache/build.XXXXXX")
    # shellcheck disable=SC2064  # the path is fixed now: $work is gone when the trap runs
    trap "remove_build '$work'" EXIT
    with_apt "$suite" "$mirror" "$work/apt" fetch_source "$version"
    say "siw: a root of $suite with the kernel's compiler"
    # pahole: the kernel has type information, and its modules' must match.
    bootstrap "$suite" "$mirror" "$work/root" gcc-14,make,pahole,libelf1t64
    unpack_siw "$work"
    say "siw: compiling"
    if ! chroot "$work/root" nice -n 10 make -C "/usr/src/linux-headers-$version" M=/usr/src/siw CONFIG_RDMA_SIW=m modules >"$work/make.log" 2>&1; then
        cat "$work/make.log"
        die "siw does not compile"
    fi
    chroot "$work/root" strip --strip-debug /usr/src/siw/siw.ko
    mv "$work/root/usr/src/siw/siw.ko" "$out/siw-$series.ko"
}

"$guest_dir/build_image.sh"
exec 9>"$guest_cache/lock"
flock -n 9 || { say "waiting for another build in $guest_cache"; flock 9; }
out=$(image_dir)
if [ ! -e "$out/siw-$series.ko" ]; then
    (build "$out")
    say "built siw after $SECONDS s"
fi
