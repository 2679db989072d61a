"""A line on a terminal's stderr that says how far a plan is: counts, rate, and the rest of it.

Only a person sees it: where stderr is no terminal nothing is written. It takes one line, is drawn
at most ten times a second, and is gone at the end.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter

from sexton.cli.say import cut, one_line
from sexton.core import duration

DRAW_S = 0.1
BAR_COLUMNS = 20
ERASE = "\r\033[K"
# What counts as an item that is over, whichever way.
NOT_OVER = frozenset({"planned"})


class Bar:
    """`plan.progress = bar.show`; in a `with` block, which clears the line at the end."""

    def __init__(self, name: str) -> None:
        self._name = one_line(name)
        self._is_seen = sys.stderr.isatty()
        self._began_s = time.monotonic()
        self._drawn_s = 0.0

    def show(self, counts: Counter[str], total: int | None) -> None:
        """Take the counts so far, and how many there are if that is known."""
        now_s = time.monotonic()
        if not self._is_seen or now_s - self._drawn_s < DRAW_S:
            return
        self._drawn_s = now_s
        columns = shutil.get_terminal_size().columns - 1
        line = f"{self._name}  {said(counts, total, now_s - self._began_s)}"
        print(f"{ERASE}{cut(line, columns)}", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn_s:
            print(ERASE, end="", file=sys.stderr, flush=True)


def said(counts: Counter[str], total: int | None, took_s: float) -> str:
    """`[####......] 120/300  40%  24.0/s  7 s left  2 failed`; without a total no bar."""
    over = sum(count for name, count in counts.items() if name not in NOT_OVER)
    rate = over / took_s if took_s > 0 else 0.0
    bad = [f"{n} {name}" for name, n in counts.items() if n and name in {"failed", "rejected"}]
    parts = [f"{over}", f"{rate:.1f}/s"]
    if total:
        filled = "#" * (BAR_COLUMNS * min(over, total) // total)
        left = _left(total - over, rate)
        parts = [f"[{filled:.<{BAR_COLUMNS}}] {over}/{total}", f"{100 * over // total}%"]
        parts += [f"{rate:.1f}/s", *left]
    return "  ".join([*parts, *bad])


def _left(items: int, rate: float) -> list[str]:
    if rate <= 0 or items <= 0:
        return []
    return [f"{duration.say(int(items / rate) * 1_000_000)} left"]
