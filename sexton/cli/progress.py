"""A line on a terminal's stderr that says how far a plan is: counts, rate, and the rest of it.

Only a person sees it: where stderr is no terminal, or a plain one, nothing is written. It takes one
line, is drawn at most ten times a second, and is gone at the end.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from typing import Any, TextIO

from sexton.cli.say import count, cut, has_colours, one_line, say_no_more
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
        self._stream = sys.stderr
        self._is_seen = has_colours(self._stream)
        self._began_s = time.monotonic()
        self._drawn_s = 0.0
        self._is_drawn = False
        self._beside = ExitStack()

    def show(self, counts: Counter[str], total: int | None) -> None:
        """Take the counts so far, and how many there are if that is known."""
        now_s = time.monotonic()
        if not self._is_seen or now_s - self._drawn_s < DRAW_S:
            return
        self._drawn_s = now_s
        columns = shutil.get_terminal_size().columns - 1
        line = f"{self._name}  {said(counts, total, now_s - self._began_s)}"
        self._draw(f"{ERASE}{cut(line, columns)}")
        self._is_drawn = True

    def erase(self) -> None:
        """Make room for what somebody else writes on the terminal."""
        if self._is_drawn:
            self._is_drawn = False
            self._draw(ERASE)

    def _draw(self, text: str) -> None:
        try:
            print(text, end="", file=self._stream, flush=True)
        except OSError:  # the terminal has gone: what is done goes on
            self._is_seen = False
            say_no_more(self._stream)

    def __enter__(self) -> Bar:
        if self._is_seen:
            self._beside.enter_context(redirect_stderr(Beside(self, sys.stderr)))
            if sys.stdout.isatty():
                self._beside.enter_context(redirect_stdout(Beside(self, sys.stdout)))
        return self

    def __exit__(self, *_: object) -> None:
        self.erase()
        self._beside.close()


class Beside:
    """A stream of the same terminal: the bar is erased before anything is written to it."""

    def __init__(self, bar: Bar, stream: TextIO) -> None:
        self._bar = bar
        self._stream = stream

    def write(self, text: str) -> int:
        self._bar.erase()
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def said(counts: Counter[str], total: int | None, took_s: float) -> str:
    """`[####......] 120/300  40%  24.0/s  7 s left  2 failed`; else `18 items  4.8/s`."""
    over = sum(n for name, n in counts.items() if name not in NOT_OVER)
    rate = over / took_s if took_s > 0 else 0.0
    bad = [f"{n} {name}" for name, n in counts.items() if n and name in {"failed", "rejected"}]
    parts = [count(over, "item"), f"{rate:.1f}/s"]
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
