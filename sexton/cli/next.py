"""List the next moments of a kind or of a schedule: one ISO 8601 instant a line.

    sexton next daily_summary -n 5
    sexton next --schedule "30 2 * * *" --tz Europe/Riga --after 2026-03-28 -n 3
    sexton next --schedule "Mon *-*-* 07:30" --tz Europe/Riga
    sexton next --every 90m --after 2026-11-22T07:30Z

Each stands in the schedule's zone, with its offset. An interval that is no
kind's counts from --after. A schedule that cannot be read is an error, with
exit code 2.

As JSON: {"schedule", "tz", "explained", "next": [{"at", "local", "period"},
…]}.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sexton.app.explain import known
from sexton.cli.opened import opened
from sexton.cli.say import count, say, say_json, stamp, warn
from sexton.cli.schedules import add_words, are_given, read
from sexton.cli.words import moment, within
from sexton.core import errors
from sexton.core.errors import UsageError
from sexton.core.instant import Instant, to_datetime
from sexton.core.schedule import Period, Schedule

COUNT_MAX = 100_000


class Asked(NamedTuple):
    """A schedule, and after which moment."""

    schedule: Schedule
    after: Instant


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", metavar="KIND", default="", help="the kind's name")
    add_words(parser)
    parser.add_argument("--after", metavar="MOMENT", help="ISO 8601; now if not given")
    read_count = within(1, COUNT_MAX)
    parser.add_argument(
        "-n", "--count", type=read_count, default=5, metavar="N", help="how many (5)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    schedule, after = _of_kind(args) if args.kind else _of_words(args)
    periods = _following(schedule, after, args.count)
    zone = ZoneInfo(schedule.zone_name)
    if args.json:
        shape = {"schedule": schedule.text, "tz": schedule.zone_name}
        shape["explained"] = schedule.explain()
        say_json(shape | {"next": [_shape(period, zone) for period in periods]})
    else:
        for period in periods:
            say(local(period.due_at, zone))
    if len(periods) < args.count:
        found = f"only {count(len(periods), 'moment')} more" if periods else "no further moment"
        warn(f"sexton: {schedule.text} has {found}")
    return errors.DONE


def _of_kind(args: argparse.Namespace) -> Asked:
    if are_given(args) or args.tz:
        raise UsageError("name a kind or a schedule, and not both")
    with opened() as (_, store):
        found = known(store, args.kind)
        if not found.kind.has_schedule:
            raise UsageError(
                f"{args.kind} has no schedule", hint=f"sexton why {args.kind} says when it runs."
            )
        return Asked(found.schedule, _after(args, found.schedule.zone_name, store.now()))


def _of_words(args: argparse.Namespace) -> Asked:
    if not are_given(args):
        raise UsageError("name a kind, or give --schedule or --every")
    now = _now()
    schedule = read(args)
    after = _after(args, schedule.zone_name, now)
    return Asked(read(args, anchor=after), after)


def _after(args: argparse.Namespace, zone: str, now: Instant) -> Instant:
    return now if args.after is None else moment(args.after, zone)


def _now() -> Instant:
    """This machine's clock: an expression alone needs no store."""
    import time

    return time.time_ns() // 1000


def _following(schedule: Schedule, after: Instant, count_max: int) -> list[Period]:
    found: list[Period] = []
    while len(found) < count_max and (period := schedule.next(after)):
        found.append(period)
        after = period.due_at
    return found


def local(at: Instant, zone: ZoneInfo) -> str:
    """A moment in a zone: ISO 8601 with its offset, or Z where that is UTC by name."""
    text = to_datetime(at, zone).isoformat()
    return f"{text[:-6]}Z" if zone.key == "UTC" else text


def _shape(period: Period, zone: ZoneInfo) -> dict[str, str | None]:
    at = period.due_at
    return {"at": stamp(at), "local": local(at, zone), "period": period.name}
