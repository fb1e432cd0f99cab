#!/usr/bin/env python3
"""Tests of the harness's own arithmetic and words; that its programs work together says yardstick.py --smoke."""
import unittest
import xml.etree.ElementTree as ElementTree

from harness import plot, rounds
from harness.figure import Figure
from harness.servers import NQN, parse_target
from harness.workloads import WORKLOADS, selected


def figure(iops, cpu_s, **more):
    return {"ios": iops, "iops": iops, "seconds": 1, "iops_per_cpu_s": iops / cpu_s, "server_cpu_s": cpu_s, "foreign_cpu": 0,
            "latency_us": {"p50": 5, "p99": 6, "p99_9": 7, "p99_99": 8, "matched_by": "order"}} | more


def summary_of(*pairs):
    done = [{"is_noisy": False, "columns": {"weft": ours, "raw cold": raw}} for ours, raw in pairs]
    return rounds.summarize(WORKLOADS[0], done, {"weft": "raw cold", "raw cold": "raw cold"}, {})


class TargetTest(unittest.TestCase):
    def test_takes_an_address_alone(self):
        target = parse_target("peer=127.0.0.1:4420")
        self.assertEqual((target.name, target.host, target.port, target.nqn, target.pid, target.nsids), ("peer", "127.0.0.1", 4420, NQN, None, {"ram": "1"}))

    def test_takes_all_that_can_be_said(self):
        target = parse_target("peer=10.0.0.1:4421,nqn=nqn.2025-01.io.example:a,nsid=3,null=4,several=5:6,pid=77")
        self.assertEqual((target.nqn, target.pid), ("nqn.2025-01.io.example:a", 77))
        self.assertEqual(target.nsids, {"ram": "3", "null": "4", "several": "5,6"})

    def test_refuses_what_it_does_not_know(self):
        for text in ("", "peer", "peer=127.0.0.1", "=127.0.0.1:1", "peer=127.0.0.1:1,nsids=3"):
            with self.assertRaises(ValueError, msg=text):
                parse_target(text)


class RoundsTest(unittest.TestCase):
    def test_ratios_are_made_within_rounds(self):
        summary = summary_of((figure(900, 1), figure(1000, 1)), (figure(90, 1), figure(200, 1)), (figure(500, 0.5), figure(1000, 1)))
        self.assertEqual(summary["columns"]["weft"]["ratio"], {"median": 0.9, "min": 0.45, "max": 1.0})

    def test_a_target_without_cpu_time_has_no_ratio_but_iops(self):
        distant = {key: value for key, value in figure(900, 1).items() if key not in ("server_cpu_s", "iops_per_cpu_s")}
        column = summary_of((distant, figure(1000, 1)))["columns"]["weft"]
        self.assertIsNone(column["ratio"])
        self.assertEqual(column["wall_ratio"]["median"], 0.9)

    def test_user_and_system_time_are_the_exact_time_divided_as_the_ticks_fell(self):
        one = figure(1000, 0.8, server_user_s=0.1, server_system_s=0.3)
        self.assertAlmostEqual(rounds.cpu_ns(one, "user"), 200_000)
        self.assertAlmostEqual(rounds.cpu_ns(one, "system"), 600_000)

    def test_a_server_that_waits_for_its_cpu_makes_a_round_noisy(self):
        self.assertFalse(rounds.is_noisy(figure(1000, 1, server_waited_s=0.01)))
        self.assertTrue(rounds.is_noisy(figure(1000, 1, server_waited_s=0.1)))
        self.assertTrue(rounds.is_noisy(figure(1000, 1) | {"foreign_cpu": 0.1}))

    def test_batches_that_cannot_be_seen_are_not_invented(self):
        seen = rounds.calls_of({"ios": 1000, "system_calls": {"all": 100, "receives": 50, "sends": 25, "io_uring": 0}})
        self.assertEqual(seen, {"per_io": 0.1, "commands_per_receive": 20, "commands_per_send": 40})
        unseen = rounds.calls_of({"ios": 1000, "system_calls": {"all": 100, "receives": 30, "sends": 30, "io_uring": 40}})
        self.assertNotIn("commands_per_receive", unseen)
        self.assertIn("why_not", unseen)


class FigureTest(unittest.TestCase):
    def test_is_judged_by_its_bound(self):
        self.assertTrue(Figure("a", "", 0.9, at_least=0.9).passes())
        self.assertFalse(Figure("a", "", 1.1, at_most=1).passes())
        self.assertIsNone(Figure("a", "", None, at_most=1).passes())


class PlotTest(unittest.TestCase):
    def test_is_xml_with_a_bar_for_each_target(self):
        drawing = ElementTree.fromstring(plot.svg([summary_of((figure(900, 1), figure(1000, 1)))], "a < b"))
        bars = [rect for rect in drawing.iter("{http://www.w3.org/2000/svg}rect") if len(rect)]
        self.assertEqual(len(bars), 1)


class WorkloadTest(unittest.TestCase):
    def test_are_selected_by_parts_of_their_names(self):
        self.assertEqual([workload.name for workload in selected(["null", "256"])], ["4 KiB read, null, 8 x 32", "4 KiB read, 256 x 1"])


if __name__ == "__main__":
    unittest.main()
