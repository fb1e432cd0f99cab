"""Writes from several queues at once, told to an Oracle one by one: with FUA and without, with data in the capsule and by R2T, Flushes between
them, reads that are verified; and reading everything back. Uses the independent host of ../hostile.
"""
import pathlib
import random
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'hostile'))
from nvme_host import Host, io_sqe, sqe  # noqa: E402
from nvme_tcp import Closed  # noqa: E402
from oracle import BLOCK  # noqa: E402

FLUSH, WRITE, READ = 0x00, 0x01, 0x02
NSID = 1
DEPTH = 8
IN_CAPSULE_BLOCKS = 16
SMALL, LARGE = (1, 1, 2, 3, 8, IN_CAPSULE_BLOCKS), (17, 32, 64, 256)
READ_BLOCKS = 256


def connect(address, nqn, queues):
    """An admin queue and I/O queues of one controller."""
    host = Host(address)
    admin = host.admin(nqn)
    granted = admin.command(sqe(0x09, cdw10=0x07, cdw11=queues - 1 << 16 | queues - 1))
    if granted.status or granted.cdw0 & 0xFFFF < queues - 1:
        raise AssertionError(f'{queues} queues: {granted}')
    return admin, [host.io(admin, nqn, qid) for qid in range(1, queues + 1)]


def read_all(address, nqn, blocks):
    """The whole namespace, as bytes."""
    admin, (queue,) = connect(address, nqn, 1)
    parts = []
    with admin, queue:
        for slba in range(0, blocks, READ_BLOCKS):
            count = min(READ_BLOCKS, blocks - slba)
            completion = queue.command(io_sqe(READ, NSID, slba, count), read=count * BLOCK)
            if completion.status:
                raise AssertionError(f'read of LBA {slba}: {completion}')
            parts.append(completion.data)
    return b''.join(parts)


class _Writer(threading.Thread):
    """One queue, which writes to its own part of the namespace until the connection is gone."""

    def __init__(self, load, queue, seed, lbas):
        super().__init__(daemon=True)
        self.load, self.queue, self.rng, self.lbas = load, queue, random.Random(seed), lbas
        self.under_way = {}  # CID: what to do when it completes
        self.busy = set()  # LBAs of reads and writes that are under way

    def run(self):
        try:
            while True:
                while len(self.under_way) < DEPTH:
                    self._submit()
                self.queue.step()
                for cid in list(self.queue.completed):
                    self._completed(cid, self.queue.completed.pop(cid))
        except (Closed, OSError) as error:
            if isinstance(error, TimeoutError):
                self.load.errors.append(f'queue {self.queue.qid}: {error}')
        except Exception as error:  # pylint: disable=broad-except
            self.load.errors.append(f'queue {self.queue.qid}: {error!r}')

    def _submit(self):
        kind = self.rng.random()
        if kind < 0.08:
            covered = self.load.oracle.start_flush()
            self._note(self.queue.submit(io_sqe(FLUSH, NSID, 0, 1)), (), lambda _: self.load.oracle.finish_flush(covered))
            return
        is_large = self.rng.random() < 0.25
        blocks = self.rng.choice(LARGE if is_large else SMALL)
        slba = self.rng.randrange(self.lbas.start, self.lbas.stop - blocks)
        lbas = range(slba, slba + blocks)
        if self.busy.intersection(lbas):
            return
        self.busy.update(lbas)
        if kind < 0.2:
            self._submit_read(slba, blocks)
        else:
            self._submit_write(slba, blocks, is_in_capsule=not is_large and self.rng.random() < 0.7)

    def _submit_read(self, slba, blocks):
        def done(completion):
            self.load.errors += self.load.oracle.judge_read(slba, completion.data)
        self._note(self.queue.submit(io_sqe(READ, NSID, slba, blocks), read=blocks * BLOCK), range(slba, slba + blocks), done)

    def _submit_write(self, slba, blocks, is_in_capsule):
        write = self.load.oracle.start_write(slba, blocks, is_fua=self.rng.random() < 0.25)
        cid = self.queue.submit(io_sqe(WRITE, NSID, slba, blocks, fua=write.is_fua), write.data(), inline=is_in_capsule)
        self._note(cid, write.lbas(), lambda _: self.load.oracle.finish_write(write))

    def _note(self, cid, lbas, done):
        def run(completion):
            self.busy.difference_update(lbas)
            done(completion)
        self.under_way[cid] = run

    def _completed(self, cid, completion):
        done = self.under_way.pop(cid)
        if completion.status:  # what its blocks hold is open: they stay busy
            self.load.failed(completion)
        else:
            done(completion)
        self.load.count()


class Load:
    """Starts writing. Ends when the target is gone; then `errors` has what should not have been."""

    def __init__(self, address, nqn, oracle, blocks, seed, queues=4, may_fail=False):
        self.oracle, self.may_fail, self.errors = oracle, may_fail, []
        self._counted, self._completions, self._wanted = threading.Condition(), 0, 0
        rng = random.Random(seed)
        part = blocks // queues
        self._admin, io = connect(address, nqn, queues)
        self._writers = [_Writer(self, queue, rng.getrandbits(64), range(index * part, (index + 1) * part))
                         for index, queue in enumerate(io)]
        for writer in self._writers:
            writer.start()

    def count(self):
        with self._counted:
            self._completions += 1
            if self._completions == self._wanted:
                self._counted.notify()

    def failed(self, completion):
        """A command has failed: fine where the device is taken away under the target, else an error."""
        if not self.may_fail:
            self.errors.append(str(completion))

    def wait_completions(self, count, seconds=60):
        """Waits until so many commands have completed, or everybody has stopped."""
        with self._counted:
            self._wanted = count
            if not self._counted.wait_for(lambda: self._completions >= count or self.errors, seconds):
                self.errors.append(f'{self._completions} of {count} completions after {seconds} s')
        return self._completions

    def end(self, seconds=30):
        """After the target is gone: waits for the writers. Returns how many commands have completed."""
        for writer in self._writers:
            writer.join(seconds)
            if writer.is_alive():
                self.errors.append(f'queue {writer.queue.qid} does not notice that the target is gone')
            writer.queue.close()
        self._admin.close()
        return self._completions
