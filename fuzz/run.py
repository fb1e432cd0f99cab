#!/usr/bin/env python3
"""Runs every fuzz target for its share of some minutes, two at a time, the canary first.

Usage: run.py [--minutes N] [--jobs 2] [--build build/fuzz] [--plant NAME] [TARGET ...]. The targets are the programs in BUILD/fuzzers; inputs start from
fuzz/corpus/TARGET and from BUILD/corpus/TARGET, where new ones are kept; what crashes, hangs, leaks or grows beyond its memory goes to BUILD/finds/TARGET.
A target ends with its first find. Prints each find with the command that brings it back, and a table. Exit 1 when anything was found, or when the canary was
not: then the fuzzers find nothing else either. Standard library only.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CANARY_TARGET = "transport_tcp_connection_fuzz"
CANARY_PLANT = "fuzz-canary-h2cdata-offset"
CANARY_SECONDS_MAX = 300
WEIGHTS = {"transport_tcp_connection_fuzz": 3, "host_tcp_connection_fuzz": 2, "transport_commands_fuzz": 3, "host_controller_fuzz": 2}  # others: 1
INPUT_BYTES_MAX = 16384
# Time is that of the wall: a machine that stops for some seconds is no hang. Memory is libFuzzer's own for the most part: an hour of inputs and of call
# stacks. One allocation of a target is small.
LIMITS = ["-timeout=60", "-report_slow_units=60", "-rss_limit_mb=2048", "-malloc_limit_mb=64"]
SETTINGS = [f"-max_len={INPUT_BYTES_MAX}", "-print_final_stats=1", "-reload=0", "-len_control=0"]
FIND = re.compile(r"Test unit written to (\S+)")
PROGRESS = re.compile(r"#\d+\s.*cov: (\d+) ft: (\d+)")
EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


class Outcome:
    def __init__(self, name, seconds, log, code):
        self.name, self.seconds, self.log, self.code = name, seconds, log, code
        self.finds = [pathlib.Path(find) for find in FIND.findall(log)]
        progress = PROGRESS.findall(log)
        self.coverage, self.features = progress[-1] if progress else ("?", "?")
        executed = EXECUTED.search(log)
        self.runs = int(executed[1]) if executed else 0

    def has_failed(self):
        return self.code != 0 or bool(self.finds)


def run_target(program, name, seconds, folder, corpora, arguments=()):
    """One libFuzzer run; the first of `corpora` takes the new inputs."""
    finds = folder / "finds" / name
    finds.mkdir(parents=True, exist_ok=True)
    corpora[0].mkdir(parents=True, exist_ok=True)
    command = [program, *LIMITS, *SETTINGS, f"-max_total_time={seconds}", f"-artifact_prefix={finds}/", *arguments, *[c for c in corpora if c.is_dir()]]
    path = folder / f"{name}.log"
    start = time.monotonic()
    with path.open("wb") as log:
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    return Outcome(name, time.monotonic() - start, path.read_text(errors="replace"), code)


def replay(program, find, arguments):
    return [program, *LIMITS, *arguments, find]


def fails_on(program, find, arguments=()):
    return subprocess.run(replay(program, find, arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode != 0


def find_canary(programs, folder):
    """Without any seed: what is found is found by the mutator. True: a find is the plant's, the same input being harmless without it."""
    corpus = folder / "canary_corpus"
    shutil.rmtree(corpus, ignore_errors=True)
    program, plant = programs[CANARY_TARGET], [f"--plant={CANARY_PLANT}"]
    outcome = run_target(program, "canary", CANARY_SECONDS_MAX, folder, [corpus], plant)
    if any(fails_on(program, find) for find in outcome.finds):
        report(outcome, program, [])
        return False
    is_found = any(fails_on(program, find, plant) for find in outcome.finds)
    print(f"canary: {'found' if is_found else 'NOT FOUND'} after {outcome.runs} inputs in {outcome.seconds:.0f} s", flush=True)
    return is_found


def fuzz(program, name, seconds, folder, arguments):
    print(f"{name}: {seconds} s, log in {folder / name}.log", flush=True)
    outcome = run_target(program, name, seconds, folder, [folder / "corpus" / name, ROOT / "fuzz" / "corpus" / name], arguments)
    if outcome.has_failed():
        report(outcome, program, arguments)
    return outcome


def report(outcome, program, arguments):
    """At once, in one piece: the other targets go on."""
    words = [f"\n--- {outcome.name} FAILED (exit {outcome.code}) ---", last_words(outcome.log)]
    for find in outcome.finds:
        command = shlex.join(map(str, replay(program, find, arguments)))
        words += [f"find:        {find}", f"see it:      {command}",
                  f"make small:  {command} -minimize_crash=1 -max_total_time=60 -exact_artifact_path={find}.small"]
    print("\n".join(words) + "\n", flush=True)


def print_table(outcomes):
    print(f"\n{'target':34} {'seconds':>8} {'inputs':>9} {'per s':>6} {'coverage':>9} {'features':>9}  finds")
    for outcome in outcomes:
        rate = outcome.runs / max(outcome.seconds, 0.1)
        finds = ", ".join(str(find) for find in outcome.finds) or ("exit " + str(outcome.code) if outcome.code else "-")
        print(f"{outcome.name:34} {outcome.seconds:8.0f} {outcome.runs:9} {rate:6.0f} {outcome.coverage:>9} {outcome.features:>9}  {finds}")


def last_words(log):
    """From the report of the sanitizer or the failed assertion on."""
    found = re.search(r"^(.*(?:assertion failed|runtime error|ERROR: ).*)$", log, re.MULTILINE)
    return log[found.start():found.start() + 4000] if found else log[-2000:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="of all targets together, beside the canary's time (default 10)")
    parser.add_argument("--jobs", type=int, default=2, help="targets at a time (default 2)")
    parser.add_argument("--plant", metavar="NAME", help="switch this planted bug on (src/base/simulation.h): the targets named must find it")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("targets", nargs="*", help="only these")
    options = parser.parse_args()
    folder = options.build.resolve()
    programs = {path.name: path for path in sorted((folder / "fuzzers").glob("*_fuzz")) if os.access(path, os.X_OK)}
    if not programs:
        sys.exit(f"no fuzz targets in {folder}/fuzzers: build the fuzz preset first")
    if unknown := set(options.targets) - programs.keys():
        sys.exit("no such target: " + ", ".join(sorted(unknown)) + "; there are " + ", ".join(programs))

    is_canary_found = find_canary(programs, folder)
    names = options.targets or list(programs)
    unit = options.minutes * 60 * min(options.jobs, len(names)) / sum(WEIGHTS.get(name, 1) for name in names)
    # The longest first, so that all jobs end at about the same time.
    names.sort(key=lambda name: -WEIGHTS.get(name, 1))
    arguments = [f"--plant={options.plant}"] if options.plant else []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = [pool.submit(fuzz, programs[name], name, max(1, round(unit * WEIGHTS.get(name, 1))), folder, arguments) for name in names]
        outcomes = [run.result() for run in runs]
    print_table(outcomes)
    failed = [outcome.name for outcome in outcomes if outcome.has_failed()]
    if failed:
        print("\nfound something: " + ", ".join(failed) + "; see above, and fuzz/README.md for what to do with it")
    if not is_canary_found:
        print("\nthe canary was not found: the fuzzers are blind, or its run has met another bug first (above)")
    return 1 if failed or not is_canary_found else 0


if __name__ == "__main__":
    sys.exit(main())
