"""What the measurements need of Linux: CPU time of processes and of everybody else, and the tracepoints that count system calls."""
import os
import pathlib
import resource
import subprocess
import time

SERVER_CPU, CLIENT_CPU = "0", "1"
FOREIGN_CPU_MAX = 0.06  # of the machine, taken by others
WAITED_MAX = 0.05  # of the measured time in which a server wanted its CPU and others had it
TRACEPOINTS = pathlib.Path("/sys/kernel/tracing/events/raw_syscalls")
TICK = 1 / os.sysconf("SC_CLK_TCK")


def busy_seconds():
    """CPU time that the whole machine has spent on anything."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) * TICK


def process_seconds(pid):
    """CPU time of a process and its threads: exact, where the kernel says it."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            continue
    return total / 1e9 if total else process_ticks(pid)


def process_ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def settle(pid):
    """Waits until a process that makes huge pages of its memory in the background, as ours does, has made them: 1.5 s without a new one, 10 s at most."""
    text, since, start = "", time.monotonic(), time.monotonic()
    while time.monotonic() - since < 1.5 and time.monotonic() - start < 10:
        rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        now = next((line for line in rollup.splitlines() if line.startswith("AnonHugePages:")), "")
        if now != text:
            text, since = now, time.monotonic()
        time.sleep(0.1)


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class ForeignCpu:
    """How much of the machine others take, between its construction and share(). `pids` and what this process waited for are not foreign."""

    def __init__(self, pids):
        self.pids = pids
        self.busy, self.ours, self.start = busy_seconds(), self._ours(), time.monotonic()

    def _ours(self):
        own = time.process_time()
        return own + children_seconds() + sum(process_seconds(pid) for pid in self.pids)

    def share(self):
        foreign = busy_seconds() - self.busy - (self._ours() - self.ours)
        return max(0.0, foreign / ((time.monotonic() - self.start) * os.cpu_count()))


def why_no_tracepoints():
    """None when system calls can be counted, else what is missing. Mounts tracefs where that is all."""
    if os.geteuid() != 0:
        return "counting system calls takes root"
    if not TRACEPOINTS.exists():
        subprocess.run(["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"], stderr=subprocess.DEVNULL, check=False)
    return None if TRACEPOINTS.exists() else "the kernel has no tracepoints of system calls, or tracefs cannot be mounted"


def be_preferred():
    """Other sessions' work makes way, where the kernel groups by session and this may be asked."""
    try:
        pathlib.Path("/proc/self/autogroup").write_text("-20\n")
    except OSError:
        pass
