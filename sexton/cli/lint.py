"""Say what may not be meant in the schedules of all kinds, or in one expression.

    sexton lint
    sexton lint --schedule "30 3 * * *" --tz Europe/Riga

Told are, for the next two years: times that summer time skips or repeats, and
what is done about them; day of month beside day of week; days that not every
month has; what runs seldom or never. These are advice, so the exit code is 0.
A schedule that cannot be read is an error: 2 if it stands on the command
line, 78 if the application declares it.

The kinds are those of the application, read anew, and those of sexton once.

As JSON: {"findings": [{"kind", "schedule", "tz", "code", "text"}, …]}.
"""

from __future__ import annotations

import argparse
import os
import time

from sexton.app import place as places
from sexton.app.load import load
from sexton.cli.aside import stdout_aside
from sexton.cli.opened import opened
from sexton.cli.say import count, say, say_json, table
from sexton.cli.schedules import add_words, are_given, read
from sexton.core import errors
from sexton.core.instant import Instant
from sexton.core.schedule import Schedule, findings
from sexton.store import path_of
from sexton.store.kinds import schedule_of


def configure(parser: argparse.ArgumentParser) -> None:
    add_words(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    now = time.time_ns() // 1000
    if are_given(args):
        schedules = {"": read(args)}
    else:
        with stdout_aside(args.json):
            schedules = _of_application(now) | _of_store()
    found = [
        {"kind": name, "schedule": one.text, "tz": one.zone_name, "code": it.code, "text": it.text}
        for name, one in sorted(schedules.items())
        for it in findings(one, now)
    ]
    if args.json:
        say_json({"findings": found})
    elif found:
        rows = [(it["kind"] or it["schedule"], it["code"], it["text"]) for it in found]
        table(("KIND" if rows[0][0] in schedules else "SCHEDULE", "CODE", "FINDING"), rows)
    else:
        say(f"{count(len(schedules), 'schedule')}: nothing to remark")
    return errors.DONE


def _of_application(now: Instant) -> dict[str, Schedule]:
    place = places.find()
    if not place.app:
        return {}
    declared = load(place).declared()
    return {kind.name: schedule_of(kind, now) for kind in declared if kind.has_schedule}


def _of_store() -> dict[str, Schedule]:
    """Those of `sexton once`; of all kinds where no application is named."""
    place = places.find()
    if not os.path.exists(path_of(place.store)):
        return {}
    with opened() as (_, store):
        return {
            known.kind.name: known.schedule
            for known in store.kinds.all()
            if known.kind.has_schedule
            and known.gone_at is None
            and (known.kind.family == "once" or not place.app)
        }
