"""What a connected host costs that does nothing: processor time and memory. Measurements with wide margins, of the release build (sanitizers
change both)."""

import time
import unittest

import raw_host
import weft
from weft import NQN, TestCase

HOSTS = 8
IDLE_SECONDS = 5
IDLE_SHARE_MAX = 0.04  # of one core; the aim is 0.02
QUEUES = 1000
QUEUES_PER_HOST = 100
QUEUE_BYTES_MAX = 16 << 10


class Figures(TestCase):
    def connect(self, target, queue_count):
        """As many queues, admin queues counted, of as few hosts as there can be."""
        queues = []
        while len(queues) < queue_count:
            qid = len(queues) % QUEUES_PER_HOST
            if qid == 0:
                queues.append(raw_host.Queue(target.port, NQN))
                admin = queues[-1]
            else:
                queues.append(raw_host.Queue(target.port, NQN, admin.controller, qid))
            self.addCleanup(queues[-1].close)
        return queues

    def idle_share(self, target):
        began, before = time.monotonic(), target.cpu_seconds()
        time.sleep(IDLE_SECONDS)  # the measurement itself
        return (target.cpu_seconds() - before) / (time.monotonic() - began)

    def test_idle_hosts_take_no_processor_time(self):
        target = self.serve_named("--namespace", "ram:64MiB")
        for _ in range(HOSTS):
            self.connect(target, 2)
        busy = weft.json_of(target.perf("--time", "1"))  # and it comes to rest after work
        self.assertGreater(busy["iops"], 100)
        share = self.idle_share(target)
        print(f"idle with {HOSTS} hosts: {share:.2%} of a core")
        self.assertLess(share, IDLE_SHARE_MAX)

    @unittest.skipIf(weft.sanitizer_build(), "sanitizers add memory of their own")
    def test_an_idle_queue_takes_little_memory(self):
        target = self.serve_named("--namespace", "ram:1MiB")
        self.connect(target, QUEUES_PER_HOST)  # the first ones touch what all share
        before = target.rss_bytes()
        self.connect(target, QUEUES)
        each = (target.rss_bytes() - before) / QUEUES
        print(f"an idle queue takes {each:.0f} bytes")
        self.assertLess(each, QUEUE_BYTES_MAX)


if __name__ == "__main__":
    weft.main()
