"""What the tests of processes share: how one is started, and how one waits for real events."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from sexton.work.ended import Ended
from sexton.work.group import wait_all
from sexton.work.host import Seen, look
from sexton.work.launch import Channel, Launch
from sexton.work.process import Process

BOUND_S = 60.0
NOBODY = 65534
PATH = "/usr/local/bin:/usr/bin:/bin"
# Signals 32 and 33, as bits: glibc's posix_spawn, by which newer Pythons start programs, may leave
# them ignored in what it starts, and no program may change that.
OF_THE_C_LIBRARY = 0b11 << 31

_cookies = count(1)


def cookie() -> str:
    """Name a claim as no other test does."""
    return f"test-{os.getpid()}-{next(_cookies)}"


def launch(*argv: str | Channel, **options: Any) -> Launch:
    return Launch(argv, **{"cookie": cookie(), "env": {"PATH": PATH}, **options})


def shell(script: str, **options: Any) -> Launch:
    return launch("sh", "-c", script, **options)


def python(code: str, *arguments: str | Channel, **options: Any) -> Launch:
    return launch(sys.executable, "-I", "-S", "-c", code, *arguments, **options)


def run(what: Launch) -> tuple[Ended, Process]:
    """Run a program to its end, as an executor does."""
    process = Process(what)
    return finish(process), process


def finish(process: Process) -> Ended:
    until(process, lambda: process.poll(time.monotonic()) is not None)
    ended = process.poll(time.monotonic())
    assert ended is not None
    return ended


def said(process: Process, word: str) -> None:
    """Wait until the process has written a word."""
    until(process, lambda: word.encode() in process.output.head)


def until(process: Process, is_true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + BOUND_S
    while not is_true():
        assert time.monotonic() < deadline_s, process.output.text()
        process.wait(1.0)
        process.read()


def seen(pid: int) -> Seen:
    found = look(pid)
    assert found is not None
    return found


def is_running(who: Seen) -> bool:
    now = look(who.pid)
    return now is not None and now.start == who.start and not now.is_dead


def is_running_pid(pid: int) -> bool:
    now = look(pid)
    return now is not None and not now.is_dead


def await_end(*those: Seen) -> None:
    """Wait until all of them have ended; fail if they do not."""
    wait_all(those, BOUND_S)
    assert not [one for one in those if is_running(one)]


def line_from(fd: int) -> str:
    """Wait for one line from a pipe."""
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([fd], [], [], BOUND_S)
        assert ready, line
        piece = os.read(fd, 1)
        assert piece, line
        line += piece
    return line.decode().strip()
