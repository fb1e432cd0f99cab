#!/bin/bash
# Installs the Debian packages of tools/packages.txt that are missing. Usage: tools/install_packages.sh run|test
# `test` includes `run`. Asks dpkg first, so it costs milliseconds when nothing is missing; never asks a question.
set -euo pipefail

list="$(dirname "$0")/packages.txt"
case "${1:-}" in
  run) sets="run" ;;
  test) sets="run test" ;;
  *) echo "usage: $0 run|test" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "$0: this is no Debian; install the equivalents of the packages in $list by hand, then use CMake directly" >&2
  exit 1
fi

wanted=$(awk -v sets="$sets" 'BEGIN { split(sets, s); for (i in s) want[s[i]] = 1 } $1 in want { print $2 }' "$list")

# dpkg-query fails when it knows none of a name; those are simply not in its answer.
# shellcheck disable=SC2086
installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | awk '$1 == "installed" { print $2 }' || true)
missing=$(comm -23 <(sort -u <<<"$wanted") <(sort -u <<<"$installed"))
[ -z "$missing" ] && exit 0
missing=$(tr '\n' ' ' <<<"$missing")

if [ "$(id -u)" = 0 ]; then
  as_root=(env)
elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
  as_root=(sudo env)
else
  echo "$0: these packages are missing: $missing" >&2
  echo "$0: run it as root, or with sudo at hand, or install them yourself" >&2
  exit 1
fi

echo "installing: $missing" >&2
# noninteractive answers the questions of tshark and others with their defaults. The lock may be held by the machine's own updates.
apt=("${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
[ -t 0 ] || exec </dev/null
"${apt[@]}" update >&2 || echo "$0: apt-get update failed; trying with the package lists that are here" >&2
# shellcheck disable=SC2086
"${apt[@]}" install --no-install-recommends $missing >&2
