#!/usr/bin/env python3
"""Attacks `weft serve` as somebody from outside: starts it, runs every suite against it, stops it by SIGTERM, and wants exit status 0
and no word from a sanitizer. Exit status 0 only when every row is ok.
"""
import argparse
import importlib
import random
import resource
import sys
import time

from suite import Context, run_module
from target import Target
from witness import Witness

SUITES = ('violations', 'connect_rules', 'admin_commands', 'io_commands', 'random_attacks', 'storms', 'sieges', 'slow_sieges')


def run_against(weft, cores, suites, options):
    """One target with these cores, all suites; the rows that failed."""
    print(f'== weft serve, cores {cores}, seed {options.seed}', flush=True)
    target = Target(weft, cores)
    try:
        witness = Witness(target.address)
        witness.start()
        context = Context(target, witness, options.seed, options.long, options.verbose)
        for name in suites:
            if target.is_alive():
                run_module(importlib.import_module(name), context)
        context.row('the witness saw nothing', witness.finish)
        print(f'        witness: {witness.rounds} rounds, slowest {witness.slowest * 1000:.0f} ms', flush=True)
        wrong = target.stop()
        for line in wrong:
            print(f'FAILED  at the end: {line}', flush=True)
        if wrong:
            print(target.log()[-6000:], flush=True)
        return context.passed, context.failures + wrong
    finally:
        target.discard()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--weft', required=True, help='the binary to attack')
    parser.add_argument('--cores', action='append', help='a core list such as 0,1; repeats (default: 0, then 0,1)')
    parser.add_argument('--only', action='append', choices=SUITES, help='run this suite only; repeats')
    parser.add_argument('--seed', type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument('--long', action='store_true', help='more of everything')
    parser.add_argument('--verbose', action='store_true', help='print the rows that are ok, too')
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    start, passed, failures = time.monotonic(), 0, []
    for cores in options.cores or ('0', '0,1'):
        good, bad = run_against(options.weft, cores, options.only or SUITES, options)
        passed += good
        failures += bad
    print(f'{passed} ok, {len(failures)} FAILED, {time.monotonic() - start:.0f} s, seed {options.seed}')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
