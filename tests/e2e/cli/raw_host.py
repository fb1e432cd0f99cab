"""A very small NVMe/TCP host: connects queues and writes single blocks in capsules. For tests that count connections or must know of each
write whether it was acknowledged, which `weft perf` does not tell. No digests, no keep-alive; written from NVMe Base 2.0 and NVMe/TCP 1.0a."""

import socket
import struct

HOST_NQN = b"nqn.2014-08.org.nvmexpress:uuid:11111111-2222-4333-8444-555555555555"
IC_REQ, CAPSULE_COMMAND, CAPSULE_RESPONSE = 0, 4, 5
IC_BYTES, COMMAND_BYTES, RESPONSE_BYTES = 128, 72, 24
FABRICS, CONNECT, PROPERTY_SET, FLUSH, WRITE = 0x7F, 1, 0, 0, 1
SGL_FLAGS = 0x40
SGL_IN_CAPSULE = 0x01  # data block, address is an offset
PROPERTY_CC = 0x14
CC_ENABLED = 4 << 20 | 6 << 16 | 1
DYNAMIC_CONTROLLER = 0xFFFF


class Closed(Exception):
    """The target ended the connection."""


def sgl(length):
    return struct.pack("<QI3xB", 0, length, SGL_IN_CAPSULE if length else 0)


def flush(cid):
    """The SQE of a Flush of namespace 1."""
    return struct.pack("<BBHI56x", FLUSH, SGL_FLAGS, cid, 1)


class Queue:
    """One connected queue. The admin queue (no controller given) enables the controller."""

    def __init__(self, port, nqn, controller=None, qid=0, entries=32):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.sendall(struct.pack("<BBBBIHBBI112x", IC_REQ, 0, IC_BYTES, 0, IC_BYTES, 0, 0, 0, 0))
        self._receive(IC_BYTES)
        self.controller = self._connect(nqn, DYNAMIC_CONTROLLER if controller is None else controller, qid, entries)
        if controller is None:
            sqe = struct.pack("<BBHB35xB3xIQ8x", FABRICS, SGL_FLAGS, 1, PROPERTY_SET, 0, PROPERTY_CC, CC_ENABLED)
            self.send(sqe)
            self.expect_success()

    def _connect(self, nqn, controller, qid, entries):
        data = struct.pack("<16sH238x256s256s256x", b"weft raw host id", controller, nqn.encode(), HOST_NQN)
        sqe = struct.pack("<BBHB19x16sHHHBxI12x", FABRICS, SGL_FLAGS, 0, CONNECT, sgl(len(data)), 0, qid, entries - 1, 0, 0)
        self.send(sqe, data)
        return self.expect_success() & 0xFFFF

    def send(self, sqe, data=b""):
        header = struct.pack("<BBBBI", CAPSULE_COMMAND, 0, COMMAND_BYTES, COMMAND_BYTES if data else 0, COMMAND_BYTES + len(data))
        self.socket.sendall(header + sqe + data)

    def start_write(self, cid, lba, data, block_bytes=512):
        """Sends a write to namespace 1 and does not wait for its completion."""
        blocks = len(data) // block_bytes
        self.send(struct.pack("<BBHI16x16sQH14x", WRITE, SGL_FLAGS, cid, 1, sgl(len(data)), lba, blocks - 1), data)

    def completion(self):
        """Waits for one completion: (cid, status without the phase bit, dw0)."""
        pdu = self._receive(RESPONSE_BYTES)
        if pdu[0] != CAPSULE_RESPONSE:
            raise AssertionError(f"PDU type {pdu[0]:#x} where a completion is due")
        dw0, _, _, _, cid, status = struct.unpack_from("<IIHHHH", pdu, 8)
        return cid, status >> 1, dw0

    def expect_success(self):
        _, status, dw0 = self.completion()
        if status != 0:
            raise AssertionError(f"status {status:#x}, dw0 {dw0:#x}")
        return dw0

    def _receive(self, count):
        received = b""
        while len(received) < count:
            try:
                part = self.socket.recv(count - len(received))
            except ConnectionError as error:
                raise Closed from error
            if not part:
                raise Closed
            received += part
        return received

    def close(self):
        self.socket.close()
