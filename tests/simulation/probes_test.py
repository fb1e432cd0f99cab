#!/usr/bin/env python3
"""Tests of how it is told which rare branches simulated worlds have reached. probes_test.py --weft-sim BUILD/weft-sim."""
import argparse
import contextlib
import io
import pathlib
import subprocess
import sys
import tempfile
import unittest

import simulation


def output(*counts):
    """What a process prints that ran with --count-probes."""
    lines = [f"probe {name:40} {hits or 'NOT REACHED'}" for name, hits in counts]
    return "\n".join(["seed 1: ok", *lines, f"{len(lines)} probes"]) + "\n"


class MergeTest(unittest.TestCase):
    def test_counts_of_all_processes_are_added_up(self):
        probes = simulation.Probes()
        probes.add(output(("a/one", 2), ("b/two", 0)))
        probes.add(output(("a/one", 40), ("b/two", 3)))
        self.assertEqual(probes.hits, {"a/one": 42, "b/two": 3})
        self.assertEqual(probes.missed, [])

    def test_what_no_process_has_reached_is_named(self):
        probes = simulation.Probes()
        probes.add(output(("a/one", 0), ("b/two", 1), ("c/three", 0)))
        probes.add(output(("a/one", 0), ("b/two", 0), ("c/three", 7)))
        self.assertEqual(probes.missed, ["a/one"])
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            probes.show()
        self.assertEqual(told.getvalue(), "not reached: a/one\n2 of 3 rare branches were reached\n")

    def test_a_process_that_failed_adds_nothing(self):
        probes = simulation.Probes()
        probes.add("seed 3: FAILED: oracle: a probe of it\n")
        self.assertEqual(probes.hits, {})


class ProgramTest(unittest.TestCase):
    """A world without faults leaves branches out that only faults reach."""

    program = None

    def run_calm_world(self, flag):
        with tempfile.TemporaryDirectory() as folder:
            scenario = pathlib.Path(folder) / "calm.toml"
            scenario.write_text("faults = []\nrough_network = false\nhosts = 1\nduration_ms = 200\n")
            return subprocess.run([self.program, "--seed", "1", "--scenario", scenario, flag], stdout=subprocess.PIPE, text=True, check=False)

    def test_a_branch_that_is_not_reached_fails_the_run_and_is_told_last(self):
        done = self.run_calm_world("--probes")
        self.assertEqual(done.returncode, 1)
        lines = [line for line in done.stdout.splitlines() if line.startswith("probe ")]
        missed = [line.endswith(" NOT REACHED") for line in lines]
        self.assertEqual(missed, sorted(missed))
        self.assertIn("tcp/header-digest-wrong", [line.split()[1] for line in lines if line.endswith(" NOT REACHED")])
        self.assertEqual(done.stdout.splitlines()[-1], f"{len(lines)} probes, {sum(missed)} not reached")

    def test_counting_alone_does_not_fail_the_run(self):
        done = self.run_calm_world("--count-probes")
        self.assertEqual(done.returncode, 0)
        self.assertIn(" NOT REACHED\n", done.stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--weft-sim", required=True)
    ProgramTest.program = parser.parse_args().weft_sim
    unittest.main(argv=sys.argv[:1], verbosity=2)
