"""The ledger: items a second of a plan whose effect does nothing, beside bare commits.

The base is one INSERT a commit, `synchronous=FULL`, by the same library on the same file system:
what a ledger that wrote nothing else could reach at width 1. A wider plan shares its commits.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.commits import Commits
from bench.measure import Bound, Table, figures, in_turn, rate
from bench.shop import Shop, make

BASE = "bare FULL commits"
WIDTHS = (1, 4, 16)
ITEMS = 1500


def tables(directory: Path, budget_s: float) -> list[Table]:
    shop = make(directory / "ledger")
    commits = Commits(directory / "commits.db")
    cases = {BASE: lambda: rate(ITEMS, lambda: commits.make(ITEMS))}
    cases |= {f"ledger, width {width}": _served(shop, width) for width in WIDTHS}
    found = in_turn(cases, rounds=100, budget_s=budget_s)
    commits.close()
    shop.store.close()
    return [
        Table(
            f"Ledger: a plan of {ITEMS} items",
            "items a second",
            BASE,
            figures(found),
            Bound("ledger, width 1", "at least", 0.65),
            note="Each item is begun and done on disk: one commit an item at width 1, shared by"
            " what runs at the same time at more. The figures take in the plan's own row.",
        )
    ]


def _served(shop: Shop, width: int) -> Callable[[], float]:
    plan: Any = shop.app[f"plan_{width}"]

    def case() -> float:
        outcome = None

        def serve() -> None:
            nonlocal outcome
            outcome = plan.force("a measure", ITEMS)

        items_a_second = rate(ITEMS, serve)
        assert outcome is not None
        assert outcome.counts["done"] == ITEMS, outcome
        return items_a_second

    return case
