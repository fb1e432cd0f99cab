#!/usr/bin/env python3
"""The yardstick: our target beside the raw ceiling, in interleaved rounds on two cores, as ratios within each round.

Servers run on CPU 0 and the client on CPU 1. A round measures every column of a workload once, in an order that turns round from one round to
the next; a ratio is made of two figures of the same round, so what the machine does to both cancels out. Printed are medians over the rounds with
their range. Rounds in which other processes took more than 6 % of the machine are repeated, and counted as noisy when they stay so.
Columns: `weft` (raw_client speaking NVMe/TCP), `weft perf` (our own host tool), `raw hot` and `raw cold` (see bench/README.md); with
--network, `weft NAME` for a second target on that network.
"""
import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import time

SERVER_CPU, CLIENT_CPU = "0", "1"
FOREIGN_CPU_MAX = 0.06
NQN = "nqn.2014-08.org.nvmexpress:uuid:77656674-0000-4000-8000-796172647374"
RAM_NSID, NULL_NSID = 1, 2
CAPACITY = "256MiB"
FILL_COMMANDS = (256 << 20) // 4096


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    rw: str
    io_size: str
    connections: int
    queue_depth: int
    ceiling: str  # the column that 1.0 stands for
    nsid: int = RAM_NSID


WORKLOADS = [
    Workload("4 KiB read, 8 x 32", "read", "4KiB", 8, 32, "raw cold"),
    Workload("4 KiB read, 1 x 128", "read", "4KiB", 1, 128, "raw cold"),
    Workload("4 KiB read, 8 x 4", "read", "4KiB", 8, 4, "raw cold"),
    Workload("4 KiB read, 64 x 1", "read", "4KiB", 64, 1, "raw cold"),
    Workload("4 KiB read, null, 8 x 32", "read", "4KiB", 8, 32, "raw hot", NULL_NSID),
    Workload("4 KiB write, 8 x 32", "write", "4KiB", 8, 32, "raw cold"),
    Workload("128 KiB read, 4 x 4", "read", "128KiB", 4, 4, "raw cold"),
    Workload("4 KiB read, 1 x 1", "read", "4KiB", 1, 1, "raw hot"),
]


class Failed(Exception):
    pass


@contextlib.contextmanager
def server(command):
    """Starts a server on its CPU, yields (pid, port) when it accepts connections, and ends it by SIGTERM."""
    process = subprocess.Popen(["taskset", "-c", SERVER_CPU, *command], stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if line.startswith("listening tcp "):
                yield process.pid, int(line.rsplit(":", 1)[1])
                return
        raise Failed(f"{command[0]} ended before it accepted connections")
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run_client(command):
    done = subprocess.run(["taskset", "-c", CLIENT_CPU, *command], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit status {done.returncode}")
    return json.loads(done.stdout)


def busy_seconds():
    """CPU time that the whole machine has spent on anything."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) / os.sysconf("SC_CLK_TCK")


def process_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Yardstick:
    def __init__(self, build, weft, seconds, warm_up, fills, second_network=None):
        self.bench = pathlib.Path(build) / "bench"
        self.weft = weft
        self.seconds = seconds
        self.warm_up = warm_up
        self.fills = fills
        self.second_network = second_network
        self.target = None  # (pid, port) of weft, while it serves
        self.second_target = None  # the same on the second network

    def columns(self):
        second = [f"weft {self.second_network}"] if self.second_target else []
        return (["weft", *second, "weft perf"] if self.target else []) + ["raw hot", "raw cold"]

    @contextlib.contextmanager
    def serving(self):
        """Starts our target, if there is one, with memory that has been written: what was never touched would be read from one zero page."""
        if self.weft is None:
            yield
            return
        command = [str(self.weft), "serve", "--listen", "127.0.0.1:0", "--subsystem", NQN, "--namespace", f"ram:{CAPACITY}", "--namespace",
                   f"null:{CAPACITY}", "--block-size", "4096", "--cores", SERVER_CPU]
        with contextlib.ExitStack() as stack:
            self.target = stack.enter_context(server(command))
            if self.second_network:
                self.second_target = stack.enter_context(server([*command, "--network", self.second_network]))
            for target in filter(None, (self.target, self.second_target)):
                if self.fills:
                    self.fill(target)
            yield
        self.target = self.second_target = None

    def fill(self, target):
        """Writes all of the memory, in order."""
        workload = Workload("fill", "write", "4KiB", 1, 128, "")
        seconds = 1
        while self.measure_client(workload, target, ["--nvme", NQN, "--order", "sequential"], seconds)["ios"] < FILL_COMMANDS:
            seconds *= 2

    def measure_client(self, workload, target, extra, seconds=None):
        pid, port = target
        return run_client([str(self.bench / "raw_client"), "--port", str(port), "--server-pid", str(pid), "--rw", workload.rw, "--io-size",
                           workload.io_size, "--capacity", CAPACITY, "--connections", str(workload.connections), "--queue-depth",
                           str(workload.queue_depth), "--warm-up", str(self.warm_up), "--time", str(seconds or self.seconds), *extra])

    def measure_perf(self, workload, target):
        pid, port = target
        before, start = process_seconds(pid), time.monotonic()
        result = run_client([str(self.weft), "perf", "-a", "127.0.0.1", "-s", str(port), "-n", NQN, "--nsid", str(workload.nsid), "--rw",
                             "rand" + workload.rw, "--block-size", workload.io_size, "--queue-depth", str(workload.queue_depth),
                             "--connections", str(workload.connections), "--time", str(max(1, round(self.seconds))), "-o", "json"])
        cpu, wall = process_seconds(pid) - before, time.monotonic() - start
        if result["io_errors"] > 0:
            raise Failed("weft perf met I/O errors")
        # The CPU time covers connecting too, so it is related to the whole run.
        return {"iops": result["iops"], "iops_per_cpu_s": result["iops"] * max(1, round(self.seconds)) / cpu if cpu else 0.0, "wall": wall,
                "latency_us": result["latency_us"]}

    def measure(self, workload, column):
        """One figure, with the share of the machine that others took meanwhile."""
        with contextlib.ExitStack() as stack:
            if column.startswith("raw"):
                target = stack.enter_context(server([
                    str(self.bench / "raw_ceiling"), "--medium", column.split()[1], "--rw", workload.rw, "--io-size", workload.io_size,
                    "--capacity", CAPACITY, "--spin-us", "50" if workload.queue_depth == 1 else "0"]))
            else:
                target = self.second_target if column == f"weft {self.second_network}" else self.target
            busy, ours, start = busy_seconds(), children_seconds() + process_seconds(target[0]), time.monotonic()
            if column == "weft perf":
                result = self.measure_perf(workload, target)
            else:
                extra = ["--nvme", NQN, "--nsid", str(workload.nsid)] if not column.startswith("raw") else []
                result = self.measure_client(workload, target, extra)
            ours = children_seconds() + process_seconds(target[0]) - ours
            foreign = (busy_seconds() - busy - ours) / ((time.monotonic() - start) * os.cpu_count())
        if result["iops"] <= 0 or (column.startswith("raw") and result["iops_per_cpu_s"] <= 0):
            raise Failed(f"{workload.name}: no I/O was done against {column}")
        return result | {"foreign_cpu": max(0.0, foreign)}

    def run_workload(self, workload, rounds):
        """`rounds` rounds {column: figure}; a noisy one is repeated once for each round that was asked for."""
        done, repeats = [], rounds
        while len(done) < rounds:
            columns = self.columns() if len(done) % 2 == 0 else self.columns()[::-1]
            figures = {column: self.measure(workload, column) for column in columns}
            is_noisy = max(figure["foreign_cpu"] for figure in figures.values()) > FOREIGN_CPU_MAX
            if is_noisy and repeats > 0:
                repeats -= 1
                continue
            done.append({"is_noisy": is_noisy, "columns": figures})
        return done


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summarize(workload, rounds):
    """Per column: medians, and its ratio to the workload's ceiling of the same round."""
    columns = {}
    for column in rounds[0]["columns"]:
        figures = [one["columns"][column] for one in rounds]
        ceilings = [one["columns"][workload.ceiling] for one in rounds]
        summary = {
            "iops": spread([figure["iops"] for figure in figures]),
            "iops_per_cpu_s": spread([figure["iops_per_cpu_s"] for figure in figures]),
            "ratio": spread([figure["iops_per_cpu_s"] / ceiling["iops_per_cpu_s"] for figure, ceiling in zip(figures, ceilings)]),
            "wall_ratio": spread([figure["iops"] / ceiling["iops"] for figure, ceiling in zip(figures, ceilings)]),
        }
        if all("latency_us" in figure for figure in figures) and workload.queue_depth == 1:
            summary["p50_us"] = spread([figure["latency_us"]["p50"] for figure in figures])
        columns[column] = summary
    return {**dataclasses.asdict(workload), "rounds": len(rounds), "noisy_rounds": sum(one["is_noisy"] for one in rounds), "columns": columns}


def print_table(results):
    print(f"{'workload':<26}{'server':<14}{'kIOPS':>8}{'kIOPS per':>11}{'of its ceiling, per core-s':>30}{'p50 us':>9}")
    print(f"{'':<26}{'':<14}{'':>8}{'core-s':>11}{'median (min - max)':>30}")
    for result in results:
        name = result["name"]
        for column, summary in result["columns"].items():
            ratio = summary["ratio"]
            share = "1" if column == result["ceiling"] else f"{ratio['median']:.2f} ({ratio['min']:.2f} - {ratio['max']:.2f})"
            p50 = f"{summary['p50_us']['median']:.1f}" if "p50_us" in summary else ""
            print(f"{name:<26}{column:<14}{summary['iops']['median'] / 1e3:>8.0f}{summary['iops_per_cpu_s']['median'] / 1e3:>11.0f}{share:>30}{p50:>9}")
            name = ""
        if result["noisy_rounds"]:
            print(f"{'':<26}{result['noisy_rounds']} of {result['rounds']} rounds were noisy")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help="build folder (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--time", type=float, default=1.0, help="measured seconds of each figure")
    parser.add_argument("--workload", action="append", help="only workloads whose name contains this; repeats")
    parser.add_argument("--network", metavar="NAME", help="also measure a target with `--network NAME`")
    parser.add_argument("--json", help="also write everything to this file")
    parser.add_argument("--smoke", action="store_true", help="a short run of three workloads that fails only when something does not work")
    options = parser.parse_args()
    if os.cpu_count() < 2:
        sys.exit("yardstick: two CPUs are needed, one for the server and one for the client")

    workloads = [workload for workload in WORKLOADS if not options.workload or any(part in workload.name for part in options.workload)]
    if options.smoke:
        workloads = [workload for workload in WORKLOADS if workload.name in ("4 KiB read, 8 x 32", "4 KiB write, 8 x 32", "4 KiB read, 1 x 1")]
        options.rounds, options.time = 1, 0.1
    weft = pathlib.Path(options.build) / "weft"
    if not weft.exists():
        print(f"yardstick: {weft} is not there, only the ceiling is measured", file=sys.stderr)
        weft = None
    yardstick = Yardstick(options.build, weft, options.time, 0.05 if options.smoke else 0.2, fills=not options.smoke, second_network=options.network)
    try:
        with yardstick.serving():
            rounds = {workload: yardstick.run_workload(workload, options.rounds) for workload in workloads}
    except (Failed, OSError) as error:
        sys.exit(f"yardstick: {error}")
    results = [summarize(workload, done) for workload, done in rounds.items()]
    print_table(results)
    if options.json:
        report = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "command": sys.argv,
                  "machine": {"kernel": platform.release(), "cpus": os.cpu_count()}, "workloads": results,
                  "rounds": {workload.name: done for workload, done in rounds.items()}}
        pathlib.Path(options.json).write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
