#!/usr/bin/env python3
"""Runs fresh seeds for hours, and adds what they find to src/sim/seeds/found.txt, which every test run replays.

soak.py --hours N --sanitized BUILD/weft-sim --release BUILD/weft-sim. One processor has the sanitizers, the other the release build. Fails when
anything was found. At the end: which rare branches (probes) no world has reached.
"""
import argparse
import concurrent.futures
import random
import re
import sys
import time

import simulation

PROBE = re.compile(r"^probe (\S+) +(\d+|NOT REACHED)$", re.MULTILINE)


class Soak:
    def __init__(self, end):
        self.end = end
        self.reached = {}
        self.worlds = self.commands = 0
        self.found = []

    def run(self, program):
        """One processor's share: chunks of fresh seeds until the time is over."""
        while time.monotonic() < self.end:
            first = random.SystemRandom().randrange(1 << 32, 1 << 62)
            outcome = simulation.run(simulation.Range(program, first, first + simulation.CHUNK - 1), ("--probes",))
            # With --probes the status also tells of branches that this chunk has not reached, which is no finding.
            if simulation.SUMS.search(outcome.output):
                self.note(outcome)
            else:
                simulation.show(outcome)
                self.found.append((outcome.failed_seed, *outcome.what))

    def note(self, outcome):
        sums = simulation.SUMS.search(outcome.output)
        self.worlds += int(sums[1])
        self.commands += int(sums[2])
        for name, hits in PROBE.findall(outcome.output):
            self.reached[name] = self.reached.get(name, 0) + (int(hits) if hits.isdigit() else 0)

    def merge(self):
        known = {seed for seed, _ in simulation.known_seeds()}
        with simulation.SEEDS.open("a") as file:
            for seed, checker, text in self.found:
                if seed not in known:
                    file.write(f"{seed} # {checker}: {text[:120]}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--sanitized", required=True)
    parser.add_argument("--release", required=True)
    options = parser.parse_args()
    begin = time.monotonic()
    soak = Soak(begin + options.hours * 3600)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(soak.run, program) for program in (options.sanitized, options.release)]:
            future.result()
    soak.merge()
    missed = sorted(name for name, hits in soak.reached.items() if hits == 0)
    for name in missed:
        print(f"not reached: {name}")
    seconds = time.monotonic() - begin
    print(f"{soak.worlds} worlds, {soak.commands} commands, {soak.commands / seconds:.0f} commands/s, {len(soak.found)} findings, "
          f"{len(missed)} of {len(soak.reached)} probes not reached, {seconds / 3600:.2f} h")
    return 1 if soak.found else 0


if __name__ == "__main__":
    sys.exit(main())
