"""A host that nobody attacks. It must notice nothing: whatever happens to the target meanwhile, its writes and reads complete in time, with
the right data. In a process of its own, so that what keeps the attackers busy does not slow it down.
"""
import multiprocessing
import struct
import time

import target as targets
from nvme_host import Host, Pair, io_sqe, sqe
from suite import Mismatch, expect, expect_status

PAUSE_SECONDS = 0.005  # between two rounds: a witness with time on its hands sees delays, not the machine's load


class Witness:
    """Writes stamped blocks to its own namespace and reads them back, all the time."""

    def __init__(self, address):
        fork = multiprocessing.get_context('fork')
        self._rounds, self._began = fork.Value('Q', 0), fork.Value('d', 0.0)  # when the round under way began; 0: none is
        self._slowest, self._slowest_in_window = fork.Value('d', 0.0), fork.Value('d', 0.0)
        self._wrong, self._stopping = fork.Array('c', 400), fork.Event()
        self._process = fork.Process(target=self._run, args=(address,), daemon=True)

    def start(self):
        self._process.start()

    @property
    def rounds(self):
        return self._rounds.value

    @property
    def slowest(self):
        """The longest round in seconds."""
        return self._slowest.value

    def wait_first_rounds(self, count=20, seconds=30):
        deadline = time.monotonic() + seconds
        while self.rounds < count:
            self.check()
            expect(time.monotonic() < deadline, True, 'the witness gets going')
            time.sleep(0.05)  # between two looks at another process

    def open_window(self):
        """From here on take_window() counts."""
        self._slowest_in_window.value = 0.0
        return time.monotonic(), self.rounds

    def take_window(self, window):
        """What the witness has seen since open_window(): rounds per second and the longest round, the one under way included."""
        began = self._began.value
        under_way = time.monotonic() - began if began else 0.0
        return (self.rounds - window[1]) / (time.monotonic() - window[0]), max(self._slowest_in_window.value, under_way)

    def _run(self, address):
        try:
            with Pair(Host(address), targets.WITNESS) as pair:
                while not self._stopping.wait(PAUSE_SECONDS):
                    self._began.value = time.monotonic()
                    self._round(pair)
                    took = time.monotonic() - self._began.value
                    self._began.value = 0.0
                    self._slowest.value = max(self._slowest.value, took)
                    self._slowest_in_window.value = max(self._slowest_in_window.value, took)
                    self._rounds.value += 1
        except Exception as error:  # pylint: disable=broad-except
            self._wrong.value = f'{type(error).__name__}: {error}'.encode()[:400]

    def _round(self, pair):
        number = self.rounds
        blocks = (1, 8, 33)[number % 3]
        slba = number * 37 % 30000
        data = struct.pack('<QQ', number, slba) * (32 * blocks)
        expect_status(pair.io.command(io_sqe(0x01, 1, slba, blocks), data), 0)
        read = expect_status(pair.io.command(io_sqe(0x02, 1, slba, blocks), read=len(data)), 0)
        expect(read.data == data, True, f'what was written at LBA {slba}')
        if number % 50 == 0:
            expect_status(pair.admin.command(sqe(0x06, cdw10=1), read=4096), 0)

    def check(self):
        """Raises what it has found so far."""
        if self._wrong.value:
            raise Mismatch(f'the witness after {self.rounds} rounds: {self._wrong.value.decode()}')

    def finish(self):
        """Stops; raises what it has found."""
        self._stopping.set()
        self._process.join(30)
        self.check()
        if self._process.exitcode is None:
            raise Mismatch('the witness waits for ever')
        if self.rounds == 0:
            raise Mismatch('not one round')
