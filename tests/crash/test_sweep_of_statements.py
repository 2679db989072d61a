"""Killed at every statement of the store in turn: nobody is served twice, and nobody forgotten.

What a crash leaves open is known by name. Afterwards the ledger is compared with a counter outside
the store.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from sexton.app import Plan, Task
from sexton.store import outbox
from sexton.store.store import Store
from sexton.store.tasks import Request
from sexton.testing.clock import Clock
from sexton.testing.crash import Crashes
from sexton.testing.inline import tick
from sexton.work.sweep import sweep
from tests.crash import world
from tests.crash.world import KEYS, alone, app, effects, ended, forked, in_doubt


def complete(kind: str) -> int:
    return len([task for task in app.store.tasks.newest(kind=kind) if task.status == "Complete"])


# --- the boundaries -----------------------------------------------------------------------------


def test_a_run_is_killed_before_each_statement_and_after_each_commit(crashes: Crashes) -> None:
    def put_twice() -> None:
        for text in ("1", "2"):
            app.store.kv.put("word", text)

    reached = []
    for crash in crashes(put_twice):
        kept = app.store.kv.get("word")
        reached.append((" ".join(crash.at.split()[:3]), kept[0] if kept else ""))
        crash.resume()

    assert reached[-10:] == [
        ("before BEGIN IMMEDIATE", ""),
        ("before SELECT value", ""),  # the clock, which a test has set
        ("before INSERT INTO", ""),
        ("before COMMIT", ""),
        ("after COMMIT", "1"),
        ("before BEGIN IMMEDIATE", "1"),
        ("before SELECT value", "1"),
        ("before INSERT INTO", "1"),
        ("before COMMIT", "1"),
        ("after COMMIT", "2"),
    ]
    assert all(at.startswith("before ") and kept == "" for at, kept in reached[:-10])


# --- guard and ledger ---------------------------------------------------------------------------


@pytest.mark.parametrize("task", [world.morning, world.gap], ids=lambda task: task.name)
def test_a_guarded_function_is_complete_once_and_its_body_ran(
    crashes: Crashes, task: Task[..., Any]
) -> None:
    alone(task.name)
    for crash in crashes(task):
        crash.resume()

        assert complete(task.name) == 1, crash
        # The body at least once: it may have run just before the crash.
        assert effects.count()[task.name] in {1, 2}, crash
        assert task().code in {"complete", "gap"}, crash

    assert crash.number > 15


@pytest.mark.parametrize(
    ("plan", "width"), [(world.narrow, 1), (world.wide, 4)], ids=["width 1", "width 4"]
)
def test_a_plan_serves_nobody_twice_and_forgets_nobody_but_those_it_names(
    crashes: Crashes, plan: Plan[..., Any], width: int
) -> None:
    alone(plan.name)
    doubted = 0
    for crash in crashes(plan):
        crash.resume()

        served = effects.count()
        parked = in_doubt(app.store, plan.name)
        assert max(served.values()) == 1, crash
        assert set(served) | parked == set(KEYS), crash
        assert len(parked) <= width, crash
        assert complete(plan.name) == 1, crash
        doubted += len(parked)

    assert doubted > 0
    assert crash.number > 35


def test_an_effect_that_carries_its_key_to_a_provider_happens_at_least_once_under_one_key(
    crashes: Crashes,
) -> None:
    alone("retried")
    again = 0
    for crash in crashes(world.retried):
        crash.resume()

        served = effects.count()
        assert {line.partition(":")[0] for line in served} == set(KEYS), crash
        assert len(served) == len(KEYS), crash  # a second time carries the first one's key
        assert not in_doubt(app.store, "retried"), crash
        again += max(served.values()) - 1

    assert again > 0


def test_what_may_be_skipped_and_has_a_cap_happens_at_most_once(crashes: Crashes) -> None:
    alone("skipped")
    for crash in crashes(world.skipped):
        crash.resume()

        served = effects.count()
        assert max(served.values()) == 1, crash
        assert served.total() <= world.CAP.count, crash
        slots = app.store.db.all("SELECT slot FROM slot")
        assert len(slots) == world.CAP.count, crash


def test_with_a_probe_that_looks_everybody_is_served_exactly_once(crashes: Crashes) -> None:
    alone("probed")
    for crash in crashes(world.probed):
        crash.resume()

        assert effects.count() == dict.fromkeys(KEYS, 1), crash
        assert not in_doubt(app.store, "probed"), crash


# --- claim, schedule, sweep ---------------------------------------------------------------------


def test_a_tick_killed_anywhere_loses_nothing_and_repeats_nothing_that_is_complete(
    crashes: Crashes,
) -> None:
    alone("asked")
    for name in ("a", "b"):
        world.asked.enqueue(name)

    for crash in crashes(lambda: tick(app)):
        crash.resume()

        tasks = app.store.tasks.newest(kind="asked")
        assert sorted(task.root for task in tasks if task.status == "Complete") == [1, 2], crash
        assert set(effects.count()) == {"a", "b"}, crash
        assert effects.count().total() <= 3, crash  # at most the one that was running

    assert crash.number > 50


def test_a_sweep_killed_anywhere_settles_each_loss_once(crashes: Crashes) -> None:
    alone("morning")

    def die() -> None:
        effects.before = lambda _what: os.kill(os.getpid(), signal.SIGKILL)
        world.morning()

    assert ended(forked(die)) == signal.SIGKILL
    assert [task.status for task in app.store.tasks.newest()] == ["Running"]

    def settle() -> list[Any]:
        here = app.here
        return sweep(here.sweeps(), here.process, here.now(), 0.0)

    for crash in crashes(settle):
        crash.resume()

        rows = [(task.attempt, task.status, task.reason) for task in app.store.tasks.newest()]
        assert rows == [(2, "Complete", ""), (1, "Aborted", "lost")], crash
        assert effects.count() == {"morning": 1}, crash


def test_a_drain_killed_anywhere_obeys_each_request_once(
    clock: Clock, store: Store, tmp_path: Path
) -> None:
    alone("asked")
    path = tmp_path / "shop.db"

    def fill() -> None:
        path.unlink(missing_ok=True)
        shop = sqlite3.connect(path)
        for name in ("a", "b"):
            request = Request(id=f"request {name}", payload=f'{{"name":"{name}"}}')
            outbox.write(shop, world.asked.kind, request)
        shop.commit()
        shop.close()

    store.outboxes.register(str(path))

    def reset() -> None:
        effects.forget()
        fill()

    def drain() -> int:
        return app.store.outboxes.drain()

    crashes = Crashes(app, clock, tmp_path, reset)
    for crash in crashes(drain):
        crash.resume()

        assert effects.count() == {"a": 1, "b": 1}, crash
        assert app.store.tasks.count() == {"Complete": 2}, crash


def test_a_prune_killed_anywhere_forgets_nothing_that_is_needed(
    crashes: Crashes, clock: Clock
) -> None:
    alone("narrow")
    for _ in range(3):
        assert world.narrow().code == "done"
        clock.travel(days=1)

    def prune() -> dict[str, int]:
        return app.store.upkeep.prune(1)

    for crash in crashes(prune):
        assert app.store.upkeep.check() == [], crash
        effects.forget()
        crash.resume()

        periods = {task.period for task in app.store.tasks.newest()}
        assert "2026-03-05T07:30" in periods, crash
        assert effects.count() == dict.fromkeys(KEYS, 1), crash  # of the new day, and of no other


# --- a person settles ---------------------------------------------------------------------------


@pytest.mark.parametrize(("verdict", "times"), [("done", 0), ("failed", 0), ("retry", 1)])
def test_a_settlement_killed_anywhere_is_whole_or_not_at_all(
    crashes: Crashes, verdict: str, times: int
) -> None:
    alone("narrow")

    def die_at_ben() -> None:
        effects.before = lambda what: (
            os.kill(os.getpid(), signal.SIGKILL) if what == "ben" else None
        )
        world.narrow()

    assert ended(forked(die_at_ben)) == signal.SIGKILL
    assert world.narrow().counts == {"before": 1, "done": 3, "parked": 1, "planned": 5}
    assert in_doubt(app.store, "narrow") == {"ben"}

    for crash in crashes(lambda: app.store.items.settle("narrow", "ben", verdict, "ann")):
        before = in_doubt(app.store, "narrow")
        assert before in ({"ben"}, set()), crash
        crash.resume()

        assert not in_doubt(app.store, "narrow"), crash
        assert effects.count()["ben"] == times, crash
        assert complete("narrow") == 1 + times, crash
