"""Negative controls: with a promise taken away on purpose, the same counting sees the harm.

A test that would pass without the feature proves nothing; here the feature is missing.
"""

from __future__ import annotations

import os
import select
import time
from collections import Counter
from pathlib import Path

import pytest

from sexton.app.here import Here
from sexton.core.kind import Kind
from sexton.core.queue import Call
from sexton.core.task import COMPLETE, Result
from sexton.store import open_store
from sexton.store.store import Store
from sexton.testing.crash import Crashes
from sexton.work import guard
from sexton.work.guard import Run
from sexton.work.holder import encode_owner, nonce
from sexton.work.owner import Owner
from tests.crash import world
from tests.crash.world import KEYS, alone, app, effects, ended, forked

ONE = Kind(name="one", key="")
PROCESSES, ROUNDS = 6, 12
BOUND_S = 60.0


class DeadInEveryEye(Here):
    """A place whose processes claim under the name of one that has died: whoever judges them,
    judges them dead, though they live."""

    def __init__(self, store: Store, dead: Owner) -> None:
        super().__init__(store)
        self.owner = encode_owner(dead)


def a_dead_process() -> Owner:
    read, write = os.pipe()

    def tell() -> None:
        os.write(write, repr(tuple(Owner.here())).encode())

    pid = forked(tell)
    named = os.read(read, 4096).decode()
    os.close(read)
    os.close(write)
    ended(pid)
    host, boot_id, pid_ns, number, start = (part.strip("' ") for part in named[1:-1].split(","))
    return Owner.of(host, boot_id, pid_ns, int(number), int(start))


def overlaps(url: str, marks: Path, dead: Owner | None) -> tuple[int, int]:
    """Let several processes run one lane over and over; how often two ran at once, and how often
    a run was settled under its own feet."""
    room, told = marks / "room", marks / "told"

    def body(_run: Run) -> tuple[Result, None]:
        try:
            os.close(os.open(room, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            note("overlap")
            return Result(status=COMPLETE), None
        wait_for_others()
        room.unlink(missing_ok=True)
        return Result(status=COMPLETE), None

    def wait_for_others() -> None:
        """Hold the lane until each of the others has begun a call and had its answer meanwhile (its
        first answer may be to a call that was older), or has come to its end."""
        before, deadline_s = len(notes()), time.monotonic() + BOUND_S
        while len(answered_since(before)) < PROCESSES - 1:
            assert time.monotonic() < deadline_s
            select.select([], [], [], 0.001)

    def answered_since(before: int) -> set[str]:
        answers = Counter(pid for pid, _ in notes()[before:])
        over = {pid for pid, what in notes() if what == "end"}
        return over | {pid for pid, count in answers.items() if count > 1}

    def notes() -> list[tuple[str, str]]:
        """What each process told, by its pid, in order."""
        lines = told.read_text().splitlines() if told.exists() else []
        return [(pid, what) for pid, what in (line.split() for line in lines)]

    def note(what: str) -> None:
        descriptor = os.open(told, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{os.getpid()} {what}\n".encode())
        os.fsync(descriptor)
        os.close(descriptor)

    def run() -> None:
        store = open_store(url)
        here = DeadInEveryEye(store, dead) if dead else Here(store)
        for _ in range(ROUNDS):
            outcome = guard.call(here, ONE, Call(nonce=nonce(), key=""), body)
            note(outcome.code)
        note("end")

    pids = [forked(run) for _ in range(PROCESSES)]
    assert [ended(pid) for pid in pids] == [0] * PROCESSES
    seen = Counter(what for _, what in notes())
    assert seen["done"] > 0
    return seen["overlap"], seen["lost"]


def test_with_a_true_judge_of_the_dead_nobody_overlaps(store: Store, tmp_path: Path) -> None:
    assert overlaps(store.url, tmp_path, None) == (0, 0)


def test_with_a_judge_that_calls_everybody_dead_runs_overlap_and_that_is_seen(
    store: Store, tmp_path: Path
) -> None:
    url = store.url
    overlapped, lost = overlaps(url, tmp_path, a_dead_process())

    assert overlapped > 0
    assert lost > 0


@pytest.mark.parametrize("plan", [world.narrow, world.wide], ids=["width 1", "width 4"])
def test_with_begun_forgotten_at_takeover_items_come_twice_and_that_is_seen(
    crashes: Crashes, plan: world.Anything
) -> None:
    alone(plan.name)
    twice = 0
    for crash in crashes(plan):
        app.store.db.run("DELETE FROM item WHERE status = 'Begun'")
        crash.resume()

        assert set(effects.count()) == set(KEYS), crash
        twice += sum(count > 1 for count in effects.count().values())

    assert twice > 0
