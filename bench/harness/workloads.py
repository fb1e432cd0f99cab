"""What is measured: directions, sizes, connections, and the server that 1.0 stands for."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    rw: str
    io_size: str
    connections: int
    queue_depth: int
    ceiling: str = "raw cold"  # the column that 1.0 stands for; "plain": the same target without digests
    medium: str = "ram"
    digests: bool = False
    bound: float | None = None  # the target's "at least"; None: there is none
    aim: float | None = None

    def io_flags(self):
        """What client and raw ceiling have to agree on."""
        return ["--rw", self.rw, "--io-size", self.io_size]

    def client_flags(self):
        return [*self.io_flags(), "--connections", str(self.connections), "--queue-depth", str(self.queue_depth)]


DIGESTS = ["--digest", "header,data"]
QD1 = Workload("4 KiB read, 1 x 1", "read", "4KiB", 1, 1, "raw hot")
WORKLOADS = [
    Workload("4 KiB read, 8 x 32", "read", "4KiB", 8, 32, bound=0.90, aim=1.0),
    Workload("4 KiB read, 1 x 128", "read", "4KiB", 1, 128, bound=0.90, aim=1.0),
    Workload("4 KiB read, 8 x 4", "read", "4KiB", 8, 4, bound=0.88, aim=0.97),
    Workload("4 KiB read, 64 x 1", "read", "4KiB", 64, 1, bound=0.88, aim=0.97),
    Workload("4 KiB read, null, 8 x 32", "read", "4KiB", 8, 32, "raw hot", "null", bound=0.80, aim=0.90),
    Workload("4 KiB write, 8 x 32", "write", "4KiB", 8, 32, bound=0.90, aim=1.0),
    Workload("128 KiB read, 4 x 4", "read", "128KiB", 4, 4, bound=0.93, aim=1.0),
    Workload("128 KiB write, 4 x 4", "write", "128KiB", 4, 4, bound=0.93, aim=1.0),
    Workload("4 KiB read, digests, 8 x 32", "read", "4KiB", 8, 32, "plain", digests=True, bound=1 / 1.12, aim=1 / 1.06),
    QD1,
    Workload("16 KiB read, 4 x 16", "read", "16KiB", 4, 16),
    Workload("4 KiB mixed 70:30, 8 x 32", "mixed", "4KiB", 8, 32),
    Workload("4 KiB read, 16 x 64", "read", "4KiB", 16, 64),
    Workload("4 KiB read, 256 x 1", "read", "4KiB", 256, 1),
    Workload("4 KiB read, 4 namespaces, 8 x 32", "read", "4KiB", 8, 32, medium="several"),
]
SMOKE = ["4 KiB read, 8 x 32", "4 KiB write, 8 x 32", "4 KiB mixed 70:30, 8 x 32", "128 KiB write, 4 x 4", "4 KiB read, digests, 8 x 32", "4 KiB read, 1 x 1"]


def selected(parts):
    """The workloads whose names contain one of `parts`; all without any."""
    return [workload for workload in WORKLOADS if not parts or any(part in workload.name for part in parts)]
