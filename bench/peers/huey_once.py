"""One pass of Huey on SQLite, `fsync` on: run what waits, then end.

    huey_once.py FILE [ask]

With the word `ask`, one no-op task is asked for instead.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from huey import SqliteHuey

queue = SqliteHuey("bench", filename=sys.argv[1], fsync=True, results=False)


@queue.task()
def noop() -> None:
    """Does nothing."""


if "ask" in sys.argv:
    noop()
    sys.exit()
now = datetime.now(UTC).replace(tzinfo=None)
for task in queue.read_schedule(now):
    queue.enqueue(task)
while (task := queue.dequeue()) is not None:
    queue.execute(task)
