"""Figures of connections that do nothing, and of a start: idle time, memory, set-up, start to listening."""
import contextlib
import json
import pathlib
import statistics
import subprocess
import time

from harness import machine
from harness.figure import Figure
from harness.servers import NQN, Failed

IDLE_QUEUES = 1000
SET_UP_QUEUES = 128
STARTS = 10


@contextlib.contextmanager
def idle_queues(servers, target, queues):
    """Connects so many I/O queues and keeps them; yields what many_queues says of them."""
    command = ["taskset", "-c", machine.CLIENT_CPU, servers.build / "bench/many_queues", "--port", target.port, "--nvme", NQN, "--queues", queues]
    process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        if not line:
            raise Failed(f"many_queues: {process.stderr.read().strip()}")
        yield json.loads(line)
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def pss_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) << 10
    raise Failed("the kernel does not say what memory a process has")


def idle_figures(servers, seconds):
    """What 1,000 idle queues cost in CPU time and in memory. The hosts ask for no keep-alive (KATO 0)."""
    with servers.target(namespaces=["ram:64MiB"]) as target:
        with idle_queues(servers, target, 16):
            pass  # what the first connections touch for all is not counted below
        time.sleep(1)
        before = pss_bytes(target.pid)
        with idle_queues(servers, target, IDLE_QUEUES) as connected:
            time.sleep(1)
            grown = pss_bytes(target.pid) - before
            cpu, start = machine.process_seconds(target.pid), time.monotonic()
            time.sleep(seconds)
            cpu, elapsed = machine.process_seconds(target.pid) - cpu, time.monotonic() - start
    connections = connected["queues"] + connected["controllers"]
    note = f"{connected['queues']:,} I/O queues of {connected['controllers']} controllers"
    return [Figure("idle, 1,000 connected queues", "% of a core", cpu / elapsed * 100, at_most=1, aim=0.1, note=f"{note}, {elapsed:.0f} s, KATO 0",
                   details={"cpu_s": cpu, "seconds": elapsed} | connected),
            Figure("memory of an idle connection, ours", "KiB", grown / connections / 1024, at_most=8, aim=2,
                   note=f"growth of PSS by {grown >> 10:,} KiB, {connections:,} connections; the kernel's sockets not in it",
                   details={"pss_growth_bytes": grown, "connections": connections})]


def set_up_figure(servers, repeats):
    """Connecting 128 I/O queues, one after the other: from connect() until its Connect command is answered."""
    runs = []
    with servers.target(namespaces=["ram:64MiB"]) as target:
        for _ in range(repeats):
            with idle_queues(servers, target, SET_UP_QUEUES) as connected:
                runs.append(connected)
    mean = statistics.median(run["set_up_us"]["mean"] for run in runs)
    worst = max(run["set_up_us"]["max"] for run in runs)
    return [Figure("connection set-up, 128 queues one after the other", "ms each", mean / 1e3, at_most=0.5, aim=0.1,
                   note=f"mean; p50 {statistics.median(run['set_up_us']['p50'] for run in runs) / 1e3:.3f}, slowest {worst / 1e3:.1f}", details={"runs": runs})]


def start_figure(servers):
    """From exec (and the fork before it) until the line that says that it listens, with a RAM disk of 256 MiB."""
    times = []
    for number in range(STARTS):
        log = servers.logs / f"start-{number}.log"
        with open(log, "w", encoding="utf-8") as stderr:
            start = time.monotonic()
            process = subprocess.Popen([str(part) for part in servers.weft_command(["ram:256MiB"])], stdout=subprocess.PIPE, stderr=stderr, text=True)
            line = process.stdout.readline()
            times.append((time.monotonic() - start) * 1e3)
        process.terminate()
        process.wait()
        process.stdout.close()
        if not line.startswith("listening"):
            raise Failed(f"the target does not start, see {log}")
    reserved = int(pathlib.Path("/proc/sys/vm/nr_hugepages").read_text())
    return [Figure("start to listening, no huge pages", "ms", statistics.median(times), at_most=50, aim=10,
                   note=f"{min(times):.1f} - {max(times):.1f}, {STARTS} starts, ram:256MiB" + (f"; {reserved} HUGE PAGES ARE RESERVED" if reserved else ""),
                   details={"ms": times})]
