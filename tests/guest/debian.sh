# debian.sh: the Debian archive as build_image.sh and build_modules.sh use it: the mirror, an apt of its own for a suite, a new root. Sourced
# after common.sh.
# shellcheck shell=bash disable=SC2034,SC2154
set -euo pipefail

readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# Kernel series and the Debian suite that has it.
declare -rA suite_of=([6.1]=bookworm [6.12]=trixie)

# check_builder: what the machine must have to build anything.
check_builder() {
    [ "$(id -u)" = 0 ] || die "building the guest's images needs root (debootstrap); run $0 once as root with WEFT_GUEST_CACHE=$guest_cache"
    need debootstrap debootstrap
    [ -r "$keyring" ] || die "$keyring is missing: apt-get install debian-archive-keyring"
}

# find_mirror: the Debian mirror in the machine's own apt sources: no host is written down here.
find_mirror() {
    local mirror
    # shellcheck disable=SC2016  # apt's own variables
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk '$3 == "main" && $2 ~ /^(bookworm|trixie|stable|oldstable|testing|sid)$/ { print $1; exit }')
    [ -n "$mirror" ] || die "no Debian mirror in this machine's apt sources"
    echo "$mirror"
}

# with_apt SUITE MIRROR DIRECTORY COMMAND...: runs COMMAND in DIRECTORY/deb with an apt of its own for the suite, so that the machine's sources
# and lists stay as they are. apt checks the signatures.
with_apt() {
    local suite=$1 mirror=$2 apt=$3
    shift 3
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
        "$@"
    )
}

# bootstrap SUITE MIRROR ROOT PACKAGE,...: makes a minimal root with the packages. Its log is ROOT.log.
bootstrap() {
    local http_proxy=''
    # debootstrap downloads by itself: give it the proxy that apt would use.
    eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
    [ -z "$http_proxy" ] || export http_proxy
    if ! nice -n 10 debootstrap --variant=minbase --include="$4" --keyring="$keyring" "$1" "$3" "$2" >"$3.log" 2>&1; then
        tail -n 20 "$3.log" "$3/debootstrap/debootstrap.log" 2>/dev/null || true
        die "debootstrap failed"
    fi
}

# remove_build DIRECTORY: an interrupted debootstrap leaves /proc and /sys of the new root mounted.
remove_build() {
    umount -q "$1/root/proc" "$1/root/sys" 2>/dev/null || true
    rm -rf --one-file-system "$1"
}
