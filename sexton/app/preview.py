"""Whom a call of a plan would touch, found by reading alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from sexton.app.here import Here
from sexton.core import words
from sexton.core.kind import Kind
from sexton.core.queue import Call, Taken
from sexton.store.ledger import Items
from sexton.work.effect import Effect
from sexton.work.sweep import are_lost

# A call that is refused so would serve nobody, whoever is planned.
TOUCHES_NOBODY = {"complete", "gap", "expired", "exhausted", "aborted"}


class Preview(msgspec.Struct, frozen=True):
    """Whom a call would touch, found without touching anybody.

    `period`: what it would be for. `keys`: those it would serve, in the plan's order. `counts`:
    planned, to serve, and those that it would pass over, by why. `skipped`: why a call now would
    not run, '' if it would.
    """

    kind: str
    period: str
    keys: list[str]
    counts: dict[str, int]
    skipped: str = ""

    def __str__(self) -> str:
        passed = {name: n for name, n in self.counts.items() if name not in {"planned", "to serve"}}
        more = "".join(f", {n} {name}" for name, n in passed.items())
        text = (
            f"{self.kind} would serve {len(self.keys)} of {self.counts['planned']} planned{more}"
            f" in period {self.period}; nobody was touched"
        )
        return f"{text}. A call now: {self.skipped}" if self.skipped else text


class Standing(NamedTuple):
    """What a call would find now.

    `scope`: what its items are distinct in, '' for one of its own. `skipped`: why it would not run,
    '' if it would. `touches_nobody`: it would serve nobody, whoever is planned. `is_dead`: whoever
    has begun items and not ended them is lost, and yet to be settled.
    """

    kind: Kind
    items: Items
    scope: str
    skipped: str = ""
    touches_nobody: bool = False
    is_dead: bool = False


def standing(here: Here, kind: Kind, call: Call) -> Standing:
    """Ask the guard what it would answer, and leave all as it is."""
    store, guard, now = here.store, here.guard(), here.now()
    answer = guard.peek(kind, call)
    is_dead = are_lost(guard.holders(kind, ""), here.process, now)
    if isinstance(answer, Taken):
        scope = store.items.scope_of(kind, answer.claim)
        return Standing(kind, store.items, scope, is_dead=is_dead)
    found = Standing(kind, store.items, kind.scope or answer.period, is_dead=is_dead)
    if is_dead and answer.skip.code == "running":
        return found  # what stands in its way and is dead, a call would settle first
    known = store.kinds.get(kind.name)
    skipped = str(words.refused(kind, answer, known.anchor_at if known else now, now))
    return found._replace(skipped=skipped, touches_nobody=answer.skip.code in TOUCHES_NOBODY)


class Rehearsal:
    """What the ledger would answer for each thing of a plan, only read."""

    def __init__(self, found: Standing, effect: Effect) -> None:
        self._items, self._kind, self._scope = found.items, found.kind, found.scope
        self._effect = effect
        self._is_dead = found.is_dead
        owner = "" if self._kind.scope else self._kind.name
        self._known = self._items.statuses(owner, self._scope) if self._scope else {}
        self._left: dict[str, int] = {}
        # An item that is in doubt is served only where the policy is to try it again.
        self._again = {"", "Failed"} | ({"In doubt"} if self._kind.in_doubt == "retry" else set())

    def of(self, things: Iterable[Any]) -> tuple[Counter[str], list[str]]:
        """The counts, and the keys that would be served, in the plan's order."""
        counts: Counter[str] = Counter(planned=0)
        keys: dict[str, str] = {}
        for thing in things:
            counts["planned"] += 1
            try:
                key, whom = self._effect.key_of(thing), self._effect.whom_of(thing)
            except Exception:  # noqa: BLE001 -- foreign code: a run would fail this one alone
                counts["without a key"] += 1
                continue
            passed = "twice" if key in keys else self._why_not(key, whom)
            keys.setdefault(key, passed)
            if passed:
                counts[passed] += 1
        return counts, [key for key, passed in keys.items() if not passed]

    def _why_not(self, key: str, whom: str) -> str:
        """Why a run would pass it over; '' if it would serve it."""
        status = self._known.get(key, "")
        if status == "Begun" and self._is_dead:
            status = "In doubt"
        if status not in self._again:
            return status.lower()
        return "" if self._has_slot(key, whom, status) else "capped"

    def _has_slot(self, key: str, whom: str, status: str) -> bool:
        cap = self._effect.cap
        if cap is None:
            return True
        if status and self._items.holds_slot(self._kind, cap, whom, self._scope, key):
            return True
        left = self._left.setdefault(whom, self._items.slots_left(self._kind, cap, whom))
        self._left[whom] = left - 1
        return left > 0
