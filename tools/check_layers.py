#!/usr/bin/env python3
"""Holds src/ to ARCHITECTURE.md: who includes whom, who calls the system, who has threads, and how long files are.

Usage: check_layers.py [ROOT]. Reads the table of rooms and the lines "- Exception: `FILE` has `TOKEN`: reason" of ROOT/ARCHITECTURE.md,
prints one line for each violation (FILE:LINE: what is wrong) and exits with 1 if there are any. Standard library only.
"""
import dataclasses
import pathlib
import re
import sys

README_LINES_MAX = 40
FILE_LINES_MAX = 600
CODE_FOLDERS = ("src", "tests", "bench", "tools", "fuzz", "cmake")
CODE_SUFFIXES = {".cc", ".h", ".py", ".sh", ".cmake", ".txt"}

# Matched against the path inside <>.
SYSTEM_HEADER = re.compile(
    r"(sys|linux|asm|netinet|arpa|net|rdma|infiniband)/.*"
    r"|(aio|dirent|dlfcn|errno|fcntl|grp|ifaddrs|libaio|liburing|netdb|poll|pthread|pwd|sched|semaphore|signal|spawn|syslog|termios|ucontext|unistd)\.h"
    r"|liburing/.*")

THREAD_ROOMS = {"core", "platform", "app"}
THREAD_TOKEN = re.compile(
    r"\bthread_local\b|\bstd::(?:atomic\w*|(?:\w+_)?mutex|j?thread|condition_variable\w*|counting_semaphore|binary_semaphore|latch|barrier|future|async)\b")
WORLD_ROOMS = {"platform", "app"}
WORLD_TOKEN = re.compile(r"\b(?:steady|system|high_resolution)_clock::now\b|\bstd::random_device\b|\b(?:secure_)?getenv\b|\bclock_gettime\b")
SLEEP_TOKEN = re.compile(r"\bsleep_(?:for|until)\b|\b(?:u|nano|clock_nano)sleep\s*\(|\bsleep\s*\(\s*\d|(?<!\w)::sleep\s*\(")

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
UNNUMBERED_TODO = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b(?!\(#\d+\))")
EXCEPTION = re.compile(r"^- Exception: `([^`]+)` has `([^`]+)`: \S")
COMMENT_OR_LITERAL = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Room:
    name: str
    layer: int
    also: frozenset
    never: frozenset
    system_headers: frozenset  # {"any"}: all of them


def names_in(cell):
    return frozenset(name.rstrip("/") for name in re.findall(r"`([^`]+)`", cell))


def read_architecture(text):
    """Returns ({name: Room}, {(file, token)}) of ARCHITECTURE.md. Raises ValueError when it has no table of rooms."""
    rooms, exceptions = {}, set()
    for line in text.splitlines():
        if found := EXCEPTION.match(line):
            exceptions.add((found[1], found[2]))
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != 6 or not cells[0].isdigit():
            continue
        system = frozenset({"any"}) if cells[4] == "any" else names_in(cells[4])
        for name in names_in(cells[1]):
            rooms[name] = Room(name, int(cells[0]), names_in(cells[2]), names_in(cells[3]), system)
    if not rooms:
        raise ValueError("ARCHITECTURE.md has no table of rooms")
    for room in rooms.values():
        for other in (room.also | room.never) - rooms.keys():
            raise ValueError(f"ARCHITECTURE.md: the row of {room.name}/ names {other}, which is no room")
    return rooms, exceptions


def may_include(room, other):
    if other.name in room.never:
        return False
    return other.name == room.name or other.layer < room.layer or other.name in room.also


def is_test(path):
    return re.search(r"_(test|fuzz|bench)\.cc$", path.name) is not None or path.name == "test_support.h"


def blank(found):
    return re.sub(r"[^\n]", " ", found[0])


def without_comments_and_literals(text):
    """The text with comments, strings and characters blanked out; line numbers stay."""
    return COMMENT_OR_LITERAL.sub(blank, text)


class Check:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.src = self.root / "src"
        self.violations = []
        self.rooms, self.exceptions = read_architecture((self.root / "ARCHITECTURE.md").read_text())
        self.exceptions_unused = set(self.exceptions)

    def report(self, path, line, what):
        self.violations.append(f"{path.relative_to(self.root)}:{line}: {what}")

    def run(self):
        self.check_folders()
        for path in sorted(self.src.glob("*/**/*")):
            if path.suffix in (".cc", ".h") and path.relative_to(self.src).parts[0] in self.rooms:
                self.check_source(path)
        for folder in CODE_FOLDERS:
            for path in sorted((self.root / folder).rglob("*")):
                if path.suffix in CODE_SUFFIXES and path.is_file():
                    self.check_text(path)
        for file, token in sorted(self.exceptions_unused):
            self.report(self.root / "ARCHITECTURE.md", 0, f"the exception of {file} for {token} is not needed any more")
        return self.violations

    def check_folders(self):
        for folder in sorted(path for path in self.src.iterdir() if path.is_dir()):
            if folder.name not in self.rooms:
                self.report(folder, 0, "this room is not in the table of ARCHITECTURE.md")
            elif not (folder / "README.md").exists():
                self.report(folder, 0, "this room has no README.md")
        for readme in sorted(self.src.rglob("README.md")):
            lines = len(readme.read_text().splitlines())
            if lines > README_LINES_MAX:
                self.report(readme, lines, f"{lines} lines; a room's README has at most {README_LINES_MAX}")

    def check_source(self, path):
        room = self.rooms[path.relative_to(self.src).parts[0]]
        text = path.read_text()
        for number, line in enumerate(text.splitlines(), 1):
            if found := INCLUDE.match(line):
                if found[1]:
                    self.check_project_include(path, number, room, found[1])
                else:
                    self.check_system_include(path, number, room, found[2])
        for number, line in enumerate(without_comments_and_literals(text).splitlines(), 1):
            self.check_tokens(path, number, room, line)

    def check_project_include(self, path, number, room, include):
        if include.startswith("fuzz/") and path.name.endswith("_fuzz.cc") and (self.root / include).exists():
            return
        other = self.rooms.get(include.split("/")[0])
        if other is None or not (self.src / include).exists():
            self.report(path, number, f'"{include}" is no header of a room (the include root is src/)')
        elif not may_include(room, other) and not is_test(path):
            self.report(path, number, f"{room.name}/ may not include {other.name}/")

    def check_system_include(self, path, number, room, include):
        if not SYSTEM_HEADER.fullmatch(include) or is_test(path):
            return
        if "any" not in room.system_headers and include not in room.system_headers:
            self.report(path, number, f"{room.name}/ may not include <{include}>: system calls belong to platform/")

    def check_tokens(self, path, number, room, line):
        def report_token(found, why):
            token = found[0].strip(":( 0123456789")
            key = (str(path.relative_to(self.src)), token)
            if key in self.exceptions:
                self.exceptions_unused.discard(key)
            else:
                self.report(path, number, f"{token}: {why}")

        for found in SLEEP_TOKEN.finditer(line):
            report_token(found, "nothing sleeps; wait on the reactor")
        if is_test(path):
            return
        if room.name not in THREAD_ROOMS:
            for found in THREAD_TOKEN.finditer(line):
                report_token(found, "threads, locks and atomics belong to core/, platform/ and app/")
        if room.name not in WORLD_ROOMS:
            for found in WORLD_TOKEN.finditer(line):
                report_token(found, "clocks, random devices and the environment belong to platform/ and app/")

    def check_text(self, path):
        lines = path.read_text().splitlines()
        if len(lines) > FILE_LINES_MAX:
            self.report(path, len(lines), f"{len(lines)} lines; a file has at most {FILE_LINES_MAX}")
        for number, line in enumerate(lines, 1):
            if UNNUMBERED_TODO.search(line):
                self.report(path, number, "this note names no issue")


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    try:
        violations = Check(root.resolve()).run()
    except (OSError, ValueError) as error:
        print(f"check_layers: {error}", file=sys.stderr)
        return 2
    for violation in violations:
        print(violation)
    print(f"check_layers: {len(violations)} violations" if violations else "check_layers: ok")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
