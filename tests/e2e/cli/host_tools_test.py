"""The host tools as a script uses them: JSON alone on stdout with the documented keys, exit codes, and the connect line."""

import json
import socket

import weft
from weft import NQN, TestCase

LATENCIES = {"p50", "p90", "p99", "p99_9", "p99_99", "max"}


class HostTools(TestCase):
    def start(self, *devices):
        return self.serve_named(*[word for device in devices for word in ("--namespace", device)])

    def test_discover(self):
        target = self.start("ram:1MiB")
        records = target.discover()["records"]
        found = [r for r in records if r["subnqn"] == NQN]
        self.assertEqual(len(found), 1)
        self.assertEqual({key: found[0][key] for key in ("trtype", "adrfam", "traddr", "trsvcid", "subtype")},
                         {"trtype": "tcp", "adrfam": "ipv4", "traddr": "127.0.0.1", "trsvcid": str(target.port), "subtype": "nvme subsystem"})
        self.assertIn("nqn.2014-08.org.nvmexpress.discovery", {r["subnqn"] for r in records})
        self.assertIn(f"subnqn:  {NQN}\n", weft.weft("discover", *target.reach()).stdout)

    def test_identify(self):
        target = self.start("ram:1MiB", "null:2MiB")
        identity = target.identify()
        for key in ("vid", "sn", "mn", "fr", "cntlid", "ver", "mdts", "nn", "oncs", "vwc", "sgls", "subnqn", "ioccsz", "iorcsz", "psds"):
            self.assertIn(key, identity)
        self.assertEqual((identity["subnqn"], identity["ver"]), (NQN, 0x20000))
        self.assertEqual([ns["nsid"] for ns in identity["namespaces"]], [1, 2])
        for key in ("nsze", "ncap", "nuse", "nsfeat", "flbas", "dlfeat", "nguid", "eui64", "uuid", "lbafs"):
            self.assertIn(key, identity["namespaces"][0])
        one = target.identify(NQN, "--nsid", "2")["namespaces"]
        self.assertEqual([(ns["nsid"], ns["nsze"]) for ns in one], [(2, 4096)])

    def test_perf_reports_what_the_documentation_names(self):
        target = self.start("ram:16MiB")
        for rw in ("randread", "randwrite", "randrw", "read", "write"):
            with self.subTest(rw):
                report = weft.json_of(target.perf("--rw", rw, "--verify", "--io-count", "2000", "--time", "0"))
                self.assertEqual((report["io_errors"], report["verify_errors"]), (0, 0))
                self.assertGreaterEqual(set(report["latency_us"]), LATENCIES)
                quantiles = [report["latency_us"][key] for key in ("p50", "p90", "p99", "p99_9", "p99_99", "max")]
                self.assertEqual(quantiles, sorted(quantiles))
                self.assertGreater(report["iops"], 0)
                self.assertGreater(report["mib_per_s"], 0)

    def test_perf_in_many_forms_verifies(self):
        target = self.start(f"file:{self.file()},size=64MiB")
        for arguments in (("--block-size", "512"), ("--block-size", "128KiB", "--queue-depth", "8"), ("--block-size", "1MiB", "--queue-depth", "2"),
                          ("--digest", "header"), ("--digest", "data"), ("--digest", "header,data", "--block-size", "64KiB"),
                          ("--connections", "1", "--queue-depth", "128"), ("--disable-sqflow",)):
            with self.subTest(arguments):
                report = weft.json_of(target.perf("--rw", "randrw", "--verify", "--io-count", "500", "--time", "0", *arguments))
                self.assertGreater(report["blocks_verified"], 0)

    def test_perf_fails_on_io_errors(self):
        target = self.start("error:read,ram:16MiB", "error:write@8+8,ram:16MiB")
        result = target.perf("--io-count", "100", "--time", "0")
        self.assertEqual(result.returncode, 1)
        self.assertEqual(json.loads(result.stdout)["io_errors"], 100)
        result = target.perf("--nsid", "2", "--rw", "write", "--io-count", "100", "--time", "0")
        report = json.loads(result.stdout)
        self.assertEqual((result.returncode, report["io_errors"], report["ios"]), (1, 1, 99))

    def test_perf_fails_on_a_wrong_block(self):
        target = self.start(f"file:{self.file()},size=1MiB")
        sweep = ("--verify", "--connections", "1", "--io-count", "256", "--time", "0")
        weft.json_of(target.perf("--rw", "write", *sweep))
        self.assertEqual(weft.json_of(target.perf("--rw", "read", *sweep))["verify_errors"], 0)
        with open(self.file(), "r+b") as disk:
            disk.seek(512 * 100 + 200)
            byte = disk.read(1)[0]
            disk.seek(-1, 1)
            disk.write(bytes([byte ^ 1]))
        result = target.perf("--rw", "read", *sweep)
        report = json.loads(result.stdout)
        self.assertEqual((result.returncode, report["verify_errors"], report["io_errors"]), (1, 1, 0))

    def test_perf_prints_a_table_for_people(self):
        target = self.start("ram:16MiB")
        result = weft.weft("perf", *target.reach(), "-n", NQN, "--io-count", "100", "--time", "0")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for word in ("IOPS", "MiB/s", "p50", "p90", "p99", "p99.9", "p99.99", "max"):
            self.assertIn(word, result.stdout.splitlines()[0])

    def test_connect_line(self):
        target = self.start("ram:1MiB")
        line = f"nvme connect -t tcp -a 127.0.0.1 -s {target.port} -n {NQN}\n"
        self.assertEqual(weft.weft("connect-line", *target.reach()).stdout, line)
        self.assertEqual(weft.weft("connect-line", "-a", "192.0.2.5", "-n", "nqn.2014-08.org.example:a").stdout,
                         "nvme connect -t tcp -a 192.0.2.5 -s 4420 -n nqn.2014-08.org.example:a\n")

    def test_a_target_that_is_not_there(self):
        with socket.socket() as unused:  # bound and not listening: nobody else gets the port
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            for command in (("discover",), ("identify", "-n", NQN), ("perf", "-n", NQN), ("connect-line",)):
                with self.subTest(command):
                    self.assert_refused(weft.weft(*command, "-a", "127.0.0.1", "-s", port), 1, f"127.0.0.1:{port}", "Connection refused")


if __name__ == "__main__":
    weft.main()
