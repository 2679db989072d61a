"""Growth: how long one claim takes when the table is long, beside Huey's on SQLite.

Two ways to grow: rows that are finished (history), and rows that wait.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from huey import SqliteHuey

from bench.measure import Table, figures, in_turn
from bench.shop import Shop, make
from sexton.app.here import Here
from sexton.core.task import COMPLETE, Result

FEW, MANY = 1_000, 100_000
CLAIMS = 30  # a round

# As an asked kind's rows are, made at once.
FILL = """
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < :count)
INSERT INTO task (kind, key, lane, status, root, due_at, asked_at, started_at, ended_at, claim,
    nth_success)
SELECT 'inline', :word || n, 'inline/any/' || :word || n, :status, n, :now, :now,
    iif(:status = 'Complete', :now, NULL), iif(:status = 'Complete', :now, NULL), '',
    iif(:status = 'Complete', 1, NULL) FROM number
"""


def tables(directory: Path, budget_s: float) -> list[Table]:
    """The median claim of each round, in ms, as the median over the rounds."""
    few = f"Sexton, {FEW} finished"
    shops = {
        few: _shop(directory / "few", finished=FEW, waiting=FEW),
        f"Sexton, {MANY} finished": _shop(directory / "finished", finished=MANY, waiting=FEW),
        f"Sexton, {MANY} waiting": _shop(directory / "waiting", finished=FEW, waiting=MANY),
    }
    hueys = {
        f"Huey, {FEW} waiting": _huey(directory / "huey_few.db", FEW),
        f"Huey, {MANY} waiting": _huey(directory / "huey_many.db", MANY),
    }
    cases = {name: _claiming(shop) for name, shop in shops.items()}
    cases |= {name: _dequeuing(huey) for name, huey in hueys.items()}
    found = in_turn(cases, rounds=20, budget_s=budget_s)
    for shop in shops.values():
        shop.store.close()
    for huey in hueys.values():
        huey.storage.close()
    note = f"Where it is not said, {FEW} tasks wait. Huey keeps no finished ones."
    return [Table("One claim, by the length of the table", "ms", few, figures(found), note=note)]


def _shop(directory: Path, *, finished: int, waiting: int) -> Shop:
    shop = make(directory)
    for number, status, word in ((finished, "Complete", "f"), (waiting, "Pending", "w")):
        values = {"count": number, "status": status, "word": word, "now": shop.store.now()}
        with shop.store.db.transaction():
            shop.store.db.run(FILL, values)
    # What was written is copied into the file now, and not by the first claims.
    shop.store.db.all("PRAGMA wal_checkpoint(TRUNCATE)")
    return shop


def _claiming(shop: Shop) -> Callable[[], float]:
    queue = shop.store.queue(Here(shop.store).owner)
    inline: Any = shop.app["inline"]
    numbers = count()

    def case() -> float:
        times_ms = []
        for _ in range(CLAIMS):
            begun_s = time.perf_counter()
            claim = queue.claim(f"bench-{next(numbers)}")
            times_ms.append((time.perf_counter() - begun_s) * 1e3)
            assert claim is not None
            queue.finish(claim, Result(status=COMPLETE, outcome="returned"))
            inline.enqueue()  # so that as many wait as before
        return statistics.median(times_ms)

    return case


def _huey(path: Path, waiting: int) -> SqliteHuey:
    huey = SqliteHuey("growth", filename=str(path), fsync=True, results=False)
    noop = huey.task(name="noop")(_noop)
    message = huey.serialize_task(noop.s())
    rows = ((huey.name, message, 0.0) for _ in range(waiting))
    with huey.storage.db(commit=True) as cursor:
        cursor.executemany("INSERT INTO task (queue, data, priority) VALUES (?, ?, ?)", rows)
    return huey


def _dequeuing(huey: SqliteHuey) -> Callable[[], float]:
    def case() -> float:
        times_ms = []
        for _ in range(CLAIMS):
            begun_s = time.perf_counter()
            task = huey.dequeue()
            times_ms.append((time.perf_counter() - begun_s) * 1e3)
            assert task is not None
            huey.enqueue(task)
        return statistics.median(times_ms)

    return case


def _noop() -> None:
    """Does nothing."""
