"""Runs weft-sim over ranges of seeds, several processes side by side, for the scripts of this folder. Standard library only."""
import collections
import concurrent.futures
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SEEDS = ROOT / "src" / "sim" / "seeds" / "found.txt"
CHUNK = 100  # worlds of one process: what died in them stays in memory to its end
SUMS = re.compile(r"^(\d+) worlds without a finding: (\d+) commands", re.MULTILINE)
WORLD = re.compile(r"^seed (\d+):", re.MULTILINE)
FINDING = re.compile(r"^seed (\d+): FAILED: ([\w-]+): (.*)$", re.MULTILINE)

PROBE = re.compile(r"^probe (\S+) +(\d+|NOT REACHED)$", re.MULTILINE)

Range = collections.namedtuple("Range", "program first last")


class Outcome(collections.namedtuple("Outcome", "range status output")):
    """What one process did. `output`: both its streams."""

    @property
    def ok(self):
        return self.status == 0 and SUMS.search(self.output) is not None

    @property
    def commands(self):
        return int(SUMS.search(self.output)[2]) if self.ok else 0

    @property
    def failed_seed(self):
        """The world that was running when the process ended badly."""
        worlds = WORLD.findall(self.output)
        return int(worlds[-1]) if worlds else self.range.first

    @property
    def what(self):
        """The finding as (checker, text); a crash is a finding too."""
        if found := FINDING.search(self.output):
            return found[2], found[3]
        lines = [line for line in self.output.splitlines() if re.search(r"assertion failed|ERROR: |runtime error", line)]
        return "crash", lines[0].strip() if lines else f"exit status {self.status}"


class Probes:
    """How often the rare branches (probes) were reached, in all processes together that ran with --count-probes."""

    def __init__(self):
        self.hits = collections.Counter()

    def add(self, output):
        for name, hits in PROBE.findall(output):
            self.hits[name] += int(hits) if hits.isdigit() else 0

    @property
    def missed(self):
        return sorted(name for name, hits in self.hits.items() if hits == 0)

    def show(self):
        for name in self.missed:
            print(f"not reached: {name}")
        print(f"{len(self.hits) - len(self.missed)} of {len(self.hits)} rare branches were reached")


def chunks(program, first, last):
    return [Range(program, start, min(start + CHUNK - 1, last)) for start in range(first, last + 1, CHUNK)]


def run(which, arguments=()):
    done = subprocess.run([which.program, "--seeds", f"{which.first}..{which.last}", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, errors="replace", check=False)
    return Outcome(which, done.returncode, done.stdout)


def run_all(ranges, jobs, arguments=()):
    """Yields an Outcome for each range as it ends."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for future in concurrent.futures.as_completed([pool.submit(run, which, arguments) for which in ranges]):
            yield future.result()


def known_seeds():
    """The seeds that once found something: [(seed, note)]."""
    lines = [line.partition("#") for line in SEEDS.read_text().splitlines()]
    return [(int(seed), note.strip()) for seed, _, note in lines if seed.strip()]


def show(outcome, lines=40):
    checker, text = outcome.what
    print(f"{pathlib.Path(outcome.range.program).parent.name}: seed {outcome.failed_seed}: {checker}: {text}")
    print("\n".join("    " + line for line in outcome.output.splitlines()[-lines:]))
