"""Interleaved rounds: each measures every column of a workload once, in an order that turns round from one round to the next. A ratio is made of two
figures of the same round, so what the machine does to both cancels out."""
import contextlib
import json
import statistics
import subprocess
import time

from harness import machine
from harness.servers import NQN, Failed
from harness.workloads import DIGESTS

CALLS_SECONDS = 0.25  # of the runs that count system calls
PERCENTILES = ("p50", "p99", "p99_9", "p99_99")


class Column:
    """One server under one workload."""

    def __init__(self, name, ceiling, measure):
        self.name = name
        self.ceiling = ceiling  # the name of the column that is its 1.0
        self.measure = measure  # (seconds, warm_up, extra client flags) -> figures


class Rounds:
    def __init__(self, servers, client, targets, with_perf=False):
        self.servers = servers
        self.client = client
        self.targets = targets
        self.with_perf = with_perf
        self.why_no_calls = machine.why_no_tracepoints()

    def columns(self, workload):
        columns = []
        for target in self.targets:
            if workload.medium not in target.nsids:
                continue
            plain = f"{target.name} plain"
            columns.append(Column(target.name, plain if workload.digests else workload.ceiling,
                                  self._of_target(workload, target, DIGESTS if workload.digests else [])))
            if workload.digests:
                columns.append(Column(plain, plain, self._of_target(workload, target, [])))
        if not workload.digests:
            if self.with_perf:
                columns += [Column("weft perf", workload.ceiling, self._of_weft_perf(workload, target)) for target in self.targets[:1]]
            columns += [Column(f"raw {medium}", workload.ceiling, self._of_raw(workload, medium)) for medium in ("hot", "cold")]
        return columns

    def _of_target(self, workload, target, flags):
        def measure(seconds, warm_up, extra):
            with self._watched([target.pid] if target.pid else []) as watched:
                figure = self.client.run(target.client_flags(workload.medium), [*workload.client_flags(), *flags, *extra], seconds, warm_up)
            return figure | watched
        return measure

    def _of_raw(self, workload, medium):
        def measure(seconds, warm_up, extra):
            with self.servers.raw(medium, [*workload.io_flags(), "--capacity", "256MiB"], 50 if workload.queue_depth == 1 else 0) as (flags, pid):
                with self._watched([pid]) as watched:
                    figure = self.client.run(flags, [*workload.client_flags(), *extra], seconds, warm_up)
            return figure | watched
        return measure

    def _of_weft_perf(self, workload, target):
        """Our own host tool, which really receives its data. Its CPU time covers connecting too, so it is related to the whole run."""
        def measure(seconds, _warm_up, _extra):
            seconds = max(1, round(seconds or self.client.seconds))
            rw = "randrw" if workload.rw == "mixed" else "rand" + workload.rw
            command = ["taskset", "-c", machine.CLIENT_CPU, self.servers.weft, "perf", "-a", target.host, "-s", target.port, "-n", NQN, "--nsid",
                       target.nsids[workload.medium].split(",")[0], "--rw", rw, "--block-size", workload.io_size, "--queue-depth", workload.queue_depth,
                       "--connections", workload.connections, "--time", seconds, "-o", "json"]
            with self._watched([target.pid]) as watched:
                before = machine.process_seconds(target.pid)
                done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
                cpu = machine.process_seconds(target.pid) - before
            if done.returncode != 0:
                raise Failed(f"weft perf: {done.stderr.strip()}")
            figure = json.loads(done.stdout)
            return {"ios": figure["iops"] * seconds, "iops": figure["iops"], "seconds": seconds, "iops_per_cpu_s": figure["iops"] * seconds / cpu,
                    "latency_us": figure["latency_us"]} | watched
        return measure

    @contextlib.contextmanager
    def _watched(self, pids):
        watched = {}
        foreign = machine.ForeignCpu(pids)
        yield watched
        watched["foreign_cpu"] = foreign.share()

    def run(self, workload, rounds):
        """`rounds` rounds {column: figure}; noisy ones are repeated, at most half as often as rounds were asked for."""
        columns, done, repeats = self.columns(workload), [], (rounds + 1) // 2
        while len(done) < rounds:
            figures = {column.name: column.measure(None, None, []) for column in (columns if len(done) % 2 == 0 else columns[::-1])}
            for name, figure in figures.items():
                if figure["iops"] <= 0 or (name.startswith("raw") and figure["iops_per_cpu_s"] <= 0):
                    raise Failed(f"{workload.name}: no I/O was done against {name}")
            noisy = any(is_noisy(figure) for figure in figures.values())
            if noisy and repeats > 0:
                repeats -= 1
                continue
            done.append({"is_noisy": noisy, "columns": {column.name: figures[column.name] for column in columns}})
        return done

    def system_calls(self, workload, seconds=CALLS_SECONDS):
        """{column: counts} of one more short run each: counting slows every call, so batches are larger than they are in the rounds."""
        counts = {}
        for column in self.columns(workload):
            counts[column.name] = {"why_not": self.why_no_calls or "the process is not known, or is no server of raw_client"}
            if self.why_no_calls or column.name == "weft perf":
                continue
            figure = column.measure(seconds, min(0.1, seconds), ["--system-calls"])
            if "system_calls" in figure:
                counts[column.name] = calls_of(figure)
        return counts

    def result(self, workload, rounds, with_calls=True):
        start = time.monotonic()
        done = self.run(workload, rounds)
        ceilings = {column.name: column.ceiling for column in self.columns(workload)}
        calls = self.system_calls(workload) if with_calls else {}
        return summarize(workload, done, ceilings, calls) | {"wall_s": round(time.monotonic() - start, 1)}, done


def is_noisy(figure):
    """Others took CPU time, or the server had to wait for its own."""
    return figure["foreign_cpu"] > machine.FOREIGN_CPU_MAX or figure.get("server_waited_s", 0) > machine.WAITED_MAX * figure["seconds"]


def calls_of(figure):
    calls, ios = figure["system_calls"], figure["ios"]
    counts = {"per_io": calls["all"] / ios}
    if calls["io_uring"] * 20 > calls["all"] or calls["receives"] * 1e4 < ios:
        counts["why_not"] = "the server uses io_uring, where receives and sends are no system calls of their own"
    else:
        counts |= {"commands_per_receive": ios / calls["receives"], "commands_per_send": ios / max(1, calls["sends"])}
    return counts


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def spread_of(figures, take):
    values = [take(figure) for figure in figures]
    return spread(values) if values and all(value is not None for value in values) else None


def cpu_ns(figure, kind):
    """ns of user or of system time for each I/O: the exact CPU time, divided as the kernel's clock ticks fell."""
    user, system = figure.get("server_user_s", 0), figure.get("server_system_s", 0)
    if "server_cpu_s" not in figure or user + system == 0:
        return None
    return figure["server_cpu_s"] * (user if kind == "user" else system) / (user + system) / figure["ios"] * 1e9


def ratio_of(figure, ceiling, key):
    return figure[key] / ceiling[key] if figure.get(key) and ceiling.get(key) else None


def summarize(workload, rounds, ceilings, calls):
    """Per column: medians with their range, and its ratio to its ceiling of the same round."""
    columns = {}
    for name in rounds[0]["columns"]:
        figures = [one["columns"][name] for one in rounds]
        pairs = [(one["columns"][name], one["columns"][ceilings[name]]) for one in rounds]
        columns[name] = {
            "ceiling": ceilings[name],
            "iops": spread_of(figures, lambda figure: figure["iops"]),
            "iops_per_cpu_s": spread_of(figures, lambda figure: figure.get("iops_per_cpu_s")),
            "ratio": spread_of(pairs, lambda pair: ratio_of(*pair, "iops_per_cpu_s")),
            "wall_ratio": spread_of(pairs, lambda pair: ratio_of(*pair, "iops")),
            "user_ns": spread_of(figures, lambda figure: cpu_ns(figure, "user")),
            "system_ns": spread_of(figures, lambda figure: cpu_ns(figure, "system")),
            "latency_us": {key: spread_of(figures, lambda figure: figure["latency_us"].get(key)) for key in PERCENTILES},
            "latency_matched_by": figures[0]["latency_us"].get("matched_by", "cid"),
            "system_calls": calls.get(name, {"why_not": "not asked for"}),
        }
        if workload.queue_depth == 1:
            columns[name]["p50_ratio"] = spread([one["latency_us"]["p50"] / other["latency_us"]["p50"] for one, other in pairs])
    return {"name": workload.name, "bound": workload.bound, "aim": workload.aim, "ceiling": workload.ceiling, "rounds": len(rounds),
            "noisy_rounds": sum(one["is_noisy"] for one in rounds), "columns": columns}
