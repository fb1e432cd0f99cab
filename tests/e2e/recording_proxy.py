"""A TCP proxy on loopback that writes what passes through it as a pcap file, so that a dissector can judge the bytes without the right to
capture. Packets are made up (raw IPv4, one TCP segment for each piece that was received); what they carry is not."""

import socket
import struct
import threading
import time

PIECE_BYTES = 16 << 10
JOIN_SECONDS = 30
LINK_TYPE_RAW_IP = 101
SYN, ACK, PUSH, FIN = 0x02, 0x10, 0x08, 0x01
LOOPBACK = socket.inet_aton("127.0.0.1")


class PcapFile:
    def __init__(self, path):
        self._file = open(path, "wb")
        self._lock = threading.Lock()
        self._file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, LINK_TYPE_RAW_IP))

    def segment(self, ports, sequence, acknowledged, flags, payload=b""):
        tcp = struct.pack(">HHIIBBHHH", *ports, sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF, 5 << 4, flags, 65535, 0, 0)
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp) + len(payload), 0, 0, 64, socket.IPPROTO_TCP, 0, LOOPBACK, LOOPBACK)
        now = time.time_ns()
        packet = ip + tcp + payload
        with self._lock:
            self._file.write(struct.pack("<IIII", now // 10**9, now % 10**9 // 1000, len(packet), len(packet)) + packet)

    def close(self):
        with self._lock:
            self._file.close()


class _Side:
    """One direction's next sequence number; both are kept under the connection's lock."""

    def __init__(self, source, sink, ports):
        self.source, self.sink, self.ports = source, sink, ports
        self.sequence = 1


class RecordingProxy:
    """Accepts on `port` (any free one) and connects each connection to target_port. close() waits until all of them have ended."""

    def __init__(self, target_port, path):
        self._target_port = target_port
        self._pcap = PcapFile(path)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._pumps = []
        self._ends = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self):
        while True:
            try:
                host, address = self._listener.accept()
            except OSError:
                return  # closed
            target = socket.create_connection(("127.0.0.1", self._target_port))
            self._ends += [host, target]
            for end in (host, target):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            there = _Side(host, target, (address[1], self.port))
            back = _Side(target, host, (self.port, address[1]))
            self._pcap.segment(there.ports, 0, 0, SYN)
            self._pcap.segment(back.ports, 0, 1, SYN | ACK)
            self._pcap.segment(there.ports, 1, 1, ACK)
            lock = threading.Lock()
            for side, other in ((there, back), (back, there)):
                pump = threading.Thread(target=self._pump, args=(side, other, lock), daemon=True)
                self._pumps.append(pump)
                pump.start()

    def _pump(self, side, other, lock):
        while True:
            try:
                piece = side.source.recv(PIECE_BYTES)
            except OSError:
                piece = b""
            with lock:
                # Recorded before it is passed on, so that no answer stands before its question.
                flags = PUSH | ACK if piece else FIN | ACK
                self._pcap.segment(side.ports, side.sequence, other.sequence, flags, piece)
                side.sequence += len(piece) or 1
            try:
                if not piece:
                    side.sink.shutdown(socket.SHUT_WR)
                    return
                side.sink.sendall(piece)
            except OSError:
                return  # that end has gone; the other pump of the connection sees it too

    def close(self):
        """Does nothing when it has been called before."""
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        for pump in self._pumps:
            pump.join(JOIN_SECONDS)
        for end in self._ends:
            end.close()
        self._pcap.close()
