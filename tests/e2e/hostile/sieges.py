"""Short attacks, each kept up for a while and made twice: the first time the target may take memory, the second time it must not (siege.py
says what is looked at). The attacks that wait for the target's timers are in slow_sieges.py.
"""
import socket
import struct

from nvme_host import IN_CAPSULE, MDTS, TRANSPORT, connect_data, connect_sqe, fabrics_sqe, io_sqe, sgl, sqe
from nvme_tcp import CAPSULE_CMD, H2C_TERM, Closed, Connection, ProtocolError, Terminated, common_header, ic_req
from siege import Siege, again
from suite import Mismatch, expect_status
from target import PLAYGROUND, RAM

GREATEST = 0xFFFFFFFF


def _until_ended(connection):
    """Reads until the target has ended the connection; the FES of its termination request, None without one."""
    try:
        while True:
            connection.read_pdu(10)
    except Terminated as term:
        return term.fes
    except Closed:
        return None


def half_open(attacker):
    """Connections that stop in the middle of something and then half-close, reset, or ask for something that nobody sends."""
    entry = connect_sqe()
    entry[24:40] = sgl(IN_CAPSULE, 1024)
    plain = Connection.__new__(Connection)
    plain.digests, plain.cpda = 0, 0
    capsule = plain.build(CAPSULE_CMD, bytes(entry), connect_data(attacker.host, PLAYGROUND))
    stages = [b'', ic_req()[:64], ic_req(), ic_req() + capsule[:8], ic_req() + capsule[:600], b'GET / HTTP/1.1\r\n\r\n' * 10]
    for _ in again():
        for index, stage in enumerate(stages * 3):
            with attacker.connection() as connection:
                connection.send(stage)
                if index % 3 == 0:
                    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                else:
                    connection.socket.shutdown(socket.SHUT_WR)
                    connection.wait_closed()


def icreq_flood(attacker):
    """ICReq after ICReq: many connections with one each, and connections with many."""
    for _ in again():
        crowd = [attacker.connection() for _ in range(100)]
        for connection in crowd:
            connection.send(ic_req())
        for connection in crowd:
            connection.read_pdu()
            connection.close()
        with attacker.connection() as connection:
            connection.send(ic_req() * 1000)
            connection.read_pdu()
            if _until_ended(connection) != 2:
                raise Mismatch('a second ICReq is no sequence error')


def ten_thousand_connections(attacker):
    """All at once, most of them from one address, which may not have that many; those who are in stay in. Half of them speak."""
    others = attacker.source.replace('.2.', '.3.')
    crowd = []
    try:
        for index in range(10000):
            source = attacker.source if index % 5 < 3 else others
            sock = socket.create_connection(attacker.address, 10, (source, 0))
            crowd.append(sock)
            if index % 2:
                try:
                    sock.send(ic_req())
                except ConnectionError:  # refused, too many
                    pass
        # A new host gets in, from another address than theirs.
        with attacker.context.pair() as pair:
            expect_status(pair.io.command(io_sqe(0x02, RAM, 0, 1), read=512), 0)
    finally:
        for sock in crowd:
            sock.close()


def commands_before_connect(attacker):
    for _ in again():
        with attacker.queue() as queue:
            for entry, data in ((sqe(0x06, cdw10=1), None), (io_sqe(0x02, RAM, 0, 1), None), (io_sqe(0x01, RAM, 0, 1), b'z' * 512),
                                (fabrics_sqe(4, struct.pack('<B3xI', 0, 8)), None), (fabrics_sqe(8, b''), None)):
                expect_status(queue.command(entry, data, descriptor=None if data else sgl(TRANSPORT, 512)), 0x00C, dnr=True)


def duplicate_identifiers(attacker):
    """The second command fails, the first goes on."""
    for _ in again():
        with attacker.pair() as pair:
            pair.io.hold_r2ts = True
            cid = pair.io.submit(io_sqe(0x01, RAM, 0, 32), b'x' * 16384, inline=False)
            pair.io.wait_r2t()
            capsule = pair.io.prepare(io_sqe(0x02, RAM, 0, 1), read=512, cid=cid)[0]
            for _ in range(20):
                pair.io.connection.send(capsule)
                pair.io.prepare(io_sqe(0x02, RAM, 0, 1), read=512, cid=cid)  # its completion takes it out of the books
                expect_status(pair.io.wait(cid), 0x003)


def more_commands_than_the_queue_holds(attacker):
    for _ in again():
        with attacker.pair(io={'sqsize': 3}) as pair:
            pair.io.hold_r2ts = True
            capsules = b''.join(pair.io.prepare(io_sqe(0x01, RAM, 0, 32), b'x' * 16384, inline=False)[0] for _ in range(200))
            pair.io.connection.send(capsules)
            if _until_ended(pair.io.connection) != 2:
                raise Mismatch('no sequence error')


def data_for_freed_tags(attacker):
    """H2CData for an R2T that is answered already, that was never sent, and that belongs to another connection."""
    for number, _ in enumerate(again()):
        with attacker.pair() as pair, attacker.pair() as other:
            for one in (pair.io, other.io):
                one.hold_r2ts = True
                one.submit(io_sqe(0x01, RAM, 0, 32), b'x' * 16384, inline=False)
            cid, tag, offset, length = pair.io.wait_r2t()
            tags = (tag, tag ^ 0x8000, other.io.wait_r2t()[1] ^ 1)
            pair.io.answer(cid, tag, offset, length)
            expect_status(pair.io.wait(cid), 0)
            pair.io.connection.send(pair.io.connection.h2c_data(cid, tags[number % 3], 0, b'y' * length))
            if _until_ended(pair.io.connection) != 1:
                raise Mismatch('H2CData for a tag that nobody has is no invalid header field')


def _lengths(unit):
    return 0, 1, unit - 1, unit, unit + 1, MDTS - 1, MDTS, MDTS + 1, MDTS + unit, 0x7FFFFFFF, GREATEST


def lengths_at_every_border(attacker):
    """SGL lengths that fit neither the command nor the transfer limit: each fails its command or ends its connection; nothing waits."""
    rows = [(opcode, kind, length) for opcode in (0x01, 0x02, 0x05, 0x09, 0x06) for kind in (IN_CAPSULE, TRANSPORT)
            for length in _lengths(512)]
    for _ in again():
        pair = attacker.pair()
        for opcode, kind, length in rows:
            queue = pair.admin if opcode == 0x06 else pair.io
            entry = sqe(opcode, cdw10=1) if opcode == 0x06 else io_sqe(opcode, RAM, 0, 1)
            carried = b'' if kind == TRANSPORT or length > 8192 else bytes(length)
            try:
                _check_border(queue, entry, carried, sgl(kind, length))
            except (Terminated, Closed):  # the capsule was not what its header says: that ends a connection
                pair.io.close()
                pair.admin.close()
                pair = attacker.pair()
        pair.io.close()
        pair.admin.close()


def _check_border(queue, entry, carried, descriptor):
    """One command; any status will do, as long as it comes."""
    capsule, cid = queue.prepare(entry, carried or None, read=MDTS + 4096, inline=True if carried else None, descriptor=descriptor)
    command = queue.outstanding[cid]
    command.data = carried or bytes(MDTS + 4096)  # what an R2T may ask for
    queue.connection.send(capsule)
    try:
        queue.wait(cid)
    except ProtocolError as error:
        # A read of fewer bytes than the books say is right here.
        if 'bytes read' not in str(error):
            raise


def header_lengths_at_every_border(attacker):
    """PLEN of a capsule and DATAL of H2CData, the same borders."""
    for _ in again():
        for plen in (0, 1, 71, 73, 8192 + 73, MDTS, MDTS + 73, GREATEST):
            with attacker.connection(dgst=0) as connection:
                connection.send(connection.build(CAPSULE_CMD, bytes(sqe(0x06, cdw10=1)), plen=plen))
                if _until_ended(connection) is None:
                    raise Mismatch(f'PLEN {plen}: closed without a reason')
        for length in (0, 1, 16380, 16388, MDTS, MDTS + 4, GREATEST - 3, GREATEST):
            with attacker.pair() as pair:
                pair.io.hold_r2ts = True
                cid = pair.io.submit(io_sqe(0x01, RAM, 0, 32), b'x' * 16384, inline=False)
                tag = pair.io.wait_r2t()[1]
                pair.io.connection.send(pair.io.connection.h2c_data(cid, tag, 0, b'', datal=length, plen=24 + length & GREATEST, pdo=24))
                if _until_ended(pair.io.connection) is None:
                    raise Mismatch(f'DATAL {length}: closed without a reason')


def termination_storm(attacker):
    """H2CTermReq from everywhere, right ones and wrong ones, before and after ICReq, in the middle of transfers."""
    request = common_header(H2C_TERM, 0, 24, 0, 32) + struct.pack('<HI10x', 1, 0xABCD) + bytes(8)
    for number, _ in enumerate(again()):
        crowd = [attacker.connection(dgst=0 if index % 2 else None) for index in range(60)]
        for index, connection in enumerate(crowd):
            connection.send(request if index % 3 else request[:8 + index % 16])
        with attacker.pair() as pair:
            pair.io.hold_r2ts = True
            for _ in range(20):
                pair.io.submit(io_sqe(0x01, RAM, 0, 128), bytes(65536), inline=False)
            pair.io.wait_r2t()
            (pair.io if number % 2 else pair.admin).connection.send(request)
            pair.io.connection.wait_closed()
        for connection in crowd:
            connection.wait_closed()
            connection.close()


def termination_storm_of_ours(attacker):
    """Wrong PDUs by the hundred, whose termination requests nobody reads."""
    for _ in again():
        crowd = [attacker.connection(dgst=0) for _ in range(100)]
        for connection in crowd:
            connection.send(common_header(0x42, 0, 24, 0, 24) + bytes(16))
        for connection in crowd:
            connection.close()


def lies_about_header_digests(attacker):
    for _ in again():
        with attacker.connection(dgst=1) as connection:
            connection.send(connection.build(CAPSULE_CMD, bytes(sqe(0x06, cdw10=1)), spoil_hdgst=1))
            if _until_ended(connection) != 3:
                raise Mismatch('no header digest error')


def lies_about_data_digests(attacker):
    """In the capsule and by R2T: the command fails and nothing is written."""
    for _ in again():
        with attacker.pair(io={'dgst': 3}) as pair:
            before = expect_status(pair.io.command(io_sqe(0x02, RAM, 64, 32), read=16384), 0).data
            expect_status(pair.io.command(io_sqe(0x01, RAM, 64, 8), b'\xEE' * 4096, spoil_ddgst=1), 0x022)
            pair.io.hold_r2ts = True
            cid = pair.io.submit(io_sqe(0x01, RAM, 64, 32), b'\xEE' * 16384, inline=False)
            pair.io.answer(*pair.io.wait_r2t(), spoil_ddgst=1)
            expect_status(pair.io.wait(cid), 0x022)
            if expect_status(pair.io.command(io_sqe(0x02, RAM, 64, 32), read=16384), 0).data != before:
                raise Mismatch('data with a wrong digest was written')


# What the log says of each, behind the attacker's address.
ATTACKS = ((half_open, r'wrong PDU of type 47h'), (icreq_flood, r'wrong PDU of type 00h, FES 2'),
           (ten_thousand_connections, r'refused, too many connections'),
           (commands_before_connect, r'command \w+h with CID \d+ on queue 0: Command Sequence Error'),
           (duplicate_identifiers, r'command 02h with CID \d+ on queue 1: Command ID Conflict'),
           (more_commands_than_the_queue_holds, r'wrong PDU of type 04h, FES 2'),
           (data_for_freed_tags, r'wrong PDU of type 06h, FES 1 FEI ah'),
           (lengths_at_every_border, r'command \w+h with CID \d+ on queue \d: .*SGL'),
           (header_lengths_at_every_border, r'wrong PDU of type 0[46]h, FES [145]'),
           (termination_storm, r'the peer ends the connection, FES 1 FEI abcdh'), (termination_storm_of_ours, r'wrong PDU of type 42h, FES 1'),
           (lies_about_header_digests, r'wrong PDU of type 04h, FES 3'),
           (lies_about_data_digests, r'command 01h with CID \d+ on queue 1: Transient Transport Error'))


def test_attacks(context):
    siege = Siege(context)
    for is_warm in (False, True):
        for number, (attack, reason) in enumerate(ATTACKS, 1):
            name = f'siege: {attack.__name__}, {"again" if is_warm else "the first time"}'
            context.row(name, siege.attack, number, attack, reason, is_warm)
