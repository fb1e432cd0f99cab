# Job: the power goes while a target inside this guest writes to a disk with a volatile cache, again and again; whatever had been flushed or
# written with FUA is there afterwards, and other writes are not, so the cut is one. With the flushes taken out the same run must fail.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/cache_disk.sh
. "$(dirname "$0")/cache_disk.sh"

readonly mib=2 cuts=${1:-4}

# run OPTION...: one run on a new disk.
run() {
    local status=0
    make_disk "$mib"
    python3 -B /share/e2e/crash/power_cut.py --weft "$weft" --disk "$disk" --power "$disk_config/power" --mib "$mib" "$@" || status=$?
    power_off
    remove_disk
    return "$status"
}

# A disk that goes while the target has it fails the target's I/O on purpose.
allow_message 'I/O error, dev nullb0'
unpack_weft
check "what was flushed survives $cuts power cuts" run --cuts "$cuts"
check_fails "without flushes the same run finds what is lost" 'LBA [0-9]+: .* may be write' run --cuts 2 --drop-flushes
finish
