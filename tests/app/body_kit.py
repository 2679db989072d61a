"""What the tests of a task's own process share: asking, starting, and how it ended."""

from __future__ import annotations

import os
import subprocess
import time

from sexton.core.task import Task
from sexton.work.host import look
from tests.app.shop import BOUND_S, Shop, await_text


def ask(shop: Shop, *kinds: str) -> None:
    for kind in kinds:
        done = shop.sexton("enqueue", kind)
        assert done.returncode == 0, done.stderr


def last(shop: Shop, kind: str) -> Task:
    [task] = shop.store.tasks.newest(kind=kind, limit=1)
    return task


def output(shop: Shop, kind: str) -> bytes:
    return shop.store.tasks.output(last(shop, kind).id).head


def await_gone(*pids: int) -> None:
    """Wait until processes have ended; fail if they do not."""
    deadline_s = time.monotonic() + BOUND_S
    for pid in pids:
        while (seen := look(pid)) and not seen.is_dead:
            assert time.monotonic() < deadline_s, f"process {pid} still runs"
            os.sched_yield()


def start_and_await(shop: Shop, *files: str) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a tick, and wait until its task has written these files, each with a process id."""
    tick = shop.start("tick")
    try:
        return tick, [int(await_text(shop.file(name))) for name in files]
    except BaseException:
        tick.kill()
        raise
