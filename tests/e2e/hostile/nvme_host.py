"""A host above nvme_tcp: commands, queues, controllers. One Queue is one connection with an identified command for every
outstanding CID; it answers R2Ts, gathers read data and insists on the target's side of the rules.
"""
import struct
import time
import uuid

import nvme_tcp
from nvme_tcp import C2H_DATA, CAPSULE_CMD, CAPSULE_RESP, LAST_PDU, R2T, SUCCESS, ProtocolError

DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery'
IN_CAPSULE, TRANSPORT = 0x01, 0x5A
FUSE_FIRST, FUSE_SECOND = 1, 2
DNR = 0x4000
MDTS = 1 << 20


def sqe(opcode, nsid=0, cdw10=0, cdw11=0, cdw12=0, cdw13=0, cdw14=0, cdw15=0, cdw2=0, cdw3=0, flags=0x40):
    """A submission entry without CID and SGL; submit() fills those."""
    entry = struct.pack('<BBHIIIQQQ', opcode, flags, 0, nsid, cdw2, cdw3, 0, 0, 0)
    return bytearray(entry + struct.pack('<6I', *(v & 0xFFFFFFFF for v in (cdw10, cdw11, cdw12, cdw13, cdw14, cdw15))))


def io_sqe(opcode, nsid, slba, blocks, fuse=0, fua=False, cdw12=0):
    return sqe(opcode, nsid, slba & 0xFFFFFFFF, slba >> 32, (blocks - 1) & 0xFFFF | (1 << 30 if fua else 0) | cdw12,
               flags=0x40 | fuse)


def fabrics_sqe(fctype, tail):
    entry = bytearray(64)
    entry[0], entry[1], entry[4] = 0x7F, 0x40, fctype
    entry[40:40 + len(tail)] = tail
    return entry


def sgl(kind, length, address=0):
    if kind == TRANSPORT:
        return struct.pack('<QI3xB', address, length & 0xFFFFFFFF, kind)
    return struct.pack('<QI3xB', address & (1 << 64) - 1, length & 0xFFFFFFFF, kind)


class Completion:
    """A CQE and what was read. `status` is SCT and SC as 0xTSS (T type, SS code); `dnr` and `more` are apart."""

    def __init__(self, cqe, data, elided=False):
        self.cdw0, self.cdw1, self.sqhd, self.sqid, self.cid, word = struct.unpack('<IIHHHH', cqe)
        self.status, self.dnr, self.more, self.phase = word >> 1 & 0x7FF, bool(word & 0x8000), bool(word & 0x4000), word & 1
        self.data, self.elided = data, elided

    def __str__(self):
        return f'status {self.status >> 8}/{self.status & 255:02X}h dnr {int(self.dnr)} cdw0 {self.cdw0:#x}'


class _Outstanding:
    def __init__(self, entry, data, expected):
        self.entry, self.data, self.expected = entry, data, expected
        self.received, self.requested, self.last_seen = bytearray(), 0, False


class Queue:
    """One queue: a connection with commands on it."""

    def __init__(self, address, hpda=0, dgst=0, maxr2t=0, timeout=10.0, source=''):
        self.connection = nvme_tcp.Connection(address, timeout, source)
        self.connection.handshake(hpda, dgst, maxr2t)
        self.address = address
        self.outstanding, self.completed = {}, {}
        self.next_cid, self.sqsize, self.no_flow_control, self.cntlid, self.qid = 1, 0, False, 0, 0
        self.held_r2ts, self.hold_r2ts, self.h2c_piece = [], False, 0
        self.completions = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()

    # -- submitting

    def free_cid(self):
        while self.next_cid in self.outstanding:
            self.next_cid = self.next_cid % 0xFFFE + 1
        cid = self.next_cid
        self.next_cid = self.next_cid % 0xFFFE + 1
        return cid

    def prepare(self, entry, data=None, read=0, inline=None, cid=None, descriptor=None, **build):
        """Fills CID and SGL and registers the command; the capsule's bytes and the CID. `data` goes in-capsule when it fits
        8 KiB or `inline` says so, else by R2T; `read` is the number of bytes asked for."""
        entry = bytearray(entry)
        cid = self.free_cid() if cid is None else cid
        struct.pack_into('<H', entry, 2, cid)
        in_capsule = data is not None and (len(data) <= 8192 if inline is None else inline)
        if descriptor is None:
            if in_capsule:
                descriptor = sgl(IN_CAPSULE, len(data))
            else:
                descriptor = sgl(TRANSPORT, read if data is None else len(data))
        entry[24:40] = descriptor
        self.outstanding[cid] = _Outstanding(entry, data, read)
        return self.connection.build(CAPSULE_CMD, bytes(entry), data if in_capsule else b'', **build), cid

    def submit(self, entry, data=None, **options):
        capsule, cid = self.prepare(entry, data, **options)
        self.connection.send(capsule)
        return cid

    def command(self, entry, data=None, **options):
        """Submits and waits: the Completion."""
        return self.wait(self.submit(entry, data, **options))

    # -- receiving

    def wait(self, cid, timeout=None):
        deadline = time.monotonic() + (self.connection.timeout if timeout is None else timeout)
        while cid not in self.completed:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f'command {cid} (opcode {self.outstanding[cid].entry[0]:#x}) has no completion')
            self.step(left)
        return self.completed.pop(cid)

    def step(self, timeout=None):
        """Takes one PDU and acts on it."""
        pdu = self.connection.read_pdu(timeout)
        if pdu.type == CAPSULE_RESP:
            self._complete(pdu.header[8:24], False)
        elif pdu.type == C2H_DATA:
            self._read_data(pdu)
        elif pdu.type == R2T:
            self._r2t(pdu)
        else:
            raise ProtocolError(f'unexpected PDU type {pdu.type}')

    def _complete(self, cqe, elided):
        cid = struct.unpack_from('<H', cqe, 12)[0]
        command = self.outstanding.pop(cid, None)
        if command is None:
            raise ProtocolError(f'completion for CID {cid}, which is not outstanding')
        completion = Completion(cqe, bytes(command.received), elided)
        if completion.phase:
            raise ProtocolError('phase bit set over fabrics')
        if completion.status == 0 and command.received and len(command.received) != command.expected:
            raise ProtocolError(f'{len(command.received)} of {command.expected} bytes read')
        if completion.status == 0 and command.received and not command.last_seen:
            raise ProtocolError('read data without LAST_PDU')
        self.completed[cid] = completion
        self.completions += 1

    def _read_data(self, pdu):
        cid, offset = struct.unpack_from('<H2xI', pdu.header, 8)
        command = self.outstanding.get(cid)
        if command is None:
            raise ProtocolError(f'C2HData for CID {cid}, which is not outstanding')
        if offset != len(command.received) or command.last_seen:
            raise ProtocolError(f'C2HData DATAO {offset}, expected {len(command.received)}')
        command.received += pdu.data
        if len(command.received) > command.expected:
            raise ProtocolError('more read data than the SGL holds')
        command.last_seen = bool(pdu.flags & LAST_PDU)
        if pdu.flags & SUCCESS:
            if not command.last_seen or not self.no_flow_control:
                raise ProtocolError('SUCCESS without LAST_PDU or with SQ flow control')
            self._complete(struct.pack('<IIHHHH', 0, 0, 0, self.qid, cid, 0), True)

    def _r2t(self, pdu):
        cid, ttag, offset, length = struct.unpack_from('<HHII', pdu.header, 8)
        command = self.outstanding.get(cid)
        if command is None or command.data is None:
            raise ProtocolError(f'R2T for CID {cid}, which has nothing to send')
        if offset != command.requested or length == 0 or offset + length > len(command.data):
            raise ProtocolError(f'R2T offset {offset} length {length} of {len(command.data)}')
        command.requested += length
        if self.hold_r2ts:
            self.held_r2ts.append((cid, ttag, offset, length))
        else:
            self.answer(cid, ttag, offset, length)

    def wait_r2t(self):
        """The next R2T that was held: (cid, ttag, offset, length)."""
        while not self.held_r2ts:
            self.step()
        return self.held_r2ts.pop(0)

    def answer(self, cid, ttag, offset, length, **build):
        """Sends the H2CData PDUs of an R2T, in pieces of at most MAXH2CDATA or `h2c_piece`."""
        data = self.outstanding[cid].data[offset:offset + length]
        piece = min(self.h2c_piece or self.connection.maxh2cdata, self.connection.maxh2cdata)
        for start in range(0, length, piece):
            part = data[start:start + piece]
            self.connection.send(self.connection.h2c_data(cid, ttag, offset + start, part, start + len(part) == length, **build))

    # -- fabrics

    def connect(self, host, subnqn, qid=0, sqsize=31, cntlid=0xFFFF, kato=0, cattr=0, **options):
        completion = self.command(connect_sqe(qid, sqsize, cattr, kato), connect_data(host, subnqn, cntlid), **options)
        if completion.status == 0:
            self.qid, self.sqsize, self.cntlid = qid, sqsize, completion.cdw0 & 0xFFFF
            self.no_flow_control = bool(cattr & 4) and completion.sqhd == 0xFFFF
        return completion

    def property_get(self, offset, size=0):
        return self.command(fabrics_sqe(4, struct.pack('<B3xI', size, offset)))

    def property_set(self, offset, value, size=0):
        return self.command(fabrics_sqe(0, struct.pack('<B3xIQ', size, offset, value)))

    def enable(self, cc=0x460001):
        self.property_set(0x14, cc)
        return self.wait_csts(0x1, 0x1)

    def wait_csts(self, mask, value, timeout=8.0):
        deadline = time.monotonic() + timeout
        while True:
            csts = self.property_get(0x1C).cdw0
            if csts & mask == value:
                return csts
            if time.monotonic() > deadline:
                raise TimeoutError(f'CSTS {csts:#x}, waited for {value:#x} under {mask:#x}')


def connect_sqe(qid=0, sqsize=31, cattr=0, kato=0, recfmt=0):
    return fabrics_sqe(1, struct.pack('<HHHBxI', recfmt, qid, sqsize, cattr, kato))


def connect_data(host, subnqn, cntlid=0xFFFF):
    head = host.hostid + struct.pack('<H', cntlid)
    return head.ljust(256, b'\0') + _nqn(subnqn) + _nqn(host.nqn) + bytes(256)


def _nqn(name):
    return (name.encode() if isinstance(name, str) else name).ljust(256, b'\0')[:256]


class Host:
    """Who connects: a host NQN, a host identifier, where the target is, and from which address."""

    def __init__(self, address, nqn=None, source=''):
        self.address, self.source = address, source
        identity = uuid.uuid4()
        self.hostid = identity.bytes
        self.nqn = nqn or f'nqn.2014-08.org.nvmexpress:uuid:{identity}'

    def admin(self, subnqn, kato=0, sqsize=31, enable=True, cattr=0, **options):
        """A connected (and enabled) admin queue."""
        queue = Queue(self.address, source=self.source, **options)
        completion = queue.connect(self, subnqn, sqsize=sqsize, kato=kato, cattr=cattr)
        if completion.status:
            queue.close()
            raise ProtocolError(f'admin Connect: {completion}')
        if enable:
            queue.enable()
        return queue

    def io(self, admin, subnqn, qid=1, sqsize=127, cattr=0, **options):
        """A connected I/O queue of the controller behind `admin`."""
        queue = Queue(self.address, source=self.source, **options)
        completion = queue.connect(self, subnqn, qid=qid, sqsize=sqsize, cntlid=admin.cntlid, cattr=cattr)
        if completion.status:
            queue.close()
            raise ProtocolError(f'I/O Connect: {completion}')
        return queue


class Pair:
    """An admin queue with one I/O queue, for tests that want to get to the point."""

    def __init__(self, host, subnqn, qid=1, io=None, **admin):
        self.admin = host.admin(subnqn, **admin)
        try:
            self.admin.command(sqe(0x09, cdw10=0x07, cdw11=0x00070007))
            self.io = host.io(self.admin, subnqn, qid, **(io or {}))
        except BaseException:
            self.admin.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.io.close()
        self.admin.close()
