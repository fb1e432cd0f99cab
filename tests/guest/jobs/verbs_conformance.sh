# Job: the verbs suite of tests/conformance on the software RDMA device of this guest, both ends in one process: with its shared receive queues, and
# as on a device that has none. Needs WEFT_CONFORMANCE.
# shellcheck shell=bash
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"

# Soft-RoCE names every work request that fails, and the suite lets some fail.
allow_message 'make_send_cqe: non-flush error'

suite() { WEFT_RDMA_ADDRESS=${wire_address[wt]} /tmp/conformance/run --gtest_filter='*VerbsConformance/1.*:*VerbsConformance/2.*'; }

if [ ! -d /share/conformance ]; then echo "no suite: guest_test.sh needs --conformance" >&2; exit 1; fi
cp -r /share/conformance /tmp/
status=0
suite >/tmp/suite.log 2>&1 || status=$?
cat /tmp/suite.log
check_equal "status of the suite" "$status" 0
for world in 1 2; do
  check "world $world was asked" test "$(grep -c "^\[       OK \] .*/$world\." /tmp/suite.log)" -gt 0
done
finish
