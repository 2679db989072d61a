"""Killed at a write, a sync, a cut or an unlink of the file system: a seeded choice of them.

The sweep of statements kills between what SQLite is asked to do; this kills in the midst of it,
while pages and the log are half written.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sexton.store import create_store
from sexton.testing.application import moved
from sexton.testing.clock import Clock
from sexton.testing.crash import Bound, Crash
from sexton.testing.inline import tick
from tests.crash import world
from tests.crash.world import KEYS, alone, app, effects, in_doubt

CALLS = "write,pwrite64,pwritev,fdatasync,fsync,ftruncate,unlink,unlinkat,rename,renameat,link"
ROOT = Path(__file__).parents[2]
SEED = 20260302
KILLS = 14
KILLED = -9


def strace(*argv: str, traced: list[str]) -> subprocess.CompletedProcess[str]:
    """Run the victim under strace."""
    command = ["strace", "-f", "-qq", *traced, sys.executable, "-m", "tests.crash.victim", *argv]
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )


def calls_of(*argv: str, log: Path) -> list[tuple[str, int]]:
    """The calls of the first thread of a whole run: each with its number among its like, by which
    strace counts."""
    done = strace(*argv, traced=["-o", str(log), "-e", f"trace={CALLS}"])
    assert done.returncode == 0, done.stderr
    lines = log.read_text().splitlines()
    first = lines[0].split()[0]
    seen: Counter[str] = Counter()
    found = []
    for line in lines:
        if call := re.match(rf"{first} +(\w+)\(", line):
            seen[call[1]] += 1
            found.append((call[1], seen[call[1]]))
    return found


def kills(*argv: str, log: Path) -> Iterator[tuple[str, list[str]]]:
    """Calls to be killed at, with what strace must be told."""
    every = calls_of(*argv, log=log)
    for call, number in random.Random(SEED).sample(every, min(KILLS, len(every))):
        inject = f"inject={call}:signal=SIGKILL:when={number}"
        yield f"{call}-{number}", ["-o", str(log), "-e", f"trace={call}", "-e", inject]


@pytest.mark.needs("strace")
@pytest.mark.parametrize(("kind", "width"), [("narrow", 1), ("wide", 4)])
def test_a_plan_killed_in_the_midst_of_a_write_serves_nobody_twice(
    clock: Clock, tmp_path: Path, kind: str, width: int
) -> None:
    alone(kind)
    origin = str(tmp_path / "origin.db")
    app.store.upkeep.backup(origin)

    def fresh(name: str) -> str:
        effects.forget()
        shutil.copyfile(origin, tmp_path / name)
        return f"sqlite:///{tmp_path / name}"

    deaths = 0
    argv = (fresh("whole.db"), str(effects.path), kind)
    for at, traced in kills(*argv, log=tmp_path / "log"):
        url = fresh(f"killed-{at}.db")
        done = strace(url, str(effects.path), kind, traced=traced)
        deaths += done.returncode == KILLED
        with moved(app, url):
            crash = Crash(app, clock, Bound(app[kind]), 1, at)
            crash.resume()

            served = effects.count()
            parked = in_doubt(app.store, kind)
            assert max(served.values()) == 1, crash
            assert set(served) | parked == set(KEYS), crash
            assert len(parked) <= width, crash

    assert deaths >= KILLS // 2


@pytest.mark.needs("strace")
def test_a_tick_killed_in_the_midst_of_a_write_loses_no_request(
    clock: Clock, tmp_path: Path
) -> None:
    alone("asked")
    for name in ("a", "b"):
        world.asked.enqueue(name)
    origin = str(tmp_path / "origin.db")
    app.store.upkeep.backup(origin)
    shutil.copyfile(origin, tmp_path / "whole.db")
    argv = (f"sqlite:///{tmp_path}/whole.db", str(effects.path), "tick")

    for at, traced in kills(*argv, log=tmp_path / "log"):
        effects.forget()
        url = f"sqlite:///{tmp_path}/killed-{at}.db"
        shutil.copyfile(origin, tmp_path / f"killed-{at}.db")
        assert strace(url, str(effects.path), "tick", traced=traced).returncode == KILLED
        with moved(app, url):
            Crash(app, clock, Bound(lambda: tick(app)), 1, at).resume()

            complete = [t.root for t in app.store.tasks.newest() if t.status == "Complete"]
            assert sorted(complete) == [1, 2], at
            assert set(effects.count()) == {"a", "b"}, at


@pytest.mark.needs("strace")
def test_a_first_start_killed_in_the_midst_of_a_write_is_finished_by_the_next(
    tmp_path: Path,
) -> None:
    whole = (f"sqlite:///{tmp_path}/whole.db", str(tmp_path / "effects"), "create")
    for at, traced in kills(*whole, log=tmp_path / "log"):
        url = f"sqlite:///{tmp_path}/killed-{at}.db"
        assert strace(url, whole[1], "create", traced=traced).returncode == KILLED

        store = create_store(url)

        assert store.upkeep.check() == [], at
        assert len(store.db.all("SELECT * FROM migration")) == 1, at
        store.close()
