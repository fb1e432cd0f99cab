"""I/O commands on every kind of namespace: what they move, what they refuse, fused pairs in all orders, digests and paddings."""
import itertools
import random
import struct

from nvme_host import (FUSE_FIRST, FUSE_SECOND, MDTS, TRANSPORT, io_sqe, sgl, sqe)
from suite import expect, expect_in, expect_status
from target import BLOCK_SIZE, BLOCKS, FILE, NULL, RAM, RAM_4K

WRITE, READ, COMPARE, ZEROES, DSM, VERIFY, COPY, FLUSH = 0x01, 0x02, 0x05, 0x08, 0x09, 0x0C, 0x19, 0x00
KEEPING = (RAM, FILE, RAM_4K)  # namespaces that remember


def pattern(length, seed):
    return random.Random(seed).randbytes(length)


def read(queue, nsid, slba, blocks):
    return expect_status(queue.command(io_sqe(READ, nsid, slba, blocks), read=blocks * BLOCK_SIZE[nsid]), 0).data


def write(queue, nsid, slba, data, **options):
    return queue.command(io_sqe(WRITE, nsid, slba, len(data) // BLOCK_SIZE[nsid]), data, **options)


def test_write_and_read_every_size(context):
    with context.pair() as pair:
        for nsid in KEEPING:
            size = BLOCK_SIZE[nsid]
            for length in (size, 4096, 8192, 12288, 65536, 131072 + size, MDTS):
                for inline in (True, False) if length <= 8192 else (False,):
                    data = pattern(length, f'{nsid}{length}{inline}')
                    slba = BLOCKS[nsid] - length // size
                    expect_status(write(pair.io, nsid, slba, data, inline=inline), 0)
                    expect(read(pair.io, nsid, slba, length // size) == data, True, f'{length} bytes on NSID {nsid}')
        expect_status(write(pair.io, NULL, 0, bytes(MDTS)), 0)
        expect_status(pair.io.command(io_sqe(READ, NULL, 0, 2048), read=MDTS), 0)


def test_fua_and_flush(context):
    with context.pair() as pair:
        for nsid in BLOCKS:
            data = pattern(BLOCK_SIZE[nsid], nsid)
            expect_status(pair.io.command(io_sqe(WRITE, nsid, 0, 1, fua=True), data), 0)
            expect_status(pair.io.command(sqe(FLUSH, nsid)), 0)
            expect_status(pair.io.command(io_sqe(READ, nsid, 0, 1, fua=True), read=len(data)), 0)
        expect_status(pair.io.command(sqe(FLUSH, 0xFFFFFFFF)), (0, 0x00B))
        for nsid in (0, 5, 1025, 0xFFFFFFFE):
            expect_status(pair.io.command(sqe(FLUSH, nsid)), 0x00B)
        expect_status(pair.io.command(sqe(FLUSH, RAM), bytes(512)), (0, 0x00F, 0x002))


def test_wrong_namespaces(context):
    with context.pair() as pair:
        for nsid in (0, 5, 6, 1024, 1025, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF):
            for opcode in (READ, WRITE, COMPARE, ZEROES, DSM, VERIFY, COPY):
                data = bytes(512) if opcode & 1 and opcode & 3 == 1 and opcode not in (ZEROES,) else None
                completion = pair.io.command(io_sqe(opcode, nsid, 0, 1), data, read=0 if data else (512 if opcode == READ else 0))
                expect_status(completion, 0x00B, dnr=True)


def test_lba_bounds(context):
    with context.pair() as pair:
        for nsid in BLOCKS:
            end, size = BLOCKS[nsid], BLOCK_SIZE[nsid]
            places = ((end, 1), (end - 1, 2), (end + 1, 1), (0xFFFFFFFF, 1), (1 << 32, 1), (1 << 63, 1), ((1 << 64) - 1, 1),
                      ((1 << 64) - 1, 2), ((1 << 64) - 8, 16), ((1 << 64) - 65536 % (1 << 16), 65536))
            for slba, blocks in places:
                slba &= (1 << 64) - 1
                if slba + blocks <= end:
                    continue
                for opcode in (ZEROES, VERIFY):
                    expect_status(pair.io.command(io_sqe(opcode, nsid, slba, blocks)), 0x080, dnr=True)
                if blocks * size > 8192:
                    continue
                expect_status(pair.io.command(io_sqe(READ, nsid, slba, blocks), read=blocks * size), 0x080, dnr=True)
                for opcode, inline in itertools.product((WRITE, COMPARE), (True, False)):
                    completion = pair.io.command(io_sqe(opcode, nsid, slba, blocks), bytes(blocks * size), inline=inline)
                    expect_status(completion, 0x080, dnr=True)
            expect_status(pair.io.command(io_sqe(READ, nsid, end - 1, 1), read=size), 0)


def test_lengths(context):
    with context.pair() as pair:
        for nsid in BLOCKS:
            size = BLOCK_SIZE[nsid]
            for length in (0, 1, size - 1, size + 1, 2 * size, size * 3, MDTS, MDTS + size, 0xFFFFFFFF):
                expect_status(pair.io.command(io_sqe(READ, nsid, 0, 1), read=length), (0x00F, 0x002), dnr=True)
                if length and length <= 8192:
                    expect_status(pair.io.command(io_sqe(WRITE, nsid, 0, 1), bytes(length)), (0x00F, 0x002), dnr=True)
                expect_status(pair.io.command(io_sqe(WRITE, nsid, 0, 1), descriptor=sgl(TRANSPORT, length)), (0x00F, 0x002), dnr=True)
            over = MDTS // size + 1
            expect_status(pair.io.command(io_sqe(READ, nsid, 0, over), read=over * size), 0x002, dnr=True)
            expect_status(pair.io.command(io_sqe(WRITE, nsid, 0, over), descriptor=sgl(TRANSPORT, over * size)), 0x002, dnr=True)
            expect_status(pair.io.command(io_sqe(READ, nsid, 0, 1), bytes(size)), (0x002, 0x00F, 0x011, 0x016))


def test_every_opcode(context):
    known = {WRITE, READ, COMPARE, ZEROES, DSM, VERIFY, COPY, FLUSH, 0x7F}
    with context.pair() as pair:
        for opcode in (o for o in range(256) if o not in known):
            expect_status(pair.io.command(sqe(opcode, RAM)), 0x001, dnr=True)
            if opcode & 3 == 1:
                for inline in (True, False):
                    expect_status(pair.io.command(sqe(opcode, RAM), bytes(512), inline=inline), 0x001, dnr=True)
        expect_status(pair.io.command(io_sqe(READ, RAM, 0, 1), read=512), 0)


def test_compare(context):
    with context.pair() as pair:
        for nsid in KEEPING:
            size = BLOCK_SIZE[nsid]
            for blocks, inline in ((1, True), (1, False), (64, False)):
                data = pattern(blocks * size, blocks)
                expect_status(write(pair.io, nsid, 10, data), 0)
                expect_status(pair.io.command(io_sqe(COMPARE, nsid, 10, blocks), data, inline=inline), 0)
                wrong = data[:-1] + bytes([data[-1] ^ 1])
                expect_status(pair.io.command(io_sqe(COMPARE, nsid, 10, blocks), wrong, inline=inline), 0x285)
                expect(read(pair.io, nsid, 10, blocks) == data, True, 'a Compare writes nothing')


def test_write_zeroes_and_verify(context):
    with context.pair() as pair:
        for nsid in KEEPING:
            size = BLOCK_SIZE[nsid]
            for deallocate in (0, 1 << 25):
                expect_status(write(pair.io, nsid, 100, b'\xAA' * 32 * size), 0)
                expect_status(pair.io.command(io_sqe(ZEROES, nsid, 104, 20, cdw12=deallocate)), 0)
                data = read(pair.io, nsid, 100, 32)
                expect(data == b'\xAA' * 4 * size + bytes(20 * size) + b'\xAA' * 8 * size, True, f'zeroes in NSID {nsid}')
            expect_status(pair.io.command(io_sqe(VERIFY, nsid, 0, 256)), 0)
            expect_status(pair.io.command(io_sqe(ZEROES, nsid, 0, 65536)), (0, 0x002, 0x080))
        expect_status(pair.io.command(io_sqe(ZEROES, NULL, 0, 65536)), 0)
        expect_status(pair.io.command(io_sqe(VERIFY, NULL, 0, 65536)), 0)


def test_dataset_management(context):
    def ranges(*items):
        return b''.join(struct.pack('<IIQ', 0, blocks, slba) for slba, blocks in items)
    with context.pair() as pair:
        for nsid in BLOCKS:
            def deallocate(data, count, inline, attributes=4, nsid=nsid):
                return pair.io.command(sqe(DSM, nsid, count - 1, attributes), data, inline=inline)
            for inline in (True, False):
                expect_status(write(pair.io, nsid, 0, b'\xBB' * 16 * BLOCK_SIZE[nsid]), 0)
                expect_status(deallocate(ranges((0, 8), (12, 0)), 2, inline), 0)
                kept = expect_status(pair.io.command(io_sqe(READ, nsid, 8, 8), read=8 * BLOCK_SIZE[nsid]), 0).data
                if nsid != NULL:
                    expect(kept == b'\xBB' * 8 * BLOCK_SIZE[nsid], True, 'blocks beside the range')
                expect_status(deallocate(ranges(*((i * 16, 1) for i in range(256))), 256, inline), 0)
                expect_status(deallocate(ranges((0, 8)).ljust(4096, b'\xFF'), 1, inline), 0)
                expect_status(deallocate(ranges((0, 8)), 1, inline, 3), 0)
                expect_status(deallocate(ranges((0, 8)), 2, inline), 0x00F)
                for slba, blocks in ((BLOCKS[nsid], 1), (0, BLOCKS[nsid] + 1), ((1 << 64) - 1, 1), ((1 << 64) - 1, 0xFFFFFFFF), (1 << 63, 8)):
                    expect_in(deallocate(ranges((0, 1), (slba, blocks)), 2, inline).status, (0x080, 0x183), f'range {slba:#x}+{blocks:#x}')


def test_copy(context):
    def source(slba, blocks):
        return struct.pack('<QQHHIIHH', 0, slba, blocks - 1, 0, 0, 0, 0, 0)
    with context.pair() as pair:
        for nsid in KEEPING:
            size = BLOCK_SIZE[nsid]
            data = pattern(64 * size, nsid)
            expect_status(write(pair.io, nsid, 0, data), 0)

            def copy(to, items, count=None, cdw12=0, nsid=nsid, inline=None):
                body = b''.join(source(*i) for i in items)
                entry = sqe(COPY, nsid, to & 0xFFFFFFFF, to >> 32, (len(items) if count is None else count) - 1 & 255 | cdw12)
                return pair.io.command(entry, body, inline=inline)
            for inline in (True, False):
                expect_status(copy(1000, [(0, 16), (32, 1), (40, 8)], inline=inline), 0)
                wanted = data[:16 * size] + data[32 * size:33 * size] + data[40 * size:48 * size]
                expect(read(pair.io, nsid, 1000, 25) == wanted, True, f'copy on NSID {nsid}')
            expect_status(copy(2000, [(i, 1) for i in range(64)]), 0)
            expect(read(pair.io, nsid, 2000, 64) == data, True, 'copy of 64 ranges')
            expect_status(copy(BLOCKS[nsid] - 1, [(0, 2)]), 0x080)
            expect_status(copy((1 << 64) - 1, [(0, 2)]), 0x080)
            expect_status(copy(0, [(BLOCKS[nsid], 1)]), 0x080)
            expect_status(copy(0, [((1 << 64) - 1, 2)]), 0x080)
            expect_status(copy(0, [(i, 1) for i in range(256)], inline=False), 0x183)
            expect_status(copy(0, [(0, 65536)] * 100), (0x183, 0x080))
            expect_status(copy(0, [(0, 1)], count=2), 0x00F)
            expect_status(copy(0, [(0, 1)], cdw12=1 << 8), (0x002, 0x180, 0x00F))


# -- fused Compare and Write

def _pair_of(queue, nsid, first_data, second_data, ways, slba=300, shape=None):
    """The two capsules of a fused pair; ways: in-capsule or not for each."""
    blocks = len(first_data) // BLOCK_SIZE[nsid]
    first, cid1 = queue.prepare(io_sqe(COMPARE, nsid, slba, blocks, FUSE_FIRST), first_data, inline=ways[0])
    second, cid2 = queue.prepare(shape or io_sqe(WRITE, nsid, slba, blocks, FUSE_SECOND), second_data, inline=ways[1])
    return first, second, cid1, cid2


def test_fused_equal_and_unequal(context):
    with context.pair() as pair:
        queue = pair.io
        for nsid, ways, blocks in itertools.product(KEEPING, itertools.product((True, False), repeat=2), (1, 2)):
            size = BLOCK_SIZE[nsid] * blocks
            if size > 8192:
                continue
            old, new = pattern(size, 1), pattern(size, 2)
            expect_status(write(queue, nsid, 300, old), 0)
            first, second, cid1, cid2 = _pair_of(queue, nsid, old, new, ways)
            queue.connection.send(first + second)
            expect_status(queue.wait(cid1), 0)
            expect_status(queue.wait(cid2), 0)
            expect(read(queue, nsid, 300, blocks) == new, True, 'the pair wrote')
            first, second, cid1, cid2 = _pair_of(queue, nsid, old, old, ways)
            queue.connection.send(first + second)
            expect_status(queue.wait(cid1), 0x285)
            expect_status(queue.wait(cid2), 0x009)
            expect(read(queue, nsid, 300, blocks) == new, True, 'the pair wrote nothing')


def test_fused_data_in_every_order(context):
    """Both halves by R2T: the data of the second arrives first, the first's in two pieces around it."""
    with context.pair() as pair:
        queue = pair.io
        for order in ('12', '21', '1a 2 1b', 'read between'):
            queue.hold_r2ts = False
            old, new = pattern(4096, 3), pattern(4096, 4)
            expect_status(write(queue, RAM, 300, old), 0)
            queue.hold_r2ts = True
            first, second, cid1, cid2 = _pair_of(queue, RAM, old, new, (False, False))
            queue.connection.send(first)
            queue.connection.send(second)
            held = sorted([queue.wait_r2t(), queue.wait_r2t()], key=lambda r: r[0] != cid1)
            if order == '12':
                queue.answer(*held[0])
                queue.answer(*held[1])
            elif order == '21':
                queue.answer(*held[1])
                queue.answer(*held[0])
            elif order == '1a 2 1b':
                queue.connection.send(queue.connection.h2c_data(cid1, held[0][1], 0, old[:512], False))
                queue.answer(*held[1])
                queue.connection.send(queue.connection.h2c_data(cid1, held[0][1], 512, old[512:]))
            else:
                queue.answer(*held[1])
                expect(read(queue, RAM, 300, 8) == old, True, 'nothing is written before the Compare')
                queue.answer(*held[0])
            expect_status(queue.wait(cid1), 0)
            expect_status(queue.wait(cid2), 0)
            expect(read(queue, RAM, 300, 8) == new, True, f'order {order}')


def test_fused_lonely_halves(context):
    data = bytes(512)
    with context.pair() as pair:
        queue = pair.io
        for inline in (True, False):
            expect_status(queue.command(io_sqe(WRITE, RAM, 300, 1, FUSE_SECOND), data, inline=inline), 0x00A)
            lonely = queue.submit(io_sqe(COMPARE, RAM, 300, 1, FUSE_FIRST), data, inline=inline)
            expect_status(queue.command(io_sqe(READ, RAM, 0, 1), read=512), 0)
            expect_status(queue.wait(lonely), 0x00A)
            lonely = queue.submit(io_sqe(COMPARE, RAM, 300, 1, FUSE_FIRST), data, inline=inline)
            first, second, cid1, cid2 = _pair_of(queue, RAM, read(queue, RAM, 300, 1), data, (inline, inline))
            expect_status(queue.wait(lonely), 0x00A)
            queue.connection.send(first + second)
            expect_status(queue.wait(cid1), 0)
            expect_status(queue.wait(cid2), 0)
            lonely = queue.submit(io_sqe(COMPARE, RAM, 300, 1, FUSE_FIRST), data, inline=inline)
            first, second, cid1, cid2 = _pair_of(queue, RAM, data, data, (inline, inline))
            queue.connection.send(first + second)
            expect_status(queue.wait(lonely), 0x00A)
            expect_status(queue.wait(cid1), 0)
            expect_status(queue.wait(cid2), 0)
    pair = context.pair()  # A first half that waits for ever dies with its connection.
    pair.io.submit(io_sqe(COMPARE, RAM, 300, 1, FUSE_FIRST), data)
    pair.io.close()
    pair.admin.close()


def test_fused_mismatches(context):
    data = bytes(512)
    shapes = [('SLBA', io_sqe(WRITE, RAM, 301, 1, FUSE_SECOND), data), ('NLB', io_sqe(WRITE, RAM, 300, 2, FUSE_SECOND), bytes(1024)),
              ('NSID', io_sqe(WRITE, FILE, 300, 1, FUSE_SECOND), data), ('opcode Read', io_sqe(READ, RAM, 300, 1, FUSE_SECOND), None),
              ('opcode Compare', io_sqe(COMPARE, RAM, 300, 1, FUSE_SECOND), data), ('bad NSID', io_sqe(WRITE, 77, 300, 1, FUSE_SECOND), data),
              ('bad opcode', sqe(0x99, RAM, flags=0x42), None)]
    with context.pair() as pair:
        queue = pair.io
        for name, shape, second_data in shapes:
            for inline in (True, False):
                first, cid1 = queue.prepare(io_sqe(COMPARE, RAM, 300, 1, FUSE_FIRST), data, inline=inline)
                second, cid2 = queue.prepare(shape, second_data, read=0 if second_data else 512, inline=inline)
                queue.connection.send(first + second)
                one, two = queue.wait(cid1), queue.wait(cid2)
                expect_in(one.status, (0x002, 0x00A, 0x009, 0x00B, 0x001), f'first of mismatch {name}')
                expect_in(two.status, (0x002, 0x00A, 0x009, 0x00B, 0x001), f'second of mismatch {name}')
        first, cid1 = queue.prepare(io_sqe(WRITE, RAM, 300, 1, FUSE_FIRST), data)
        second, cid2 = queue.prepare(io_sqe(WRITE, RAM, 300, 1, FUSE_SECOND), data)
        queue.connection.send(first + second)
        expect_in(queue.wait(cid1).status, (0x002, 0x00A), 'Write first')
        expect_in(queue.wait(cid2).status, (0x002, 0x00A, 0x009), 'Write second')
        first, second, cid1, cid2 = _pair_of(queue, RAM, data, data, (True, True), BLOCKS[RAM])
        queue.connection.send(first + second)
        expect_in(queue.wait(cid1).status, (0x080,), 'first out of range')
        expect_in(queue.wait(cid2).status, (0x080, 0x009, 0x00A), 'second out of range')
        expect_status(queue.command(io_sqe(READ, RAM, 0, 1), read=512), 0)


def test_fused_counters_from_two_hosts(context):
    """Compare and swap as a lock: two connections add to one counter; no addition may be lost."""
    with context.pair() as one, context.pair() as two:
        expect_status(write(one.io, RAM, 400, bytes(512)), 0)
        additions = 0
        for round_ in range(60):
            queue, other = (one.io, two.io) if round_ % 2 else (two.io, one.io)
            values, pairs = [], []
            for q in (queue, other):
                values.append(struct.unpack_from('<Q', read(q, RAM, 400, 1))[0])
            for q, value in zip((queue, other), values):
                first, second, cid1, cid2 = _pair_of(q, RAM, struct.pack('<Q', value).ljust(512, b'\0'),
                                                     struct.pack('<Q', value + 1).ljust(512, b'\0'), (True, False), 400)
                q.connection.send(first + second)
                pairs.append((q, cid1, cid2))
            for q, cid1, cid2 in pairs:
                status = q.wait(cid1).status
                expect_in(status, (0, 0x285), 'Compare')
                expect_status(q.wait(cid2), 0 if status == 0 else 0x009)
                additions += status == 0
        expect(struct.unpack_from('<Q', read(one.io, RAM, 400, 1))[0], additions, 'the counter')
        expect(additions >= 60, True, 'one of two wins')


# -- the wire

def test_paddings_and_digests(context):
    for hpda in range(32):
        dgst = hpda % 4
        with context.pair(io={'hpda': hpda, 'dgst': dgst}, hpda=hpda, dgst=dgst) as pair:
            data = pattern(16384, hpda)
            expect_status(write(pair.io, RAM, 500, data), 0)
            expect_status(write(pair.io, RAM, 532, data[:512]), 0)
            expect(read(pair.io, RAM, 500, 32) == data, True, f'HPDA {hpda}')
            expect(read(pair.io, RAM, 532, 1) == data[:512], True, f'HPDA {hpda}')
            expect_status(pair.admin.command(sqe(0x06, cdw10=1), read=4096), 0)


def test_h2c_data_in_small_pieces(context):
    for piece, dgst in ((4, 0), (512, 3), (1500, 2), (4096, 1)):
        with context.pair(io={'dgst': dgst}) as pair:
            pair.io.h2c_piece = piece
            data = pattern(16384, piece)
            expect_status(write(pair.io, RAM, 600, data), 0)
            expect(read(pair.io, RAM, 600, 32) == data, True, f'pieces of {piece}')


def test_success_flag(context):
    for cattr in (0, 4):
        with context.pair(io={'cattr': cattr}) as pair:
            elided = [pair.io.command(io_sqe(READ, nsid, 0, 8), read=8 * BLOCK_SIZE[nsid]) for nsid in BLOCKS for _ in range(3)]
            for completion in elided:
                expect_status(completion, 0)
                if cattr == 0:
                    expect(completion.elided, False, 'a CQE with flow control')
            expect_status(pair.io.command(io_sqe(READ, RAM, BLOCKS[RAM], 1), read=512), 0x080)
            expect_status(write(pair.io, RAM, 0, bytes(512)), 0)


def test_deep_queue_out_of_order(context):
    with context.pair(io={'sqsize': 127}) as pair:
        random_ = random.Random(context.seed)
        for _ in range(4):
            items = []
            for index in range(100):
                nsid = random_.choice(KEEPING)
                slba = 5000 + index * 8
                data = pattern(random_.choice((1, 2, 8)) * BLOCK_SIZE[nsid], index)
                items.append((nsid, slba, data, write(pair.io, nsid, slba, data) if index % 10 == 0 else
                              pair.io.submit(io_sqe(WRITE, nsid, slba, len(data) // BLOCK_SIZE[nsid]), data,
                                             inline=random_.random() < 0.5 and len(data) <= 8192)))
            for _, _, _, cid in items:
                if isinstance(cid, int):
                    expect_status(pair.io.wait(cid), 0)
            for nsid, slba, data, _ in items:
                expect(read(pair.io, nsid, slba, len(data) // BLOCK_SIZE[nsid]) == data, True, 'what was written')
