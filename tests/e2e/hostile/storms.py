"""Many connections at once, slow ones, silent ones, greedy ones; afterwards the target has what it had before and serves a new host."""
import select
import socket
import struct
import time

from nvme_host import connect_data, connect_sqe, io_sqe, sgl, sqe
from nvme_tcp import CAPSULE_CMD, Connection, ic_req
from siege import fresh_host_gets_buffers, fresh_host_works, settle
from suite import expect, expect_status
from target import FILE, NULL, PLAYGROUND, RAM, RAM_4K


def _connect_capsule(context):
    entry = connect_sqe()
    entry[24:40] = sgl(0x01, 1024)
    return Connection.build(_Plain, CAPSULE_CMD, bytes(entry), connect_data(context.host, PLAYGROUND))


class _Plain:
    digests, cpda = 0, 0


def _stages(context):
    """What has been sent when the host goes away."""
    capsule = _connect_capsule(context)
    write = io_sqe(0x01, RAM, 0, 128)
    return [b'', ic_req()[:1], ic_req()[:64], ic_req()[:127], ic_req(), ic_req() + capsule[:8], ic_req() + capsule[:72],
            ic_req() + capsule[:600], ic_req() + capsule, ic_req() + capsule * 2, ic_req() + capsule + capsule[:50], b'\0',
            b'GET / HTTP/1.1\r\n\r\n', bytes(write)]


def test_storm_of_connections(context):
    before = context.target.descriptors()
    stages = _stages(context)
    total = context.scale(2000)
    for index in range(total):
        with socket.create_connection(context.target.address, 10) as sock:
            if index % 3 == 0:  # RST instead of FIN
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            try:
                sock.sendall(stages[index % len(stages)])
                if index % 5 == 0:
                    sock.settimeout(0.001)
                    sock.recv(4096)
            except OSError:
                pass
    settle(context, before)
    fresh_host_works(context)


def test_storm_of_controllers(context):
    before = context.target.descriptors()
    for index in range(context.scale(150)):
        pair = context.pair(kato=5000)
        pair.io.hold_r2ts = True
        for _ in range(4):
            pair.io.submit(io_sqe(0x01, (RAM, FILE, NULL, RAM_4K)[index % 4], 0, 8 if index % 4 == 3 else 64), bytes(32768), inline=False)
            pair.io.submit(io_sqe(0x02, (RAM, FILE, NULL)[index % 3], 0, 2048), read=1 << 20)
        pair.admin.submit(sqe(0x0C))
        for queue in (pair.admin, pair.io) if index % 2 else (pair.io, pair.admin):
            queue.close()
    settle(context, before)
    fresh_host_works(context)


def test_idle_and_slow_and_silent(context):
    """1,000 idle connections, drip-feeders, R2Ts never answered and reads never drained, all at once, while a new host works. The
    silent ones together ask for more than the target's share for requested data, the greedy ones for more than the one for reads:
    what they hold, they hold for 30 s, and the new host gets its buffers all the same."""
    before = context.target.descriptors()
    memory = context.target.resident_bytes()
    idle = [socket.create_connection(context.target.address, 10) for _ in range(1000)]
    drips = [socket.create_connection(context.target.address, 10) for _ in range(20)]
    silent, greedy = [], []
    for index in range(8):
        pair = context.pair(io={'sqsize': 127})
        pair.io.hold_r2ts = True
        for _ in range(100):
            pair.io.submit(io_sqe(0x01, (RAM, FILE)[index % 2], 0, 256), bytes(131072), inline=False)
        silent.append(pair)
    for index in range(8):
        pair = context.pair(io={'sqsize': 127})
        for _ in range(100):
            pair.io.submit(io_sqe(0x02, (RAM, FILE, NULL)[index % 3], 0, 2048), read=1 << 20)
        greedy.append(pair)
    stream = ic_req() + _connect_capsule(context)
    for second in range(12):
        tick = time.monotonic() + 1
        for drip in drips:
            try:
                drip.sendall(stream[second:second + 1])
            except OSError:
                pass
        start = time.monotonic()
        context.row(f'storms: a new host in second {second}', fresh_host_works, context)
        context.row(f'storms: buffers for a new host in second {second}', fresh_host_gets_buffers, context)
        expect(time.monotonic() - start < 8, True, f'a new host took {time.monotonic() - start:.1f} s')
        time.sleep(max(0, tick - time.monotonic()))
    # The handshake timer has ended whoever did not get to Connect.
    _expect_ended(idle, 'idle')
    _expect_ended(drips, 'drip-feeding')
    growth = context.target.resident_bytes() - memory
    print(f'        memory grew by {growth >> 20} MiB with 8 silent and 8 greedy hosts', flush=True)
    if context.long:
        for pair in silent:
            pair.io.connection.wait_closed(40)
        # A peer that takes no byte for 30 s is dropped. It cannot see that without reading, so the target is asked: what may be
        # left is the admin queue of each. They go one after the other, because one may hold the whole share for reads.
        settle(context, before + len(silent) + len(greedy), 200)
    for sock in idle + drips:
        sock.close()
    for pair in silent + greedy:
        pair.io.close()
        pair.admin.close()
    settle(context, before)
    fresh_host_works(context)


def _expect_ended(sockets, what):
    waiting = select.poll()
    for sock in sockets:
        sock.setblocking(False)
        waiting.register(sock, select.POLLIN)
    deadline, left = time.monotonic() + 8, {sock.fileno() for sock in sockets}
    while left and time.monotonic() < deadline:
        for fd, _ in waiting.poll(100):
            left.discard(fd)
            waiting.unregister(fd)
    expect(len(left), 0, f'{what} connections that live on after the handshake time')


def test_r2t_never_answered_does_not_block_the_queue(context):
    with context.pair() as pair:
        pair.io.hold_r2ts = True
        for _ in range(100):
            pair.io.submit(io_sqe(0x01, RAM, 0, 2048), bytes(1 << 20), inline=False)
        for _ in range(20):
            expect_status(pair.io.command(io_sqe(0x02, RAM, 0, 8), read=4096), 0)
            expect_status(pair.io.command(io_sqe(0x01, RAM, 0, 8), bytes(4096)), 0)
        expect_status(pair.admin.command(sqe(0x06, cdw10=1), read=4096), 0)


def test_half_a_payload_then_gone(context):
    before = context.target.descriptors()
    for index in range(context.scale(60)):
        nsid = (RAM, FILE, NULL)[index % 3]
        pair = context.pair()
        pair.io.hold_r2ts = True
        cid = pair.io.submit(io_sqe(0x01, nsid, 0, 2048), bytes(1 << 20), inline=False)
        cid, ttag, _, length = pair.io.wait_r2t()
        pdu = pair.io.connection.h2c_data(cid, ttag, 0, b'\xEE' * length)
        pair.io.connection.send(pdu[:(24, 25, 5000, length // 2, len(pdu) - 1)[index % 5]])
        pair.io.close()
        pair.admin.close()
    settle(context, before)
    fresh_host_works(context)
