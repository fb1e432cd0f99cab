# Helpers of the outer scripts (build_image.sh, run.sh, guest_test.sh): messages, required tools, and where the built images are.
# Sourced, never run. Everything here happens on the machine that starts the guest; jobs/lib.sh is its counterpart inside the guest.
# shellcheck shell=bash

guest_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
guest_cache=${WEFT_GUEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weft-guest}

say() { printf 'guest: %s\n' "$*"; }
die() { printf 'guest: error: %s\n' "$*" >&2; exit 1; }

# need COMMAND PACKAGE: stops with the name of the apt package when a command is missing.
need() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || die "$1 is missing: apt-get install $2"; }

# The images depend on build_image.sh, debian.sh and image/* only: jobs reach the guest through the shared directory.
image_hash() { (cd "$guest_dir" && sha256sum build_image.sh debian.sh image/* | sha256sum | cut -c1-16); }
image_dir() { printf '%s/%s\n' "$guest_cache" "$(image_hash)"; }
