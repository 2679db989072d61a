"""What a call of a guarded function answers: one sentence, and the facts behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, Literal, NoReturn, TypeVar

R_co = TypeVar("R_co", covariant=True)

Code = Literal[
    "done",  # ran, and is Complete
    "failed",  # ran, and ended Aborted
    "lost",  # ran, but was settled by somebody else meanwhile
    "complete",  # skipped: this period is done
    "running",  # skipped: it runs now
    "lane",  # skipped: another task holds its lane
    "gap",  # skipped: the last success is too near
    "not due",  # skipped: no period has fallen due yet
    "expired",  # skipped: too late for this period
    "exhausted",  # skipped: the attempts of this period are used up
    "aborted",  # skipped: a person ended this period
]

RAN: frozenset[str] = frozenset({"done", "failed", "lost"})


@dataclass(frozen=True)
class Outcome(Generic[R_co]):
    """What was done or why not. `str()` is one sentence.

    `code`: one of `Code`. `value`: what the function returned, if it ran here. `counts`: items by
    how they ended. `period`: the period's name or ''. `task`: the row's id, or None where no row
    was made. `sentence`: what `str()` says.
    """

    code: Code
    sentence: str
    value: R_co | None = None
    counts: dict[str, int] = field(default_factory=dict)
    period: str = ""
    task: int | None = None

    @property
    def ran(self) -> bool:
        """Whether the body ran in this call."""
        return self.code in RAN

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong: the work is done, is being done, or is not due yet."""
        return self.code not in {"failed", "lost", "exhausted", "expired", "aborted"}

    def __str__(self) -> str:
        return self.sentence

    def __bool__(self) -> NoReturn:
        raise TypeError("an Outcome is neither true nor false: ask .ran, .ok or .code")
