#!/usr/bin/env python3
"""User instructions of the target per command, by callgrind, over memory instead of a kernel's network.

Each workload runs twice, at two lengths, under `valgrind --tool=callgrind`; the difference divided by the difference of commands is what one
command costs, 32 of them in flight. Counted is what Reactor::run_once() does (for `loop-read`: Connection::submit()), without the copying that
stands for the kernel's receive and send. The same binary gives the same figures each time, however busy the machine is. --functions N says
where they go. Fails when a count cannot be had, or is more than 2 % above that of baseline.json: --update records what is counted now there.
"""
import argparse
import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

BASELINE = pathlib.Path(__file__).parent / "baseline.json"
TOLERANCE = 1.02
SHORT, LONG = 1024, 3072  # commands: the slow way round of the slot table is in both, the start in neither
# glibc copies from some length on by one instruction that callgrind counts once per byte; by vectors it counts what it costs.
ENVIRONMENT = {"GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=1073741824"}
# Entering one of these switches the counting on or off, leaving it switches back: the first two, and the NVMe channel's submit, are the target, the
# others the kernel or the device in it. The host beside a device in memory polls in the target's turns, too.
TOGGLES = ("weft::Reactor::run_once()", "weft::loop::Connection::submit(*", "weft::net::MemoryStream::receive(*", "weft::net::MemoryStream::send(*",
           "weft::bdev::NvmeChannel::submit(*", "weft::sim::NvmeFunction::read32(*", "weft::sim::NvmeFunction::write32(*",
           "weft::sim::NvmeFunction::publish()", "weft::sim::NvmeFunction::observe()",
           "weft::bench::CountedDomain::po*", "weft::bench::CountedQueuePair::post_send(*", "weft::verbs::MemoryVerbs::poll()")
KERNEL = re.compile(r"weft::net::MemoryStream::(receive|send)\(|std::deque<std::byte|weft::sim::|weft::verbs::Memory(Domain|QueuePair)::(poll|post_|run|execute)")


Workload = collections.namedtuple("Workload", "name meaning")
WORKLOADS = (
    Workload("read", "4 KiB read, C2HData with SUCCESS"),
    Workload("read-response", "4 KiB read, with a response capsule"),
    Workload("read-digests", "4 KiB read, header and data digests"),
    Workload("read-128k", "128 KiB read"),
    Workload("write", "4 KiB write, in the capsule"),
    Workload("write-r2t", "16 KiB write, by R2T"),
    Workload("loop-read", "4 KiB read, no TCP: loop transport"),
    Workload("rdma-read", "4 KiB read over RDMA"),
    Workload("rdma-write", "4 KiB write over RDMA, by RDMA READ"),
    Workload("rdma-write-capsule", "4 KiB write over RDMA, in the capsule"),
    Workload("nvme-read", "4 KiB read, NVMe driver and bdev only"),
)


class Failed(Exception):
    pass


def callgrind(program, workload, commands, folder):
    """Runs the workload; returns {function: its own instructions}."""
    out = pathlib.Path(folder) / f"{workload}.{commands}"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *(f"--toggle-collect={name}" for name in TOGGLES), str(program),
               workload, str(commands)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | ENVIRONMENT)
    except FileNotFoundError:
        raise Failed("valgrind is not installed") from None
    if done.returncode != 0 or not out.exists():
        raise Failed(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}")
    return own_costs(out)


def own_costs(path):
    """Sums a callgrind file over lines: a name is given once as "(7) name", then as "(7)"; the line after calls= is the callee's cost."""
    names, objects, home, costs = {}, {}, {}, collections.Counter()  # home: the object of a function
    function, this_object, is_call, total = None, None, False, 0
    for line in path.read_text().splitlines():
        if match := re.match(r"c?fn=\((\d+)\)(?: (.*))?", line):
            number, name = match.groups()
            if name:
                names[number] = name
            if line.startswith("fn="):
                function = number
                home[number] = this_object
        elif match := re.match(r"c?ob=\((\d+)\)(?: (.*))?", line):
            number, name = match.groups()
            if name:
                objects[number] = pathlib.Path(name).name
            if line.startswith("ob="):
                this_object = number
        elif line.startswith("calls="):
            is_call = True
        elif re.match(r"[0-9+*-]", line):
            if not is_call:
                costs[function] += int(line.split()[1]) if " " in line else 0
            is_call = False
        elif line.startswith("totals:"):
            total = int(line.split()[1])
    own = collections.Counter()
    for number, cost in costs.items():
        name = re.sub(r"'\d+$", "", names[number])  # 'n: the nth level of a recursion
        if name.startswith("0x"):  # a library without symbols
            name = f"{objects[home[number]]} {name}"
        own[name] += cost
    if total == 0 or sum(own.values()) != total:
        raise Failed(f"{path.name}: {sum(own.values())} instructions in functions, {total} in all")
    return own


def count(program, workload, folder):
    """{function: instructions per command}."""
    short, long = (callgrind(program, workload.name, commands, folder) for commands in (SHORT, LONG))
    if kernel := [name for name in long if KERNEL.match(name) and long[name] != short[name]]:
        raise Failed(f"{workload.name}: {kernel[0]} was counted, though it stands for the kernel")
    per_command = {name: (long[name] - short[name]) / (LONG - SHORT) for name in long}
    if sum(per_command.values()) < 50:
        raise Failed(f"{workload.name}: nothing was counted")
    return per_command


def shortened(name):
    """A function's name without its arguments."""
    return re.sub(r"\(anonymous namespace\)::", "", name).split("(")[0]


def print_functions(per_command, limit):
    for name, cost in sorted(per_command.items(), key=lambda item: -item[1])[:limit]:
        print(f"{cost:>16.1f}  {shortened(name)}")


def excesses(baseline, report):
    """What is above its baseline, as lines for people."""
    lines = []
    for name, counted in report.items():
        allowed = baseline.get(name)
        if allowed is None:
            lines.append(f"{name}: {BASELINE.name} does not have it")
        elif counted["instructions"] > allowed * TOLERANCE:
            lines.append(f"{name}: {counted['instructions']:.1f} instructions per command, {allowed:.1f} are recorded, and 2 % more are allowed")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help="build folder, without sanitizers (default: %(default)s)")
    parser.add_argument("--workload", action="append", choices=[workload.name for workload in WORKLOADS], help="only this one; repeats")
    parser.add_argument("--functions", type=int, default=0, metavar="N", help="also the N functions that cost most")
    parser.add_argument("--json", help="also write everything to this file")
    parser.add_argument("--update", action="store_true", help=f"record what is counted in {BASELINE.name} instead of comparing with it")
    options = parser.parse_args()
    program = pathlib.Path(options.build) / "bench" / "instructions"
    report = {}
    try:
        if not program.exists():
            raise Failed(f"{program} is not there: build it first (make build-release)")
        print(f"{'workload':<20}{'':<38}{'instructions per command':>26}")
        with tempfile.TemporaryDirectory(prefix="weft-instructions-") as folder:
            for workload in WORKLOADS:
                if options.workload and workload.name not in options.workload:
                    continue
                per_command = count(program, workload, folder)
                total = sum(per_command.values())
                print(f"{workload.name:<20}{workload.meaning:<38}{total:>26.1f}", flush=True)
                print_functions(per_command, options.functions)
                report[workload.name] = {"instructions": total, "functions": per_command}
    except Failed as error:
        sys.exit(f"instructions: {error}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(report, indent=1) + "\n")
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    if options.update:
        baseline |= {name: round(counted["instructions"], 1) for name, counted in report.items()}
        BASELINE.write_text(json.dumps(baseline, indent=1) + "\n")
    elif lines := excesses(baseline, report):
        sys.exit("\n".join(["instructions: more than recorded; where they go says --functions, and if it must be, --update records them", *lines]))


if __name__ == "__main__":
    main()
