"""The client of every measurement, on its own CPU."""
import json
import pathlib
import subprocess

from harness import machine
from harness.servers import CAPACITY, Failed

FILL_BYTES = 128 << 10


class Client:
    """`seconds`: measured time of each run."""

    def __init__(self, build, seconds, warm_up):
        self.program = pathlib.Path(build) / "bench/raw_client"
        self.seconds = seconds
        self.warm_up = warm_up

    def run(self, server_flags, load_flags, seconds=None, warm_up=None):
        """One run's figures, as raw_client prints them."""
        command = ["taskset", "-c", machine.CLIENT_CPU, self.program, *server_flags, *load_flags, "--capacity", CAPACITY, "--warm-up",
                   self.warm_up if warm_up is None else warm_up, "--time", seconds or self.seconds]
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"{done.stderr.strip()}\n  {' '.join(map(str, command))}: exit status {done.returncode}")
        return json.loads(done.stdout)

    def fill(self, target, medium="ram", capacity=256 << 20):
        """Writes all of the namespaces' memory, in order: what was never touched would be read from one zero page."""
        commands = capacity // FILL_BYTES
        flags = ["--rw", "write", "--order", "sequential", "--io-size", FILL_BYTES, "--connections", 1, "--queue-depth", 8]
        seconds = 0.2
        while self.run(target.client_flags(medium), flags, seconds, 0)["ios"] < 1.1 * commands:
            seconds *= 2
        if target.pid:
            machine.settle(target.pid)
