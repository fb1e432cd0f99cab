"""Rows of `ok` and `FAILED`, and small things that all suites share. A suite is a module with functions test_*(context); each is
one row, or several through context.row().
"""
import time
import traceback

import target as targets
from nvme_host import Host, Pair


class Mismatch(AssertionError):
    """The target did something else than the specification says."""


def expect(actual, wanted, what):
    if actual != wanted:
        raise Mismatch(f'{what}: {actual!r}, expected {wanted!r}')


def expect_in(actual, wanted, what):
    if actual not in wanted:
        raise Mismatch(f'{what}: {actual!r}, expected one of {wanted!r}')


def expect_status(completion, wanted, dnr=None):
    """`wanted` is SCT and SC as 0xTSS, or several of them."""
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    if completion.status not in wanted:
        raise Mismatch(f'{completion}, expected ' + ' or '.join(f'{w >> 8}/{w & 255:02X}h' for w in wanted))
    if dnr is not None:
        expect(completion.dnr, dnr, f'DNR of {completion}')
    return completion


class Context:
    """What a test gets: the target, a host, a witness, and where to report."""

    def __init__(self, target, witness, seed, long, verbose):
        self.target, self.witness, self.seed, self.long, self.verbose = target, witness, seed, long, verbose
        self.host = Host(target.address)
        self.passed, self.failures = 0, []

    def row(self, name, function, *arguments):
        """Runs one check; never raises for what the target does."""
        start = time.monotonic()
        try:
            function(*arguments)
        except Exception as error:  # pylint: disable=broad-except
            frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.endswith('suite.py')]
            where = ' < '.join(f'{f.filename.rsplit("/", 1)[-1]}:{f.lineno}' for f in reversed(frames[-6:]))
            print(f'FAILED  {name}: {type(error).__name__}: {error} ({where})', flush=True)
            self.failures.append(name)
            return
        self.passed += 1
        if self.verbose:
            print(f'ok      {name} ({time.monotonic() - start:.2f} s)', flush=True)

    def scale(self, count):
        """How often something is done: ten times more in a long run."""
        return count * 10 if self.long else count

    def pair(self, **options):
        return Pair(self.host, targets.PLAYGROUND, **options)

    def admin(self, **options):
        return self.host.admin(targets.PLAYGROUND, **options)


def run_module(module, context):
    """Runs every test_* of a module in its order; the number of failures."""
    before = len(context.failures)
    name = module.__name__
    start, passed = time.monotonic(), context.passed
    for test in [v for k, v in vars(module).items() if k.startswith('test_')]:
        context.row(f'{name}.{test.__name__[5:]}', test, context)
        if not context.target.is_alive():
            print(f'FAILED  {name}: the target died\n{context.target.log()[-4000:]}', flush=True)
            context.failures.append(f'{name}: the target died in {test.__name__}')
            break
    failed = len(context.failures) - before
    print(f'{"ok" if not failed else "FAILED":7} {name}: {context.passed - passed} passed, {failed} failed, '
          f'{time.monotonic() - start:.1f} s', flush=True)
    return failed
