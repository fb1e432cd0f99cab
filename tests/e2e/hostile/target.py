"""Starts and stops `weft serve`, with what the tests need: subsystems, namespaces of every kind, and a look at its process."""
import os
import re
import select
import signal
import subprocess
import tempfile
import time

PLAYGROUND = 'nqn.2024-01.test.weft:playground'   # attacked
WITNESS = 'nqn.2024-01.test.weft:witness'         # must never notice
GUARDED = 'nqn.2024-01.test.weft:guarded'         # admits one host only
GUARDED_HOST = 'nqn.2014-08.org.nvmexpress:uuid:0d3a6c54-7f25-4f2c-9f2a-0f6f5f4c1111'
RAM, FILE, NULL, RAM_4K = 1, 2, 3, 4              # NSIDs of the playground
BLOCKS = {RAM: 131072, FILE: 131072, NULL: 20971520, RAM_4K: 16384}
BLOCK_SIZE = {RAM: 512, FILE: 512, NULL: 512, RAM_4K: 4096}
_COMPLAINT = re.compile(r'ERROR: \w*Sanitizer|runtime error:|LeakSanitizer|assert|SUSPECT|suspect', re.IGNORECASE)


class Target:
    """One running target. `address` is where it listens."""

    def __init__(self, weft, cores):
        self.folder = tempfile.TemporaryDirectory(prefix='weft-hostile-')
        self.cores = cores
        self.log_path = os.path.join(self.folder.name, 'stderr')
        config = os.path.join(self.folder.name, 'weft.toml')
        with open(config, 'w', encoding='utf-8') as file:
            file.write(self._config())
        with open(weft, 'rb') as binary:
            self.is_sanitized = b'__asan_init' in binary.read()
        environment = dict(os.environ)
        environment.setdefault('ASAN_OPTIONS', 'abort_on_error=0:detect_leaks=1:quarantine_size_mb=8')
        environment.setdefault('UBSAN_OPTIONS', 'print_stacktrace=1')
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen([weft, 'serve', '--config', config], stdout=subprocess.PIPE, stderr=log,
                                            env=environment)
        self.address = self._wait_ready()

    def _config(self):
        def subsystem(nqn, namespaces, hosts='allow_any_host = true'):
            text = f'\n[[subsystem]]\nnqn = "{nqn}"\n{hosts}\n'
            for nsid, (device, block_size) in namespaces.items():
                text += f'[[subsystem.namespace]]\nnsid = {nsid}\ndevice = "{device}"\nblock_size = {block_size}\n'
            return text
        backing = os.path.join(self.folder.name, 'disk')
        return (f'[target]\ncores = [{self.cores}]\n\n[[listener]]\naddress = "127.0.0.1:0"\n'
                + subsystem(PLAYGROUND, {RAM: ('ram:64MiB', 512), FILE: (f'file:{backing},size=64MiB', 512),
                                         NULL: ('null:10GiB', 512), RAM_4K: ('ram:64MiB', 4096)})
                + subsystem(WITNESS, {1: ('ram:16MiB', 512)})
                + subsystem(GUARDED, {1: ('ram:16MiB', 512)}, f'allow_hosts = ["{GUARDED_HOST}"]'))

    def _wait_ready(self, timeout=30.0):
        deadline = time.monotonic() + timeout
        text = b''
        while b'ready\n' not in text:
            left = deadline - time.monotonic()
            readable = select.select([self.process.stdout], [], [], max(left, 0))[0]
            piece = os.read(self.process.stdout.fileno(), 4096) if readable else b''
            if not piece:
                self.process.kill()
                raise RuntimeError(f'target did not get ready: {text!r}\n{self.log()}')
            text += piece
        host, port = re.search(rb'listening tcp (\S+):(\d+)', text).groups()
        return host.decode(), int(port)

    def log(self):
        with open(self.log_path, encoding='utf-8', errors='replace') as file:
            return file.read()

    def log_size(self):
        """Where the log ends now; for log_since()."""
        return os.path.getsize(self.log_path)

    def log_since(self, size):
        with open(self.log_path, 'rb') as file:
            file.seek(size)
            return file.read().decode(errors='replace')

    def is_alive(self):
        return self.process.poll() is None

    def descriptors(self):
        """How many descriptors the target has open."""
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))

    def resident_bytes(self):
        with open(f'/proc/{self.process.pid}/statm', encoding='ascii') as file:
            return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')

    def stop(self, timeout=30.0):
        """SIGTERM and the end; what was wrong with it, one line each."""
        wrong = []
        if self.is_alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = 'none: it had to be killed'
        if code != 0:
            wrong.append(f'exit status {code}')
        wrong += [line for line in self.log().splitlines() if _COMPLAINT.search(line)]
        return wrong

    def discard(self):
        if self.is_alive():
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()
