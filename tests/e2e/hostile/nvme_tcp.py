"""NVMe/TCP as bytes: PDUs, digests and one socket. Written from the specification's tables, never from src/: it is the other
party, so a mistake of the target cannot hide behind the same mistake here. Everything received is checked; a breach of the
protocol by the target raises ProtocolError.
"""
import socket
import struct
import time

IC_REQ, IC_RESP, H2C_TERM, C2H_TERM, CAPSULE_CMD, CAPSULE_RESP, H2C_DATA, C2H_DATA, R2T = 0, 1, 2, 3, 4, 5, 6, 7, 9
HDGSTF, DDGSTF, LAST_PDU, SUCCESS = 1, 2, 4, 8
HDGST_ENABLE, DDGST_ENABLE = 1, 2
HLEN = {IC_REQ: 128, IC_RESP: 128, H2C_TERM: 24, C2H_TERM: 24, CAPSULE_CMD: 72, CAPSULE_RESP: 24, H2C_DATA: 24, C2H_DATA: 24,
        R2T: 24}
# Which flags the target may set on each PDU that it sends.
ALLOWED_FLAGS = {IC_RESP: 0, C2H_TERM: 0, CAPSULE_RESP: HDGSTF, C2H_DATA: HDGSTF | DDGSTF | LAST_PDU | SUCCESS, R2T: HDGSTF}


class ProtocolError(Exception):
    """The target broke the protocol."""


class Closed(Exception):
    """The target ended the connection."""


class Terminated(Exception):
    """The target sent a C2HTermReq."""

    def __init__(self, fes, fei, header):
        super().__init__(f'FES {fes:#x} FEI {fei:#x}')
        self.fes, self.fei, self.header = fes, fei, header


def _crc_tables():
    first = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        first.append(value)
    tables = [first]
    for _ in range(3):
        tables.append([(tables[-1][i] >> 8) ^ first[tables[-1][i] & 255] for i in range(256)])
    return tables


_T0, _T1, _T2, _T3 = _crc_tables()


def crc32c(data):
    """CRC32C (Castagnoli), four bytes at a time."""
    crc = 0xFFFFFFFF
    whole = len(data) // 4 * 4
    for (word,) in struct.iter_unpack('<I', data[:whole]):
        crc ^= word
        crc = _T3[crc & 255] ^ _T2[crc >> 8 & 255] ^ _T1[crc >> 16 & 255] ^ _T0[crc >> 24]
    for byte in data[whole:]:
        crc = (crc >> 8) ^ _T0[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


class Pdu:
    """One PDU as it came: the common header's fields, the header (without digest) and the data."""

    def __init__(self, header, data):
        self.type, self.flags, self.hlen, self.pdo, self.plen = struct.unpack_from('<BBBBI', header)
        self.header, self.data = header, data


def common_header(pdu_type, flags, hlen, pdo, plen):
    return struct.pack('<BBBBI', pdu_type, flags & 255, hlen & 255, pdo & 255, plen & 0xFFFFFFFF)


def ic_req(hpda=0, dgst=0, maxr2t=0, pfv=0, flags=0, hlen=128, pdo=0, plen=128):
    header = common_header(IC_REQ, flags, hlen, pdo, plen) + struct.pack('<HBBI', pfv, hpda, dgst, maxr2t)
    return header.ljust(128, b'\0')


class Connection:
    """One TCP connection, before and after ICReq. Blocking, with a time-out on every read. `source` is the address it comes from."""

    def __init__(self, address, timeout=10.0, source=''):
        self.socket = socket.create_connection(address, timeout, (source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout = timeout
        self.buffer = bytearray()
        self.digests, self.hpda, self.cpda, self.maxh2cdata = 0, 0, 0, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (ConnectionError, BrokenPipeError) as error:
            raise Closed(str(error)) from error

    def _receive(self, count, deadline):
        while len(self.buffer) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f'no answer within {self.timeout} s')
            self.socket.settimeout(left)
            try:
                piece = self.socket.recv(262144)
            except ConnectionError as error:
                raise Closed(str(error)) from error
            finally:
                self.socket.settimeout(self.timeout)
            if not piece:
                raise Closed('end of stream' + (' inside a PDU' if self.buffer else ''))
            self.buffer += piece

    def handshake(self, hpda=0, dgst=0, maxr2t=0):
        """ICReq and ICResp; what was agreed is kept."""
        self.send(ic_req(hpda, dgst, maxr2t))
        pdu = self.read_pdu()
        if pdu.type != IC_RESP:
            raise ProtocolError(f'type {pdu.type} instead of ICResp')
        pfv, cpda, digests, maxh2cdata = struct.unpack_from('<HBBI', pdu.header, 8)
        if pfv != 0 or cpda > 31 or maxh2cdata < 4096 or maxh2cdata % 4 or digests != dgst or any(pdu.header[16:]):
            raise ProtocolError(f'ICResp pfv {pfv} cpda {cpda} dgst {digests} maxh2cdata {maxh2cdata}')
        self.digests, self.hpda, self.cpda, self.maxh2cdata = digests, hpda, cpda, maxh2cdata
        return self

    def read_pdu(self, timeout=None):
        """The next PDU, checked. Raises Terminated, Closed, ProtocolError, TimeoutError."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        self._receive(8, deadline)
        pdu_type, flags, hlen, pdo, plen = struct.unpack_from('<BBBBI', self.buffer)
        if pdu_type not in ALLOWED_FLAGS or hlen != HLEN[pdu_type] or flags & ~ALLOWED_FLAGS[pdu_type] or plen < hlen:
            raise ProtocolError(f'bad PDU header {bytes(self.buffer[:8]).hex()}')
        if plen > 16 << 20:
            raise ProtocolError(f'PLEN {plen}')
        self._receive(plen, deadline)
        whole = bytes(self.buffer[:plen])
        del self.buffer[:plen]
        pdu = Pdu(whole[:hlen], self._data_of(whole, pdu_type, flags, hlen, pdo))
        if pdu_type == C2H_TERM:
            fes, fei = struct.unpack_from('<HI', whole, 8)
            raise Terminated(fes, fei, pdu.data)
        return pdu

    def _data_of(self, whole, pdu_type, flags, hlen, pdo):
        """Checks digests, padding and lengths of a received PDU; its data."""
        if pdu_type == C2H_TERM:
            if len(whole) > 152 or pdo:
                raise ProtocolError(f'C2HTermReq PLEN {len(whole)} PDO {pdo}')
            return whole[24:]
        if pdu_type == IC_RESP:
            return b''
        header_end = hlen
        if bool(flags & HDGSTF) != bool(self.digests & HDGST_ENABLE):
            raise ProtocolError('HDGSTF does not follow the negotiation')
        if flags & HDGSTF:
            (digest,) = struct.unpack_from('<I', whole, hlen)
            if digest != crc32c(whole[:hlen]):
                raise ProtocolError('wrong header digest')
            header_end += 4
        if pdu_type != C2H_DATA:
            if len(whole) != header_end or pdo:
                raise ProtocolError(f'type {pdu_type} PLEN {len(whole)} PDO {pdo}')
            return b''
        return self._c2h_data(whole, flags, header_end, pdo)

    def _c2h_data(self, whole, flags, header_end, pdo):
        if pdo < header_end or pdo % ((self.hpda + 1) * 4):
            raise ProtocolError(f'C2HData PDO {pdo} with HPDA {self.hpda}')
        if self.hpda == 0 and pdo != header_end:
            raise ProtocolError('C2HData padded toward HPDA 0')
        if bool(flags & DDGSTF) != bool(self.digests & DDGST_ENABLE):
            raise ProtocolError('DDGSTF does not follow the negotiation')
        data_end = len(whole) - (4 if flags & DDGSTF else 0)
        data = whole[pdo:data_end]
        if flags & DDGSTF and struct.unpack_from('<I', whole, data_end)[0] != crc32c(data):
            raise ProtocolError('wrong data digest')
        (datal,) = struct.unpack_from('<I', whole, 16)
        if datal != len(data) or not datal:
            raise ProtocolError(f'C2HData DATAL {datal} carries {len(data)}')
        return data

    def build(self, pdu_type, psh, data=b'', own_flags=0, spoil_hdgst=0, spoil_ddgst=0, **override):
        """A PDU with what was negotiated; `override` replaces fields of the common header (flags, hlen, pdo, plen)."""
        header_end = 8 + len(psh) + (4 if self.digests & HDGST_ENABLE else 0)
        pdo = 0
        if data:
            unit = (self.cpda + 1) * 4
            pdo = (header_end + unit - 1) // unit * unit
        plen = (pdo if data else header_end) + len(data)
        flags = own_flags
        if self.digests & HDGST_ENABLE:
            flags |= HDGSTF
        if data and self.digests & DDGST_ENABLE:
            flags |= DDGSTF
            plen += 4
        fields = {'flags': flags, 'hlen': 8 + len(psh), 'pdo': pdo, 'plen': plen, **override}
        header = common_header(pdu_type, fields['flags'], fields['hlen'], fields['pdo'], fields['plen']) + psh
        out = bytearray(header)
        if self.digests & HDGST_ENABLE:
            out += struct.pack('<I', crc32c(header) ^ spoil_hdgst)
        if data:
            out += bytes(pdo - len(out)) + data
            if self.digests & DDGST_ENABLE:
                out += struct.pack('<I', crc32c(data) ^ spoil_ddgst)
        return bytes(out)

    def h2c_data(self, cid, ttag, offset, data, last=True, datal=None, **override):
        psh = struct.pack('<HHII4x', cid, ttag, offset, len(data) if datal is None else datal)
        return self.build(H2C_DATA, psh, data, LAST_PDU if last else 0, **override)

    def wait_closed(self, timeout=5.0):
        """Reads until the target has ended the connection; TimeoutError when it does not."""
        deadline = time.monotonic() + timeout
        try:
            while True:
                self.buffer.clear()
                self._receive(1, deadline)
        except Closed:
            return
