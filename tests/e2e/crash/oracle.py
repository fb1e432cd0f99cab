"""What a medium may hold after a crash. Every block that is written carries a stamp: the number of its write and its own address. The oracle
follows each block's writes from the newest one that must survive on; after the crash, what a block holds must be one of them.

Which completions promise that: with `keeps_completed` every one (the process was killed, the page cache lives on), else a FUA write's own
and those of all writes that had completed before a Flush was submitted that completed later (the power was cut).
"""
import struct
import threading

BLOCK = 512
_STAMP = struct.Struct('<QQ')
_REPEATS = BLOCK // _STAMP.size
_ZEROES = bytes(BLOCK)
NEVER = 0  # the number of a write that nobody made: a medium begins with zeroes
TORN = -1  # what number_in() gives for a block that no single write has left


def contents(number, slba, blocks):
    """The data of a write."""
    return b''.join(_STAMP.pack(number, slba + index) * _REPEATS for index in range(blocks))


def number_in(block, lba):
    """Which write has left this block."""
    if block == _ZEROES:
        return NEVER
    stamp = block[:_STAMP.size]
    number, address = _STAMP.unpack(stamp)
    return number if address == lba and block == stamp * _REPEATS else TORN


class Write:
    """A write on its way."""

    def __init__(self, number, slba, blocks, is_fua):
        self.number, self.slba, self.blocks, self.is_fua = number, slba, blocks, is_fua
        self.is_completed = False

    def data(self):
        return contents(self.number, self.slba, self.blocks)

    def lbas(self):
        return range(self.slba, self.slba + self.blocks)


class Oracle:
    """Thread-safe. Two writes that are under way at once must not overlap."""

    def __init__(self, blocks, keeps_completed):
        self.keeps_completed = keeps_completed
        self._lock = threading.Lock()
        self._versions = [[NEVER] for _ in range(blocks)]  # per block, oldest first: what it may hold after a crash now
        self._newest_completed = [NEVER] * blocks
        self._unflushed = []  # completed, and lost when the power goes
        self._last_number = NEVER
        self.promised = 0  # blocks for which a completion has promised that they stay

    def start_write(self, slba, blocks, is_fua):
        with self._lock:
            self._last_number += 1
            write = Write(self._last_number, slba, blocks, is_fua)
            for lba in write.lbas():
                self._versions[lba].append(write.number)
            return write

    def finish_write(self, write):
        """The write has completed without an error."""
        with self._lock:
            write.is_completed = True
            for lba in write.lbas():
                self._newest_completed[lba] = write.number
            if write.is_fua or self.keeps_completed:
                self._promise(write)
            else:
                self._unflushed.append(write)

    def start_flush(self):
        """What a Flush that is submitted now has to make durable; for finish_flush()."""
        with self._lock:
            return list(self._unflushed)

    def finish_flush(self, covered):
        with self._lock:
            for write in covered:
                self._promise(write)
            done = {write.number for write in covered}
            self._unflushed = [write for write in self._unflushed if write.number not in done]

    def _promise(self, write):
        for lba in write.lbas():
            versions = self._versions[lba]
            if write.number in versions:  # else a newer one is promised already
                del versions[:versions.index(write.number)]
                self.promised += 1

    def judge(self, slba, data):
        """What is wrong with the blocks that were read, one line for each."""
        wrong = []
        for index in range(len(data) // BLOCK):
            lba, found = slba + index, number_in(data[index * BLOCK:(index + 1) * BLOCK], slba + index)
            if found not in self._versions[lba]:
                wrong.append(f'LBA {lba}: {_name(found)}, may be {" or ".join(map(_name, self._versions[lba]))}')
        return wrong

    def judge_read(self, slba, data):
        """As judge(), for what is read in between, while no write to these blocks is under way: completed writes are not lost yet."""
        wrong = self.judge(slba, data)
        for index in range(len(data) // BLOCK):
            lba, found = slba + index, number_in(data[index * BLOCK:(index + 1) * BLOCK], slba + index)
            if TORN < found < self._newest_completed[lba]:
                wrong.append(f'LBA {lba}: {_name(found)}, and {_name(self._newest_completed[lba])} had completed')
        return wrong

    def adopt(self, slba, data):
        """After the crash: what the medium holds is what it must hold from now on. Returns how many blocks have lost a completed write."""
        lost = 0
        for index in range(len(data) // BLOCK):
            lba, found = slba + index, number_in(data[index * BLOCK:(index + 1) * BLOCK], slba + index)
            lost += found < self._newest_completed[lba]
            self._versions[lba], self._newest_completed[lba] = [found], found
        self._unflushed = []
        return lost


def _name(number):
    return {NEVER: 'never written', TORN: 'no write of ours, or a torn one'}.get(number, f'write {number}')
