"""Admin commands: Identify, log pages, features, Abort, asynchronous events, keep-alive, and data in both ways of travelling."""
import struct
import time

from nvme_host import IN_CAPSULE, TRANSPORT, io_sqe, sgl, sqe
from suite import expect, expect_in, expect_status
from target import BLOCK_SIZE, BLOCKS, PLAYGROUND, RAM


def identify(cns, nsid=0, cntid=0, csi=0, cdw14=0):
    return sqe(0x06, nsid, cdw10=cns | cntid << 16, cdw11=csi << 24, cdw14=cdw14)


def get_log(lid, length, offset=0, nsid=0xFFFFFFFF, rae=0, lsp=0):
    numd = length // 4 - 1
    return sqe(0x02, nsid, lid | lsp << 8 | rae << 15 | (numd & 0xFFFF) << 16, numd >> 16, offset & 0xFFFFFFFF, offset >> 32)


def test_identify(context):
    with context.admin() as admin:
        data = expect_status(admin.command(identify(1), read=4096), 0).data
        expect(struct.unpack_from('<H', data, 78)[0], admin.cntlid, 'CNTLID')
        expect(data[77], 8, 'MDTS')
        expect(data[111], 1, 'CNTRLTYPE')
        for start, size in ((4, 20), (24, 40), (64, 8)):
            expect(all(32 <= c < 127 for c in data[start:start + size]), True, f'text at {start}')
        expect((data[512], data[513]), (0x66, 0x44), 'SQES and CQES')
        expect(data[768:1024].rstrip(b'\0').decode(), PLAYGROUND, 'SUBNQN')
        expect(struct.unpack_from('<IIH', data, 1792), (4 + 8192 // 16, 1, 0), 'IOCCSZ, IORCSZ, ICDOFF')
        expect(struct.unpack_from('<H', data, 320)[0] > 0, True, 'KAS')
        expect(data[1803], 1, 'MSDBD')
        nn = struct.unpack_from('<I', data, 516)[0]
        expect(struct.unpack_from('<H', data, 514)[0] > 0, True, 'MAXCMD')
        for nsid in BLOCKS:
            data = expect_status(admin.command(identify(0, nsid), read=4096), 0).data
            expect(struct.unpack_from('<Q', data)[0], BLOCKS[nsid], f'NSZE of {nsid}')
            expect(1 << data[128 + 4 * (data[26] & 15) + 2], BLOCK_SIZE[nsid], f'block size of {nsid}')
            expect(any(data[104:120]), True, 'NGUID')
            data = expect_status(admin.command(identify(8, nsid), read=4096), 0).data
            expect(data[14] & 1, 1, 'NSTAT.NRDY')
            data = expect_status(admin.command(identify(3, nsid), read=4096), 0).data
            kinds, at = set(), 0
            while data[at + 1]:
                expect(data[at + 1], {1: 8, 2: 16, 3: 16, 4: 1}[data[at]], 'NIDL')
                kinds.add(data[at])
                at += 4 + data[at + 1]
            expect(kinds >= {2, 3, 4}, True, f'descriptors {kinds}')
            expect_status(admin.command(identify(5, nsid), read=4096), 0)
        actives = lambda after: struct.unpack('<1024I', expect_status(admin.command(identify(2, after), read=4096), 0).data)
        expect(list(actives(0)[:5]), [1, 2, 3, 4, 0], 'active namespaces')
        expect(list(actives(2)[:3]), [3, 4, 0], 'active namespaces after 2')
        expect(list(actives(4)[:1]), [0], 'active namespaces after 4')
        for nsid in (0xFFFFFFFE, 0xFFFFFFFF):
            expect_status(admin.command(identify(2, nsid), read=4096), 0x00B)
        for cns in (0, 5, 8):
            expect(any(expect_status(admin.command(identify(cns, nn), read=4096), 0).data), False, f'CNS {cns} of an inactive NSID')
            for nsid in (0, nn + 1, 0xFFFFFFFE):
                expect_status(admin.command(identify(cns, nsid), read=4096), 0x00B)


def test_identify_every_cns(context):
    with context.admin() as admin:
        for cns in range(256):
            for csi in (0, 2, 0x30):
                for nsid in (0, RAM, 0xFFFFFFFF):
                    completion = admin.command(identify(cns, nsid, csi=csi), read=4096)
                    expect_in(completion.status, (0, 0x002, 0x00B, 0x12B, 0x12C, 0x129, 0x02C), f'CNS {cns:#x} CSI {csi} NSID {nsid:#x}')
                    if completion.status == 0:
                        expect(len(completion.data), 4096, f'CNS {cns:#x} bytes')
                    elif completion.status == 2:
                        expect(completion.dnr, True, 'DNR')
        for cns in (0, 1, 2, 3, 5, 6, 7, 8, 0x10, 0x11, 0x12, 0x13, 0x1C):
            expect_status(admin.command(identify(cns, 0 if cns in (1, 2, 6, 7, 0x10, 0x13, 0x1C) else RAM), read=4096), 0)


def test_identify_lengths(context):
    with context.admin() as admin:
        for length in (0, 4, 4092, 4100, 8192, 1 << 20, (1 << 20) + 4, 0xFFFFFFFF):
            expect_status(admin.command(identify(1), read=length), (0x00F, 0x002), dnr=True)
        for descriptor in (sgl(IN_CAPSULE, 4096), sgl(0x40, 4096), sgl(0, 4096)):
            expect_status(admin.command(identify(1), read=4096, descriptor=descriptor), (0x00F, 0x002, 0x011, 0x016), dnr=True)
        expect_status(admin.command(identify(1), read=4096), 0)


def test_log_pages(context):
    with context.admin() as admin:
        sizes = {0x00: 1024, 0x01: 64, 0x02: 512, 0x03: 512, 0x04: 4096, 0x05: 4096, 0x12: 1024}
        supported = struct.unpack('<256I', expect_status(admin.command(get_log(0, 1024), read=1024), 0).data)
        for lid in range(256):
            completion = admin.command(get_log(lid, 512), read=512)
            expect_in(completion.status, (0,) if supported[lid] & 1 else (0x002, 0x109), f'LID {lid:#x}')
        for lid, size in sizes.items():
            whole = expect_status(admin.command(get_log(lid, size, rae=1), read=size), 0).data
            for offset, length in ((0, 4), (4, 8), (size - 4, 4), (size // 2, size // 2), (0, size + 4096), (size - 4, 4096), (0, 1 << 20)):
                part = expect_status(admin.command(get_log(lid, length, offset, rae=1), read=length), 0).data
                expect(part[:min(4, length)] == whole[offset:offset + 4] or lid == 1, True, f'LID {lid:#x} at {offset}')
            for offset in (1, 2, 3, 6):
                expect_status(admin.command(get_log(lid, 4, offset), read=4), 0x002)
            for offset in (1 << 20, 1 << 32, 0xFFFFFFFFFFFFFFFC):
                expect_status(admin.command(get_log(lid, 4, offset), read=4), 0x002)
            expect_status(admin.command(get_log(lid, 512), read=64), (0x00F, 0x002, 0))
            expect_status(admin.command(get_log(lid, 4096), read=0), (0x00F, 0x002))
        for numd in (0xFFFFFFFF, 0x3FFFFFFF, 0x40000000, 1 << 18):
            entry = sqe(0x02, 0xFFFFFFFF, 2 | (numd & 0xFFFF) << 16, numd >> 16)
            expect_status(admin.command(entry, read=512), (0x002, 0x00F))
            expect_status(admin.command(entry, descriptor=sgl(TRANSPORT, (numd + 1) * 4)), (0x002, 0x00F))
        for nsid in (0, RAM, 0xFFFFFFFF):
            expect_status(admin.command(get_log(2, 512, nsid=nsid), read=512), (0, 0x002))
        expect_status(admin.command(get_log(2, 512, nsid=999), read=512), (0x00B, 0x002))


def test_the_error_log_tells(context):
    with context.admin() as admin:
        bad = admin.submit(identify(0xEE), read=4096)
        completion = expect_status(admin.wait(bad), 0x002)
        entry = expect_status(admin.command(get_log(1, 64), read=64), 0).data
        count, sqid, cid, status, place = struct.unpack_from('<QHHHH', entry)
        expect((sqid, cid, status >> 1 & 0x7FF), (0, bad, 2), 'SQID, CID and status of the newest entry')
        expect(completion.more, True, 'M')
        expect(count > 0, True, 'error count')
        expect(place & 0xFF, 40, 'parameter error location')


def test_features(context):
    with context.admin() as admin:
        for fid in range(256):
            for select in range(8):
                completion = admin.command(sqe(0x0A, RAM if fid in (5, 0x84) else 0, cdw10=fid | select << 8), read=4096)
                expect_in(completion.status, (0, 0x002, 0x00B, 0x018, 0x00F), f'Get Features {fid:#x} SEL {select}')
                if select > 3:
                    expect(completion.status != 0, True, f'SEL {select} of {fid:#x} is refused')
        for fid in (0x07, 0x0B, 0x0F):
            for select in (0, 1, 2, 3):
                expect_status(admin.command(sqe(0x0A, cdw10=fid | select << 8)), 0)
        expect_status(admin.command(sqe(0x09, cdw10=0x0B | 1 << 31, cdw11=0)), (0x10D, 0x002))
        expect_status(admin.command(sqe(0x09, cdw10=0x0B, cdw11=0x100)), 0)
        expect(admin.command(sqe(0x0A, cdw10=0x0B)).cdw0, 0x100, 'feature 0Bh')
        expect_status(admin.command(sqe(0x09, cdw10=0x0B, cdw11=0xFFFFFFFF)), 0x002)
        for count in (0xFFFF, 0xFFFF0000, 0xFFFFFFFF):
            expect_status(admin.command(sqe(0x09, cdw10=0x07, cdw11=count)), 0x002)
        completion = expect_status(admin.command(sqe(0x09, cdw10=0x07, cdw11=0xFFFEFFFE)), 0)
        expect(completion.cdw0 & 0xFFFF < 0xFFFE, True, 'a bounded grant')
        expect_status(admin.command(sqe(0x09, cdw10=0x0F, cdw11=30000)), 0)
        expect(admin.command(sqe(0x0A, cdw10=0x0F)).cdw0, 30000, 'KATO')
        expect_status(admin.command(sqe(0x09, cdw10=0x81, cdw11=1), bytes(16)), 0x00C)
        completion = expect_status(admin.command(sqe(0x0A, cdw10=0x81, cdw11=1), read=16), 0)
        expect(completion.data, context.host.hostid, 'host identifier')
        expect_status(admin.command(sqe(0x0A, cdw10=0x81), read=8), (0x002, 0x018, 0x00F))
        for fid in (0x00, 0x03, 0x08, 0x09, 0x7B, 0xC5, 0xFF):
            expect_status(admin.command(sqe(0x09, cdw10=fid, cdw11=1)), (0x002, 0x10E), dnr=True)


def test_features_with_data(context):
    with context.admin() as admin:
        for inline in (True, False):
            stamp = struct.pack('<Q', 0x0123456789AB)
            expect_status(admin.command(sqe(0x09, cdw10=0x0E), stamp, inline=inline), 0)
            read = expect_status(admin.command(sqe(0x0A, cdw10=0x0E), read=8), 0).data
            expect(struct.unpack('<Q', read)[0] & 0xFFFFFFFFFFFF in range(0x0123456789AB, 0x0123456789AB + 60000), True, 'timestamp')
            behaviour = bytes([1]) + bytes(511)
            expect_status(admin.command(sqe(0x09, cdw10=0x16), behaviour, inline=inline), 0)
            expect(admin.command(sqe(0x0A, cdw10=0x16), read=512).data[0], 1, 'ACRE')
            expect_status(admin.command(sqe(0x09, cdw10=0x16), bytes([2]) + bytes(511), inline=inline), 0x002)
            for length in (4, 508):  # more than needed may be ignored, less may not
                expect_status(admin.command(sqe(0x09, cdw10=0x16), bytes(length), inline=inline), (0x00F, 0x002))
        expect_status(admin.command(sqe(0x09, cdw10=0x16), descriptor=sgl(TRANSPORT, 1 << 21)), (0x00F, 0x002))


def test_volatile_write_cache(context):
    with context.admin() as admin:
        vwc = admin.command(identify(1), read=4096).data[525]
        completion = admin.command(sqe(0x0A, cdw10=0x06))
        if vwc & 1:
            expect(vwc >> 1 & 3 != 0, True, 'flush behaviour is told')
            for value in (0, 1):
                expect_status(admin.command(sqe(0x09, cdw10=0x06, cdw11=value)), 0)
                expect(admin.command(sqe(0x0A, cdw10=0x06)).cdw0, value, 'WCE')
        else:
            expect_status(completion, 0x002)


def test_asynchronous_events(context):
    with context.admin() as admin:
        limit = admin.command(identify(1), read=4096).data[259] + 1
        for _ in range(limit):
            admin.submit(sqe(0x0C))
        expect_status(admin.command(sqe(0x0C)), 0x105)
        expect_status(admin.command(sqe(0x18)), (0, 0x01A))
        expect(len(admin.outstanding), limit, 'requests that wait')


def test_abort(context):
    with context.pair() as pair:
        admin, queue = pair.admin, pair.io
        waits = admin.submit(sqe(0x0C))
        completion = expect_status(admin.command(sqe(0x08, cdw10=waits << 16)), 0)
        expect(completion.cdw0 & 1, 0, 'aborted')
        expect_status(admin.wait(waits), 0x007)
        for sqid, cid in ((0, 0x7777), (1, 0x7777), (5, 1), (0xFFFF, 0xFFFF)):
            completion = admin.command(sqe(0x08, cdw10=sqid | cid << 16))
            expect_in(completion.status, (0, 0x002, 0x101), f'Abort of {sqid}/{cid}')
            if completion.status == 0:
                expect(completion.cdw0 & 1, 1, 'not aborted')
        queue.hold_r2ts = True
        before = queue.command(io_sqe(0x02, RAM, 900, 32), read=16384).data
        cid = queue.submit(io_sqe(0x01, RAM, 900, 32), b'\x11' * 16384, inline=False)
        held = queue.wait_r2t()
        completion = expect_status(admin.command(sqe(0x08, cdw10=1 | cid << 16)), 0)
        if completion.cdw0 & 1:  # Not aborted: it lives on and completes.
            queue.answer(*held)
            expect_status(queue.wait(cid), 0)
            return
        pieces = queue.connection.h2c_data(cid, held[1], 0, b'\x11' * 16384)
        queue.connection.send(pieces)
        expect_status(queue.wait(cid), 0x007)
        expect(queue.command(io_sqe(0x02, RAM, 900, 32), read=16384).data == before, True, 'an aborted write wrote nothing')


def test_abort_limit(context):
    with context.admin() as admin:
        capsules = [admin.prepare(sqe(0x08, cdw10=5 << 16)) for _ in range(30)]
        admin.connection.send(b''.join(c for c, _ in capsules))
        for _, cid in capsules:
            expect_status(admin.wait(cid), (0, 0x103))


def test_keep_alive(context):
    with context.admin(kato=1000) as admin:
        expect_status(admin.command(sqe(0x18)), 0)
        start = time.monotonic()
        admin.connection.wait_closed(6)
        expect(1.0 <= time.monotonic() - start <= 4.0, True, f'expiry after {time.monotonic() - start:.2f} s with KATO 1 s')
    with context.pair(kato=1000) as pair:
        end = time.monotonic() + 3.2
        while time.monotonic() < end:
            expect_status(pair.io.command(io_sqe(0x02, RAM, 0, 1), read=512), 0)
            time.sleep(0.3)
        expect_status(pair.admin.command(sqe(0x18)), 0)


def test_every_other_admin_opcode(context):
    with context.admin(sqsize=127) as admin:
        known = {0x02, 0x06, 0x08, 0x09, 0x0A, 0x0C, 0x18, 0x7F}
        for opcode in (o for o in range(256) if o not in known):
            expect_status(admin.command(sqe(opcode, RAM)), 0x001, dnr=True)
            if opcode & 3 == 1:
                for inline in (True, False):
                    expect_status(admin.command(sqe(opcode, RAM), b'n' * 4096, inline=inline), 0x001, dnr=True)
            if opcode & 3 == 2:
                expect_status(admin.command(sqe(opcode, RAM), read=4096), 0x001, dnr=True)
        for opcode in (0x00, 0x01, 0x04, 0x05):
            expect_status(admin.command(sqe(opcode)), 0x001)


def test_flags_of_a_command(context):
    with context.pair() as pair:
        for flags in (0x00, 0x80, 0xC0, 0x43):
            expect_status(pair.admin.command(sqe(0x06, cdw10=1, flags=flags), read=4096), 0x002)
            expect_status(pair.io.command(sqe(0x02, RAM, flags=flags), read=512), 0x002)
        for flags in (0x41, 0x42):
            expect_status(pair.admin.command(sqe(0x06, cdw10=1, flags=flags), read=4096), (0x002, 0x00A))
