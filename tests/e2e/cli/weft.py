"""The binary under test, as a user has it: run a subcommand, start `weft serve`, ask what it does. Used by the tests beside it and by
../tshark_test.py. The binary is named by the environment variable WEFT (ctest sets it). Everything is on loopback, on ports the target picks."""

import json
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BINARY = os.environ.get("WEFT", "")
START_SECONDS = 60  # with sanitizers, on a loaded machine
STOP_SECONDS = 30  # the target's own bound is 5 s and 2 s of slack
RUN_SECONDS = 120
SANITIZER_WORDS = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "assertion failed")
NQN = "nqn.2014-08.org.nvmexpress:weft-cli"


def weft(*arguments, timeout=RUN_SECONDS):
    """Runs a subcommand to its end; the result has returncode, stdout and stderr."""
    return subprocess.run([BINARY, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)


def sanitizer_build():
    with open(BINARY, "rb") as binary:
        return b"__asan_init" in binary.read()


def wait_until(is_true, what, seconds=STOP_SECONDS):
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)  # between two looks at another process


class Target:
    """A running `weft serve`. Made when it is ready; its end is checked by stop(), or it is killed with the test."""

    def __init__(self, *arguments, prefix=()):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([*prefix, BINARY, "serve", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)
        self.pid = self.process.pid
        self.lines = []
        self._read = queue.SimpleQueue()
        threading.Thread(target=self._read_lines, daemon=True).start()
        self._wait_ready()
        self.addresses = [line.split()[2] for line in self.lines if line.startswith("listening tcp ")]
        self.port = int(self.addresses[0].rsplit(":", 1)[1])

    def _read_lines(self):
        for line in self.process.stdout:
            self._read.put(line.rstrip("\n"))
        self._read.put(None)

    def _wait_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while not self.lines or self.lines[-1] != "ready":
            line = self._read.get(timeout=max(0.1, deadline - time.monotonic()))
            if line is None:
                raise AssertionError(f"weft ended before it was ready, status {self.process.wait()}: {self.log_text()}")
            self.lines.append(line)

    def log_text(self):
        self.log.seek(0)
        return self.log.read()

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, seconds=STOP_SECONDS):
        return self.process.wait(seconds)

    def stop(self):
        """SIGTERM; returns the exit status."""
        self.signal()
        return self.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def reach(self, port=None):
        return ["-a", "127.0.0.1", "-s", str(port or self.port)]

    def discover(self, *arguments):
        return json_of(weft("discover", *self.reach(), "-o", "json", *arguments))

    def identify(self, nqn=NQN, *arguments):
        return json_of(weft("identify", *self.reach(), "-n", nqn, "-o", "json", *arguments))

    def perf(self, *arguments, nqn=NQN):
        return weft("perf", *self.reach(), "-n", nqn, "-o", "json", *arguments)

    def start_perf(self, *arguments, nqn=NQN):
        """A perf that goes on while the test does something else."""
        return subprocess.Popen([BINARY, "perf", *self.reach(), "-n", nqn, "-o", "json", *map(str, arguments)], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(r"^VmRSS:\s+(\d+) kB$", status.read(), re.M).group(1)) * 1024


def json_of(result):
    if result.returncode != 0:
        raise AssertionError(f"{result.args} gave {result.returncode}: {result.stderr}")
    return json.loads(result.stdout)


class TestCase(unittest.TestCase):
    """Ends the targets that a test has started, and fails it when one of them wrote of an error of ours."""

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="weft-cli."))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def serve(self, *arguments, listen="127.0.0.1:0", prefix=()):
        target = Target("--listen", listen, *arguments, prefix=prefix)
        self.addCleanup(self._end, target)
        return target

    def serve_named(self, *arguments):
        """With one subsystem, NQN."""
        return self.serve("--subsystem", NQN, *arguments)

    def serve_file(self, toml):
        path = self.directory / "weft.toml"
        path.write_text(toml, encoding="utf-8")
        target = Target("--config", path)
        self.addCleanup(self._end, target)
        return target

    def _end(self, target):
        if target.process.poll() is None:
            target.kill()
        target.process.stdout.close()
        text = target.log_text()
        target.log.close()
        for word in SANITIZER_WORDS:
            self.assertNotIn(word, text)

    def file(self, name="disk.img"):
        return self.directory / name

    def assert_refused(self, result, status, *words):
        """The exit status, nothing on stdout, and a message with all the words."""
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(result.stdout, "")
        for word in words:
            self.assertIn(word, result.stderr)

    def assert_stops(self, target, status=0):
        began = time.monotonic()
        self.assertEqual(target.stop(), status, target.log_text())
        return time.monotonic() - began


def main():
    if not os.access(BINARY, os.X_OK):
        sys.exit(f"WEFT={BINARY!r} is no program")
    unittest.main(module="__main__", verbosity=2)
