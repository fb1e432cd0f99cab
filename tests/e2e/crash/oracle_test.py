"""The oracle finds what it is there to find: without this a crash test that passes says nothing."""
import unittest

from oracle import BLOCK, Oracle, contents


def written(oracle, slba, blocks, is_fua=False):
    write = oracle.start_write(slba, blocks, is_fua)
    oracle.finish_write(write)
    return write


class OracleTest(unittest.TestCase):
    def setUp(self):
        self.cut = Oracle(8, keeps_completed=False)

    def test_a_completed_write_may_be_lost_before_a_flush_and_not_after_it(self):
        write = written(self.cut, 2, 2)
        self.assertEqual(self.cut.judge(2, bytes(2 * BLOCK)), [])
        self.assertEqual(self.cut.judge(2, write.data()), [])
        self.cut.finish_flush(self.cut.start_flush())
        self.assertEqual(self.cut.judge(2, bytes(2 * BLOCK)), ['LBA 2: never written, may be write 1', 'LBA 3: never written, may be write 1'])
        self.assertEqual(self.cut.judge(2, write.data()), [])

    def test_a_flush_promises_nothing_for_what_completes_while_it_is_under_way(self):
        early, late = self.cut.start_write(0, 1, False), self.cut.start_write(1, 1, False)
        self.cut.finish_write(early)
        covered = self.cut.start_flush()
        self.cut.finish_write(late)
        self.cut.finish_flush(covered)
        self.assertEqual(self.cut.judge(0, bytes(2 * BLOCK)), ['LBA 0: never written, may be write 1'])
        self.cut.finish_flush(self.cut.start_flush())
        self.assertEqual(len(self.cut.judge(0, bytes(2 * BLOCK))), 2)

    def test_a_write_with_fua_is_promised_at_once(self):
        written(self.cut, 0, 1, is_fua=True)
        self.assertEqual(len(self.cut.judge(0, bytes(BLOCK))), 1)

    def test_an_older_write_may_not_come_back(self):
        first = written(self.cut, 0, 1, is_fua=True)
        second = written(self.cut, 0, 1, is_fua=True)
        self.assertEqual(self.cut.judge(0, first.data()), ['LBA 0: write 1, may be write 2'])
        self.assertEqual(self.cut.judge(0, second.data()), [])

    def test_a_write_under_way_may_be_there_or_not(self):
        old = written(self.cut, 0, 1, is_fua=True)
        new = self.cut.start_write(0, 1, False)
        self.assertEqual(self.cut.judge(0, old.data()) + self.cut.judge(0, new.data()), [])

    def test_a_killed_process_loses_no_completed_write(self):
        kill = Oracle(8, keeps_completed=True)
        written(kill, 0, 1)
        self.assertEqual(len(kill.judge(0, bytes(BLOCK))), 1)

    def test_a_read_in_between_gives_the_newest_write(self):
        old, new = written(self.cut, 0, 1), written(self.cut, 0, 1)
        self.assertEqual(self.cut.judge_read(0, new.data()), [])
        self.assertEqual(self.cut.judge_read(0, old.data()), ['LBA 0: write 1, and write 2 had completed'])

    def test_torn_and_misplaced_blocks_are_found(self):
        write = written(self.cut, 4, 2, is_fua=True)
        torn = bytearray(write.data())
        torn[BLOCK - 1] ^= 1
        self.assertEqual(self.cut.judge(4, bytes(torn)), ['LBA 4: no write of ours, or a torn one, may be write 1'])
        self.assertEqual(len(self.cut.judge(4, contents(1, 5, 2))), 2)

    def test_what_was_found_is_expected_after_the_next_crash(self):
        lost, kept = written(self.cut, 0, 1), written(self.cut, 1, 1)
        found = bytes(BLOCK) + kept.data()
        self.assertEqual(self.cut.adopt(0, found), 1)
        self.assertEqual(self.cut.judge(0, found), [])
        self.assertEqual(self.cut.judge(0, lost.data() + kept.data()), ['LBA 0: write 1, may be never written'])


if __name__ == '__main__':
    unittest.main(verbosity=2)
