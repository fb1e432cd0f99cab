"""SIGKILL under load, fifty times: every write that completed is on the file. WEFT_SEED repeats a run (its moments are not exactly the same:
when the signal comes is the machine's business)."""
import os
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'cli'))
import weft  # noqa: E402
from load import Load, read_all  # noqa: E402
from oracle import BLOCK, Oracle  # noqa: E402

KILLS = 50
BLOCKS = 16384
COMPLETIONS_MAX = 1200  # before a kill


class Sigkill(weft.TestCase):
    def setUp(self):
        super().setUp()
        self.seed = int(os.environ.get('WEFT_SEED') or random.SystemRandom().randrange(1 << 32))
        print(f'seed {self.seed}', flush=True)
        self.rng = random.Random(self.seed)
        self.oracle = Oracle(BLOCKS, keeps_completed=True)

    def start(self):
        target = self.serve_named('--namespace', f'file:{self.file()},size={BLOCKS * BLOCK}')
        return target, ('127.0.0.1', target.port)

    def look(self, address, when):
        """Reads everything back and judges it."""
        found = read_all(address, weft.NQN, BLOCKS)
        wrong = self.oracle.judge(0, found)
        self.assertEqual(wrong[:8], [], f'{when}, seed {self.seed}: {len(wrong)} blocks are wrong')
        self.oracle.adopt(0, found)

    def write_and_kill(self, target, address):
        """Returns how many commands had completed."""
        load = Load(address, weft.NQN, self.oracle, BLOCKS, self.rng.getrandbits(64))
        load.wait_completions(self.rng.randrange(1, COMPLETIONS_MAX))
        target.kill()
        completions = load.end()
        self.assertEqual(load.errors, [], f'seed {self.seed}')
        return completions

    def test_every_completed_write_is_there_after_each_of_fifty_kills(self):
        began, completions = time.monotonic(), 0
        for number in range(KILLS):
            target, address = self.start()
            self.look(address, f'after kill {number}')
            completions += self.write_and_kill(target, address)
        target, address = self.start()
        self.look(address, f'after kill {KILLS}')
        self.assert_stops(target)
        print(f'{KILLS} kills in {time.monotonic() - began:.0f} s: {completions} commands had completed, blocks were promised '
              f'{self.oracle.promised} times', flush=True)

    def test_a_block_that_went_back_in_time_is_found(self):
        """The judge can say no: one block of the file is put back to what it was before its last write."""
        target, address = self.start()
        before = self.file().read_bytes()
        self.write_and_kill(target, address)
        after = self.file().read_bytes()
        lba = next(lba for lba in range(BLOCKS) if self.is_promised(lba) and after[lba * BLOCK:][:BLOCK] != before[lba * BLOCK:][:BLOCK])
        with open(self.file(), 'r+b') as file:
            file.seek(lba * BLOCK)
            file.write(before[lba * BLOCK:][:BLOCK])
        _, address = self.start()
        wrong = self.oracle.judge(0, read_all(address, weft.NQN, BLOCKS))
        self.assertEqual([line.split(',')[0] for line in wrong], [f'LBA {lba}: never written'])

    def is_promised(self, lba):
        return bool(self.oracle.judge(lba, bytes(BLOCK)))


if __name__ == '__main__':
    weft.main()
