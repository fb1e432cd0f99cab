"""What a user meets before anything runs: help, version, wrong flags, wrong files. Exit codes: 0 done, 1 failed, 2 wrong usage."""

import weft
from weft import NQN, TestCase

COMMANDS = (["serve"], ["config", "check"], ["discover"], ["identify"], ["perf"], ["connect-line"])
LOCAL = ("--listen", "127.0.0.1:0", "--namespace", "ram:1MiB")
VALID = """
[[listener]]
address = "127.0.0.1:0"
[[subsystem]]
[[subsystem.namespace]]
device = "ram:1MiB"
"""


class Help(TestCase):
    def test_every_subcommand_has_help_with_examples(self):
        for command in COMMANDS:
            with self.subTest(command):
                result = weft.weft(*command, "--help")
                self.assertEqual(result.returncode, 0)
                self.assertRegex(result.stdout, r"Examples?:\n(.*\n)*  weft " + " ".join(command))
                self.assertEqual(result.stderr, "")

    def test_the_top_help_names_every_subcommand(self):
        text = weft.weft("--help").stdout
        for command in COMMANDS:
            self.assertIn(f"  {command[0]} ", text)

    def test_version(self):
        result = weft.weft("--version")
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout, r"^weft \d+\.\d+\.\d+\n$")


class WrongUsage(TestCase):
    def test_exits_with_2_and_says_what_is_wrong(self):
        rows = (
            ((), "subcommand"),
            (("bogus",), "subcommand"),
            (("serve", "--bogus"), "--bogus"),
            (("serve",), "--listen 127.0.0.1:4420"),
            (("serve", *LOCAL, "--cores", "x"), "--cores"),
            (("serve", *LOCAL, "--poll", "never"), "adaptive or always"),
            (("serve", *LOCAL, "--block-size", "1000"), "512 or 4096"),
            (("serve", "--listen", "localhost:1", "--namespace", "ram:1MiB"), "--listen"),
            (("serve", "--listen", "127.0.0.1:70000", "--namespace", "ram:1MiB"), "--listen"),
            (("serve", "--listen", "127.0.0.1:0", "--namespace", "ram:1GB?"), "ram:1GB?"),
            (("serve", "--listen", "127.0.0.1:0", "--namespace", "tape:1GiB"), "not a device"),
            (("serve", "--listen", "127.0.0.1:0", "--namespace", "ram:1000"), "not a multiple of the block size"),
            (("serve", *LOCAL, "--config", "/etc/weft.toml"), "--config"),
            (("serve", *LOCAL, "--subsystem", "disk1"), "is not an NQN"),
            (("config",), "subcommand"),
            (("config", "check"), "FILE"),
            (("discover",), "--traddr"),
            (("identify", "-a", "127.0.0.1"), "--nqn"),
            (("perf", "-a", "127.0.0.1", "-n", NQN, "--rw", "sideways"), "--rw"),
            (("perf", "-a", "127.0.0.1", "-n", NQN, "--digest", "trailer"), "--digest"),
            (("discover", "-a", "127.0.0.1", "-s", "0"), "--trsvcid"),
            (("discover", "-a", "127.0.0.1", "-o", "xml"), "--output-format"),
        )
        for arguments, words in rows:
            with self.subTest(arguments):
                self.assert_refused(weft.weft(*arguments), 2, words)


class Access(TestCase):
    def test_beyond_loopback_hosts_must_be_named(self):
        for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:0"):
            with self.subTest(address):
                result = weft.weft("serve", "--listen", address, "--namespace", "ram:1MiB")
                self.assert_refused(result, 2, "which hosts may connect", "--allow-host HOSTNQN", "--allow-any-host")

    def test_a_raw_disk_wants_named_hosts_even_on_loopback(self):
        result = weft.weft("serve", "--listen", "127.0.0.1:0", "--namespace", "/dev/nonexistent")
        self.assert_refused(result, 2, "is a disk", "even on loopback")

    def test_any_host_and_a_list_contradict_each_other(self):
        result = weft.weft("serve", *LOCAL, "--allow-any-host", "--allow-host", "nqn.2014-08.org.example:host")
        self.assert_refused(result, 2, "--allow-any-host makes the listed hosts meaningless")

    def test_a_host_nqn_that_is_none_is_refused(self):
        self.assert_refused(weft.weft("serve", *LOCAL, "--allow-host", "me"), 2, "is not a host NQN")


class ConfigCheck(TestCase):
    def check(self, text):
        path = self.directory / "weft.toml"
        path.write_text(text, encoding="utf-8")
        return path, weft.weft("config", "check", path)

    def test_a_good_file_is_summarised(self):
        path, result = self.check(VALID)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertTrue(result.stdout.startswith(f"{path}: ok\n"))
        self.assertIn("namespace 1: ram:1 MiB", result.stdout)

    def test_problems_come_with_file_line_and_column(self):
        rows = (
            ('\n[target]\nspeed = "high"\n', 3, "speed"),
            (VALID + 'colour = "red"\n', 7, "colour"),
            ('[[listener]]\naddress = "localhost:1"\n', 2, "numeric"),
            ("[target]\ncores = [0, 0]\n", 2, "listed twice"),
            ("[target\n", 1, "not TOML"),
            (VALID.replace("ram:1MiB", "ram:0"), 6, "size"),
        )
        for text, line, word in rows:
            with self.subTest(word):
                path, result = self.check(text)
                self.assertEqual((result.returncode, result.stdout), (1, ""))
                self.assertRegex(result.stderr, rf"(?m)^{path}:{line}:\d+: .*{word}")

    def test_a_file_that_is_not_there(self):
        self.assert_refused(weft.weft("config", "check", self.directory / "none.toml"), 1, "none.toml")
        self.assert_refused(weft.weft("config", "check", self.directory), 1, "this is a folder")

    def test_serve_says_the_same_of_a_bad_file(self):
        path, checked = self.check(VALID + 'colour = "red"\n')
        self.assert_refused(weft.weft("serve", "--config", path), 1, checked.stderr)


class ExplainMemory(TestCase):
    def test_names_every_bound_and_what_it_costs(self):
        result = weft.weft("serve", *LOCAL, "--explain-memory")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for bound in ("connections", "queue_entries", "transfer_share_bytes", "slots_per_reactor", "shutdown_ms"):
            self.assertRegex(result.stdout, rf"(?m)^{bound} ")
        self.assertRegex(result.stdout, r"(?m)^ram +1 MiB ")
        self.assertRegex(result.stdout, r"(?m)^total with \d+ reactors? and 1 subsystem: at most \d")

    def test_needs_no_configuration(self):
        self.assertEqual(weft.weft("serve", "--explain-memory").returncode, 0)


if __name__ == "__main__":
    weft.main()
