"""Every row of the violation table of NVMe/TCP, over a real socket: the termination request with its FES and FEI and the offending
header, the end of the connection, and no harm to anybody else; or the command's status, where the connection lives on.
"""
import struct

from nvme_host import IN_CAPSULE, TRANSPORT, Queue, connect_data, connect_sqe, fabrics_sqe, io_sqe, sgl, sqe
from nvme_tcp import (CAPSULE_CMD, H2C_DATA, H2C_TERM, HLEN, IC_RESP, Closed, Connection, Terminated, common_header, ic_req)
from suite import Mismatch, expect, expect_status
from target import PLAYGROUND, RAM

HEADER, SEQUENCE, HEADER_DIGEST, RANGE, LIMIT, PARAMETER = 1, 2, 3, 4, 5, 6
IDENTIFY = bytes(sqe(0x06, cdw10=1)[:24]) + sgl(TRANSPORT, 4096) + bytes(sqe(0x06, cdw10=1)[40:])


def expect_termination(connection, sent, wanted):
    """`wanted`: the acceptable (FES, FEI) pairs; FEI None is any."""
    try:
        while True:
            connection.read_pdu(5)
    except Terminated as term:
        if not any(term.fes == fes and fei in (None, term.fei) for fes, fei in wanted):
            raise Mismatch(f'{term}, expected ' + ' or '.join(f'FES {f} FEI {i}' for f, i in wanted)) from term
        if not 8 <= len(term.header) <= 128 or not sent.startswith(term.header):
            raise Mismatch(f'offending header {term.header.hex()} is not that of {sent[:32].hex()}') from term
    except Closed as closed:
        raise Mismatch(f'closed without C2HTermReq, expected FES {wanted}') from closed
    # Nothing is processed any more, and once this side has closed, the connection is gone.
    try:
        connection.send(connection.build(CAPSULE_CMD, IDENTIFY))
        connection.socket.shutdown(1)
    except (Closed, OSError):
        return
    connection.wait_closed()


def fresh(context):
    return Connection(context.target.address)


def negotiated(context, dgst=0):
    return fresh(context).handshake(dgst=dgst)


def both(*fei):
    return [(HEADER, value) for value in fei]


def test_before_and_during_icreq(context):
    capsule = common_header(CAPSULE_CMD, 0, 72, 0, 72) + IDENTIFY
    rows = [('capsule before ICReq', capsule, [(SEQUENCE, None)]),
            ('H2CData before ICReq', common_header(H2C_DATA, 4, 24, 24, 32) + bytes(24), [(SEQUENCE, None)]),
            ('unknown type before ICReq', common_header(0x42, 0, 128, 0, 128) + bytes(120), [(SEQUENCE, None), (HEADER, 0)]),
            ('ICResp before ICReq', common_header(IC_RESP, 0, 128, 0, 128) + bytes(120), [(SEQUENCE, None), (HEADER, 0)])]
    rows += [(f'ICReq flags {flags:#x}', ic_req(flags=flags), both(1)) for flags in (1, 2, 4, 8, 0x80, 0xFF)]
    rows += [(f'ICReq HLEN {hlen}', ic_req(hlen=hlen), both(2)) for hlen in (0, 8, 24, 127, 129, 255)]
    rows += [(f'ICReq PDO {pdo}', ic_req(pdo=pdo), both(3)) for pdo in (1, 4, 128, 255)]
    rows += [(f'ICReq PLEN {plen}', ic_req(plen=plen), both(4)) for plen in (0, 7, 8, 127, 129, 132, 1 << 20, 0xFFFFFFFF)]
    rows += [(f'ICReq PFV {pfv}', ic_req(pfv=pfv), [(PARAMETER, 8)]) for pfv in (1, 0x100, 0xFFFF)]
    rows += [(f'ICReq HPDA {hpda}', ic_req(hpda=hpda), both(10)) for hpda in (32, 64, 255)]
    rows += [(f'ICReq DGST {dgst:#x}', ic_req(dgst=dgst), both(11)) for dgst in (4, 7, 0x80, 0xFF)]
    rows += [('lowest of PFV, HPDA, DGST', ic_req(pfv=2, hpda=99, dgst=0xFF), [(PARAMETER, 8)]),
             ('lowest of HPDA, DGST', ic_req(hpda=99, dgst=0xFF), both(10)),
             ('lowest of flags, HLEN, PDO, PLEN', ic_req(flags=1, hlen=1, pdo=1, plen=1), both(1)),
             ('lowest of HLEN, PDO, PLEN', ic_req(hlen=1, pdo=1, plen=1), both(2)),
             ('lowest of PDO, PLEN', ic_req(pdo=1, plen=1), both(3))]
    for name, data, wanted in rows:
        context.row(f'violation: {name}', _send_and_expect, fresh(context), data, wanted)


def _send_and_expect(connection, data, wanted):
    with connection:
        connection.send(data)
        expect_termination(connection, data, wanted)


def test_every_type_after_icreq(context):
    known = {CAPSULE_CMD, H2C_DATA, H2C_TERM}
    wrong = [t for t in range(256) if t not in known]
    for pdu_type in wrong if context.long else [t for t in wrong if t < 16 or t % 37 == 0 or t == 255]:
        hlen = HLEN.get(pdu_type, 24)
        data = common_header(pdu_type, 0, hlen, 0, hlen).ljust(hlen, b'\0')
        wanted = [(SEQUENCE, None)] if pdu_type == 0 else both(0)
        context.row(f'violation: type {pdu_type:#04x} after ICReq', _send_and_expect, negotiated(context), data, wanted)
    context.row('violation: second ICReq', _send_and_expect, negotiated(context), ic_req(), [(SEQUENCE, None)])


def test_capsule_header(context):
    def rows(dgst):
        connection = negotiated(context, dgst)
        build = lambda data=b'', **o: connection.build(CAPSULE_CMD, IDENTIFY, data, **o)
        right = connection.build(CAPSULE_CMD, IDENTIFY)[1]
        base = 72 + (4 if dgst & 1 else 0)
        connection.close()
        for bit in range(2, 8):
            yield f'flags bit {bit}', build(flags=right | 1 << bit), both(1)
        yield 'HDGSTF against the negotiation', build(flags=right ^ 1), both(1)
        if not dgst & 2:  # With data digests on, a host that always sets the flag may be let through.
            yield 'DDGSTF without data', build(flags=right | 2), both(1)
        yield 'DDGSTF against the negotiation', build(b'x' * 512, flags=(dgst & 1) | (0 if dgst & 2 else 2)), both(1)
        for hlen in (0, 8, 24, 71, 73, 128, 255):
            yield f'HLEN {hlen}', build(hlen=hlen), both(2)
        for pdo in (1, 4, base - 4, base + 1, base + 2, 255):
            yield f'PDO {pdo} with data', build(b'x' * 512, pdo=pdo), both(3)
        yield 'PDO without data', build(pdo=base), both(3, 4)
        yield 'PDO past PLEN', build(pdo=base + 8), both(3)
        yield 'data without PDO', build(b'x' * 512, pdo=0), both(3, 4)
        for plen in (0, 1, 8, 71, base - 1):
            yield f'PLEN {plen}', build(plen=plen), both(4)
        yield 'PLEN one more', build(plen=base + 1), both(3, 4) + (both(1) if dgst & 2 else [])
        for plen in (1 << 24, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFC):
            yield f'PLEN {plen:#x}', build(b'x' * 512, plen=plen), both(4)
        yield 'lowest of flags, HLEN', build(flags=0xFC, hlen=1), both(1)
        yield 'lowest of HLEN, PDO, PLEN', build(hlen=1, pdo=1, plen=1), both(2)
        yield 'lowest of PDO, PLEN', build(b'x' * 512, pdo=1, plen=0xFFFFFFFF), both(3)
    for dgst in (0, 1, 2, 3):
        for name, data, wanted in rows(dgst):
            context.row(f'violation: capsule {name}, digests {dgst}', _send_and_expect, negotiated(context, dgst), data, wanted)


def test_termination_requests_are_never_answered(context):
    def drop(data, after_handshake):
        with (negotiated(context) if after_handshake else fresh(context)) as connection:
            connection.send(data)
            try:
                pdu = connection.read_pdu(5)
            except Closed:
                return
            except Terminated as term:
                raise Mismatch('answered a termination request with one') from term
            raise Mismatch(f'answered with type {pdu.type}')
    good = common_header(H2C_TERM, 0, 24, 0, 32) + struct.pack('<HI10x', 1, 0) + bytes(8)
    context.row('violation: H2CTermReq', drop, good, True)
    context.row('violation: H2CTermReq before ICReq', drop, good, False)
    for plen in (0, 8, 23, 153, 1 << 20, 0xFFFFFFFF):
        context.row(f'violation: H2CTermReq PLEN {plen}', drop, common_header(H2C_TERM, 0, 24, 0, plen) + bytes(160), True)
    context.row('violation: H2CTermReq HLEN 25', drop, common_header(H2C_TERM, 0, 25, 0, 32) + bytes(24), True)


def _write_with_r2t(context, length=65536, dgst=0):
    """A pair whose I/O queue has one write with an unanswered R2T: (pair, cid, ttag, length)."""
    pair = context.pair(io={'dgst': dgst})
    pair.io.hold_r2ts = True
    cid = pair.io.submit(io_sqe(0x01, RAM, 0, length // 512), b'\x5A' * length, inline=False)
    cid, ttag, offset, length = pair.io.wait_r2t()
    expect(offset, 0, 'R2TO')
    return pair, cid, ttag, length


def test_h2c_data(context):
    rows = [
        ('TTAG unknown', lambda c, t, n, m: c.h2c_data(t[0], t[1] ^ 0x5555, 0, b'x' * n), both(10)),
        ('TTAG one more', lambda c, t, n, m: c.h2c_data(t[0], t[1] + 1 & 0xFFFF, 0, b'x' * n), both(10)),
        ('CCCID wrong', lambda c, t, n, m: c.h2c_data(t[0] + 1, t[1], 0, b'x' * n), both(8, 10)),
        ('gap inside the R2T', lambda c, t, n, m: c.h2c_data(t[0], t[1], 512, b'x' * (n - 512)), [(SEQUENCE, None)]),
        ('DATAO outside the R2T', lambda c, t, n, m: c.h2c_data(t[0], t[1], n, b'x' * 512), [(RANGE, None)]),
        ('DATAO far outside', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0xFFFFFE00, b'x' * 512), [(RANGE, None)]),
        ('overlap', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0, b'x' * 512, False), None),
        ('DATAL less than data', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0, b'x' * n, datal=n - 4), both(16)),
        ('DATAL more than data', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0, b'x' * 512, datal=n), both(16)),
        ('DATAL 0', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0, b'x' * 512, datal=0), both(16)),
        ('more than the R2T', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0, b'x' * (n + 4)), [(RANGE, None)]),
        ('more than MAXH2CDATA', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0, b'x' * (m + 4)), [(LIMIT, None)]),
        ('sum wraps 32 bits', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0xFFFFF000, b'x' * 8192), [(RANGE, None)]),
        ('LAST_PDU early', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0, b'x' * 512, True), [(SEQUENCE, None)]),
        ('LAST_PDU missing', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0, b'x' * n, False), [(SEQUENCE, None)]),
        ('flags reserved', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0, b'x' * n, flags=4 | 8), both(1)),
        ('HLEN', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0, b'x' * n, hlen=32), both(2)),
        ('PDO less than the header', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0, b'x' * n, pdo=20), both(3)),
        ('PDO misaligned', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0, b'x' * n, pdo=30), both(3)),
        ('PDO 0', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0, b'x' * n, pdo=0), both(3)),
        ('PLEN 8', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0, b'x' * n, plen=8), both(3, 4)),
        ('PLEN huge', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0, b'x' * n, plen=0xFFFFFFFF), [(HEADER, 4), (HEADER, 16), (LIMIT, None)]),
        ('no data', lambda c, t, n, m: c.h2c_data(t[0], t[1], 0, b''), [(HEADER, None)]),
    ]

    def run(make, wanted):
        pair, cid, ttag, length = _write_with_r2t(context)
        with pair:
            connection = pair.io.connection
            data = make(connection, (cid, ttag), length, connection.maxh2cdata)
            if wanted is None:  # The first 512 bytes are right; sending them again is the offence.
                connection.send(data)
                wanted = [(SEQUENCE, None)]
            try:
                connection.send(data)
            except Closed:
                pass
            expect_termination(connection, data, wanted)

    for name, make, wanted in rows:
        context.row(f'violation: H2CData {name}', run, make, wanted)


def test_h2c_data_without_r2t(context):
    with context.pair() as pair:
        data = pair.io.connection.h2c_data(1, 0, 0, b'x' * 512)
        _send_and_expect(pair.io.connection, data, both(10))
    with context.pair() as pair:  # An R2T that has been answered is over.
        pair.io.hold_r2ts = True
        cid = pair.io.submit(io_sqe(0x01, RAM, 0, 32), b'x' * 16384, inline=False)
        held = pair.io.wait_r2t()
        pair.io.answer(*held)
        expect_status(pair.io.wait(cid), 0)
        data = pair.io.connection.h2c_data(cid, held[1], 0, b'x' * 16384)
        _send_and_expect(pair.io.connection, data, both(10))


def test_header_digest(context):
    def capsule():
        with negotiated(context, 1) as connection:
            data = connection.build(CAPSULE_CMD, IDENTIFY, spoil_hdgst=0x10)
            connection.send(data)
            expect_termination(connection, data, [(HEADER_DIGEST, struct.unpack_from('<I', data, 72)[0])])

    def h2c():
        pair, cid, ttag, length = _write_with_r2t(context, 16384, dgst=3)
        with pair:
            data = pair.io.connection.h2c_data(cid, ttag, 0, b'x' * length, spoil_hdgst=1)
            pair.io.connection.send(data)
            expect_termination(pair.io.connection, data, [(HEADER_DIGEST, struct.unpack_from('<I', data, 24)[0])])
    context.row('violation: HDGST of a capsule', capsule)
    context.row('violation: HDGST of H2CData', h2c)


def test_data_digest_fails_the_command_only(context):
    def capsule():
        with context.pair(io={'dgst': 2}) as pair:
            before = expect_status(pair.io.command(io_sqe(0x02, RAM, 64, 8), read=4096), 0).data
            expect_status(pair.io.command(io_sqe(0x01, RAM, 64, 8), b'\xEE' * 4096, spoil_ddgst=1), 0x022)
            after = expect_status(pair.io.command(io_sqe(0x02, RAM, 64, 8), read=4096), 0).data
            expect(after == before, True, 'a write with a bad digest changed nothing')

    def h2c(spoiled):
        with context.pair(io={'dgst': 3}) as pair:
            pair.io.hold_r2ts = True
            cid = pair.io.submit(io_sqe(0x01, RAM, 0, 32), b'x' * 16384, inline=False)
            cid, ttag, _, length = pair.io.wait_r2t()
            for index in range(4):
                part = pair.io.connection.h2c_data(cid, ttag, index * 4096, b'x' * 4096, index == 3,
                                                   spoil_ddgst=1 if index == spoiled else 0)
                pair.io.connection.send(part)
            expect_status(pair.io.wait(cid), 0x022)
            expect_status(pair.io.command(io_sqe(0x02, RAM, 0, 8), read=4096), 0)
            expect(length, 16384, 'R2TL')

    def connect():
        with Queue(context.target.address, dgst=2) as queue:
            entry, data = connect_sqe(), connect_data(context.host, PLAYGROUND)
            expect_status(queue.command(entry, data, spoil_ddgst=1), 0x022)
            expect_status(queue.command(entry, data), 0)
    context.row('violation: DDGST of a capsule', capsule)
    context.row('violation: DDGST of Connect, then a good one', connect)
    for spoiled in range(4):
        context.row(f'violation: DDGST of H2CData {spoiled} of 4', h2c, spoiled)


def test_sgl_rows_keep_the_connection(context):
    write = lambda blocks=1: io_sqe(0x01, RAM, 0, blocks)
    data = b'q' * 512
    rows = [('in-capsule offset', sgl(IN_CAPSULE, 512, 8), 0x016), ('in-capsule offset huge', sgl(IN_CAPSULE, 512, 1 << 63), 0x016)]
    rows += [(f'SGL type {kind:#04x}', sgl(kind, 512), 0x011) for kind in
             (0x00, 0x02, 0x0A, 0x0F, 0x10, 0x20, 0x21, 0x30, 0x31, 0x40, 0x4F, 0x50, 0x51, 0x5B, 0x60, 0xF0, 0xFA, 0xFF)]
    for name, descriptor, wanted in rows:
        def run(descriptor=descriptor, wanted=wanted):
            with context.pair() as pair:
                for payload in (data, None):
                    expect_status(pair.io.command(write(), payload, descriptor=descriptor), wanted, dnr=True)
                expect_status(pair.io.command(write(), data), 0)
        context.row(f'violation: {name}', run)

    def length(given, carried):
        with context.pair() as pair:
            pair.io.submit(write(), b'q' * carried, descriptor=sgl(IN_CAPSULE, given))
            try:
                cid = next(iter(pair.io.outstanding))
                expect_status(pair.io.wait(cid), 0x00F, dnr=True)
                expect_status(pair.io.command(write(), data), 0)
            except Terminated as term:
                expect((term.fes, term.fei), (HEADER, 4), 'FES and FEI')
    for given, carried in ((512, 1024), (1024, 512), (0, 512), (0xFFFFFFFF, 512), (512, 8192)):
        context.row(f'violation: SGL length {given} with {carried} in the capsule', length, given, carried)

    def too_long(blocks, descriptor):
        with context.pair() as pair:
            expect_status(pair.io.command(write(blocks), None, descriptor=descriptor), (0x002, 0x00F), dnr=True)
            expect_status(pair.io.command(write(), data), 0)
    context.row('violation: SGL of MDTS and a block', too_long, 2049, sgl(TRANSPORT, (1 << 20) + 512))
    context.row('violation: SGL of 4 GiB', too_long, 65536, sgl(TRANSPORT, 0xFFFFFFFF))


def test_in_capsule_sizes(context):
    with context.pair() as pair:
        expect_status(pair.io.command(io_sqe(0x01, RAM, 0, 16), b'y' * 8192, inline=True), 0)
        big = pair.io.connection.build(CAPSULE_CMD, bytes(io_sqe(0x01, RAM, 0, 24)[:24]) + sgl(IN_CAPSULE, 12288)
                                       + bytes(io_sqe(0x01, RAM, 0, 24)[40:]), b'y' * 12288)
        pair.io.connection.send(big)
        expect_termination(pair.io.connection, big, [(HEADER, 4), (LIMIT, None)])


def test_duplicate_cid(context):
    with context.pair() as pair:
        pair.io.hold_r2ts = True
        cid = pair.io.submit(io_sqe(0x01, RAM, 0, 32), b'x' * 16384, inline=False)
        pair.io.wait_r2t()
        capsule, _ = pair.io.prepare(io_sqe(0x02, RAM, 0, 1), read=512, cid=cid)
        pair.io.connection.send(capsule)
        try:
            expect_status(pair.io.wait(cid), 0x003)
        except Terminated as term:
            expect(term.fes, SEQUENCE, 'FES')


def test_more_commands_than_the_queue_holds(context):
    with context.pair(io={'sqsize': 3}) as pair:
        pair.io.hold_r2ts = True
        for _ in range(4):
            pair.io.submit(io_sqe(0x01, RAM, 0, 32), b'x' * 16384, inline=False)
        for _ in range(4):
            pair.io.wait_r2t()
        capsule, _ = pair.io.prepare(io_sqe(0x02, RAM, 0, 1), read=512)
        pair.io.connection.send(capsule)
        expect_termination(pair.io.connection, capsule, [(SEQUENCE, None)])


def test_exactly_a_full_queue_is_served(context):
    with context.pair(io={'sqsize': 3}) as pair:
        for _ in range(50):
            capsules = [pair.io.prepare(io_sqe(0x02, RAM, i, 1), read=512) for i in range(4)]
            pair.io.connection.send(b''.join(c for c, _ in capsules))
            for _, cid in capsules:
                expect_status(pair.io.wait(cid), 0)


def test_commands_before_connect(context):
    rows = [('Identify', IDENTIFY, None), ('Read', bytes(io_sqe(0x02, RAM, 0, 1)[:24]) + sgl(TRANSPORT, 512) + bytes(io_sqe(0x02, RAM, 0, 1)[40:]), None),
            ('Property Get', bytes(fabrics_sqe(4, struct.pack('<B3xI', 0, 8))), None),
            ('Write with data', bytes(io_sqe(0x01, RAM, 0, 1)[:24]) + sgl(IN_CAPSULE, 512) + bytes(io_sqe(0x01, RAM, 0, 1)[40:]), b'z' * 512),
            ('Disconnect', bytes(fabrics_sqe(8, b'')), None), ('opcode FFh', bytes(sqe(0xFF)), None)]
    for name, entry, data in rows:
        def run(entry=entry, data=data):
            with Queue(context.target.address) as queue:
                expect_status(queue.command(entry, data, descriptor=entry[24:40]), 0x00C, dnr=True)
                expect_status(queue.connect(context.host, PLAYGROUND), 0)
        context.row(f'violation: {name} before Connect', run)


def test_termination_leaves_the_others_alone(context):
    with context.pair() as pair:
        expect_status(pair.io.command(io_sqe(0x01, RAM, 200, 8), b'keep' * 1024), 0)
        bad = negotiated(context)
        _send_and_expect(bad, common_header(0x77, 0, 8, 0, 8), both(0))
        read = expect_status(pair.io.command(io_sqe(0x02, RAM, 200, 8), read=4096), 0)
        expect(read.data == b'keep' * 1024, True, 'data of another connection')
