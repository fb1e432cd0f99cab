"""The report: a table for people, JSON for everything else."""
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys

from harness import plot

COUNTS = (("commands_per_receive", 1), ("commands_per_send", 1), ("per_io", 2))  # and their digits


def number(spread, scale=1.0, digits=0):
    return "-" if spread is None else f"{spread['median'] * scale:.{digits}f}"


def share(name, column):
    if name == column["ceiling"]:
        return "1"
    ratio = column["ratio"]
    return "-" if ratio is None else f"{ratio['median']:.2f} ({ratio['min']:.2f} - {ratio['max']:.2f})"


def print_head():
    print(f"{'':<33}{'':<14}{'':>7}{'kIOPS/':>8}{'of its ceiling,':>21}{'ns per I/O':>14}{'commands per':>14}{'calls':>7}{'latency in us':>32}")
    print(f"{'workload':<33}{'server':<14}{'kIOPS':>7}{'core-s':>8}{'median (min - max)':>21}{'user':>6}{'system':>8}{'recv':>7}{'send':>7}{'/ I/O':>7}"
          f"{'p50':>8}{'p99':>8}{'p99.9':>8}{'p99.99':>8}", flush=True)


def print_workload(result):
    first = result["name"]
    for name, column in result["columns"].items():
        calls, latency = column["system_calls"], column["latency_us"]
        counts = [f"{calls[key]:.{digits}f}" if key in calls else "-" for key, digits in COUNTS]
        times = [number(latency[key], 1, 1 if latency[key] and latency[key]["median"] < 100 else 0) for key in latency]
        print(f"{first:<33}{name:<14}{number(column['iops'], 1e-3):>7}{number(column['iops_per_cpu_s'], 1e-3):>8}{share(name, column):>21}"
              f"{number(column['user_ns']):>6}{number(column['system_ns']):>8}{counts[0]:>7}{counts[1]:>7}{counts[2]:>7}"
              + "".join(f"{time:>8}" for time in times))
        first = ""
    if result["noisy_rounds"]:
        print(f"{'':<33}{result['noisy_rounds']} of {result['rounds']} rounds were noisy")
    sys.stdout.flush()


def print_reasons(results):
    counted = [column["system_calls"] for result in results for column in result["columns"].values()]
    for why in sorted({calls["why_not"] for calls in counted if "why_not" in calls}):
        print(f"calls: - where {why}")


def verdict(figure):
    return {True: "pass", False: "FAIL", None: ""}[figure["passes"]]


def print_figures(figures):
    print(f"{'figure':<66}{'value':>10} {'unit':<22}{'at least or most':>17}{'aim':>9}  ")
    for figure in figures:
        shown = "-" if figure["value"] is None else f"{figure['value']:.3g}"
        print(f"{figure['name']:<66}{shown:>10} {figure['unit']:<22}{figure['bound_text']:>17}{figure['aim_text']:>9}  {verdict(figure)}"
              + (f"  {figure['note']}" if figure["note"] else ""))


def commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=pathlib.Path(__file__).parent, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, check=False)
    return done.stdout.strip() or "unknown"


def head():
    return {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "command": sys.argv, "commit": commit(),
            "machine": {"kernel": platform.release(), "cpus": os.cpu_count()}}


def write_json(path, parts):
    """Adds `parts` to the report that is there, or begins one."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    report = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(report | parts, indent=1) + "\n")


def write_svg(path, results, title):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(plot.svg(results, title))
