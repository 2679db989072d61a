"""An independent, slow reference for schedules: it looks at every minute.

It shares no code with `sexton.core`: the fields are read by a few lines of its own, the wall
clock comes from zoneinfo for each UTC minute in turn, and gaps are the wall minutes that never
came. What it says is therefore what a person with a clock and a crontab(5) page would say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
Matcher = Callable[[datetime], bool]
# One walk: (UTC moment, wall time, offset) for each minute, oldest first.
Walk = list[tuple[datetime, datetime, timedelta]]

_LOWEST, _HIGHEST = (0, 0, 1, 1, 0), (59, 23, 31, 12, 7)
_NAMES = {
    name: str(number)
    for names, first in (
        (("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1),
        (("sun", "mon", "tue", "wed", "thu", "fri", "sat"), 0),
    )
    for number, name in enumerate(names, first)
}


def crontab(line: str) -> tuple[Matcher, bool]:
    """A matcher of naive wall minutes for a valid line, and whether its times are fixed."""
    fields = line.lower().split()
    minutes, hours, days, months, weekdays = (
        set(_numbers(field, low, high))
        for field, low, high in zip(fields, _LOWEST, _HIGHEST, strict=True)
    )
    either = not (fields[2].startswith("*") or fields[4].startswith("*"))

    def matches(wall: datetime) -> bool:
        if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
            return False
        day = wall.day in days
        weekday = wall.isoweekday() in weekdays or wall.isoweekday() % 7 in weekdays
        return (day or weekday) if either else (day and weekday)

    return matches, not (fields[0].startswith("*") or fields[1].startswith("*"))


def _numbers(field: str, low: int, high: int) -> Iterator[int]:
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        start, stop = int(_NAMES.get(first, first)), int(_NAMES.get(last or first, last or first))
        yield from range(start, stop + 1, int(step or 1))


def walk(zone: str, start: datetime, end: datetime) -> Walk:
    """Look at the clock in `zone` at every UTC minute from `start` to before `end`."""
    info = ZoneInfo(zone)
    steps: Walk = []
    moment = start
    while moment < end:
        local = moment.astimezone(info)
        offset = local.utcoffset()
        assert offset is not None
        steps.append((moment, local.replace(tzinfo=None), offset))
        moment += MINUTE
    return steps


def periods(steps: Walk, matches: Matcher, *, fixed: bool) -> list[tuple[datetime, str]]:
    """All (moment, name) of a walk, oldest first.

    The walk begins and ends at least a day away from any change that matters.
    """
    found: dict[datetime, str] = {}
    seen: set[datetime] = set()
    for moment, wall, offset in steps:
        if matches(wall) and not (fixed and wall in seen):
            found[moment] = _name(wall, offset if wall in seen else None)
        seen.add(wall)
    if fixed:
        for moment, name in _made_up(steps, seen, matches):
            found.setdefault(moment, name)
    return sorted(found.items())


def _made_up(steps: Walk, seen: set[datetime], matches: Matcher) -> Iterator[tuple[datetime, str]]:
    """Fixed times in gaps of less than three hours, at the first moment after the gap."""
    highest: datetime | None = None
    for moment, wall, _ in steps:
        if highest is not None and wall > highest + MINUTE:
            gap = [
                missing
                for minutes in range(1, (wall - highest) // MINUTE)
                if (missing := highest + minutes * MINUTE) not in seen
            ]
            nominal = [missing for missing in gap if matches(missing)]
            if nominal and len(gap) < 180:
                yield moment, _name(nominal[0], None)
        highest = wall if highest is None else max(highest, wall)


def _name(wall: datetime, offset: timedelta | None) -> str:
    if offset is None:
        return f"{wall:%Y-%m-%dT%H:%M}"
    sign = "-" if offset < timedelta(0) else "+"
    minutes = abs(offset) // MINUTE
    return f"{wall:%Y-%m-%dT%H:%M}{sign}{minutes // 60:02}:{minutes % 60:02}"


def change_days(zone: str, year: int) -> list[datetime]:
    """UTC midnights of a year after which, within a day, the offset changes."""
    info = ZoneInfo(zone)
    midnights = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(367)]
    offsets = [midnight.astimezone(info).utcoffset() for midnight in midnights]
    return [
        midnight
        for midnight, before, after in zip(midnights, offsets, offsets[1:], strict=False)
        if before != after
    ]
