"""A guarded function called directly: when it runs, and when there is nothing to do.

Beside the only thing that cannot be spared, commits that wait for the disk: a call that runs makes
two, *claimed* and *finished*; one that is skipped is only counted, and waits for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.commits import Commits
from bench.measure import Table, figures, in_turn
from bench.shop import make

BASE = "two bare FULL commits"
CALLS = 100


def tables(directory: Path, budget_s: float) -> list[Table]:
    shop = make(directory / "calls")
    commits = Commits(directory / "commits_beside_calls.db")
    noop: Any = shop.app["noop"]
    rare: Any = shop.app["rare"]
    assert rare().ran
    assert not rare().ran
    cases = {
        BASE: _ms(lambda: commits.make(2)),
        "a call that runs": _ms(noop),
        "a call that is skipped": _ms(rare),
    }
    found = in_turn(cases, rounds=40, budget_s=budget_s)
    commits.close()
    shop.store.close()
    return [Table("A guarded no-op, called directly", "ms", BASE, figures(found))]


def _ms(call: Callable[[], object]) -> Callable[[], float]:
    """The mean of CALLS calls in ms."""

    def case() -> float:
        begun_s = time.perf_counter()
        for _ in range(CALLS):
            call()
        return (time.perf_counter() - begun_s) / CALLS * 1e3

    return case
