"""Cuts the power of a disk with a volatile cache under a loaded target, again and again, and judges what is left: what was flushed or written
with FUA must be there, and something that was not must be lost, or the cut was none. Runs in the guest (tests/guest/jobs/power_cut.sh), on
null_blk: writing 0 to its `power` drops the cache, 1 brings the disk back with what was flushed. Exit status 0 when all is well.

--drop-flushes takes the flush out: the kernel is told that the disk has no cache, so it passes neither flush nor FUA on. Then this must fail.
"""
import argparse
import pathlib
import random
import re
import subprocess
import sys
import time

from load import Load, read_all
from oracle import BLOCK, Oracle

NQN = 'nqn.2014-08.org.nvmexpress:weft-power-cut'
COMPLETIONS_MAX = 120  # before a cut
CUTS_MAX = 20


class Target:
    """`weft serve` on the disk, started and ready."""

    def __init__(self, weft, disk, log):
        self.process = subprocess.Popen([weft, 'serve', '--listen', '127.0.0.1:0', '--subsystem', NQN, '--allow-any-host', '--namespace', disk],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        lines = []
        while not lines or lines[-1] != 'ready\n':
            lines.append(self.process.stdout.readline())
            if not lines[-1]:
                raise SystemExit(f'weft ended with status {self.process.wait()}')
        self.address = '127.0.0.1', int(re.search(r'^listening tcp 127\.0\.0\.1:(\d+)$', ''.join(lines), re.M).group(1))

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Run:
    def __init__(self, options, log):
        self.options, self.log = options, log
        self.rng = random.Random(options.seed)
        self.blocks = options.mib * (1 << 20) // BLOCK
        self.oracle = Oracle(self.blocks, keeps_completed=False)
        self.wrong, self.lost, self.completions, self.cuts = [], 0, 0, 0

    def look(self, target):
        found = read_all(target.address, NQN, self.blocks)
        self.wrong += self.oracle.judge(0, found)
        self.lost += self.oracle.adopt(0, found)

    def cut(self, target):
        """Loads the target and takes the power away; every other time the disk is gone before the target is."""
        is_disk_first = self.rng.random() < 0.5
        if self.options.drop_flushes:
            pathlib.Path('/sys/block', pathlib.Path(self.options.disk).name, 'queue/write_cache').write_text('write through', encoding='ascii')
        load = Load(target.address, NQN, self.oracle, self.blocks, self.rng.getrandbits(64), may_fail=is_disk_first)
        load.wait_completions(self.rng.randrange(1, COMPLETIONS_MAX))
        for step in (self.power_off, target.kill) if is_disk_first else (target.kill, self.power_off):
            step()
        self.completions += load.end()
        self.wrong += load.errors
        self.power('1')

    def power_off(self):
        self.power('0')

    def power(self, value):
        pathlib.Path(self.options.power).write_text(value, encoding='ascii')

    def has_shown_loss(self):
        """A cut in a moment at which everything was flushed takes nothing away, and says nothing."""
        return self.wrong or (self.lost and not self.options.drop_flushes)

    def all_cuts(self):
        for cut in range(CUTS_MAX):
            if cut >= self.options.cuts and self.has_shown_loss():
                break
            target = Target(self.options.weft, self.options.disk, self.log)
            began = time.monotonic()
            self.look(target)
            looked = time.monotonic()
            self.cut(target)
            self.cuts += 1
            print(f'read back in {looked - began:.1f} s, written and cut in {time.monotonic() - looked:.1f} s', flush=True)
        target = Target(self.options.weft, self.options.disk, self.log)
        self.look(target)
        target.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--weft', required=True)
    parser.add_argument('--disk', required=True, help='the block device')
    parser.add_argument('--power', required=True, help='the file that takes 0 and 1')
    parser.add_argument('--mib', required=True, type=int, help='size of the disk')
    parser.add_argument('--cuts', type=int, default=6, help=f'at least; there are more, up to {CUTS_MAX}, until one has taken something away')
    parser.add_argument('--drop-flushes', action='store_true')
    parser.add_argument('--seed', type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    print(f'seed {options.seed}', flush=True)
    with open('/tmp/weft.log', 'ab') as log:
        run = Run(options, log)
        run.all_cuts()
    print(f'{run.cuts} cuts, {run.completions} commands had completed, blocks were promised {run.oracle.promised} times; '
          f'{run.lost} blocks lost a completed write that nobody had promised, {len(run.wrong)} blocks are wrong', flush=True)
    for line in run.wrong[:8]:
        print(line)
    if run.lost == 0:
        print('nothing was lost: this was no power cut')
    return 1 if run.wrong or run.lost == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
