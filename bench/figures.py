#!/usr/bin/env python3
"""The figures that have targets: those that the yardstick has in its report, and those that are no ratio of throughputs, which are measured here.

Prints each with what it must be at least or at most, and whether it is; fails only when one cannot be had. `--json FILE` adds them to the yardstick's
report there; ratios, the round trip and digests are taken from it. Servers run on CPU 0 and clients on CPU 1, as in the yardstick.
"""
import argparse
import json
import os
import pathlib
import sys

from harness import connection_figures, load_figures, machine, report, workloads
from harness.client import Client
from harness.figure import Figure
from harness.rounds import Rounds
from harness.servers import Failed, Servers


def ratio_figures(results):
    """Of the yardstick's workloads that have a target."""
    figures = []
    for result in results:
        column = result["columns"].get("weft")
        if column is None or result["bound"] is None or column["ratio"] is None:
            continue
        note = f"{column['ratio']['min']:.2f} - {column['ratio']['max']:.2f}" + (f"; {result['noisy_rounds']} noisy rounds" if result["noisy_rounds"] else "")
        if result["ceiling"] == "plain":
            cost = 1 / column["ratio"]["median"] - 1
            figures.append(Figure("header and data digests, 4 KiB read 8 x 32, cost", "% of CPU time", cost * 100, at_most=12, aim=6))
        else:
            figures.append(Figure(result["name"], f"of {result['ceiling']}", column["ratio"]["median"], at_least=result["bound"], aim=result["aim"], note=note))
    return figures


def round_trip_figure(results, servers, client, rounds):
    """One connection at queue depth 1: from the yardstick's report, or measured."""
    result = next((result for result in results if result["name"] == workloads.QD1.name and "weft" in result["columns"]), None)
    if result is None:
        with servers.target() as target:
            client.fill(target)
            result, _ = Rounds(servers, client, [target]).result(workloads.QD1, rounds, with_calls=False)
    columns = result["columns"]
    note = f"{columns['weft']['latency_us']['p50']['median']:.2f} us against {columns['raw hot']['latency_us']['p50']['median']:.2f}"
    return [Figure("one connection, QD 1: round trip p50 against raw hot", "times", columns["weft"]["p50_ratio"]["median"], at_most=1.29, aim=1.12, note=note)]


def instruction_figure(path):
    if not path or not pathlib.Path(path).exists():
        return []
    counts = json.loads(pathlib.Path(path).read_text())
    return [Figure("user instructions of a 4 KiB read, callgrind", "instructions", counts["read"]["instructions"], at_most=600, aim=350)]


def measured_figures(options, servers, client, results):
    rounds = 1 if options.quick else 3
    steps = {
        "round trip": lambda: round_trip_figure(results, servers, client, rounds),
        "idle": lambda: connection_figures.idle_figures(servers, 10),
        "slow loop": lambda: load_figures.slow_loop_figure(servers, client, 2 if options.quick else 5),
        "set-up": lambda: connection_figures.set_up_figure(servers, rounds),
        "start": lambda: connection_figures.start_figure(servers),
        "file": lambda: load_figures.file_figure(servers, client, rounds),
        "two reactors": lambda: load_figures.two_reactors_figure(servers, client, rounds),
        "fairness": lambda: load_figures.fairness_figures(servers, client, rounds),
    }
    figures = []
    for name, step in steps.items():
        if options.only and name not in options.only:
            continue
        try:
            figures += on_a_quiet_machine(step)
        except Failed as error:
            figures.append(Figure(name, "", None, note=str(error).splitlines()[0]))
    return figures


def on_a_quiet_machine(step):
    """Its figures; once more when others took too much of the machine, and with a note when they did so again."""
    for _ in range(2):
        foreign = machine.ForeignCpu([])  # servers and clients are children that have ended when this is read
        figures = step()
        share = foreign.share()
        if share <= machine.FOREIGN_CPU_MAX:
            return figures
    for figure in figures:
        figure.note += f" [noisy: others took {share * 100:.0f} % of the machine]"
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help="build folder (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="each once and shortly")
    parser.add_argument("--only", action="append", help="round trip, idle, slow loop, set-up, start, file, two reactors or fairness; repeats")
    parser.add_argument("--json", help="the yardstick's report: read, and what is measured is added")
    parser.add_argument("--instructions", help="what bench/instructions.py --json wrote")
    options = parser.parse_args()
    if os.cpu_count() < 2:
        sys.exit("figures: two CPUs are needed, one for the server and one for the client")
    machine.be_preferred()
    servers = Servers(options.build, pathlib.Path(options.build) / "bench/logs")
    client = Client(options.build, 0.4 if options.quick else 1.0, 0.1 if options.quick else 0.2)
    written = pathlib.Path(options.json) if options.json else None
    results = json.loads(written.read_text()).get("workloads", []) if written and written.exists() else []
    try:
        figures = [] if options.only else ratio_figures(results)
        figures += measured_figures(options, servers, client, results)
        figures += [] if options.only else instruction_figure(options.instructions)
    except OSError as error:
        sys.exit(f"figures: {error}")
    shown = [figure.as_json() for figure in figures]
    report.print_figures(shown)
    if written:
        report.write_json(written, {"figures": shown} if results else report.head() | {"figures": shown})
    if any(figure.value is None for figure in figures):
        sys.exit("figures: some could not be had")


if __name__ == "__main__":
    main()
