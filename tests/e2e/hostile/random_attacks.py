"""Random commands, random PDUs and flipped bits, from one seed. Every well-framed command must be completed exactly once; anything may
end its own connection; nothing may hang, crash or hurt the witness.
"""
import random
import struct
import time

from nvme_host import (IN_CAPSULE, TRANSPORT, Host, Queue, connect_data, connect_sqe, fabrics_sqe, io_sqe, sgl, sqe)
from nvme_tcp import CAPSULE_CMD, H2C_DATA, Closed, Connection, ProtocolError, Terminated, common_header, ic_req
from suite import Mismatch, expect_status
from target import BLOCKS, PLAYGROUND, RAM

IO_OPCODES = (0x00, 0x01, 0x02, 0x05, 0x08, 0x09, 0x0C, 0x19, 0x7F, 0x04, 0x0D, 0x0E, 0x11, 0x15)
ADMIN_OPCODES = (0x02, 0x06, 0x08, 0x09, 0x0A, 0x18, 0x7F, 0x0D, 0x14, 0x80)
CORNERS = (0, 1, 2, 3, 4, 7, 8, 15, 16, 255, 256, 511, 512, 0xFFFF, 0x10000, 131071, 131072, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
LENGTHS = (0, 1, 4, 16, 511, 512, 513, 1024, 4096, 8192, 16384, 65536, 1 << 20, (1 << 20) + 512, 0xFFFFFFFF)


def _dword(rng):
    return rng.choice(CORNERS) if rng.random() < 0.6 else rng.getrandbits(32)


def random_entry(rng, opcodes, nsids):
    opcode = rng.choice(opcodes) if rng.random() < 0.9 else rng.getrandbits(8)
    if opcode == 0x0C and opcodes is ADMIN_OPCODES:
        opcode = 0x06  # an Asynchronous Event Request waits, as it should
    flags = rng.choice((0x40, 0x40, 0x40, 0x40, 0x40, 0x41, 0x42, rng.getrandbits(8)))
    dwords = [_dword(rng) for _ in range(6)]
    if rng.random() < 0.7:  # often enough something that is nearly right
        dwords[1] = 0
        dwords[2] = rng.choice((0, 1, 7, 63))
        dwords[0] = rng.randrange(4096)
    entry = sqe(opcode, rng.choice(nsids), *dwords, cdw2=_dword(rng), cdw3=_dword(rng), flags=flags)
    return entry


def _is_dangerous(entry, is_admin):
    """What rightly ends or silences the controller, so that no completion can be asked for afterwards."""
    if entry[0] == 0x7F:
        return entry[4] in (0, 8)  # Property Set, Disconnect
    return is_admin and entry[0] == 0x09 and entry[40] == 0x0F  # KATO


def _submit_random(rng, queue, opcodes, nsids):
    entry = random_entry(rng, opcodes, nsids)
    while _is_dangerous(entry, opcodes is ADMIN_OPCODES):
        entry = random_entry(rng, opcodes, nsids)
    kind = rng.random()
    blocks = struct.unpack_from('<H', entry, 48)[0] + 1
    right = min(blocks * 512, 1 << 20) if rng.random() < 0.6 else None
    if entry[0] & 3 == 1 and kind < 0.8:
        length = right or rng.choice(LENGTHS[1:-3])
        data = rng.randbytes(min(length, 8192)) if kind < 0.4 else rng.randbytes(1024) * (length // 1024 + 1)
        return queue.submit(entry, data[:length], inline=len(data) <= 8192 and kind < 0.4)
    if kind < 0.9:
        length = right or rng.choice(LENGTHS)
        return queue.submit(entry, bytes(length) if length <= 1 << 20 else None, read=length, inline=False,
                            descriptor=sgl(TRANSPORT, length))
    return queue.submit(entry, read=1 << 32, descriptor=rng.randbytes(15) + bytes([rng.choice((0x01, 0x5A, 0x00, 0x40, rng.getrandbits(8)))]))


def _drain(queue, deadline):
    """Takes PDUs until only what may wait is outstanding: a first fused half that is the last command."""
    while queue.outstanding:
        left = deadline - time.monotonic()
        if left <= 0:
            waiting = [f'{c.entry[0]:#04x}/{c.entry[1]:#04x} {bytes(c.entry).hex()}' for c in queue.outstanding.values()]
            raise Mismatch(f'{len(waiting)} commands have no completion: {waiting[:4]}')
        queue.step(left)
    queue.completed.clear()


class _Lenient(Queue):
    """A Queue that gives up its idea of lengths: random commands may be answered with less than the SGL holds."""

    def _complete(self, cqe, elided):
        cid = struct.unpack_from('<H', cqe, 12)[0]
        command = self.outstanding.get(cid)
        if command is not None:
            command.expected = max(command.expected, len(command.received))
            if command.received:
                command.expected = len(command.received)
        super()._complete(cqe, elided)

    def _r2t(self, pdu):
        cid, _, offset, length = struct.unpack_from('<HHII', pdu.header, 8)
        command = self.outstanding.get(cid)
        if command is not None and command.data is None:
            command.data = bytes(offset + length)
        super()._r2t(pdu)


def _lenient_pair(context, **options):
    pair = context.pair(**options)
    pair.io.__class__ = pair.admin.__class__ = _Lenient
    return pair


def _batch(context, rng, number):
    digests = rng.choice((0, 0, 0, 3))
    flow = rng.choice((0, 4))
    with _lenient_pair(context, io={'dgst': digests, 'cattr': flow, 'hpda': rng.choice((0, 0, 3, 31))}) as pair:
        queue, opcodes = (pair.admin, ADMIN_OPCODES) if number % 4 == 0 else (pair.io, IO_OPCODES)
        depth = 24 if queue is pair.admin else 100
        nsids = (RAM, RAM, 2, 2, 3, 3, 4, 4, 0, 5, 0xFFFFFFFF, 0x12345678)
        for _ in range(context.scale(3)):
            for _ in range(rng.randrange(1, depth)):
                _submit_random(rng, queue, opcodes, nsids)
                if rng.random() < 0.1:
                    _take_what_is_there(queue)
            # An ordinary command closes a first fused half that would wait.
            queue.submit(sqe(0x18) if queue is pair.admin else io_sqe(0x02, RAM, 0, 1), read=512 if queue is pair.io else 0)
            _drain(queue, time.monotonic() + 20)
        expect_status(pair.admin.command(sqe(0x06, cdw10=1), read=4096), 0)
        expect_status(pair.io.command(io_sqe(0x02, RAM, 0, 1), read=512), 0)


def _take_what_is_there(queue):
    while queue.outstanding:
        try:
            queue.step(0.001)
        except TimeoutError:
            return


def test_random_commands(context):
    rng = random.Random(context.seed)
    for number in range(context.scale(24)):
        try:
            _batch(context, random.Random(rng.getrandbits(64)), number)
        except (Terminated, Closed) as error:
            raise Mismatch(f'batch {number}: well-framed commands ended the connection: {error!r}') from error
        except (Mismatch, ProtocolError, TimeoutError) as error:
            raise Mismatch(f'batch {number}: {error}') from error


def _good_stream(rng, context):
    """What a well-behaved host sends on one connection, as a list of PDUs."""
    dgst = rng.choice((0, 0, 1, 2, 3))
    builder = Connection.__new__(Connection)
    builder.digests, builder.cpda = dgst, 0
    entry = bytearray(connect_sqe())
    entry[24:40] = sgl(IN_CAPSULE, 1024)
    pdus = [ic_req(dgst=dgst), builder.build(CAPSULE_CMD, bytes(entry), connect_data(Host(context.target.address), PLAYGROUND))]
    pdus.append(builder.build(CAPSULE_CMD, bytes(fabrics_sqe(0, struct.pack('<B3xIQ', 0, 0x14, 0x460001)))))
    for cid in range(2, 2 + rng.randrange(12)):
        entry = random_entry(rng, ADMIN_OPCODES + (0x0C,), (0, RAM, 0xFFFFFFFF))
        struct.pack_into('<H', entry, 2, cid)
        data = rng.randbytes(rng.choice((0, 8, 16, 512, 4096)))
        entry[24:40] = sgl(IN_CAPSULE, len(data)) if data else sgl(TRANSPORT, rng.choice((0, 512, 4096)))
        pdus.append(builder.build(CAPSULE_CMD, bytes(entry), data))
        if rng.random() < 0.2:
            pdus.append(builder.build(H2C_DATA, struct.pack('<HHII4x', cid, rng.getrandbits(16), 0, 512), bytes(512), 4))
    return pdus


def _spoil(rng, pdus):
    """One to eight flipped bits, or a PDU lost, doubled, cut or replaced by noise."""
    pdus = list(pdus)
    way = rng.randrange(6)
    place = rng.randrange(len(pdus))
    if way == 0:
        pdus[place] = rng.randbytes(rng.choice((1, 8, 24, 72, 128, 1000)))
    elif way == 1:
        pdus.insert(place, pdus[place])
    elif way == 2:
        del pdus[place]
    elif way == 3:
        pdus[place] = pdus[place][:rng.randrange(len(pdus[place]))]
    elif way == 4:
        header = common_header(rng.getrandbits(8) if rng.random() < 0.5 else rng.choice((0, 2, 4, 6)), rng.getrandbits(8), rng.getrandbits(8),
                               rng.getrandbits(8), rng.choice(CORNERS))
        pdus.insert(place, header + rng.randbytes(rng.choice((0, 16, 64, 120))))
    stream = bytearray(b''.join(pdus))
    if way == 5 or rng.random() < 0.3:
        for _ in range(rng.randrange(1, 9)):
            bit = rng.randrange(len(stream) * 8)
            stream[bit // 8] ^= 1 << bit % 8
    return bytes(stream)


def test_random_streams(context):
    """Streams of a well-behaved admin connection, spoiled, sent in random segments without reading; then the connection is dropped."""
    rng = random.Random(context.seed + 1)
    for number in range(context.scale(1500)):
        with Connection(context.target.address) as connection:
            stream = _spoil(rng, _good_stream(rng, context))
            try:
                while stream:
                    size = rng.choice((1, 7, 8, 9, 71, 72, 128, 1000, 100000)) if number % 3 else len(stream)
                    connection.send(stream[:size])
                    stream = stream[size:]
                if number % 10 == 0:
                    connection.socket.shutdown(1)
                    connection.wait_closed(10)
            except (Closed, OSError) as error:
                if isinstance(error, TimeoutError):
                    raise Mismatch(f'stream {number}: the target keeps a connection that the host has ended') from error
    with context.pair() as pair:
        expect_status(pair.io.command(io_sqe(0x02, RAM, 0, 1), read=512), 0)


def test_random_pdus_on_a_live_io_queue(context):
    """Right commands in flight, R2Ts unanswered, and then noise behind them."""
    rng = random.Random(context.seed + 2)
    for number in range(context.scale(250)):
        with context.pair(io={'dgst': rng.choice((0, 3))}) as pair:
            queue = pair.io
            queue.hold_r2ts = True
            for _ in range(rng.randrange(8)):
                queue.submit(io_sqe(0x01, rng.choice(list(BLOCKS)), 0, 8, rng.choice((0, 0, 1, 2))), bytes(4096), inline=rng.random() < 0.5)
                queue.submit(io_sqe(0x02, rng.choice(list(BLOCKS)), 0, 8), read=4096)
            try:
                if rng.random() < 0.5:
                    _take_what_is_there(queue)
                for _ in range(rng.randrange(1, 6)):
                    way = rng.randrange(4)
                    if way == 0 and queue.held_r2ts:
                        cid, ttag, _, length = queue.held_r2ts.pop()
                        pdu = bytearray(queue.connection.h2c_data(cid, ttag, 0, bytes(length)))
                        bit = rng.randrange(24 * 8)
                        pdu[bit // 8] ^= 1 << bit % 8
                    elif way == 1:
                        pdu = queue.connection.h2c_data(rng.getrandbits(4), rng.getrandbits(16), rng.choice(CORNERS), bytes(512))
                    elif way == 2:
                        pdu = rng.randbytes(rng.randrange(1, 200))
                    else:
                        pdu = queue.connection.build(rng.choice((4, 6, 2)), rng.randbytes(rng.choice((16, 64))), rng.randbytes(rng.choice((0, 64))))
                    queue.connection.send(bytes(pdu))
                if number % 5 == 0:
                    queue.connection.socket.shutdown(1)
                    queue.connection.wait_closed(10)
            except Terminated:
                pass
            except ProtocolError as error:
                # Random commands are not in the books of this queue; only framing is judged here.
                if 'outstanding' not in str(error) and 'nothing to send' not in str(error) and 'more read data' not in str(error):
                    raise
            except TimeoutError as error:
                raise Mismatch(f'connection {number} hangs after the host has ended it') from error
            except (Closed, OSError):
                pass
