#!/usr/bin/env python3
"""Runs simulated worlds: 300 with sanitizers and 2,000 without, and every seed that has found something before, on two processes.

worlds_test.py --sanitized BUILD/weft-sim --release BUILD/weft-sim. Fails with the output of the first bad world of each process.
At the end: which rare branches (probes) no world has reached.
"""
import argparse
import sys
import time

import simulation

SANITIZED, RELEASE = 300, 2000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sanitized", required=True)
    parser.add_argument("--release", required=True)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    # The long ones first, so that both processors have work to the end.
    ranges = simulation.chunks(options.sanitized, 1, SANITIZED)
    ranges += [simulation.Range(options.sanitized, seed, seed) for seed, _ in simulation.known_seeds()]
    ranges += simulation.chunks(options.release, 1, RELEASE)
    begin = time.monotonic()
    commands, failures, probes = 0, 0, simulation.Probes()
    for outcome in simulation.run_all(ranges, options.jobs, ("--count-probes",)):
        commands += outcome.commands
        probes.add(outcome.output)
        if not outcome.ok:
            failures += 1
            simulation.show(outcome)
    seconds = time.monotonic() - begin
    probes.show()
    print(f"{SANITIZED} worlds with sanitizers, {RELEASE} without, {len(simulation.known_seeds())} that are known: {commands} commands, "
          f"{failures} processes failed, {seconds:.0f} s, {commands / seconds:.0f} simulated commands/s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
