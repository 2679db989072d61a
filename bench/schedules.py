"""The next moment of a crontab line, beside cronsim, whose meaning Sexton keeps and mends."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from cronsim import CronSim

from bench.measure import Table, figures, in_turn
from sexton.core import instant, schedule

ZONE = "Europe/Riga"
LINES = ("30 7 * * *", "*/5 9-17 * * 1-5", "0 3 29 2 *")
AFTER = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CALLS = 20


def tables(directory: Path, budget_s: float) -> list[Table]:
    del directory  # nothing is written
    return [_table(line, budget_s / len(LINES)) for line in LINES]


def _table(line: str, budget_s: float) -> Table:
    after = instant.from_datetime(AFTER)
    local = AFTER.astimezone(ZoneInfo(ZONE))
    parsed = schedule.parse(line, tz=ZONE)
    assert parsed.next(after) is not None
    cases = {
        "cronsim, parsed and asked": _us(lambda: next(CronSim(line, local))),
        "Sexton, parsed and asked": _us(lambda: schedule.parse(line, tz=ZONE).next(after)),
        "Sexton, asked": _us(lambda: parsed.next(after)),
    }
    found = in_turn(cases, rounds=100, budget_s=budget_s)
    return Table(f"Next after a Sunday noon: `{line}`", "µs", next(iter(cases)), figures(found))


def _us(call: Callable[[], object]) -> Callable[[], float]:
    """The mean of CALLS calls in µs."""

    def case() -> float:
        begun_s = time.perf_counter()
        for _ in range(CALLS):
            call()
        return (time.perf_counter() - begun_s) / CALLS * 1e6

    return case
