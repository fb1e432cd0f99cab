#!/usr/bin/env python3
"""The yardstick: our target beside the raw ceiling, in interleaved rounds on two cores, as ratios within each round.

Servers run on CPU 0 and the client on CPU 1. Printed are medians over the rounds with their range. Rounds in which other processes took more than 6 %
of the machine, or a server waited for its CPU for more than 5 % of the time, are repeated, and counted as noisy when they stay so. System calls are
counted in short runs of their own. Columns: `weft`, `raw hot` and `raw cold` (see bench/README.md), every --target, with --weft-perf our own
host tool as the client. Every namespace that is named is overwritten.
"""
import argparse
import contextlib
import os
import pathlib
import sys

from harness import machine, report, workloads
from harness.client import Client
from harness.rounds import Rounds
from harness.servers import Failed, Servers, parse_target


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help="build folder (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--time", type=float, default=0.8, help="measured seconds of each figure (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one round of 0.3 s each")
    parser.add_argument("--smoke", action="store_true", help="a very short run of some workloads that fails only when something does not work")
    parser.add_argument("--workload", action="append", help="only workloads whose name contains this; repeats")
    parser.add_argument("--target", action="append", default=[], metavar="TARGET",
                        help=f"a further column, of a target that runs: {parse_target.__doc__}; repeats")
    parser.add_argument("--weft-perf", action="store_true", help="also measure with our own host tool as the client")
    parser.add_argument("--json", help="also write everything to this file")
    parser.add_argument("--svg", help="also draw the ratios into this file")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.time = 1, 0.3
    if options.smoke:
        options.rounds, options.time = 1, 0.05
    return options


def smoke_target(target):
    """Our own target once more, as --target would name it: the smoke run shows that the flag works."""
    return parse_target(f"again={target.host}:{target.port},nqn={target.nqn},nsid={target.nsids['ram']}")


@contextlib.contextmanager
def targets_of(options, servers, client):
    """Our targets, started and filled, and those of others."""
    with contextlib.ExitStack() as stack:
        targets = []
        if servers.weft.exists():
            targets.append(stack.enter_context(servers.target()))
        else:
            print(f"yardstick: {servers.weft} is not there, only the ceiling is measured", file=sys.stderr)
        if options.smoke and targets:
            targets.append(smoke_target(targets[0]))
        targets += [parse_target(text) for text in options.target]
        if not options.smoke:
            for target in targets:
                client.fill(target)
                if "several" in target.nsids:
                    client.fill(target, "several")
        yield targets


def main():
    options = arguments()
    if os.cpu_count() < 2:
        sys.exit("yardstick: two CPUs are needed, one for the server and one for the client")
    chosen = [w for w in workloads.WORKLOADS if w.name in workloads.SMOKE] if options.smoke else workloads.selected(options.workload)
    if not chosen:
        sys.exit("yardstick: no workload has such a name")
    machine.be_preferred()
    servers = Servers(options.build, pathlib.Path(options.build) / "bench/logs")
    client = Client(options.build, options.time, 0.02 if options.smoke else 0.1 if options.quick else 0.2)
    results, rounds = [], {}
    try:
        with targets_of(options, servers, client) as targets:
            measured = Rounds(servers, client, targets, options.weft_perf)
            report.print_head()
            for workload in chosen:
                result, rounds[workload.name] = measured.result(workload, options.rounds, with_calls=not options.smoke or workload is chosen[0])
                results.append(result)
                report.print_workload(result)
    except (Failed, OSError, ValueError) as error:
        sys.exit(f"yardstick: {error}")
    report.print_reasons(results)
    if options.json:
        pathlib.Path(options.json).unlink(missing_ok=True)
        report.write_json(options.json, report.head() | {"workloads": results, "rounds": rounds})
    if options.svg:
        report.write_svg(options.svg, results, f"IOPS per core-second, as a share of the ceiling of the same round ({report.commit()})")


if __name__ == "__main__":
    main()
