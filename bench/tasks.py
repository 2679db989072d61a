"""Tasks from asked to Complete, beside Huey's on SQLite with `fsync` on.

Two peers that promise different things: Sexton commits asked, claimed, entered and finished, and
keeps each row; Huey deletes a task when it hands it out, so one whose worker dies is gone. The
figures are today's, of one process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from huey import SqliteHuey

from bench.commits import Commits
from bench.measure import Table, figures, in_turn, rate
from bench.shop import Shop, make
from sexton.app import ticker

BASE = "bare FULL commits"
TASKS = 300
TASKS_IN_PROCESSES = 16


def tables(directory: Path, budget_s: float) -> list[Table]:
    shop = make(directory / "tasks")
    commits = Commits(directory / "commits_beside_tasks.db")
    huey = SqliteHuey("tasks", filename=str(directory / "huey_tasks.db"), fsync=True, results=False)
    huey_noop = huey.task()(_noop)
    inline: Any = shop.app["inline"]

    def base() -> float:
        return rate(TASKS, lambda: commits.make(TASKS))

    asking = {
        BASE: base,
        "Sexton": lambda: rate(TASKS, lambda: _repeat(TASKS, inline.enqueue)),
        "Huey": lambda: rate(TASKS, lambda: _repeat(TASKS, huey_noop)),
    }
    # Each round runs what the round's asking has left, so that neither queue grows.
    running = {
        BASE: base,
        "Sexton, in the tick's process": lambda: rate(TASKS, lambda: _tick(shop, TASKS)),
        "Huey": lambda: rate(TASKS, lambda: _drain(huey)),
        "Sexton, a process for each": lambda: _in_processes(shop),
    }
    names = {f"ask\x1f{name}": case for name, case in asking.items()}
    names |= {f"run\x1f{name}": case for name, case in running.items()}
    found = in_turn(names, rounds=20, budget_s=budget_s)
    huey.storage.close()
    commits.close()
    shop.store.close()
    return [
        Table("Asking for a task", "tasks a second", BASE, figures(_of("ask", found))),
        Table(
            "Running a no-op task that waits", "tasks a second", BASE, figures(_of("run", found))
        ),
    ]


def _of(part: str, found: dict[str, list[float]]) -> dict[str, list[float]]:
    prefix = f"{part}\x1f"
    return {name[len(prefix) :]: v for name, v in found.items() if name.startswith(prefix)}


def _noop() -> None:
    """Does nothing."""


def _repeat(count: int, act: Callable[[], object]) -> None:
    for _ in range(count):
        act()


def _tick(shop: Shop, count: int) -> None:
    ticked = ticker.tick(shop.store, shop.place)
    assert ticked.complete == count, ticked


def _drain(huey: SqliteHuey) -> None:
    while (task := huey.dequeue()) is not None:
        huey.execute(task)


def _in_processes(shop: Shop) -> float:
    """As many at the same time as the settings allow, which is 8."""
    noop: Any = shop.app["noop"]
    _repeat(TASKS_IN_PROCESSES, noop.enqueue)
    return rate(TASKS_IN_PROCESSES, lambda: _tick(shop, TASKS_IN_PROCESSES))
