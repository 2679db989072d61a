"""Which wall times a calendar names: naive, without zones; and how a systemd calendar is read.

A `Calendar` is a set of days times a set of times of day. So how many wall times lie between
two others is arithmetic over months, and a year of every minute costs microseconds.

Wall seconds are seconds since 1970-01-01T00:00 on the wall clock, whatever its zone.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator
from datetime import date, datetime

import msgspec

from sexton.core.errors import ScheduleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from oncalendar import BaseIterator

DAY_S = 86_400
_EPOCH_DAY = date(1970, 1, 1).toordinal()
# The kinds of month repeat after 28 years: whoever names no day in these names none.
CYCLE = range(2000, 2028)


class Times(msgspec.Struct, frozen=True):
    """Times of day: every hour with every minute with every second; each ascending."""

    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...] = (0,)

    def __len__(self) -> int:
        return len(self.hours) * len(self.minutes) * len(self.seconds)

    def __getitem__(self, index: int) -> int:
        """The second of the day of the time with this index, which is not negative."""
        rest, second = divmod(index, len(self.seconds))
        hour, minute = divmod(rest, len(self.minutes))
        return self.hours[hour] * 3600 + self.minutes[minute] * 60 + self.seconds[second]

    def below(self, second_of_day: int) -> int:
        """How many of the times come before this second of the day."""
        hour, rest = divmod(second_of_day, 3600)
        minute, second = divmod(rest, 60)
        count = bisect_left(self.hours, hour) * len(self.minutes) * len(self.seconds)
        if hour in self.hours:
            count += bisect_left(self.minutes, minute) * len(self.seconds)
            if minute in self.minutes:
                count += bisect_left(self.seconds, second)
        return count


class Calendar:
    """Wall times named by an expression, in order, between bounds that the caller brings.

    `fixed`: it names times of day (they keep their number through a change of offset), and
    does not repeat by the hour or minute (then it follows real time). `months`: 1 to 12, as
    written. `years`: None for every year. `words`: what it means, in English.
    """

    def __init__(
        self,
        times: Times,
        months: Collection[int],
        matches: Callable[[date], bool],
        *,
        fixed: bool,
        words: str,
        years: Collection[int] | None = None,
    ) -> None:
        self.times = times
        self.months = frozenset(months)
        self.years = years
        self.fixed = fixed
        self.words = words
        self._matches = matches
        self._kinds: dict[tuple[int, int, int], tuple[int, ...]] = {}

    def days(self, year: int, month: int) -> tuple[int, ...]:
        """The days of a month that it names, ascending."""
        if month not in self.months or (self.years is not None and year not in self.years):
            return ()
        first = date(year, month, 1)
        length = (date(year + month // 12, month % 12 + 1, 1) - first).days
        kind = (month, first.weekday(), length)
        if kind not in self._kinds:
            month_days = (first.replace(day=day) for day in range(1, length + 1))
            self._kinds[kind] = tuple(day.day for day in month_days if self._matches(day))
        return self._kinds[kind]

    def is_possible(self) -> bool:
        """Whether any day at all is named."""
        years = CYCLE if self.years is None else sorted(self.years)
        return any(self.days(year, month) for year in years for month in self.months)

    def count(self, low: int, high: int) -> int:
        """How many wall seconds from `low` up to before `high` it names."""
        if low >= high:
            return 0
        days = sum(len(self.days(year, month)) for year, month in _months(low, high))
        # Whole months were counted: take off what lies before `low`, and from `high` on.
        return days * len(self.times) - self._below(low) - self._from(high)

    def first(self, low: int, high: int) -> int | None:
        """The first wall second named from `low` up to before `high`."""
        floor = _date(low)
        for year, month in _months(low, high):
            days = self.days(year, month)
            is_floor = (year, month) == (floor.year, floor.month)
            for day in days[bisect_left(days, floor.day) if is_floor else 0 :]:
                midnight = _midnight(year, month, day)
                index = self.times.below(max(0, low - midnight))
                if index < len(self.times):
                    wall = midnight + self.times[index]
                    return wall if wall < high else None
        return None

    def last(self, low: int, high: int) -> int | None:
        """The last wall second named from `low` up to before `high`."""
        ceiling = _date(high - 1)
        for year, month in _months_back(low, high):
            days = self.days(year, month)
            is_ceiling = (year, month) == (ceiling.year, ceiling.month)
            end = bisect_right(days, ceiling.day) if is_ceiling else len(days)
            for day in reversed(days[:end]):
                midnight = _midnight(year, month, day)
                index = self.times.below(min(DAY_S, high - midnight))
                if index > 0:
                    wall = midnight + self.times[index - 1]
                    return wall if wall >= low else None
        return None

    def names(self, wall: int) -> bool:
        """Whether it names exactly this wall second."""
        return self.first(wall, wall + 1) is not None

    def _below(self, wall: int) -> int:
        """How many are named in the month of `wall`, before it."""
        day = _date(wall)
        days = self.days(day.year, day.month)
        index = bisect_left(days, day.day)
        count = index * len(self.times)
        if index < len(days) and days[index] == day.day:
            count += self.times.below(wall % DAY_S)
        return count

    def _from(self, wall: int) -> int:
        """How many are named in the month of the second before `wall`, from `wall` on."""
        day = _date(wall - 1)
        days = self.days(day.year, day.month)
        if wall % DAY_S == 0:
            return (len(days) - bisect_left(days, day.day + 1)) * len(self.times)
        return len(days) * len(self.times) - self._below(wall)


def _date(wall: int) -> date:
    return date.fromordinal(_EPOCH_DAY + wall // DAY_S)


def _midnight(year: int, month: int, day: int) -> int:
    return (date(year, month, day).toordinal() - _EPOCH_DAY) * DAY_S


def _months(low: int, high: int) -> Iterator[tuple[int, int]]:
    """Each (year, month) that wall seconds from `low` up to before `high` touch."""
    if low < high:
        first, last = _date(low), _date(high - 1)
        for index in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
            yield index // 12, index % 12 + 1


def _months_back(low: int, high: int) -> Iterator[tuple[int, int]]:
    if low < high:
        first, last = _date(low), _date(high - 1)
        for index in range(last.year * 12 + last.month - 1, first.year * 12 + first.month - 2, -1):
            yield index // 12, index % 12 + 1


# How the shorthands of systemd.time(7) repeat: by the minute and hour, or at a time of day.
_REPEATING = ("minutely", "hourly")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def read_systemd(text: str) -> tuple[Calendar, str]:
    """Read a systemd calendar, `Mon..Fri *-*-* 07:30 Europe/Riga`; return it and its zone or ''.

    Through a change of offset it keeps the promise that crontab lines have here: fixed times
    run once, `*` and `0/15` follow real time. (systemd itself skips a fixed time in a gap.)
    Raises ScheduleError, which names the field. Source: systemd.time(7).
    """
    # Here and not above: a schedule of the other two languages needs no oncalendar.
    from oncalendar import BaseIterator, OnCalendarError

    expression, zone = _split_zone(text)
    _check_steps(expression)
    try:
        iterator = BaseIterator(expression, datetime(2000, 1, 1))  # noqa: DTZ001 -- naive days only
    except OnCalendarError as error:
        field = str(error).removeprefix("Bad ").lower()
        raise ScheduleError(
            f"{field}: not understood in the systemd calendar {text!r}.",
            hint="Write it as Mon..Fri *-*-* 07:30:00, and try it with systemd-analyze calendar.",
        ) from None
    calendar = Calendar(
        Times(*(tuple(sorted(x)) for x in (iterator.hours, iterator.minutes, iterator.seconds))),
        iterator.months,
        lambda day: iterator.match_dow(day) and iterator.match_dom(day),
        years=None if len(iterator.years) == 230 else frozenset(iterator.years),
        fixed=_is_fixed(expression),
        words=_words(iterator),
    )
    if not calendar.is_possible():
        raise ScheduleError(f"day-of-month: no such date exists in {text!r}.")
    return calendar, zone


def _split_zone(text: str) -> tuple[str, str]:
    """Part a zone at the end from the expression; a weekday is none."""
    *head, tail = text.split()
    if head and tail[0].isalpha() and tail[:3].title() not in {day[:3] for day in _WEEKDAYS}:
        return " ".join(head), tail
    return text, ""


def _check_steps(expression: str) -> None:
    """Raise for a step that only ever counts once: systemd refuses it, oncalendar does not."""
    clock = expression.rsplit(maxsplit=1)[-1].split(":")
    for name, top, part in zip(("hour", "minute", "second"), (23, 59, 59), clock, strict=False):
        for item in part.split(",") if len(clock) > 1 else ():
            step = item.partition("/")[2]
            if step.isdigit() and int(step[:9]) > top:
                raise ScheduleError(f"{name}: the step of {item!r} is beyond its range.")


def _is_fixed(expression: str) -> bool:
    time = expression.rsplit(maxsplit=1)[-1]
    if ":" not in time:
        return time.lower() not in _REPEATING
    # 0/15 is how systemd writes cron's */15.
    return not any(part[0] == "*" or part.lstrip("0")[:1] == "/" for part in time.split(":")[:2])


def _words(iterator: BaseIterator) -> str:
    """Say it in English: times, weekdays, days, months, years."""
    words = [_time_words(iterator)]
    if len(iterator.weekdays) < 7:
        words.append("on " + _and([_WEEKDAYS[day] for day in sorted(iterator.weekdays)]))
    if len(iterator.days) < 31:
        words.append("on " + _and([_day_words(day) for day in sorted(iterator.days)]))
    if len(iterator.months) < 12:
        words.append("in " + _and([MONTHS[month - 1] for month in sorted(iterator.months)]))
    if len(iterator.years) < 230:
        words.append("of " + _and([str(year) for year in sorted(iterator.years)][:10]))
    return " ".join(words)


def _time_words(iterator: BaseIterator) -> str:
    hours, minutes, seconds = (
        sorted(x) for x in (iterator.hours, iterator.minutes, iterator.seconds)
    )
    times = len(hours) * len(minutes) * len(seconds)
    if times > 6:
        if len(hours) * len(minutes) == 1440:
            return "Every minute" if len(seconds) == 1 else f"{len(seconds)} times a minute"
        if len(hours) == 24:
            return f"{len(minutes) * len(seconds)} times an hour"
        return f"{times} times a day"
    form = "{:02}:{:02}:{:02}" if seconds != [0] else "{:02}:{:02}"
    return "At " + _and([form.format(h, m, s) for h in hours for m in minutes for s in seconds])


def _day_words(day: int) -> str:
    if day > 0:
        return f"day {day}"
    return "the last day" if day == -1 else f"day {-day} from the end"


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1])] * (len(words) > 1) + words[-1:])
