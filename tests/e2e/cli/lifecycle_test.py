"""How `weft serve` ends: SIGTERM idle, under load and with a device that hangs, twice, SIGKILL; and what is on the medium afterwards."""

import pathlib
import shutil
import signal
import socket
import struct
import tempfile
import threading
import time

import raw_host
import weft
from weft import NQN, TestCase

SHUTDOWN_SECONDS = 10  # the target's bound is 5 s for the commands and 2 s for the rest
BLOCK = 4096
DISK_BLOCKS = 4096


def block_of(number, round_number):
    return struct.pack("<QQ", number, round_number) * (BLOCK // 16)


class Writer(threading.Thread):
    """Writes block after block, several outstanding, and keeps what was acknowledged, until the target goes."""

    DEPTH = 8

    def __init__(self, port):
        super().__init__(daemon=True)
        self.admin = raw_host.Queue(port, NQN)
        self.queue = raw_host.Queue(port, NQN, self.admin.controller, qid=1)
        self.acknowledged = {}  # block number: round
        self.started = {}
        self.statuses = set()
        self.error = None
        self.has_ended = threading.Event()

    def run(self):
        try:
            for count in range(self.DEPTH):
                self._start(count, count)
            count = self.DEPTH
            while True:
                cid, status, _ = self.queue.completion()
                self.statuses.add(status)
                number, round_number = self.started.pop(cid)
                self.acknowledged[number] = round_number
                self._start(cid, count)
                count += 1
        except (raw_host.Closed, OSError):
            pass
        except Exception as error:  # shown by the test
            self.error = error
        finally:
            self.has_ended.set()

    def _start(self, cid, count):
        number, round_number = count % DISK_BLOCKS, count // DISK_BLOCKS
        self.started[cid] = (number, round_number)
        self.queue.start_write(cid, number * BLOCK // 512, block_of(number, round_number))

    def end(self):
        self.join(weft.STOP_SECONDS)
        self.queue.close()
        self.admin.close()


class Lifecycle(TestCase):
    def start_file(self):
        return self.serve_named("--namespace", f"file:{self.file()},size={BLOCK * DISK_BLOCKS}")

    def start_writer(self, target):
        writer = Writer(target.port)
        self.addCleanup(writer.end)
        writer.start()
        weft.wait_until(lambda: len(writer.acknowledged) >= 200 or writer.has_ended.is_set(), "200 writes")
        return writer

    def check_medium(self, writer):
        """Everything acknowledged is there; a block holds at most a newer write that was under way."""
        self.assertTrue(writer.has_ended.wait(weft.STOP_SECONDS), "the connection was not closed")
        self.assertIsNone(writer.error)
        self.assertEqual(writer.statuses, {0})
        under_way = set(writer.started.values())
        content = self.file().read_bytes()
        for number, round_number in writer.acknowledged.items():
            found = content[number * BLOCK:(number + 1) * BLOCK]
            allowed = [block_of(number, round_number)] + [block_of(*write) for write in under_way if write[0] == number]
            self.assertIn(found, allowed, f"block {number}, round {round_number}")

    def check_serves_again(self):
        target = self.start_file()
        result = target.perf("--rw", "randrw", "--verify", "--io-count", "2000", "--time", "0")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_stops(target)

    def test_sigterm_and_sigint_end_an_idle_target_with_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                target = self.serve_named("--namespace", "ram:1MiB")
                target.signal(number)
                self.assertEqual(target.wait(), 0)

    def test_sigterm_with_connected_idle_hosts(self):
        target = self.serve_named("--namespace", "ram:1MiB")
        admin = raw_host.Queue(target.port, NQN)
        self.addCleanup(admin.close)
        self.assertLess(self.assert_stops(target), SHUTDOWN_SECONDS)
        with self.assertRaises(raw_host.Closed):
            admin.completion()

    def test_sigterm_under_load_keeps_every_acknowledged_write(self):
        # In memory: a disk that others keep busy may need longer for a write than the target has to end.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="weft-cli.", dir="/dev/shm"))
        self.addCleanup(shutil.rmtree, self.directory)
        target = self.start_file()
        writer = self.start_writer(target)
        perf = target.start_perf("--rw", "randread", "--time", "60")
        self.addCleanup(perf.kill)
        self.assertLess(self.assert_stops(target), SHUTDOWN_SECONDS)
        self.check_medium(writer)
        output, errors = perf.communicate(timeout=weft.STOP_SECONDS)
        self.assertEqual(perf.returncode, 1, output + errors)
        self.check_serves_again()

    def test_sigkill_under_load_keeps_every_acknowledged_write(self):
        target = self.start_file()
        writer = self.start_writer(target)
        target.kill()
        self.check_medium(writer)
        self.check_serves_again()

    def hang(self, delay):
        """A target whose device has one write, which it gives back after `delay`."""
        target = self.serve_named("--namespace", f"delay:write@{delay},ram:16MiB")
        admin = raw_host.Queue(target.port, NQN)
        queue = raw_host.Queue(target.port, NQN, admin.controller, qid=1)
        for one in (queue, admin):
            self.addCleanup(one.close)
        queue.start_write(7, 0, bytes(512))
        queue.send(raw_host.flush(8))  # not delayed: when it is answered, the write is in the device
        self.assertEqual(queue.completion()[:2], (8, 0))
        return target, queue

    def test_what_executes_is_finished_before_the_end(self):
        target, queue = self.hang("2s")
        target.signal()
        self.assertEqual(queue.completion()[:2], (7, 0))
        with self.assertRaises(raw_host.Closed):
            queue.completion()
        self.assertEqual(target.wait(), 0)

    def test_a_device_that_hangs_does_not_hold_up_the_end(self):
        target, queue = self.hang("86400s")
        took = self.assert_stops(target, status=1)
        self.assertLess(took, SHUTDOWN_SECONDS)
        self.assertIn("a device did not give back what it was given in time", target.log_text())
        with self.assertRaises(raw_host.Closed):  # and no completion: the host sends the write again elsewhere
            queue.completion()

    def test_a_second_signal_ends_at_once(self):
        target, _ = self.hang("86400s")
        target.signal()
        # Two signals that nobody has read are one: wait until the first has closed the listener.
        weft.wait_until(lambda: not self.accepts(target.port), "the listener closes")
        began = time.monotonic()
        target.signal()
        self.assertEqual(target.wait(), 1)
        self.assertLess(time.monotonic() - began, 2)

    @staticmethod
    def accepts(port):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return True
        except OSError:
            return False


if __name__ == "__main__":
    weft.main()
