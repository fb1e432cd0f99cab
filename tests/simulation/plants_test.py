#!/usr/bin/env python3
"""Switches each planted bug on and sees that the simulator finds it, within the seeds that `make test` runs, by a checker that the bug's row names.

plants_test.py --weft-sim BUILD/weft-sim [--plant NAME]. A crash of the program counts only where the row says "crash".
"""
import argparse
import pathlib
import subprocess
import sys

import simulation

HERE = pathlib.Path(__file__).resolve().parent
SEEDS = 300
# What shows itself after some silence only would be found by one world in hundreds.
SCENARIOS = {
    "keep-alive-deaf-to-completions": "silent_hosts.toml",
    "keep-alive-deaf-to-io-queues": "silent_hosts.toml",
    "keep-alive-fed-by-data": "fading_hosts.toml",
    "keep-alive-patient": "fading_hosts.toml",
}


def plants(program):
    """[(name, checkers)] of `weft-sim --list-plants`, whose columns are name, checkers, what it breaks."""
    listed = subprocess.run([program, "--list-plants"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [(line.split()[0], line.split()[1].split("|")) for line in listed.splitlines()]


def check(program, name, checkers):
    """Prints how the bug was found; returns whether it was, by whom it should."""
    arguments = ["--plant", name, "--rerun-every", "8"]
    if name in SCENARIOS:
        arguments += ["--scenario", str(HERE / SCENARIOS[name])]
    outcome = simulation.run(simulation.Range(program, 1, SEEDS), arguments)
    if outcome.ok:
        print(f"FAILED: {name}: not found in {SEEDS} seeds")
        return False
    checker, text = outcome.what
    verdict = "ok" if checker in checkers else "FAILED"
    wanted = "" if checker in checkers else f" (wanted: {' or '.join(checkers)})"
    print(f"{verdict}: {name}: seed {outcome.failed_seed}: {checker}{wanted}: {text}")
    return checker in checkers


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weft-sim", required=True)
    parser.add_argument("--plant", help="only this one")
    options = parser.parse_args()
    listed = plants(options.weft_sim)
    chosen = [plant for plant in listed if options.plant in (None, plant[0])]
    if not chosen:
        print(f"no plant {options.plant or 'at all'}")
        return 1
    results = [check(options.weft_sim, *plant) for plant in chosen]
    print(f"{sum(results)} of {len(results)} planted bugs were found")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
