"""What a period is, and those that follow each other by elapsed time: every 90 minutes.

Closed arithmetic from an anchor, and no zone: a day of 25 hours has one more `every="1h"`. For
the same reason the periods are named in UTC.
"""

from __future__ import annotations

import msgspec

from sexton.core import duration
from sexton.core.errors import ScheduleError
from sexton.core.instant import SECOND_US, Instant, iso


class Period(msgspec.Struct, frozen=True):
    """One scheduled moment. Within a schedule its `name` is unique, and so is `due_at`."""

    name: str
    due_at: Instant


class Interval:
    """A schedule of the instants `anchor + n * every_us`, n from 1."""

    def __init__(self, every_us: int, anchor: Instant, zone_name: str = "UTC") -> None:
        if every_us < SECOND_US:
            raise ScheduleError(
                "every: an interval is at least 1 s.", hint="Let one call do the work of many."
            )
        self.every_us = every_us
        self.anchor = anchor
        self.zone_name = zone_name
        self.text = f"every {duration.say(every_us)}"

    def next(self, after: Instant) -> Period | None:
        """The first period strictly after."""
        return self._period(self._passed(after) + 1)

    def latest(self, after: Instant, until: Instant) -> Period | None:
        """The newest period that fell due after `after` and up to `until`."""
        return self._period(self._passed(until)) if self.count(after, until) else None

    def count(self, after: Instant, until: Instant) -> int:
        """How many fell due after `after` and up to `until`."""
        return max(0, self._passed(until) - self._passed(after))

    def due(self, after: Instant, until: Instant, most: int) -> list[Period]:
        """The newest `most` of those, oldest first."""
        newest = self._passed(until)
        length = min(max(0, most), self.count(after, until))
        return [self._period(n) for n in range(newest - length + 1, newest + 1)]

    def explain(self) -> str:
        """What it means, in English."""
        return f"Every {duration.say(self.every_us)} of elapsed time"

    def _passed(self, instant: Instant) -> int:
        """How many periods fell due up to and at this instant."""
        return max(0, (instant - self.anchor) // self.every_us)

    def _period(self, n: int) -> Period:
        due_at = self.anchor + n * self.every_us
        name = iso(due_at).removesuffix("Z")
        return Period(name.removesuffix(":00") + "Z", due_at)
