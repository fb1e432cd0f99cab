#!/usr/bin/env python3
"""Runs fresh seeds for hours, and adds what they find to src/sim/seeds/found.txt, which every test run replays.

soak.py --hours N --sanitized BUILD/weft-sim --release BUILD/weft-sim. One processor has the sanitizers, the other the release build. Fails when
anything was found. At the end: which rare branches (probes) no world has reached; a run as long as a night's must reach each, or fails.
"""
import argparse
import concurrent.futures
import random
import sys
import time

import simulation

NIGHTLY = 10_000  # worlds


class Soak:
    def __init__(self, end):
        self.end = end
        self.probes = simulation.Probes()
        self.worlds = self.commands = 0
        self.found = []

    def run(self, program):
        """One processor's share: chunks of fresh seeds until the time is over."""
        while time.monotonic() < self.end:
            first = random.SystemRandom().randrange(1 << 32, 1 << 62)
            outcome = simulation.run(simulation.Range(program, first, first + simulation.CHUNK - 1), ("--count-probes",))
            if outcome.ok:
                self.note(outcome)
            else:
                simulation.show(outcome)
                self.found.append((outcome.failed_seed, *outcome.what))

    def note(self, outcome):
        self.worlds += simulation.CHUNK
        self.commands += outcome.commands
        self.probes.add(outcome.output)

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
    soak.probes.show()
    seconds = time.monotonic() - begin
    print(f"{soak.worlds} worlds, {soak.commands} commands, {soak.commands / seconds:.0f} commands/s, {len(soak.found)} findings, "
          f"{seconds / 3600:.2f} h")
    has_missed = bool(soak.probes.missed) and soak.worlds >= NIGHTLY
    return 1 if soak.found or has_missed else 0


if __name__ == "__main__":
    sys.exit(main())
