"""Connect with everything that can be wrong with it, properties, Disconnect, controller reset, shutdown and reconnect, discovery."""
import struct

from nvme_host import (DISCOVERY_NQN, TRANSPORT, Host, Queue, connect_data, connect_sqe, fabrics_sqe, io_sqe, sgl, sqe)
from suite import expect, expect_in, expect_status
from target import GUARDED, GUARDED_HOST, PLAYGROUND, RAM

INVALID = 0x182


def _spoiled(data, offset, value):
    return data[:offset] + value + data[offset + len(value):]


def test_admin_connect(context):
    good = connect_data(context.host, PLAYGROUND)
    a, b = b'A' * 256, b'\xFF' * 256
    rows = [
        ('RECFMT 1', connect_sqe(recfmt=1), good, 0x180, None),
        ('SQSIZE 0', connect_sqe(sqsize=0), good, INVALID, 0x2C),
        ('CNTLID 1', connect_sqe(), connect_data(context.host, PLAYGROUND, 1), INVALID, 0x10010),
        ('CNTLID 0', connect_sqe(), connect_data(context.host, PLAYGROUND, 0), INVALID, 0x10010),
        ('SUBNQN unknown', connect_sqe(), connect_data(context.host, PLAYGROUND + 'x'), INVALID, 0x10100),
        ('SUBNQN empty', connect_sqe(), connect_data(context.host, ''), INVALID, 0x10100),
        ('SUBNQN without NUL', connect_sqe(), _spoiled(good, 256, a), INVALID, 0x10100),
        ('SUBNQN not text', connect_sqe(), _spoiled(good, 256, b), INVALID, 0x10100),
        ('HOSTNQN without NUL', connect_sqe(), _spoiled(good, 512, a), INVALID, 0x10200),
        ('HOSTNQN empty', connect_sqe(), _spoiled(good, 512, bytes(256)), INVALID, 0x10200),
        ('host not allowed', connect_sqe(), connect_data(context.host, GUARDED), 0x184, None),
        ('QID 5 with CNTLID FFFFh', connect_sqe(qid=5), good, INVALID, 0x10010),
        ('QID FFFFh', connect_sqe(qid=0xFFFF), good, INVALID, (0x2A, 0x10010)),
        ('data of 1020', connect_sqe(), good[:1020], (0x00F, 0x002), None),
        ('data of 1028', connect_sqe(), good + b'1234', (0x00F, 0x002), None),
        ('data of 8192', connect_sqe(), good * 8, (0x00F, 0x002), None),
        ('reserved bytes set', connect_sqe(), _spoiled(good, 18, b'\x77' * 200), 0, None),
    ]

    def run(entry, data, status, cdw0, inline):
        with Queue(context.target.address) as queue:
            completion = expect_status(queue.command(entry, data, inline=inline), status)
            if cdw0 is not None:
                expect_in(completion.cdw0 & 0x1FFFF, cdw0 if isinstance(cdw0, tuple) else (cdw0,), 'IPO and IATTR')
            if status:  # The connection may be used for a right one.
                expect_status(queue.connect(context.host, PLAYGROUND), 0)
    for name, entry, data, status, cdw0 in rows:
        for inline in (True, False):
            context.row(f'connect: {name}, {"in-capsule" if inline else "R2T"}', run, entry, data, status, cdw0, inline)

    def no_data(descriptor):
        with Queue(context.target.address) as queue:
            expect_status(queue.command(connect_sqe(), None, descriptor=descriptor), (0x00F, 0x002, 0x011, 0x016))
            expect_status(queue.connect(context.host, PLAYGROUND), 0)
    context.row('connect: no data at all', no_data, sgl(TRANSPORT, 0))
    context.row('connect: keyed SGL', no_data, sgl(0x40, 1024))


def test_sizes_of_queues(context):
    for sqsize in (1, 15, 31, 127):
        with Queue(context.target.address) as queue:
            expect_status(queue.connect(context.host, PLAYGROUND, sqsize=sqsize), 0)
    with context.admin() as admin:
        mqes = admin.property_get(0, 1).cdw0 & 0xFFFF
        for qid, sqsize, status in ((1, mqes, 0), (2, mqes + 1, INVALID), (3, 0xFFFF, INVALID), (4, 0, INVALID), (5, 1, 0)):
            with Queue(context.target.address) as queue:
                completion = expect_status(queue.connect(context.host, PLAYGROUND, qid, sqsize, admin.cntlid), status)
                if status:
                    expect(completion.cdw0 & 0x1FFFF, 0x2C, 'IPO and IATTR')


def test_io_connect(context):
    stranger = Host(context.target.address)
    with context.admin() as admin:
        granted = admin.command(sqe(0x09, cdw10=7, cdw11=0x00030003))
        expect_status(granted, 0)
        expect(granted.cdw0, 0x00030003, 'queues granted')

        def refused(host, qid, cntlid, cdw0, nqn=PLAYGROUND, status=INVALID):
            with Queue(context.target.address) as queue:
                completion = expect_status(queue.connect(host, nqn, qid, 31, cntlid), status)
                if cdw0 is not None:
                    expect(completion.cdw0 & 0x1FFFF, cdw0, 'IPO and IATTR')
        for qid in (5, 6, 4095, 0xFFFE):
            context.row(f'connect: I/O QID {qid} of 4', refused, context.host, qid, admin.cntlid, 0x2A)
        context.row('connect: CNTLID nobody has', refused, context.host, 1, 0xFFEF, 0x10010)
        context.row('connect: CNTLID FFFEh', refused, context.host, 1, 0xFFFE, 0x10010)
        context.row('connect: controller of another host', refused, stranger, 1, admin.cntlid, 0x10010)
        context.row('connect: controller of another subsystem', refused, context.host, 1, admin.cntlid, None,
                    GUARDED, (INVALID, 0x184))
        with context.host.io(admin, PLAYGROUND, 1) as queue:
            context.row('connect: QID in use', refused, context.host, 1, admin.cntlid, None, PLAYGROUND, (0x00C, 0x101, INVALID))
            expect_status(queue.command(connect_sqe(1), connect_data(context.host, PLAYGROUND, admin.cntlid)), (0x00C, 0x181))
            expect_status(queue.command(io_sqe(0x02, RAM, 0, 1), read=512), 0)
    with context.admin(enable=False) as admin:
        context.row('connect: I/O queue of a disabled controller', refused, context.host, 1, admin.cntlid, None, PLAYGROUND,
                    (INVALID, 0x00C))


def test_guarded_host_gets_in(context):
    host = Host(context.target.address, GUARDED_HOST)
    with host.admin(GUARDED) as admin, host.io(admin, GUARDED) as queue:
        expect_status(queue.command(io_sqe(0x02, 1, 0, 1), read=512), 0)


def test_no_flow_control(context):
    with Queue(context.target.address) as queue:
        completion = queue.connect(context.host, PLAYGROUND, cattr=4)
        expect_status(completion, 0)
        expect(completion.sqhd, 0xFFFF, 'SQHD of the Connect response')


def test_sqhd_counts(context):
    for sqsize in (1, 4, 31):
        with context.pair(io={'sqsize': sqsize}) as pair:
            heads = [pair.io.command(io_sqe(0x02, RAM, 0, 1), read=512).sqhd for _ in range(3 * (sqsize + 1))]
            expect(heads, [(heads[0] + i) % (sqsize + 1) for i in range(len(heads))], f'SQHD with SQSIZE {sqsize}')
            expect(heads[0], 2 % (sqsize + 1), 'SQHD after Connect and one command')


def test_every_property(context):
    with context.admin() as admin:
        known = {(0x00, 1), (0x08, 0), (0x14, 0), (0x1C, 0), (0x68, 0)}
        for offset in list(range(0, 0x80, 4)) + [0x1000, 0x1001, 0x7FFFFFFC, 0xFFFFFFFC, 0xFFFFFFFF, 1, 2, 0x15]:
            for size in range(8):
                completion = admin.property_get(offset, size)
                if (offset, size) in known:
                    expect_status(completion, 0)
                elif completion.status:
                    expect_status(completion, (0x002, 0x182), dnr=True)
        cap = admin.property_get(0, 1)
        cap = cap.cdw0 | cap.cdw1 << 32
        expect(cap >> 37 & 1, 1, 'CAP.CSS NVM')
        expect(cap >> 48 & 0xFF, 0, 'MPSMIN and MPSMAX')
        expect(cap >> 16 & 1, 1, 'CAP.CQR')
        expect(admin.property_get(8).cdw0, 0x20000, 'VS')
        for offset in range(0, 0x80, 4):
            if offset in (0x14, 0x1C):
                continue
            for size in (0, 1, 2, 7):
                if (offset, size) != (0x20, 0):
                    expect_status(admin.property_set(offset, 0xFFFFFFFFFFFFFFFF, size), (0x002, 0x182))
        expect_status(admin.property_set(0x20, 0x4E564D65), 0x002)
        expect_status(admin.property_set(0x14, 0x460001, 1), 0x002)
        expect(admin.property_get(0x1C).cdw0 & 1, 1, 'CSTS.RDY')


def test_properties_on_an_io_queue(context):
    with context.pair() as pair:
        expect_status(pair.io.property_get(8), (0x001, 0x002, 0x00C))
        expect_status(pair.io.property_set(0x14, 0), (0x001, 0x002, 0x00C))
        expect_status(pair.io.command(io_sqe(0x02, RAM, 0, 1), read=512), 0)


def test_bad_enable(context):
    for name, cc in (('IOSQES 5', 0x450001), ('IOCQES 3', 0x360001), ('MPS 1', 0x460081), ('AMS 7', 0x463801), ('CSS 3', 0x460031)):
        def run(cc=cc):
            with context.admin(enable=False) as admin:
                completion = admin.property_set(0x14, cc)
                csts = admin.property_get(0x1C).cdw0
                if completion.status == 0:
                    expect(csts & 3, 2, 'CSTS: CFS without RDY')
                else:
                    expect(csts & 1, 0, 'CSTS.RDY')
        context.row(f'enable: {name}', run)


def test_commands_on_a_disabled_controller(context):
    with context.admin(enable=False) as admin:
        for opcode in (0x02, 0x06, 0x08, 0x09, 0x0A, 0x0C):
            expect_status(admin.command(sqe(opcode, cdw10=1), read=4096), 0x00C)
        admin.enable()
        expect_status(admin.command(sqe(0x06, cdw10=1), read=4096), 0)


def test_reset_and_reconnect(context):
    with context.admin() as admin:
        for _ in range(5):
            queue = context.host.io(admin, PLAYGROUND)
            aer = admin.submit(sqe(0x0C))
            queue.hold_r2ts = True
            queue.submit(io_sqe(0x01, RAM, 0, 64), b'r' * 32768, inline=False)
            queue.wait_r2t()
            expect_status(admin.property_set(0x14, 0x460000), 0)
            admin.wait_csts(1, 0)
            queue.connection.wait_closed()
            queue.close()
            admin.outstanding.pop(aer, None)
            admin.completed.clear()
            expect_status(admin.command(sqe(0x06, cdw10=1), read=4096), 0x00C)
            admin.enable()
            expect_status(admin.command(sqe(0x06, cdw10=1), read=4096), 0)


def test_shutdown(context):
    for notification in (1, 2):
        with context.pair() as pair:
            expect_status(pair.admin.property_set(0x14, 0x460001 | notification << 14), 0)
            pair.admin.wait_csts(0xC, 0x8)
            try:
                pair.io.connection.wait_closed()
            except TimeoutError:
                expect_status(pair.io.command(io_sqe(0x02, RAM, 0, 1), read=512), 0x00C)
            expect_status(pair.admin.property_set(0x14, 0), 0)
            pair.admin.wait_csts(1, 0)
            pair.admin.enable()
            with context.host.io(pair.admin, PLAYGROUND, 2) as queue:
                expect_status(queue.command(io_sqe(0x02, RAM, 0, 1), read=512), 0)


def test_losing_the_admin_queue_ends_the_io_queues(context):
    pair = context.pair()
    pair.admin.close()
    pair.io.connection.wait_closed()
    pair.io.close()


def test_disconnect(context):
    with context.pair(io={'cattr': 8}) as pair:
        expect_status(pair.admin.command(fabrics_sqe(8, b'')), (0x185, 0x001))
        expect_status(pair.admin.command(sqe(0x06, cdw10=1), read=4096), 0)
        supported = struct.unpack_from('<H', pair.admin.command(sqe(0x06, cdw10=1), read=4096).data, 1804)[0] & 1
        reads = [pair.io.submit(io_sqe(0x02, RAM, 0, 64), read=32768) for _ in range(20)]
        completion = pair.io.command(fabrics_sqe(8, b''))
        expect_status(completion, 0 if supported else 0x001)
        if not supported:
            return
        for cid in reads:
            expect(cid in pair.io.completed, True, 'commands complete before the Disconnect')
        pair.io.connection.wait_closed(35 if context.long else 10)
        with context.host.io(pair.admin, PLAYGROUND, 1) as again:
            expect_status(again.command(io_sqe(0x02, RAM, 0, 1), read=512), 0)
    with context.pair(io={'cattr': 8}) as pair:
        expect_status(pair.io.command(fabrics_sqe(8, struct.pack('<H', 1))), (0x180, 0x002))


def test_unknown_fabrics_commands(context):
    with context.pair() as pair:
        for queue in (pair.admin, pair.io):
            for fctype in (0x02, 0x03, 0x05, 0x06, 0x07, 0x09, 0x0B, 0x7F, 0x80, 0xC0, 0xFF):
                expect_status(queue.command(fabrics_sqe(fctype, b'\xFF' * 24)), (0x001, 0x002, 0x00C, 0x011))
        expect_status(pair.io.command(io_sqe(0x02, RAM, 0, 1), read=512), 0)


def test_connects_of_one_association_from_many_sides(context):
    with context.admin() as admin:
        admin.command(sqe(0x09, cdw10=7, cdw11=0x00070007))
        queues = []
        for qid in range(1, 9):
            queue = Queue(context.target.address)
            queue.submit(connect_sqe(qid, 31), connect_data(context.host, PLAYGROUND, admin.cntlid))
            queues.append(queue)
        for queue in queues:
            expect_status(queue.wait(1), 0)
            expect_status(queue.command(io_sqe(0x02, RAM, 0, 1), read=512), 0)
        for queue in queues:
            queue.close()


def test_discovery(context):
    with context.host.admin(DISCOVERY_NQN, kato=30000) as admin:
        def log(offset, length, lsp=0):
            numd = length // 4 - 1
            return admin.command(sqe(0x02, cdw10=0x70 | lsp << 8 | (numd & 0xFFFF) << 16, cdw11=numd >> 16, cdw12=offset & 0xFFFFFFFF,
                                     cdw13=offset >> 32), read=length)
        genctr, records = struct.unpack_from('<QQ', expect_status(log(0, 20), 0).data)
        body = expect_status(log(1024, records * 1024), 0).data
        entries = [body[i:i + 1024] for i in range(0, len(body), 1024)]
        names = [e[256:512].rstrip(b'\0').decode() for e in entries]
        expect(PLAYGROUND in names and DISCOVERY_NQN in names, True, f'names in {names}')
        expect(GUARDED in names, False, 'a subsystem that this host may not use')
        for entry in entries:
            expect((entry[0], entry[1]), (3, 1), 'TRTYPE and ADRFAM')
            expect(entry[512:768].rstrip(b'\0 ').decode(), context.target.address[0], 'TRADDR')
            expect(entry[32:64].rstrip(b'\0 ').decode(), str(context.target.address[1]), 'TRSVCID')
        for offset in range(0, 1024 + records * 1024, 508):
            expect_status(log(offset, 4), 0)
        expect_status(log(0, 4096, lsp=2), 0)
        expect_status(log(2, 4), 0x002)
        expect_status(log(1 << 40, 4), 0x002)
        expect(struct.unpack('<Q', log(0, 8).data)[0], genctr, 'GENCTR')
        identify = expect_status(admin.command(sqe(0x06, cdw10=1), read=4096), 0).data
        expect(identify[111], 2, 'CNTRLTYPE')
        expect_status(admin.command(sqe(0x18)), 0)
        expect_status(admin.command(sqe(0x06, cdw10=2), read=4096), (0, 0x002))
        expect_status(admin.command(sqe(0x02, cdw10=0x02 | 127 << 16), read=512), (0, 0x002, 0x109))
        with Queue(context.target.address) as queue:
            expect_status(queue.connect(context.host, DISCOVERY_NQN, 1, 31, admin.cntlid), INVALID)
