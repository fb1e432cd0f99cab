"""What `weft serve` offers once it is ready, as the host tools see it: listeners, subsystems, namespaces, who may connect, identities, and
which media it refuses."""

import os
import re
import socket
import unittest

import weft
from weft import NQN, TestCase

OTHER_NQN = "nqn.2014-08.org.nvmexpress:weft-cli-other"
HOST = "nqn.2014-08.org.nvmexpress:uuid:0f01fb42-9f7f-4856-b0b3-51e60b8de349"
STRANGER = "nqn.2014-08.org.nvmexpress:uuid:0f01fb42-9f7f-4856-b0b3-51e60b8de350"
UUID = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
LOCAL = ("--listen", "127.0.0.1:0")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def namespaces_of(identity):
    return {ns["nsid"]: ns for ns in identity["namespaces"]}


class Listeners(TestCase):
    def test_prints_a_line_for_each_listener_and_then_ready(self):
        target = self.serve("--listen", "127.0.0.2:0", "--listen", "tcp://127.0.0.1:0", "--namespace", "ram:1MiB")
        self.assertEqual(target.lines[-1], "ready")
        self.assertEqual([address.rsplit(":", 1)[0] for address in target.addresses], ["127.0.0.1", "127.0.0.2", "127.0.0.1"])
        for line in target.lines[:-1]:
            self.assertRegex(line, r"^listening tcp 127\.0\.0\.[12]:[1-9]\d*$")
        for address in target.addresses:
            host, port = address.rsplit(":", 1)
            self.assertEqual(weft.weft("discover", "-a", host, "-s", port).returncode, 0)

    def test_logs_go_to_stderr(self):
        target = self.serve_named("--namespace", "ram:1MiB")
        self.assertIn("info", target.log_text())
        self.assertEqual(len(target.lines), 2)

    @unittest.skipUnless(has_ipv6(), "this machine has no IPv6 loopback")
    def test_ipv6(self):
        target = self.serve("--subsystem", NQN, "--namespace", "ram:1MiB", listen="[::1]:0")
        self.assertRegex(target.lines[0], r"^listening tcp \[::1\]:\d+$")
        log = weft.json_of(weft.weft("discover", "-a", "::1", "-s", target.port, "-o", "json"))
        self.assertEqual({(r["adrfam"], r["traddr"]) for r in log["records"]}, {("ipv6", "::1")})

    def test_behind_a_wildcard_hosts_get_the_address_they_came_to(self):
        target = self.serve("--subsystem", NQN, "--namespace", "ram:1MiB", "--allow-any-host", listen="0.0.0.0:0")
        for host in ("127.0.0.1", "127.0.0.3"):
            log = weft.json_of(weft.weft("discover", "-a", host, "-s", target.port, "-o", "json"))
            self.assertEqual({(r["traddr"], r["trsvcid"]) for r in log["records"]}, {(host, str(target.port))})

    def test_a_port_in_use_ends_it_with_the_reason(self):
        target = self.serve_named("--namespace", "ram:1MiB")
        result = weft.weft("serve", "--listen", f"127.0.0.1:{target.port}", "--namespace", "ram:1MiB")
        self.assertEqual(result.returncode, 1)
        self.assertNotIn("ready", result.stdout)
        self.assertRegex(result.stderr, rf"weft: .*127\.0\.0\.1:{target.port}.*in use")


class Subsystems(TestCase):
    def test_nsids_count_from_1_in_each_subsystem(self):
        target = self.serve("--subsystem", NQN, "--namespace", "ram:1MiB", "--namespace", "null:2MiB", "--subsystem", OTHER_NQN,
                            "--block-size", "4096", "--namespace", "ram:4MiB")
        first, second = target.identify(), target.identify(OTHER_NQN)
        sizes = {nsid: ns["nsze"] * (1 << ns["lbafs"][ns["flbas"] & 15]["ds"]) for nsid, ns in namespaces_of(first).items()}
        self.assertEqual(sizes, {1: 1 << 20, 2: 2 << 20})
        only = namespaces_of(second)
        self.assertEqual((list(only), only[1]["nsze"], only[1]["lbafs"][0]["ds"]), ([1], 1024, 12))

    def test_a_file_gives_nsids_cores_and_several_listeners(self):
        target = self.serve_file(f"""
[target]
cores = [{min(os.sched_getaffinity(0))}]
[[listener]]
address = "127.0.0.1:0"
[[listener]]
address = "127.0.0.2:0"
[[subsystem]]
nqn = "{NQN}"
serial = "SN-CLI"
[[subsystem.namespace]]
nsid = 7
device = "ram:1MiB"
uuid = "{UUID}"
[[subsystem.namespace]]
device = "ram:1MiB"
block_size = 4096
""")
        self.assertEqual(len(target.addresses), 2)
        identity = target.identify()
        self.assertEqual(identity["sn"].strip(), "SN-CLI")
        found = namespaces_of(identity)
        self.assertEqual(sorted(found), [1, 7])
        self.assertEqual((found[7]["uuid"], found[1]["lbafs"][0]["ds"]), (UUID, 12))

    def test_an_nsid_that_is_not_there(self):
        target = self.serve_named("--namespace", "ram:1MiB")
        result = weft.weft("identify", *target.reach(), "-n", NQN, "--nsid", "2")
        self.assertEqual(result.returncode, 1)
        self.assertIn("2", result.stderr)


class Access(TestCase):
    def test_only_the_listed_hosts_see_the_subsystem_and_may_connect(self):
        target = self.serve("--subsystem", NQN, "--allow-host", HOST, "--namespace", "ram:1MiB", "--subsystem", OTHER_NQN, "--namespace", "ram:1MiB")
        seen = {host: {r["subnqn"] for r in target.discover("-q", host)["records"]} for host in (HOST, STRANGER)}
        self.assertIn(NQN, seen[HOST])
        self.assertNotIn(NQN, seen[STRANGER])
        self.assertIn(OTHER_NQN, seen[STRANGER])
        self.assertEqual(target.identify(NQN, "-q", HOST)["subnqn"], NQN)
        refused = weft.weft("identify", *target.reach(), "-n", NQN, "-q", STRANGER)
        self.assert_refused(refused, 1, STRANGER, "is not allowed")

    def test_an_nqn_that_is_not_there(self):
        target = self.serve_named("--namespace", "ram:1MiB")
        self.assert_refused(weft.weft("identify", *target.reach(), "-n", OTHER_NQN), 1, f"there is no subsystem {OTHER_NQN}")


class Media(TestCase):
    def serve_fails(self, *devices):
        arguments = [word for device in devices for word in ("--namespace", device)]
        result = weft.weft("serve", *LOCAL, *arguments)
        self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
        return result.stderr

    def make_file(self, size_bytes):
        with open(self.file(), "wb") as disk:
            disk.write(b"before")
            disk.truncate(size_bytes)
        return self.file()

    def test_size_creates_a_missing_file(self):
        self.serve_named("--namespace", f"file:{self.file()},size=1MiB")
        self.assertEqual(self.file().stat().st_size, 1 << 20)
        self.assertEqual(self.file().stat().st_blocks, 0)

    def test_a_missing_file_without_size_is_refused(self):
        self.assertIn("size=", self.serve_fails(f"file:{self.file()}"))
        self.assertFalse(self.file().exists())

    def test_another_size_is_refused_and_nothing_is_touched(self):
        for size in ("1MiB", "4MiB"):
            with self.subTest(size):
                path = self.make_file(2 << 20)
                self.assertIn("an existing file is not resized", self.serve_fails(f"file:{path},size={size}"))
                self.assertEqual(path.stat().st_size, 2 << 20)
                self.assertEqual(path.read_bytes()[:6], b"before")

    def test_a_size_that_is_not_whole_blocks_is_refused(self):
        self.assertIn("whole blocks", self.serve_fails(f"file:{self.make_file(1000)}"))
        self.assertIn("it is empty", self.serve_fails(f"file:{self.make_file(0)}"))

    def test_a_file_of_another_weft_is_locked(self):
        target = self.serve_named("--namespace", f"file:{self.file()},size=1MiB")
        self.assertIn(f"it is locked by process {target.pid}", self.serve_fails(f"file:{self.file()}"))
        target.kill()
        self.serve_named("--namespace", f"file:{self.file()}")

    def test_one_file_backs_one_namespace(self):
        link = self.file("link.img")
        link.symlink_to(self.make_file(1 << 20))
        self.assertIn("in use by another namespace", self.serve_fails(f"file:{self.file()}", f"file:{link}"))

    def test_what_is_no_regular_file_is_refused(self):
        os.mkfifo(self.file("pipe"))
        self.assertIn("not a regular file", self.serve_fails(f"file:{self.file('pipe')}"))
        self.assertIn("cannot open it", self.serve_fails(f"file:{self.directory}"))

    def test_without_io_uring_threads_serve_files(self):
        knob = "/proc/sys/kernel/io_uring_disabled"
        if not os.path.exists(knob):
            self.skipTest("this kernel cannot forbid io_uring by a sysctl")
        with open(knob, encoding="ascii") as file:
            if file.read().strip() != "2":
                self.skipTest("io_uring is allowed on this machine, and a test may not change a setting of the whole machine")
        target = self.serve_named("--namespace", f"file:{self.file()},size=16MiB")
        self.assertIn("threads", target.log_text())
        self.assertEqual(target.perf("--rw", "randrw", "--verify", "--io-count", "1000", "--time", "0").returncode, 0)


class Identities(TestCase):
    KEYS = ("uuid", "nguid", "eui64")

    def start(self):
        return self.serve_named("--namespace", f"file:{self.file()},size=1MiB", "--namespace", "ram:1MiB", "--namespace", f"ram:1MiB,uuid={UUID}")

    def test_files_keep_theirs_over_a_restart_and_ram_gets_new_ones(self):
        target = self.start()
        before = target.identify()
        self.assert_stops(target)
        after = self.start().identify()
        self.assertEqual(before["sn"], after["sn"])
        old, new = namespaces_of(before), namespaces_of(after)
        for key in self.KEYS:
            self.assertEqual(old[1][key], new[1][key])
            self.assertNotEqual(old[2][key], new[2][key])
            self.assertEqual(old[3][key], new[3][key])
            for ns in old.values():
                self.assertRegex(ns[key], re.compile("[1-9a-f]"))
        self.assertEqual(new[3]["uuid"], UUID)
        self.assertEqual(len({ns["uuid"] for ns in old.values()}), 3)

    def test_a_copy_of_a_file_is_another_disk(self):
        target = self.start()
        uuid = namespaces_of(target.identify())[1]["uuid"]
        self.assert_stops(target)
        copy = self.file("copy.img")
        copy.write_bytes(self.file().read_bytes())
        other = self.serve_named("--namespace", f"file:{copy}")
        self.assertNotEqual(namespaces_of(other.identify())[1]["uuid"], uuid)

    def test_the_default_nqn_is_in_the_uuid_form_and_stays(self):
        names = []
        for _ in range(2):
            target = self.serve("--namespace", "ram:1MiB")
            names.append([r["subnqn"] for r in target.discover()["records"] if r["subtype"] == "nvme subsystem"])
        self.assertEqual(names[0], names[1])
        self.assertRegex(names[0][0], r"^nqn\.2014-08\.org\.nvmexpress:uuid:[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$")


if __name__ == "__main__":
    weft.main()
