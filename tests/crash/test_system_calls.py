"""Killed at every write, sync, cut, rename and unlink of the file system in turn.

The sweep of statements kills between what SQLite is asked to do; this kills in the midst of it,
while pages and the log are half written. Each call that a whole run makes is struck once, as it is
made: about 50 of a guarded call, 100 of a plan's ledger, 70 of a tick that claims two tasks, 45 of
a sweep that settles a dead owner, and 150 of a first start with its migration. None of them renames
a file so far. A plan of width 4 commits in another order each time, so there some of the calls that
were listed never come.

They are shared out to several tests, which may run on several processors.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sexton.core.task import Task
from sexton.store import create_store
from sexton.testing.application import moved
from sexton.testing.clock import Clock
from sexton.testing.crash import Bound, Crash
from sexton.testing.inline import tick
from sexton.work.sweep import sweep
from tests.crash import world
from tests.crash.traced import calls_of, is_killed_at
from tests.crash.world import KEYS, alone, app, effects, ended, forked, in_doubt

Share = tuple[int, int]


def shared_by(count: int) -> pytest.MarkDecorator:
    """So many tests, of which each takes every count-th call, beginning with its own number."""
    shares = [(number, count) for number in range(count)]
    return pytest.mark.parametrize("share", shares, ids=lambda share: f"{share[0] + 1} of {count}")


class Crashes:
    """Runs on copies of the store as it is now, each killed at another call of this share."""

    def __init__(self, clock: Clock, directory: Path, share: Share) -> None:
        self._clock = clock
        self._directory = directory
        self._first, self._step = share
        self.runs = 0
        self.deaths = 0

    def __call__(self, run: Callable[..., Any]) -> Iterator[Crash]:
        """What each has left, to be looked at."""
        origin = self._directory / "origin.db"
        app.store.upkeep.backup(str(origin))

        def fresh(name: str) -> Callable[[], None]:
            """The run, on a store as it was before."""
            effects.forget()
            shutil.copyfile(origin, self._directory / name)

            def act() -> None:
                with app.on(f"sqlite:///{self._directory / name}"):
                    run()

            return act

        log = self._directory / "log"
        for call in calls_of(fresh("whole.db"), log)[self._first :: self._step]:
            name = f"killed-{call[0]}-{call[1]}.db"
            self.runs += 1
            self.deaths += is_killed_at(fresh(name), call, log)
            with moved(app, f"sqlite:///{self._directory / name}"):
                yield Crash(app, self._clock, Bound(run), self.runs, str(call))


# --- guard and ledger ---------------------------------------------------------------------------


@pytest.mark.needs("strace")
@shared_by(2)
def test_a_guarded_call_killed_at_any_write_is_complete_once(
    clock: Clock, tmp_path: Path, share: Share
) -> None:
    alone("morning")
    crashes = Crashes(clock, tmp_path, share)
    for crash in crashes(world.morning):
        crash.resume()

        ends = Counter(task.status for task in app.store.tasks.newest(kind="morning"))
        assert ends["Complete"] == 1, crash
        # The body at least once: it may have run just before the crash.
        assert effects.count()["morning"] in {1, 2}, crash
        assert world.morning().code == "complete", crash

    assert crashes.deaths == crashes.runs > 20


@pytest.mark.needs("strace")
@pytest.mark.parametrize(
    ("plan", "width"), [(world.narrow, 1), (world.wide, 4)], ids=["width 1", "width 4"]
)
@shared_by(4)
def test_a_plan_killed_at_any_write_serves_nobody_twice(
    clock: Clock, tmp_path: Path, plan: world.Anything, width: int, share: Share
) -> None:
    alone(plan.name)
    crashes = Crashes(clock, tmp_path, share)
    for crash in crashes(plan):
        crash.resume()

        served = effects.count()
        parked = in_doubt(app.store, plan.name)
        assert max(served.values()) == 1, crash
        assert set(served) | parked == set(KEYS), crash
        assert len(parked) <= width, crash

    assert crashes.runs > 10
    assert crashes.deaths >= (crashes.runs if width == 1 else crashes.runs // 2)


# --- claim and sweep ----------------------------------------------------------------------------


@pytest.mark.needs("strace")
@shared_by(3)
def test_a_tick_killed_at_any_write_loses_no_request(
    clock: Clock, tmp_path: Path, share: Share
) -> None:
    alone("asked")
    for name in ("a", "b"):
        world.asked.enqueue(name)
    crashes = Crashes(clock, tmp_path, share)
    for crash in crashes(lambda: tick(app)):
        crash.resume()

        complete = [t.root for t in app.store.tasks.newest() if t.status == "Complete"]
        assert sorted(complete) == [1, 2], crash
        assert set(effects.count()) == {"a", "b"}, crash
        assert effects.count().total() <= 3, crash  # at most the one that was running

    assert crashes.deaths == crashes.runs > 20


@pytest.mark.needs("strace")
@shared_by(2)
def test_a_sweep_of_a_dead_owner_killed_at_any_write_settles_the_loss_once(
    clock: Clock, tmp_path: Path, share: Share
) -> None:
    alone("morning")

    def die() -> None:
        effects.before = lambda _what: os.kill(os.getpid(), signal.SIGKILL)
        world.morning()

    def settle() -> list[Task]:
        here = app.here
        return sweep(here.sweeps(), here.process, here.now(), 0.0)

    assert ended(forked(die)) == signal.SIGKILL
    assert [task.status for task in app.store.tasks.newest()] == ["Running"]
    crashes = Crashes(clock, tmp_path, share)
    for crash in crashes(settle):
        crash.resume()

        rows = [(task.attempt, task.status, task.reason) for task in app.store.tasks.newest()]
        assert rows == [(2, "Complete", ""), (1, "Aborted", "lost")], crash
        assert effects.count() == {"morning": 1}, crash

    assert crashes.deaths == crashes.runs > 10


# --- migration ----------------------------------------------------------------------------------


@pytest.mark.needs("strace")
@shared_by(4)
def test_a_first_start_killed_at_any_write_is_finished_by_the_next(
    tmp_path: Path, share: Share
) -> None:
    log, (first, step) = tmp_path / "log", share

    def start(name: str) -> Callable[[], None]:
        return lambda: create_store(f"sqlite:///{tmp_path / name}").close()

    calls = calls_of(start("whole.db"), log)[first::step]
    for call in calls:
        name = f"killed-{call[0]}-{call[1]}.db"
        assert is_killed_at(start(name), call, log), call

        store = create_store(f"sqlite:///{tmp_path / name}")

        assert store.upkeep.check() == [], call
        assert len(store.db.all("SELECT * FROM migration")) == 1, call
        store.close()

    assert len(calls) > 30
