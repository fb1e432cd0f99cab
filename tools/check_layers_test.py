#!/usr/bin/env python3
"""Plants each kind of violation in a small tree and sees that check_layers.py finds it, and that what is allowed passes."""
import pathlib
import tempfile
import unittest

import check_layers

ARCHITECTURE = """
| layer | room | also | never | system headers | holds |
|--|--|--|--|--|--|
| 0 | `base/` | | | | bytes |
| 2 | `core/` | | | | threads |
| 2 | `net/`, `media/` | `core` | | `sys/uio.h` | seams |
| 4 | `nvmf/` | | | | the model |
| 5 | `host/` | | `nvmf` | | the initiator |
| 6 | `platform/` | | | any | system calls |

- Exception: `base/assert.cc` has `std::atomic`: any thread may fail.
"""

CLEAN = {
    "ARCHITECTURE.md": ARCHITECTURE,
    "src/base/README.md": "# base\n",
    "src/base/assert.h": "#pragma once\n",
    "src/base/assert.cc": '#include "base/assert.h"\nstd::atomic<int> failed{0};\n',
    "src/core/README.md": "# core\n",
    "src/core/reactor.h": '#include <atomic>\n#include "base/assert.h"\nstd::atomic<bool> is_sleeping;\nvoid sleep(Duration longest);\n',
    "src/net/README.md": "# net\n",
    "src/net/socket.h": '#include <sys/uio.h>\n\n#include "core/reactor.h"\n// A std::mutex in a comment, "and in a string" is none.\n',
    "src/media/README.md": "# media\n",
    "src/media/media.h": '#include <cstddef>\n#include <memory>\nconst char* kText = "std::mutex";\n',
    "src/nvmf/README.md": "# nvmf\n",
    "src/nvmf/queue.h": '#include "net/socket.h"\n#include "base/assert.h"\n',
    "src/nvmf/queue_test.cc": '#include "host/host.h"\n#include <unistd.h>\nstd::mutex lock;\n',
    "src/host/README.md": "# host\n",
    "src/host/host.h": '#include "core/reactor.h"\n',
    "src/platform/README.md": "# platform\n",
    "src/platform/linux/files.cc": '#include <fcntl.h>\n#include <unistd.h>\nauto now = std::chrono::steady_clock::now();\n',
}


def check(changes):
    """The violations in the clean tree with `changes` (path: text, or None to remove it)."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (CLEAN | changes).items():
            if text is not None:
                path = pathlib.Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        return check_layers.Check(folder).run()


class CheckLayers(unittest.TestCase):
    def test_accepts_the_clean_tree(self):
        self.assertEqual(check({}), [])

    def test_finds_each_planted_violation(self):
        note = "TO" "DO"
        planted = [
            ("include of a higher layer", {"src/base/bad.h": '#include "core/reactor.h"\n'}, "src/base/bad.h:1: base/ may not include core/"),
            ("include within a layer that the table does not grant", {"src/net/bad.h": '#include "media/media.h"\n'}, "src/net/bad.h:1: net/ may not include media/"),
            ("the grant in the other direction", {"src/core/bad.h": '\n#include "net/socket.h"\n'}, "src/core/bad.h:2: core/ may not include net/"),
            ("include of a room that is never included", {"src/host/bad.cc": '#include "nvmf/queue.h"\n'}, "src/host/bad.cc:1: host/ may not include nvmf/"),
            ("include that is not from the root", {"src/nvmf/bad.h": '#include "queue.h"\n'}, 'src/nvmf/bad.h:1: "queue.h" is no header of a room'),
            ("include of what is not there", {"src/nvmf/bad.h": '#include "base/gone.h"\n'}, 'src/nvmf/bad.h:1: "base/gone.h" is no header of a room'),
            ("include of fuzz/ outside a fuzz target", {"src/nvmf/bad_test.cc": '#include "fuzz/input.h"\n', "fuzz/input.h": ""}, 'src/nvmf/bad_test.cc:1: "fuzz/input.h" is no header of a room'),
            ("include of what is not in fuzz/", {"src/nvmf/bad_fuzz.cc": '#include "fuzz/gone.h"\n'}, 'src/nvmf/bad_fuzz.cc:1: "fuzz/gone.h" is no header of a room'),
            ("system header", {"src/nvmf/bad.cc": "#include <unistd.h>\n"}, "src/nvmf/bad.cc:1: nvmf/ may not include <unistd.h>"),
            ("system header of a folder", {"src/core/bad.cc": "#  include <sys/uio.h>\n"}, "src/core/bad.cc:1: core/ may not include <sys/uio.h>"),
            ("io_uring outside platform", {"src/media/bad.h": "#include <liburing.h>\n"}, "src/media/bad.h:1: media/ may not include <liburing.h>"),
            ("mutex", {"src/nvmf/bad.h": "std::mutex lock_;\n"}, "src/nvmf/bad.h:1: std::mutex"),
            ("shared mutex", {"src/nvmf/bad.h": "std::shared_mutex lock_;\n"}, "src/nvmf/bad.h:1: std::shared_mutex"),
            ("atomic beside the excepted file", {"src/base/bad.cc": "std::atomic<int> count;\n"}, "src/base/bad.cc:1: std::atomic"),
            ("thread_local", {"src/net/bad.h": "inline thread_local int x;\n"}, "src/net/bad.h:1: thread_local"),
            ("sleep in a test", {"src/nvmf/bad_test.cc": "std::this_thread::sleep_for(1ms);\n"}, "src/nvmf/bad_test.cc:1: sleep_for"),
            ("sleep in platform", {"src/platform/bad.cc": "usleep(10);\n"}, "src/platform/bad.cc:1: usleep"),
            ("sleep of POSIX", {"src/core/bad.cc": "sleep(1);\n"}, "src/core/bad.cc:1: sleep"),
            ("clock", {"src/core/bad.cc": "auto t = std::chrono::steady_clock::now();\n"}, "src/core/bad.cc:1: steady_clock::now"),
            ("environment", {"src/core/bad.cc": 'auto e = getenv("HOME");\n'}, "src/core/bad.cc:1: getenv"),
            ("room without README", {"src/net/README.md": None}, "src/net:0: this room has no README.md"),
            ("room that is not in the table", {"src/cellar/x.h": "\n"}, "src/cellar:0: this room is not in the table"),
            ("long README", {"src/net/README.md": "line\n" * 41}, "src/net/README.md:41: 41 lines"),
            ("long file", {"src/net/long.cc": "\n" * 601}, "src/net/long.cc:601: 601 lines"),
            ("note without an issue", {"tests/x_test.cc": f"// {note}: later\n"}, "tests/x_test.cc:1: this note names no issue"),
            ("exception that nobody needs", {"src/base/assert.cc": "\n"}, "ARCHITECTURE.md:0: the exception of base/assert.cc for std::atomic is not needed"),
        ]
        for name, changes, expected in planted:
            with self.subTest(name):
                violations = check(changes)
                self.assertEqual(len(violations), 1, violations)
                self.assertTrue(violations[0].startswith(expected), violations[0])

    def test_accepts_a_note_that_names_its_issue(self):
        self.assertEqual(check({"src/net/x.h": "// TO" "DO(#12): later\n"}), [])

    def test_refuses_a_page_without_a_table(self):
        with self.assertRaises(ValueError):
            check({"ARCHITECTURE.md": "# nothing\n"})

    def test_refuses_a_row_that_names_no_room(self):
        with self.assertRaises(ValueError):
            check({"ARCHITECTURE.md": ARCHITECTURE.replace("| `core` |", "| `cellar` |")})


if __name__ == "__main__":
    unittest.main()
