"""A process that is stopped for longer than its lease, and goes on later, changes nothing."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from sexton.testing.clock import Clock
from tests.crash import world
from tests.crash.world import KEYS, alone, app, effects, ended, forked, in_doubt

BOUND_S = 120.0


@pytest.mark.parametrize("plan", [world.narrow, world.wide], ids=["width 1", "width 4"])
def test_a_stopped_owner_is_taken_over_and_its_return_changes_nothing(
    clock: Clock, plan: world.Anything
) -> None:
    alone(plan.name)
    has_gone_on = threading.Event()

    def stop_at_cy(what: str) -> None:
        if what == "cy":
            os.kill(os.getpid(), signal.SIGSTOP)
            has_gone_on.set()
        elif plan is world.wide:
            # Those beside it end later: a process that is stopped while it writes to the store
            # would keep everybody from it.
            assert has_gone_on.wait(BOUND_S)

    def run() -> None:
        effects.before = stop_at_cy
        assert plan().code == "lost"

    pid = forked(run)
    assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
    assert plan().code == "running"
    clock.travel(seconds=app.store.settings.lease_s + 1)
    taken_over = plan()
    assert taken_over.code == "done", taken_over
    rows, items = app.store.tasks.newest(), app.store.items.entries(plan.name)
    assert "cy" in in_doubt(app.store, plan.name)

    os.kill(pid, signal.SIGCONT)
    assert ended(pid) == 0

    assert app.store.tasks.newest() == rows
    assert app.store.items.entries(plan.name) == items
    assert [(row.attempt, row.status, row.reason) for row in rows] == [
        (2, "Complete", ""),
        (1, "Aborted", "lost"),
    ]
    assert max(effects.count().values()) == 1
    assert set(effects.count()) | in_doubt(app.store, plan.name) == set(KEYS)
    late = [text for _, text in app.store.tasks.late(rows[1].id)]
    assert "item cy ended late: Done" in late


def test_a_stopped_function_cannot_finish_what_was_taken_over(clock: Clock) -> None:
    alone("morning")

    def run() -> None:
        effects.before = lambda _what: os.kill(os.getpid(), signal.SIGSTOP)
        assert world.morning().code == "lost"

    pid = forked(run)
    assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
    clock.travel(seconds=app.store.settings.lease_s + 1)
    assert world.morning().code == "done"
    rows = app.store.tasks.newest()
    os.kill(pid, signal.SIGCONT)

    assert ended(pid) == 0
    assert app.store.tasks.newest() == rows
    assert [text for _, text in app.store.tasks.late(rows[1].id)] == [
        "finished late as Complete: returned"
    ]


def test_a_stopped_owner_within_its_lease_is_left_alone(clock: Clock) -> None:
    alone("morning")

    def run() -> None:
        effects.before = lambda _what: os.kill(os.getpid(), signal.SIGSTOP)
        assert world.morning().code == "done"

    pid = forked(run)
    assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
    clock.travel(seconds=app.store.settings.lease_s - 1)
    assert world.morning().code == "running"
    os.kill(pid, signal.SIGCONT)

    assert ended(pid) == 0
    assert [row.status for row in app.store.tasks.newest()] == ["Complete"]
