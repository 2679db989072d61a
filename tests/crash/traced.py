"""A run in a process of its own, under strace: what it asks of the file system, and its end there.

The process is forked and waits until strace has hold of it: to start Python under strace anew for
each call would take three times as long.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.crash.world import ended, forked

WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2", "ftruncate", "fallocate")
SYNCS = ("fsync", "fdatasync", "sync_file_range", "msync")
NAMES = ("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat")
BOUND_S = 60.0
PR_SET_PTRACER, ANY = 0x59616D61, ctypes.c_ulong(-1)

Act = Callable[[], object]
Call = tuple[str, int]  # its name, and its number among its like of its thread


def calls_of(act: Act, log: Path) -> list[Call]:
    """The writes, syncs and changes of names of a whole run, in their order."""
    # With a question mark, since not every machine has each of them.
    every = ",".join(f"?{call}" for call in (*WRITES, *SYNCS, *NAMES))
    assert _run(act, ["-o", str(log), "-e", f"trace={every}"]) == 0
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for line in log.read_text().splitlines():
        if call := re.match(r"(\d+) +(\w+)\(", line):
            seen[call[1], call[2]] += 1
            found.append((call[2], seen[call[1], call[2]]))
    return list(dict.fromkeys(found))


def is_killed_at(act: Act, call: Call, log: Path) -> bool:
    """Run it, and kill it as it makes this call; False: it came to its end without."""
    name, number = call
    inject = f"inject={name}:signal=SIGKILL:when={number}"
    status = _run(act, ["-o", str(log), "-e", f"trace={name}", "-e", inject])
    assert status in {0, signal.SIGKILL}, (call, status)
    return status != 0


def _run(act: Act, words: list[str]) -> int:
    """Its wait status."""
    waits, go = os.pipe()
    is_told, tells = os.pipe()

    def run() -> None:
        os.close(go)
        # Where only an ancestor may trace, the traced may allow others to.
        ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANY, 0, 0, 0)
        os.write(tells, b"r")
        if os.read(waits, 1):
            act()

    pid = forked(run)
    os.close(waits)
    os.close(tells)
    assert os.read(is_told, 1)
    os.close(is_told)
    line = ["strace", "-f", *words, "-p", str(pid)]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr
        first = tracer.stderr.readline()
        if "attached" in first:
            os.write(go, b"g")
        os.close(go)  # without a word, it ends at once
        status = ended(pid)
        tracer.communicate(timeout=BOUND_S)
    assert "attached" in first, first
    return status
