"""Figures of loads that are no ratio to the raw ceiling: a slow open loop, a file against fio, a second reactor, fairness."""
import json
import os
import pathlib
import statistics
import subprocess

from harness import machine
from harness.figure import Figure
from harness.servers import Failed

FILE_BYTES = 256 << 20
GREEDY_DEPTHS = (1024, 1023, 512, 256, 128)  # the most that a queue of the target takes


def slow_loop_figure(servers, client, seconds):
    """1,000 I/O per second on one connection, whether answered or not, while the target polls and blocks as it likes."""
    with servers.target() as target:
        client.fill(target)
        run = client.run(target.client_flags(), ["--rate", 1000, "--connections", 1, "--queue-depth", 32], seconds, 1)
    return [Figure("1,000 I/O per second, adaptive polling", "% of a core", run["server_cpu_s"] / run["seconds"] * 100, at_most=8, aim=2,
                   note=f"p50 {run['latency_us']['p50']:.0f} us, p99 {run['latency_us']['p99']:.0f} us, {run['iops']:.0f} IOPS", details=run)]


def run_fio(path, seconds):
    """(I/Os, CPU seconds) of a run. The CPU time is of the process with all its threads: what fio itself reports leaves out io_uring's workers, which do
    the reads where the file system cannot do them at once."""
    command = ["taskset", "-c", machine.SERVER_CPU, "fio", "--name=read", f"--filename={path}", "--rw=randread", "--bs=4k", "--ioengine=io_uring",
               "--iodepth=256", "--numjobs=1", "--direct=1", "--time_based", f"--runtime={seconds}", "--norandommap", "--output-format=json"]
    before = machine.children_seconds()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"fio: {done.stderr.strip() or done.stdout.strip()}")
    job = json.loads(done.stdout[done.stdout.index("{"):])["jobs"][0]
    return job["read"]["total_ios"], machine.children_seconds() - before


def fio_iops_per_cpu_s(path):
    """Of two lengths, so that fio's start is in neither."""
    (short_ios, short_cpu), (long_ios, long_cpu) = run_fio(path, 1), run_fio(path, 2)
    return (long_ios - short_ios) / (long_cpu - short_cpu)


def file_figure(servers, client, rounds):
    """A file on a RAM file system behind the target, against fio with io_uring on the same file: IOPS per core-second of each."""
    path = pathlib.Path(f"/dev/shm/weft-bench-{os.getpid()}.img")
    name = "file on a RAM file system, 4 KiB read 8 x 32, of fio's per core"
    try:
        pairs = []
        with servers.target("weft file", namespaces=[f"file:{path},size={FILE_BYTES}"]) as target:
            client.fill(target)
            for _ in range(rounds):
                ours = client.run(target.client_flags(), ["--connections", 8, "--queue-depth", 32])
                pairs.append((ours["iops_per_cpu_s"], fio_iops_per_cpu_s(path)))
    except FileNotFoundError as error:
        return [Figure(name, "ratio", None, at_least=0.6, aim=0.8, note=f"{error.filename} is not there")]
    finally:
        path.unlink(missing_ok=True)
    ratio = statistics.median(ours / fio for ours, fio in pairs)
    ours, fio = (statistics.median(values) / 1e3 for values in zip(*pairs))
    return [Figure(name, "ratio", ratio, at_least=0.6, aim=0.8, note=f"{ours:.0f} against {fio:.0f} kIOPS per core-second", details={"pairs": pairs})]


def two_reactors_figure(servers, client, rounds):
    """IOPS per second of reactor time with two reactors on two CPUs against one, the client on the second CPU. The target does not tell how long its cycles
    that did work took, so it is CPU time, which polling in vain is part of; saturation keeps that small where the client is not what is slow."""
    load = ["--connections", 16, "--queue-depth", 32]
    ratios, rates = [], []
    with servers.target("weft one", cores="0") as one, servers.target("weft two", cores="0,1") as two:
        client.fill(one)
        client.fill(two)
        for _ in range(rounds):
            pair = [client.run(target.client_flags(), load)["iops_per_cpu_s"] for target in (one, two)]
            ratios.append(pair[1] / pair[0])
            rates.append(pair)
    return [Figure("two reactors against one, IOPS per second of reactor time", "ratio", statistics.median(ratios), at_least=0.95, aim=1.0,
                   note="CPU time, which idle polling is part of: the target prints no busy time", details={"iops_per_cpu_s": rates})]


def greedy_depth(client, target):
    """The deepest queue that the target takes."""
    for depth in GREEDY_DEPTHS:
        try:
            client.run(target.client_flags(), ["--connections", 1, "--queue-depth", depth, "--io-size", "128KiB"], 0.1, 0)
            return depth
        except Failed as error:
            last = error
    raise last


def fairness_figures(servers, client, rounds):
    """Sixteen small connections beside a greedy one, each also alone; and connections that are alike."""
    small = "small,connections=16,depth=1,size=4KiB"
    with servers.target() as target:
        client.fill(target)
        flags = target.client_flags()
        greedy = f"greedy,connections=1,depth={greedy_depth(client, target)},size=128KiB"
        runs = []
        for _ in range(rounds):
            alone_small = client.run(flags, ["--group", small])["groups"]["small"]
            alone_greedy = client.run(flags, ["--group", greedy])["groups"]["greedy"]
            both = client.run(flags, ["--group", greedy, "--group", small])["groups"]
            equal = client.run(flags, ["--connections", 8, "--queue-depth", 32])["connection_ios"]
            runs.append({"small_alone_p99_us": alone_small["latency_us"]["p99"], "small_p99_us": both["small"]["latency_us"]["p99"],
                         "greedy_alone_iops": alone_greedy["iops"], "greedy_iops": both["greedy"]["iops"], "equal": equal["max"] / max(1, equal["min"])})
    slower = statistics.median(run["small_p99_us"] / run["small_alone_p99_us"] for run in runs)
    kept = statistics.median(run["greedy_iops"] / run["greedy_alone_iops"] for run in runs)
    typical = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    return [Figure("16 small beside a greedy one: p99 against alone", "times", slower, at_most=3, details={"runs": runs, "greedy": greedy},
                   note=f"{typical['small_p99_us']:.0f} us against {typical['small_alone_p99_us']:.0f}; {greedy}"),
            Figure("the greedy one beside 16 small: throughput against alone", "ratio", kept, at_least=0.85,
                   note=f"{typical['greedy_iops'] / 1e3:.1f} against {typical['greedy_alone_iops'] / 1e3:.1f} kIOPS"),
            Figure("8 equal connections, 4 KiB read QD 32: most against least", "ratio", typical["equal"], at_most=1.10)]
