# Job: weft's own host over RDMA against weft: discover, connect lines, identify, verified I/O in every form of descriptor, with memory windows where the
# device has them; the host killed under load, the target killed and started again under load. Host and target have a device each (wire.sh).
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"

allow_message 'identifiers changed for nsid 1'
# A killed host's memory windows go before its queue pairs do.
allow_message 'make_send_cqe: non-flush error'
from=(-t rdma -a "${wire_address[wt]}" -s "$WEFT_PORT" -w "${wire_address[wh]}" --hostnqn "$host_nqn" --hostid "$host_id")

# tool SUBCOMMAND [OPTION...]
tool() {
    local command=$1
    shift
    /tmp/weft/run "$command" "${from[@]}" "$@"
}
# verified BYTES DEPTH COUNT [OPTION...]: reads and writes, every block checked.
verified() { tool perf -n "$WEFT_NQN" --rw randrw --verify --block-size "$1" --queue-depth "$2" --io-count "$3" --time 60 --connections 2 "${@:4}" -o json; }
has_ended() { ! kill -0 "$1" 2>/dev/null; }

discover() {
    local log
    log=$(tool discover -o json)
    echo "$log"
    check_equal "discovery has our subsystem" \
        "$(jq -r --arg nqn "$WEFT_NQN" '[.records[] | select(.subnqn == $nqn and .trtype == "rdma")][0] | "\(.trsvcid) \(.rdma_qptype) \(.rdma_cms)"' <<<"$log")" \
        "$WEFT_PORT connected rdma-cm"
    tool connect-line
    check "there is a line for each transport" test "$(tool connect-line | grep -cE -- '^nvme connect -t (rdma|tcp) ')" = 2
    check_equal "identify" "$(tool identify -n "$WEFT_NQN" -o json | jq -r '"\(.subnqn) \(.namespaces | length)"')" "$WEFT_NQN 2"
    check_fails "a subsystem that is not there" 'there is no subsystem' tool identify -n nqn.2014-08.org.nvmexpress:nobody
    check_fails "a port where nobody listens" 'nobody answers|refused' /tmp/weft/run discover -t rdma -a "${wire_address[wt]}" -s 9 -w "${wire_address[wh]}"
}

io() {
    check "512 B in the capsule" verified 512 8 400
    check "4 KiB in the capsule" verified 4KiB 8 400
    check "64 KiB by a key" verified 64KiB 8 100
    check "1 MiB by a key" verified 1MiB 2 16
    check "64 KiB in sixteen descriptors" verified 64KiB 4 60 --descriptors 16
    if [ "$WEFT_FABRIC" = rdma ]; then
        check "4 KiB with windows" verified 4KiB 8 400 --remote-invalidation
        check "64 KiB with windows" verified 64KiB 8 100 --remote-invalidation
    else
        check_fails "siw has no windows" 'has no memory windows' verified 4KiB 8 400 --remote-invalidation
    fi
}

# The host dies under load; the target lets go of its queue pairs and serves the next.
host_killed() {
    local host
    check "nobody is connected" wait_qps 0
    /tmp/weft/run perf "${from[@]}" -n "$WEFT_NQN" --rw randrw --verify --block-size 64KiB --queue-depth 8 --connections 2 --time 60 "$@" >/tmp/killed.log 2>&1 &
    host=$!
    check "the target has three queue pairs" wait_qps 3
    sleep 2
    kill -KILL "$host"
    wait "$host" || true
    check "the target lets go of a killed host's queue pairs" wait_qps 0
    check "the next host is served" verified 4KiB 8 200
}

# The target dies under load: the host says so, and does not hang.
target_killed() {
    local host status=0
    /tmp/weft/run perf "${from[@]}" -n "$WEFT_NQN" --rw randrw --verify --block-size 4KiB --queue-depth 8 --connections 2 --time 60 >/tmp/lost.log 2>&1 &
    host=$!
    sleep 3
    check "the host is at work" kill -0 "$host"
    check "the target is killed" ask_target kill
    check "the host ends" wait_until 30 has_ended "$host"
    wait "$host" || status=$?
    cat /tmp/lost.log
    check_equal "status of the host" "$status" 1
    check "it says why" grep -qE 'closed|lost|could not be sent' /tmp/lost.log
    check "the target is started again" ask_target start
    check "it serves" verified 4KiB 8 200
}

discover
io
host_killed
[ "$WEFT_FABRIC" != rdma ] || host_killed --remote-invalidation
target_killed
finish
