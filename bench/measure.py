"""Cases measured in turn, and what came of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

T = TypeVar("T")

ROUNDS_MIN = 3  # also where the time is up: a median of less says nothing


@dataclass(frozen=True)
class Figure:
    """What one case measured, once a round."""

    name: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True)
class Bound:
    """What is to be reached: `of` at most, or at least, `limit`; times the base, or as it is."""

    of: str
    word: Literal["at most", "at least"]
    limit: float
    is_ratio: bool = True


@dataclass(frozen=True)
class Table:
    """Figures of one unit, each beside the `base`."""

    title: str
    unit: str
    base: str
    figures: tuple[Figure, ...]
    bound: Bound | None = None
    note: str = ""

    def ratio(self, figure: Figure) -> float:
        """The figure's median as a multiple of the base's."""
        return figure.median / self.named(self.base).median

    def named(self, name: str) -> Figure:
        return next(figure for figure in self.figures if figure.name == name)

    @property
    def verdict(self) -> str:
        """One sentence about the bound, '' if there is none."""
        if self.bound is None:
            return ""
        figure, limit = self.named(self.bound.of), self.bound.limit
        value = self.ratio(figure) if self.bound.is_ratio else figure.median
        is_kept = value <= limit if self.bound.word == "at most" else value >= limit
        unit = f"× {self.base}" if self.bound.is_ratio else self.unit
        return (
            f"To reach: {figure.name} {self.bound.word} {limit:g} {unit}."
            f" {'Reached' if is_kept else 'NOT reached'}: {value:.2f}."
        )


def in_turn(
    cases: Mapping[str, Callable[[], T]], *, rounds: int, budget_s: float, warm: int = 1
) -> dict[str, list[T]]:
    """Run every case once a round; return what each measured, the warming rounds left out.

    It ends after `rounds`, or earlier when `budget_s` is over, but not before ROUNDS_MIN.
    """
    found: dict[str, list[T]] = {name: [] for name in cases}
    ends_s = time.monotonic() + budget_s
    for number in range(-warm, rounds):
        if number >= ROUNDS_MIN and time.monotonic() > ends_s:
            break
        for name, case in cases.items():
            value = case()
            if number >= 0:
                found[name].append(value)
    return found


def figures(found: Mapping[str, list[float]]) -> tuple[Figure, ...]:
    return tuple(Figure(name, tuple(values)) for name, values in found.items())


def rate(count: int, act: Callable[[], object]) -> float:
    """How many a second, where the act does `count` of them."""
    begun_s = time.perf_counter()
    act()
    return count / (time.perf_counter() - begun_s)
