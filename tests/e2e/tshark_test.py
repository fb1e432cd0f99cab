"""A second opinion on the wire: Wireshark's NVMe/TCP dissector reads what the host tools and the target say to each other, and must find
nothing malformed, every PDU type of the protocol's normal course, and every digest right."""

import collections
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "cli"))

import weft
from recording_proxy import RecordingProxy
from weft import NQN

NAMES = {0: "ICReq", 1: "ICResp", 4: "CapsuleCmd", 5: "CapsuleResp", 6: "H2CData", 7: "C2HData", 9: "R2T"}
CHECKSUM_BAD, CHECKSUM_GOOD = "0", "1"
EXPERT_ERROR = 0x00800000


class Tshark(weft.TestCase):
    def setUp(self):
        super().setUp()
        self.assertIsNotNone(shutil.which("tshark"), "tshark is missing: apt-get install tshark")
        self.pcap = self.directory / "wire.pcap"
        self.target = self.serve_named("--namespace", "ram:16MiB", "--namespace", "error:read,ram:16MiB")
        self.proxy = RecordingProxy(self.target.port, self.pcap)
        self.addCleanup(self.proxy.close)

    def perf(self, *arguments):
        return weft.weft("perf", *self.target.reach(self.proxy.port), "-n", NQN, "-o", "json", "--connections", "1", "--time", "0", *arguments)

    def dissect(self, *arguments):
        """One row of values for each packet that the dissector takes for NVMe/TCP, or that the filter in the arguments takes."""
        result = subprocess.run(["tshark", "-n", "-r", self.pcap, "-d", f"tcp.port=={self.proxy.port},nvme-tcp", "-o", "nvme-tcp.check_hdgst:TRUE",
                                 "-o", "nvme-tcp.check_ddgst:TRUE", *arguments], capture_output=True, text=True, timeout=weft.RUN_SECONDS)
        self.assertEqual(result.returncode, 0, result.stderr)
        return [line.split("\t") for line in result.stdout.splitlines()]

    def values(self, field):
        """Every value of a field, over all packets."""
        rows = self.dissect("-Y", field, "-T", "fields", "-e", field)
        return collections.Counter(value for row in rows for value in row[0].split(","))

    def check_wire(self):
        self.proxy.close()
        self.assertEqual(self.dissect("-Y", f"_ws.malformed || _ws.expert.severity >= {EXPERT_ERROR} || tcp.analysis.lost_segment"), [])
        return collections.Counter({NAMES.get(int(value, 0), value): count for value, count in self.values("nvme-tcp.type").items()})

    def test_the_host_tools_use_every_pdu_and_none_is_malformed(self):
        reach = self.target.reach(self.proxy.port)
        self.assertEqual(weft.weft("discover", *reach).returncode, 0)
        self.assertEqual(weft.weft("identify", *reach, "-n", NQN).returncode, 0)
        writes_in_capsule, writes_by_r2t, reads = 64, 16, 48
        for rw, size, count in (("randwrite", "4KiB", writes_in_capsule), ("randwrite", "64KiB", writes_by_r2t), ("randread", "16KiB", reads)):
            result = self.perf("--rw", rw, "--block-size", size, "--io-count", count)
            self.assertEqual(result.returncode, 0, result.stderr)
        types = self.check_wire()
        self.assertEqual(set(types), set(NAMES.values()))
        self.assertEqual(types["ICReq"], types["ICResp"])
        self.assertEqual(types["R2T"], writes_by_r2t)
        self.assertEqual(types["H2CData"], writes_by_r2t)
        self.assertGreaterEqual(types["C2HData"], reads)
        opcodes = self.values("nvme.cmd.opc")
        self.assertGreaterEqual(sum(opcodes.values()), writes_in_capsule + writes_by_r2t + reads)

    def test_digests_are_what_the_dissector_computes(self):
        for rw, size in (("randwrite", "4KiB"), ("randwrite", "64KiB"), ("randread", "16KiB")):
            result = self.perf("--rw", rw, "--block-size", size, "--io-count", 16, "--digest", "header,data")
            self.assertEqual(result.returncode, 0, result.stderr)
        types = self.check_wire()
        self.assertEqual(set(types), set(NAMES.values()))
        for digest in ("nvme-tcp.hdgst.status", "nvme-tcp.ddgst.status"):
            statuses = self.values(digest)
            self.assertGreaterEqual(statuses[CHECKSUM_GOOD], 48, statuses)
            self.assertEqual(statuses[CHECKSUM_BAD], 0, statuses)

    def test_failed_commands_too(self):
        self.assertEqual(self.perf("--nsid", 2, "--io-count", 8).returncode, 1)
        types = self.check_wire()
        self.assertEqual(set(types) - set(NAMES.values()), set())
        self.assertGreater(types["CapsuleResp"], 8)


if __name__ == "__main__":
    weft.main()
