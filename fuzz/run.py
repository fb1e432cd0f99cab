#!/usr/bin/env python3
"""Runs every fuzz target for its share of some minutes, two at a time, the canary first.

Usage: run.py [--minutes N] [--build build/fuzz] [TARGET ...]. The targets are the programs in BUILD/fuzzers; inputs start from fuzz/corpus/TARGET and from
BUILD/corpus/TARGET, where new ones are kept; what crashes, hangs, leaks or grows beyond its memory goes to BUILD/finds/TARGET. Ends with a
table. Exit 1 when anything was found, or when the canary was not: then the fuzzers find nothing else either. Standard library only.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CANARY_TARGET = "transport_tcp_connection_fuzz"
CANARY_PLANT = "fuzz-canary-h2cdata-offset"
CANARY_SECONDS_MAX = 300
WEIGHTS = {"transport_tcp_connection_fuzz": 3, "host_tcp_connection_fuzz": 2, "transport_commands_fuzz": 3}  # others: 1
JOBS = 2
INPUT_BYTES_MAX = 16384
LIMITS = ["-timeout=10", "-rss_limit_mb=1024", f"-max_len={INPUT_BYTES_MAX}", "-print_final_stats=1", "-reload=0", "-len_control=0"]
PROGRESS = re.compile(r"#\d+\s.*cov: (\d+) ft: (\d+)")
EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


class Outcome:
    def __init__(self, name, seconds, log, finds, code):
        self.name, self.seconds, self.log, self.finds, self.code = name, seconds, log, finds, code
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
    before = set(finds.iterdir())
    command = [program, *LIMITS, f"-max_total_time={seconds}", f"-artifact_prefix={finds}/", *arguments, *[c for c in corpora if c.is_dir()]]
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    (folder / f"{name}.log").write_text(done.stdout)
    return Outcome(name, time.monotonic() - start, done.stdout, sorted(set(finds.iterdir()) - before), done.returncode)


def find_canary(programs, folder):
    """Without any seed: what is found is found by the mutator."""
    corpus = folder / "canary_corpus"
    shutil.rmtree(corpus, ignore_errors=True)
    outcome = run_target(programs[CANARY_TARGET], "canary", CANARY_SECONDS_MAX, folder, [corpus], [f"--plant={CANARY_PLANT}"])
    is_found = "assertion failed" in outcome.log and "next_offset" in outcome.log
    print(f"canary: {'found' if is_found else 'NOT FOUND'} after {outcome.runs} inputs in {outcome.seconds:.0f} s", flush=True)
    return is_found


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
    parser.add_argument("--minutes", type=float, default=10, help="of all targets together, on two cores, beside the canary's time (default 10)")
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
    unit = options.minutes * 60 * min(JOBS, len(names)) / sum(WEIGHTS.get(name, 1) for name in names)
    # The longest first, so that both cores end at about the same time.
    names.sort(key=lambda name: -WEIGHTS.get(name, 1))
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        runs = [pool.submit(run_target, programs[name], name, max(1, round(unit * WEIGHTS.get(name, 1))), folder,
                            [folder / "corpus" / name, ROOT / "fuzz" / "corpus" / name]) for name in names]
        outcomes = [run.result() for run in runs]
    for outcome in outcomes:
        if outcome.has_failed():
            print(f"\n--- {outcome.name} ---\n{last_words(outcome.log)}")
    print_table(outcomes)
    failed = [outcome.name for outcome in outcomes if outcome.has_failed()]
    if failed:
        print("\nfound something: " + ", ".join(failed) + "; fuzz/README.md says how to minimise and keep it")
    if not is_canary_found:
        print("\nthe canary was not found: the fuzzers are blind")
    return 1 if failed or not is_canary_found else 0


if __name__ == "__main__":
    sys.exit(main())
