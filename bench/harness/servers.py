"""Servers that are measured: ours and the raw ceiling, started here, and any others that run already."""
import contextlib
import dataclasses
import pathlib
import subprocess
import sys

from harness import machine

NQN = "nqn.2014-08.org.nvmexpress:uuid:77656674-0000-4000-8000-796172647374"
CAPACITY = "256MiB"
RAM_NSID, NULL_NSID, SEVERAL_NSIDS = "1", "2", "3,4,5,6"
NAMESPACES = [f"ram:{CAPACITY}", f"null:{CAPACITY}"] + ["ram:64MiB"] * 4  # RAM_NSID, NULL_NSID, SEVERAL_NSIDS


class Failed(Exception):
    pass


@dataclasses.dataclass
class Target:
    """An NVMe/TCP target. `nsids`: by kind of medium, as raw_client takes them; a kind that is missing is not measured."""
    name: str
    host: str
    port: int
    nqn: str = NQN
    pid: int | None = None  # None: no CPU figures
    nsids: dict = dataclasses.field(default_factory=lambda: {"ram": RAM_NSID})

    def client_flags(self, medium="ram"):
        pid = ["--server-pid", str(self.pid)] if self.pid else []
        return ["--host", self.host, "--port", str(self.port), "--nvme", self.nqn, "--nsid", self.nsids[medium], *pid]


def parse_target(text):
    """NAME=HOST:PORT[,nqn=NQN][,nsid=N][,null=N][,several=N:N…][,pid=PID]"""
    name, _, rest = text.partition("=")
    address, *parts = rest.split(",")
    host, _, port = address.rpartition(":")
    options = dict(part.partition("=")[::2] for part in parts)
    if not name or not host or not port.isdigit() or not set(options) <= {"nqn", "nsid", "null", "several", "pid"}:
        raise ValueError(f"--target takes {parse_target.__doc__}, not {text}")
    nsids = {"ram": options.get("nsid", RAM_NSID)}
    if "null" in options:
        nsids["null"] = options["null"]
    if "several" in options:
        nsids["several"] = options["several"].replace(":", ",")
    return Target(name, host, int(port), options.get("nqn", NQN), int(options["pid"]) if "pid" in options else None, nsids)


def show_log(path, what):
    lines = path.read_text(errors="replace").splitlines()
    if lines:
        print(f"{what} wrote at last (all of it: {path}):", *lines[-5:], sep="\n  ", file=sys.stderr)


class Servers:
    """Starts the programs of one build. What a server writes to stderr goes to `logs`, and is shown when something fails."""

    def __init__(self, build, logs):
        self.build = pathlib.Path(build)
        self.weft = self.build / "weft"
        self.logs = pathlib.Path(logs)
        self.logs.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def run(self, name, command, cpus=machine.SERVER_CPU):
        """Starts a server on its CPUs, yields (pid, port) when it accepts connections, and ends it by SIGTERM."""
        log = self.logs / f"{name.replace(' ', '-')}.log"
        with open(log, "w", encoding="utf-8") as stderr:
            process = subprocess.Popen(["taskset", "-c", cpus, *map(str, command)], stdout=subprocess.PIPE, stderr=stderr, text=True)
        try:
            for line in process.stdout:
                if line.startswith("listening tcp "):
                    yield process.pid, int(line.rsplit(":", 1)[1])
                    return
            raise Failed(f"{command[0]} ended before it accepted connections")
        except BaseException:
            show_log(log, name)
            raise
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()

    def weft_command(self, namespaces, cores=machine.SERVER_CPU):
        flags = [flag for namespace in namespaces for flag in ("--namespace", namespace)]
        return [self.weft, "serve", "--listen", "127.0.0.1:0", "--subsystem", NQN, *flags, "--block-size", "4096", "--cores", cores]

    @contextlib.contextmanager
    def target(self, name="weft", namespaces=NAMESPACES, cores=machine.SERVER_CPU):
        """Our target. Its memory has not been written: see Client.fill()."""
        with self.run(name, self.weft_command(namespaces, cores), cores) as (pid, port):
            yield Target(name, "127.0.0.1", port, pid=pid, nsids={"ram": RAM_NSID, "null": NULL_NSID, "several": SEVERAL_NSIDS})

    @contextlib.contextmanager
    def raw(self, medium, workload_flags, spin_us=0):
        """The raw ceiling; yields the flags of its client, and its pid."""
        command = [self.build / "bench/raw_ceiling", "--medium", medium, "--spin-us", str(spin_us), *workload_flags]
        with self.run(f"raw {medium}", command) as (pid, port):
            yield ["--port", str(port), "--server-pid", str(pid)], pid
