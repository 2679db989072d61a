"""Which periods of a schedule fell due, and which comes next.

Pure: the caller brings the instants. Three languages are read: crontab lines, systemd calendars
and plain intervals. The first two name wall times in a zone and keep Debian cron's meaning when
its offset changes:

- fixed times (neither minute nor hour starts with `*`) run once each: in a gap of less than
  three hours at the first instant after it, in a longer one (a skipped day) not at all, in a
  fold in its first pass only;
- the others follow real time: what the wall clock shows, in both passes of a fold.

One instant is one period. It is named by its nominal local time, so that the same call at any
second of the day gives the same name; in the second pass of a fold with the offset.
Source: crontab(5) and the DST rules of Debian's cron(8).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

import msgspec

from sexton.core import duration, zone
from sexton.core.calendar import CYCLE, MONTHS, Calendar, read_systemd
from sexton.core.crontab import TEXT_CHARS_MAX
from sexton.core.crontab import read as read_crontab
from sexton.core.errors import DurationError, ScheduleError
from sexton.core.instant import SECOND_US, Instant
from sexton.core.interval import Interval, Period
from sexton.core.zone import Stretch, Zone

__all__ = ["Finding", "Interval", "Period", "Schedule", "WallSchedule", "findings", "parse"]

_SYSTEMD_WORDS = (
    "minutely",
    "hourly",
    "daily",
    "monthly",
    "weekly",
    "yearly",
    "annually",
    "quarterly",
    "semiannually",
)
_WALL_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- a wall time is naive
GAP_S_MAX = 3 * 3600  # Debian's cron makes up for changes of less than this
LOOK_AHEAD_S = 2 * 366 * 86_400  # how far `findings` looks
HORIZON_S = 50 * 366 * 86_400  # how far `next` looks
END_S = 7_258_118_400  # 2200-01-01, where systemd stops too; nothing is evaluated beyond


class Schedule(Protocol):
    """What falls due when. All bounds: `after` is excluded, `until` included."""

    @property
    def text(self) -> str:
        """The expression; `parse` reads it back."""

    @property
    def zone_name(self) -> str:
        """The IANA name of the zone."""

    def next(self, after: Instant) -> Period | None:
        """The first period strictly after; None: none within 50 years."""

    def latest(self, after: Instant, until: Instant) -> Period | None:
        """The newest period between; None: none fell due."""

    def count(self, after: Instant, until: Instant) -> int:
        """How many periods fell due between. Not looped: a year costs microseconds."""

    def due(self, after: Instant, until: Instant, most: int) -> list[Period]:
        """The newest `most` periods between, oldest first."""

    def explain(self) -> str:
        """What it means, in English."""


class WallSchedule:
    """A calendar's wall times in a zone."""

    def __init__(self, text: str, calendar: Calendar, where: Zone) -> None:
        self.text = text
        self.calendar = calendar
        self.zone = where
        self.zone_name = where.name

    def next(self, after: Instant) -> Period | None:
        """The first period strictly after; None: none within 50 years."""
        low = _second_after(after)
        for stretch in self.zone.stretches(low, min(low + HORIZON_S, END_S)):
            for period in self._forward(stretch):
                return period
        return None

    def latest(self, after: Instant, until: Instant) -> Period | None:
        """The newest period after `after` and up to `until`."""
        return next(self._back(after, until), None)

    def count(self, after: Instant, until: Instant) -> int:
        """How many fell due after `after` and up to `until`: arithmetic by stretches."""
        low, high = _second_after(after), _second_after(until)
        count = 0
        for stretch in self.zone.stretches(low, high):
            count += self.calendar.count(*self._walls(stretch))
            count += self._made_up(stretch) is not None
        return count

    def due(self, after: Instant, until: Instant, most: int) -> list[Period]:
        """The newest `most` of those, oldest first."""
        return list(islice(self._back(after, until), max(0, most)))[::-1]

    def explain(self) -> str:
        """What it means, in English."""
        place = "UTC" if self.zone_name == "UTC" else f"{self.zone_name} time"
        return f"{self.calendar.words}, {place}"

    def _back(self, after: Instant, until: Instant) -> Iterator[Period]:
        """All periods after `after` and up to `until`, newest first."""
        for stretch in self.zone.stretches_back(_second_after(after), _second_after(until)):
            low, high = self._walls(stretch)
            while (wall := self.calendar.last(low, high)) is not None:
                yield self._period(wall, stretch)
                high = wall
            if made_up := self._made_up(stretch):
                yield made_up

    def _forward(self, stretch: Stretch) -> Iterator[Period]:
        """The periods of a stretch, oldest first."""
        if made_up := self._made_up(stretch):
            yield made_up
        low, high = self._walls(stretch)
        while (wall := self.calendar.first(low, high)) is not None:
            yield self._period(wall, stretch)
            low = wall + 1

    def _walls(self, stretch: Stretch) -> tuple[int, int]:
        """The wall seconds of a stretch that count; a fixed time's second pass does not."""
        low, high = stretch.start + stretch.offset_s, stretch.end + stretch.offset_s
        return (max(low, stretch.seen) if self.calendar.fixed else low), high

    def _made_up(self, stretch: Stretch) -> Period | None:
        """The period at the first instant after a gap, for the fixed times within the gap.

        None as well if the wall time that exists then is named itself: one instant, one period.
        """
        if not (self.calendar.fixed and 0 < stretch.gap_s < GAP_S_MAX):
            return None
        wall = stretch.start + stretch.offset_s
        nominal = self.calendar.first(stretch.seen, wall)
        if nominal is None or self.calendar.names(wall):
            return None
        return Period(wall_name(nominal), stretch.start * SECOND_US)

    def _period(self, wall: int, stretch: Stretch) -> Period:
        offset_s = stretch.offset_s if wall < stretch.seen else None
        return Period(wall_name(wall, offset_s), (wall - stretch.offset_s) * SECOND_US)


def parse(
    schedule: str | None = None,
    *,
    tz: str = "UTC",
    every: str | timedelta | int | None = None,
    anchor: Instant = 0,
) -> Schedule:
    """Read a crontab line, a systemd calendar, or an interval (`every`, or the text "every 90m").

    `tz`: the zone of wall times; a systemd calendar may end with its own (UTC counts as not
    said). An integer `every` is in microseconds, as the store keeps it. `anchor`: what an
    interval counts from.
    Raises ScheduleError, which names the field and says what to write instead.
    """
    if every is not None and schedule is None:
        return _interval(every, tz, anchor)
    if every is not None or schedule is None:
        raise ScheduleError("Give either a schedule or every=, and not both.")
    text = _clean(schedule)
    if text.lower().startswith("every "):
        return _interval(text[6:], tz, anchor)
    if not _is_systemd(text):
        return WallSchedule(text, read_crontab(text), zone.find(tz))
    calendar, own_zone = read_systemd(text)
    if own_zone and tz not in ("UTC", own_zone):
        raise ScheduleError(
            f"time zone: {text!r} and tz={tz!r} contradict each other.", hint="Say it once."
        )
    return WallSchedule(text, calendar, zone.find(own_zone or tz))


def wall_name(wall: int, offset_s: int | None = None) -> str:
    """`2026-11-22T07:30`; seconds only if there are any; the offset only if it is given."""
    moment = _WALL_EPOCH + timedelta(seconds=wall)
    name = moment.isoformat(timespec="seconds" if moment.second else "minutes")
    if offset_s is None:
        return name
    hours, rest = divmod(abs(offset_s), 3600)
    minutes, seconds = divmod(rest, 60)
    name += f"{'-' if offset_s < 0 else '+'}{hours:02}:{minutes:02}"
    return f"{name}:{seconds:02}" if seconds else name


def _interval(every: str | timedelta | int, tz: str, anchor: Instant) -> Interval:
    length = timedelta(microseconds=every) if isinstance(every, int) else every
    try:
        return Interval(duration.parse(length), anchor, zone.find(tz).name)
    except DurationError as error:
        raise ScheduleError(f"every: {error}", hint=error.hint) from None


def _clean(schedule: object) -> str:
    """The text without spaces around it, if it is one short line of ASCII."""
    if not isinstance(schedule, str) or not schedule.strip():
        raise ScheduleError("The schedule is empty.", hint="Write 30 7 * * *, say.")
    text = schedule.strip()
    if len(text) > TEXT_CHARS_MAX:
        raise ScheduleError(f"The schedule is longer than {TEXT_CHARS_MAX} characters.")
    strange = [char for char in text if not (" " <= char <= "~" or char == "\t")]
    if strange:
        raise ScheduleError(
            f"The schedule {text!r} contains {strange[0]!r}.",
            hint="It is one line of plain ASCII; other digits and spaces only look alike.",
        )
    return text


def _is_systemd(text: str) -> bool:
    """Whether it is meant as a systemd calendar: a time, a date, or one of its own words."""
    words = text.lower().split()
    if len(words) == 5 and ":" not in text:
        return False
    if ":" in text or words[0] in _SYSTEMD_WORDS:
        return not text.startswith("@")
    return len(words) <= 4 and any(word.replace("~", "-").count("-") == 2 for word in words)


def _second_after(instant: Instant) -> int:
    """The first whole second strictly after, within what is evaluated."""
    return min(max(instant // SECOND_US + 1, 0), END_S)


class Finding(msgspec.Struct, frozen=True):
    """What a second look at a schedule found. `code` is stable, `text` one sentence.

    Codes: gap, fold, either day, both days, short months, rare, ended.
    """

    code: str
    text: str


def findings(schedule: Schedule, now: Instant) -> list[Finding]:
    """What its author may not have meant, or should know, within two years of `now`."""
    if not isinstance(schedule, WallSchedule):
        return []
    low = _second_after(now)
    stretches = schedule.zone.stretches(low, min(low + LOOK_AHEAD_S, END_S))
    found = [_at_change(schedule, stretch) for stretch in stretches]
    found += [_two_day_fields(schedule), _short_months(schedule), _rare(schedule, now)]
    return [finding for finding in found if finding]


def _at_change(schedule: WallSchedule, stretch: Stretch) -> Finding | None:
    """What happens to the times that the change at the start of a stretch skips or repeats."""
    start = stretch.start + stretch.offset_s
    low, high = min(start, stretch.seen), max(start, stretch.seen)
    is_gap, is_fold = stretch.gap_s > 0, start < stretch.seen
    wall = schedule.calendar.first(low, high) if is_gap or is_fold else None
    if wall is None:
        return None
    midnight = wall // 86_400 * 86_400
    if not schedule.calendar.fixed and schedule.calendar.count(
        midnight, midnight + 86_400
    ) > schedule.calendar.count(low, high):
        # It repeats on that day as on any other, and only follows the clock.
        return None
    where = f"{wall_name(wall)} {{}} in {schedule.zone_name}:"
    if is_fold:
        passes = "in the first pass only" if schedule.calendar.fixed else "in both passes"
        return Finding("fold", f"{where.format('comes twice')} it runs {passes}.")
    made_up = schedule.calendar.fixed and stretch.gap_s < GAP_S_MAX
    then = f"it runs at {wall_name(start)}" if made_up else "it does not run that day"
    return Finding("gap", f"{where.format('does not exist')} {then}.")


def _two_day_fields(schedule: WallSchedule) -> Finding | None:
    """Cron's star rule, where both day fields say something."""
    fields = schedule.text.split()
    if len(fields) != 5 or ":" in schedule.text or "*" in (fields[2], fields[4]):
        return None
    days, weekdays = fields[2], fields[4]
    if "*" in (days[0], weekdays[0]):
        rule = "only days that match both, since one field starts with *"
        return Finding("both days", f"Day-of-month {days} and day-of-week {weekdays}: {rule}.")
    rule = "a day that matches either is enough"
    return Finding("either day", f"Day-of-month {days} and day-of-week {weekdays}: {rule}.")


def _short_months(schedule: WallSchedule) -> Finding | None:
    """Months that are named but, in some years at least, have no such day."""
    calendar = schedule.calendar
    lacking = [
        month
        for month in sorted(calendar.months)
        if calendar.years is None and not all(calendar.days(year, month) for year in CYCLE)
    ]
    if not lacking or len(lacking) == len(calendar.months):
        return None
    names = ", ".join(MONTHS[month - 1] for month in lacking)
    return Finding("short months", f"Not every year has such a day in {names}.")


def _rare(schedule: WallSchedule, now: Instant) -> Finding | None:
    period = schedule.next(now)
    if period is None:
        return Finding("ended", "It names no moment any more.")
    if period.due_at - now <= 366 * 86_400 * SECOND_US:
        return None
    return Finding("rare", f"It runs next at {period.name}, more than a year from now.")
