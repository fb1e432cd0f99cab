"""What every attack has to leave behind: a target that lives, with the descriptors and the memory that it had; a witness that was neither
slowed nor disconnected; a line in the log with the reason and the attacker; and room for a new host.
"""
import re
import time

from nvme_host import Host, Pair, Queue, io_sqe
from nvme_tcp import Connection
from suite import Mismatch, expect, expect_status
from target import FILE, PLAYGROUND, RAM

SECONDS = 1.3  # how long a short attack goes on: the target logs a kind of event once a second, so at least one line is this attack's
SLOWEST_ROUND_SECONDS = 8.0  # of the witness, on a busy machine with sanitizers; who waits for an attacker waits for 10 or 30
RATE_SHARE = 0.02  # of the witness's rounds per second in peace: attackers and machine take the processors, too
MIB = 1 << 20
# What an attack may leave in the target's memory once all of them have been made before: fragments of the heap.
GROWTH_BYTES, GROWTH_BYTES_SANITIZED = 4 * MIB, 48 * MIB


class Attacker:
    """Who attacks: every attack comes from a loopback address of its own, by which the log knows it."""

    def __init__(self, context, source):
        self.context, self.source = context, source
        self.address = context.target.address
        self.host = Host(self.address, source=source)

    def connection(self, dgst=None):
        """A connection; with `dgst` ICReq and ICResp are over."""
        connection = Connection(self.address, source=self.source)
        return connection if dgst is None else connection.handshake(dgst=dgst)

    def queue(self):
        return Queue(self.address, source=self.source)

    def pair(self, **options):
        return Pair(self.host, PLAYGROUND, **options)

    def other_pair(self, **options):
        """As pair(), of a host that has no other one."""
        return Pair(Host(self.address, source=self.source), PLAYGROUND, **options)


def again(seconds=SECONDS):
    """Once more, until the time is over."""
    deadline = time.monotonic() + seconds
    yield
    while time.monotonic() < deadline:
        yield


def fresh_host_works(context):
    with context.pair() as pair:
        expect_status(pair.io.command(io_sqe(0x01, RAM, 0, 8), b'fine' * 1024), 0)
        expect(pair.io.command(io_sqe(0x02, RAM, 0, 8), read=4096).data == b'fine' * 1024, True, 'data of a new host')


def fresh_host_gets_buffers(context):
    """Data that the target asks for, and reads of a device that cannot lend its memory: both take buffers of the shares."""
    data = bytes(range(256)) * 512
    with context.pair() as pair:
        expect_status(pair.io.command(io_sqe(0x01, FILE, 4096, 256), data, inline=False), 0)
        expect(pair.io.command(io_sqe(0x02, FILE, 4096, 256), read=len(data)).data == data, True, 'data of a new host')


def settle(context, before, timeout=20.0):
    """Waits until the target has at most `before` descriptors."""
    deadline = time.monotonic() + timeout
    while context.target.descriptors() > before:
        if time.monotonic() > deadline:
            raise Mismatch(f'{context.target.descriptors()} descriptors, {before} before')
        time.sleep(0.05)  # between two looks at another process


class Siege:
    """Runs attacks and checks what they leave."""

    def __init__(self, context):
        self.context = context
        context.witness.wait_first_rounds()
        window = context.witness.open_window()
        time.sleep(1)  # the witness's rate in peace
        self.rate, _ = context.witness.take_window(window)

    def attack(self, number, attack, reason, is_warm):
        """`attack(attacker)`; `reason` is a regular expression for what the log says about it, behind the attacker's address."""
        context, target = self.context, self.context.target
        attacker = Attacker(context, f'127.0.2.{number}')
        descriptors, memory, log = target.descriptors(), target.resident_bytes(), target.log_size()
        window = context.witness.open_window()
        attack(attacker)
        rate, slowest = context.witness.take_window(window)
        settle(context, descriptors)
        self.check_witness(rate, slowest)
        self.check_event(attacker, target.log_since(log), reason)
        fresh_host_works(context)
        grown = target.resident_bytes() - memory
        if is_warm and grown > (GROWTH_BYTES_SANITIZED if target.is_sanitized else GROWTH_BYTES):
            raise Mismatch(f'the target has grown by {grown / MIB:.1f} MiB')
        print(f'        {attack.__name__}: witness {rate:.0f} rounds a second ({self.rate:.0f} before), slowest {slowest * 1000:.0f} ms, '
              f'memory {grown / MIB:+.1f} MiB', flush=True)

    def check_witness(self, rate, slowest):
        self.context.witness.check()
        if slowest > SLOWEST_ROUND_SECONDS:
            raise Mismatch(f'a round of the witness took {slowest:.1f} s')
        if rate < self.rate * RATE_SHARE:
            raise Mismatch(f'the witness made {rate:.1f} rounds a second, {self.rate:.1f} before')

    @staticmethod
    def check_event(attacker, log, reason):
        wanted = rf'tcp: {re.escape(attacker.source)}( port \d+)?: {reason}'
        if not re.search(wanted, log):
            raise Mismatch(f'no line in the log matches {wanted!r}: {log[-2000:]!r}')
