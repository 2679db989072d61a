"""Crontab lines of five fields, with the meaning of Debian's cron, read strictly.

cronsim matches the days. The fields are checked here first, since both cronsim and Debian's own
`crontab -n` accept nonsense (`5-1`, `1.5`, `1-2-3`, `1_0`), and what one of them takes the other
may read differently (`5/15`).
"""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from sexton.core.calendar import Calendar, Times
from sexton.core.errors import ScheduleError

TEXT_CHARS_MAX = 1000
_WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
# cronsim says 21th.
_ORDINAL = re.compile(r"\b([2-5][123])th")
_ENDINGS = {"1": "st", "2": "nd", "3": "rd"}
_ORDER = "minute hour day-of-month month day-of-week"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class _Field(msgspec.Struct, frozen=True):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day-of-month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day-of-week", 0, 7, _WEEKDAYS),
)


def read(text: str) -> Calendar:
    """Read a crontab line, or one of cron's words such as `@daily`.

    Source: crontab(5), and Debian's cron for the star rules: a minute or hour that *starts*
    with `*` follows real time; a day field that starts with `*` narrows the other, else either
    of the two is enough.
    Raises ScheduleError, which names the field and says what to write instead.
    """
    line = expand(text)
    fields = line.split()
    if len(fields) != 5:
        raise _wrong_count(text, len(fields))
    for field, written in zip(_FIELDS, fields, strict=True):
        for item in written.split(","):
            _check_item(field, written, item)
    return _calendar(line, fields)


def expand(text: str) -> str:
    """The five fields of one of cron's words; any other text unchanged."""
    if not text.startswith("@"):
        return text
    if text.lower() == "@reboot":
        raise ScheduleError(
            "@reboot names no moment, so no period either.",
            hint="Start the command from a systemd unit, or choose a time.",
        )
    if text.lower() not in _WORDS:
        raise ScheduleError(
            f"{text.split(maxsplit=1)[0]} is not one of cron's words ({', '.join(_WORDS)}).",
            hint='An interval is written every="90m".',
        )
    return _WORDS[text.lower()]


def _calendar(line: str, fields: list[str]) -> Calendar:
    # Here and not above: cronsim costs more than all the rest of a schedule.
    from cronsim import CronSim, CronSimError

    try:
        sim = CronSim(line, datetime(2000, 1, 1))  # noqa: DTZ001 -- matches naive days only
    except CronSimError:
        # What passed our own check is refused only because no month has the day.
        raise _impossible(fields) from None
    calendar = Calendar(
        Times(tuple(sorted(sim.hours)), tuple(sorted(sim.minutes))),
        sim.months,
        sim.match_day,
        fixed=not (fields[0].startswith("*") or fields[1].startswith("*")),
        words=_ORDINAL.sub(lambda m: m[1] + _ENDINGS[m[1][-1]], sim.explain()),
    )
    if not calendar.is_possible():
        raise _impossible(fields)
    return calendar


def _check_item(field: _Field, written: str, item: str) -> None:
    """Raise unless this part of a comma list is `*`, a value or a rising range, and a step."""
    term, slash, step = item.partition("/")
    if not item:
        raise _bad(field, f"{written!r} has an empty place in its list", "Remove a comma.")
    if term == "*":
        low, high = field.low, field.high
    else:
        first, dash, last = term.partition("-")
        low = high = _value(field, item, first)
        if dash:
            high = _value(field, item, last)
    if low > high:
        raise _backwards(field, item, term)
    if slash:
        _check_step(field, item, term, low, high, step)


def _check_step(field: _Field, item: str, term: str, low: int, high: int, step: str) -> None:
    if not _is_number(step) or int(step) == 0:
        raise _bad(field, f"{item!r} has no step above zero after its /", f"Write {term}/2, say.")
    if low == high:
        # Debian's cron refuses this; libraries read it as "from there to the end".
        first = term.partition("-")[0]
        ranged = f"{first}-{field.high}/{step}" if low + int(step) <= field.high else first
        raise _bad(field, f"{item!r} has a step but no range", f"Write {ranged}.")
    if int(step) > high - low:
        raise _bad(field, f"the step of {item!r} is beyond its range", f"Write {low}.")


def _value(field: _Field, item: str, value: str) -> int:
    """The number of a value or name of this field."""
    if value.lower() in field.names:
        return field.names.index(value.lower()) + field.low
    if not _is_number(value):
        raise _not_a_value(field, item, value)
    if not field.low <= int(value) <= field.high:
        raise _bad(
            field, f"{value} is outside {field.low} to {field.high}", "Write a number within."
        )
    return int(value)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _bad(field: _Field, what: str, hint: str) -> ScheduleError:
    return ScheduleError(f"{field.name}: {what}.", hint=hint)


def _not_a_value(field: _Field, item: str, value: str) -> ScheduleError:
    """Say what is wrong with a value that is neither a number nor a name of its field."""
    for other in _FIELDS:
        if value[:3].lower() in other.names:
            if other is field:
                return _bad(field, f"{value!r} is no name here", f"Write {value[:3].lower()}.")
            return _bad(field, f"{item!r} is a {other.name}", f"The order is: {_ORDER}.")
    if (
        value.lower() in ("l", "lw", "w", "?", "h")
        or "#" in value
        or (value[:-1].isdigit() and value[-1].isalpha())
    ):
        what = f"{item!r} is an extension of other programs, which cron has not"
        if "l" in value.lower():
            return _bad(field, what, "A systemd calendar knows the last day: *-*~1 07:30.")
        return _bad(field, what, _range_hint(field))
    return _bad(field, f"{item!r} is not a number, a range or a step", _range_hint(field))


def _range_hint(field: _Field) -> str:
    hint = f"Write numbers from {field.low} to {field.high}"
    return f"{hint}, or {field.names[0]} to {field.names[-1]}." if field.names else f"{hint}."


def _backwards(field: _Field, item: str, term: str) -> ScheduleError:
    first, _, last = term.partition("-")
    if last.lower() == "sun":
        hint = f"Sunday at the end of a range is 7: write {_value(field, item, first)}-7."
    else:
        lowest = field.names[0] if field.names and not last.isdigit() else str(field.low)
        highest = field.names[-1] if field.names and not first.isdigit() else str(field.high)
        start = "" if last.lower() == lowest else f"{lowest}-"
        hint = f"Write {first}-{highest},{start}{last}."
    return _bad(field, f"{item!r} runs backwards", hint)


def _wrong_count(text: str, count: int) -> ScheduleError:
    hint = f"Write five: {_ORDER}."
    if count == 6:
        hint += " Seconds have no place in a crontab line; a systemd calendar has them."
    if count < 5:
        hint += " Or a systemd calendar, with its time: Mon..Fri *-*-* 07:30."
    return ScheduleError(f"{text!r} has {count} field{'s' * (count != 1)}, not five.", hint=hint)


def _impossible(fields: list[str]) -> ScheduleError:
    return ScheduleError(
        f"day-of-month: no month of {fields[3]!r} has a day {fields[2]!r}.",
        hint="Choose a day that exists; the last of each month is *-*~1 in a systemd calendar.",
    )
