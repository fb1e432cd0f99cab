"""Attacks that do nothing: hosts that send nothing, or a byte a second, or no data for an R2T, or that take no byte. All at once, since each
waits for a time of the target's: 10 s to Connect, 30 s for data and for taking a byte. At the end each has been ended, the log says why, and
nobody else has noticed. A little over half a minute, nearly all of it waiting.
"""
import select
import socket
import time

from nvme_host import connect_data, connect_sqe, io_sqe, sgl, IN_CAPSULE
from nvme_tcp import CAPSULE_CMD, Connection, ic_req
from siege import GROWTH_BYTES_SANITIZED, MIB, SLOWEST_ROUND_SECONDS, Attacker, Siege, fresh_host_gets_buffers, fresh_host_works, settle
from suite import Mismatch, expect
from target import FILE, NULL, PLAYGROUND, RAM

HANDSHAKE_SECONDS, DATA_SECONDS = 10, 30
SLACK_SECONDS = 8
TURNS_MAX = 60
# What these hosts make the target fill and stays with it: buffers of the share for reads, and a little.
GROWTH_BYTES = 100 * MIB


class Slow(Attacker):
    """One kind of host that is slow for ever. `due` seconds after start() its sockets must be ended. Kinds with the same reason start at other
    times: the log has one line a second for it, and must know each of them."""

    reason, due, starts_at = '', HANDSHAKE_SECONDS, 0

    def __init__(self, context, number):
        super().__init__(context, f'127.0.4.{number}')
        self.sockets, self.others = [], []  # those that must be ended; queues that are closed with them
        self.began = self.started = None  # start() was called, and came back

    def begin(self):
        self.began = time.monotonic()
        self.start()
        self.started = time.monotonic()

    def start(self):
        raise NotImplementedError

    def tick(self, second):
        """Called once a second."""

    def ended(self):
        """How many of the sockets the target has ended."""
        poll, count = select.poll(), 0
        for sock in self.sockets:
            poll.register(sock, select.POLLRDHUP)  # whatever is left to be read
        for _, events in poll.poll(0):
            count += bool(events)
        return count

    def close(self):
        for one in self.sockets + self.others:
            one.close()


class Silent(Slow):
    """Connections that never say anything."""

    reason = 'no Connect in time'

    def start(self):
        self.sockets = [socket.create_connection(self.address, 10, (self.source, 0)) for _ in range(1000)]


class OneBytePerSecond(Slow):
    """ICReq and Connect, a byte a second."""

    reason, starts_at = 'no Connect in time', 3

    def start(self):
        self.sockets = [socket.create_connection(self.address, 10, (self.source, 0)) for _ in range(20)]
        self.stream = ic_req() + _connect_capsule(self.host)

    def tick(self, second):
        for sock in self.sockets:
            try:
                sock.send(self.stream[second:second + 1])
            except ConnectionError:
                pass


class HalfOpen(Slow):
    """ICReq, and half of a Connect; the answer is read."""

    reason, starts_at = 'no Connect in time', 6

    def start(self):
        for _ in range(50):
            connection = self.connection(dgst=0)
            connection.send(_connect_capsule(self.host)[:700])
            self.sockets.append(connection.socket)


class NoAnswerToR2t(Slow):
    """Writes whose data never comes. Together they ask for less than the target's share for such data; storms.py asks for more."""

    reason = r'data asked for by R2T did not come in time'
    due = DATA_SECONDS

    def start(self):
        for index in range(8):
            pair = self.other_pair(io={'sqsize': 127})
            for _ in range(24):
                pair.io.submit(io_sqe(0x01, (RAM, FILE)[index % 2], 0, 256), bytes(131072), inline=False)
            self.sockets.append(pair.io.connection.socket)
            self.others.append(pair.admin)


class OneByteOfDataPerSecond(Slow):
    """An R2T is answered, a byte a second: that it moves does not help it."""

    reason, starts_at = r'data asked for by R2T did not come in time', 3
    due = DATA_SECONDS

    def start(self):
        self.pdus = []
        for _ in range(4):
            pair = self.pair()
            pair.io.hold_r2ts = True
            pair.io.submit(io_sqe(0x01, RAM, 0, 128), bytes(65536), inline=False)
            cid, tag, offset, length = pair.io.wait_r2t()
            self.pdus.append(pair.io.connection.h2c_data(cid, tag, offset, bytes(length)))
            self.sockets.append(pair.io.connection.socket)
            self.others.append(pair.admin)

    def tick(self, second):
        for sock, pdu in zip(self.sockets, self.pdus):
            try:
                sock.send(pdu[second:second + 1])
            except ConnectionError:
                pass


class TakesNothing(Slow):
    """Reads of MDTS, none of whose data is taken. Such a host does not see that it was ended: the target is asked for its descriptors. What is
    read from the file stays below the target's share for reads; storms.py asks for more."""

    reason = r'has taken no byte for 30000 ms'
    due = DATA_SECONDS

    def start(self):
        for nsid, reads in ((RAM, 100), (FILE, 20), (NULL, 100)) * 2:
            pair = self.other_pair(io={'sqsize': 127})
            for _ in range(reads):
                pair.io.submit(io_sqe(0x02, nsid, 0, 2048), read=1 << 20)
            self.others += [pair.io, pair.admin]


KINDS = (Silent, OneBytePerSecond, HalfOpen, NoAnswerToR2t, OneByteOfDataPerSecond, TakesNothing)


def _connect_capsule(host):
    entry = connect_sqe()
    entry[24:40] = sgl(IN_CAPSULE, 1024)
    plain = Connection.__new__(Connection)
    plain.digests, plain.cpda = 0, 0
    return plain.build(CAPSULE_CMD, bytes(entry), connect_data(host, PLAYGROUND))


def test_hosts_that_do_nothing(context):
    target, siege = context.target, Siege(context)
    fresh_host_works(context)
    before, memory, log = target.descriptors(), target.resident_bytes(), target.log_size()
    window = context.witness.open_window()
    kinds = [kind(context, number) for number, kind in enumerate(KINDS, 1)]
    try:
        _wait_for_their_end(context, kinds, before)
        rate, slowest = context.witness.take_window(window)
        print(f'        witness {rate:.0f} rounds a second ({siege.rate:.0f} before), slowest {slowest * 1000:.0f} ms, memory '
              f'{(target.resident_bytes() - memory) / MIB:+.1f} MiB', flush=True)
    finally:
        for kind in kinds:
            kind.close()
    for kind in kinds:
        context.row(f'slow: the log knows {type(kind).__name__}', siege.check_event, kind, target.log_since(log), kind.reason)
    siege.check_witness(rate, slowest)
    settle(context, before)
    fresh_host_works(context)
    grown = target.resident_bytes() - memory
    expect(grown < GROWTH_BYTES + (GROWTH_BYTES_SANITIZED if target.is_sanitized else 0), True, f'{grown / MIB:.1f} MiB is what they held')


def _wait_for_their_end(context, kinds, descriptors_before):
    """Turns once a second until all have been ended, each when it is due and not before, while new hosts come and go."""
    began, waiting = time.monotonic(), list(kinds)
    for second in range(TURNS_MAX):
        tick = time.monotonic() + 1
        for kind in waiting:
            _turn(kind, second)
        waiting = [kind for kind in waiting if not _is_ended(context, kind, kinds, descriptors_before)]
        if not waiting:
            return
        start = time.monotonic()
        fresh_host_works(context)
        fresh_host_gets_buffers(context)
        took = time.monotonic() - start
        expect(took < SLOWEST_ROUND_SECONDS, True, f'a new host in {took:.1f} s is soon enough')
        time.sleep(max(0, tick - time.monotonic()))
    raise Mismatch(f'still there after {time.monotonic() - began:.0f} s: {[type(kind).__name__ for kind in waiting]}, '
                   f'{context.target.descriptors()} descriptors, {descriptors_before} before')


def _turn(kind, second):
    if kind.began is None:
        if second >= kind.starts_at:
            kind.begin()
    else:
        kind.tick(second - kind.starts_at - 1)


def _is_ended(context, kind, kinds, descriptors_before):
    """Raises when it was ended too early or goes on for too long."""
    if kind.started is None:
        return False
    count, now, name = kind.ended(), time.monotonic(), type(kind).__name__
    expect(count == 0 or now - kind.began >= kind.due, True, f'{count} of {name} were ended in {now - kind.began:.1f} s, not too early')
    if kind.sockets:
        is_ended = count == len(kind.sockets)
    else:  # What may be left are the admin queues of those whose I/O queue is ended, and of this kind.
        left = sum(len(one.others) for one in kinds if one.sockets) + len(kind.others) // 2
        others = sum(len(one.sockets) for one in kinds if one.began and one.sockets and one.ended() < len(one.sockets))
        is_ended = context.target.descriptors() <= descriptors_before + left + others
    expect(is_ended or now - kind.started < kind.due + SLACK_SECONDS, True, f'{name} is ended {now - kind.started:.0f} s after its start')
    return is_ended
