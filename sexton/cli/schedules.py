"""A schedule as words of a command line: `--schedule`, `--every`, `--tz`."""

from __future__ import annotations

import argparse

from sexton.cli.words import zone
from sexton.core import schedule as schedules
from sexton.core.errors import ScheduleError, UsageError
from sexton.core.instant import Instant
from sexton.core.schedule import Schedule


def add_words(parser: argparse.ArgumentParser) -> None:
    """Let a command take a schedule."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--schedule", metavar="EXPR", help="a crontab line, @daily, or a systemd calendar"
    )
    what.add_argument("--every", metavar="LENGTH", help="an interval of elapsed time, as 90m")
    parser.add_argument(
        "--tz", type=zone, metavar="ZONE", help="its IANA zone, as Europe/Riga (UTC)"
    )


def are_given(args: argparse.Namespace) -> bool:
    """Whether the words name a schedule, if only an empty one."""
    return args.schedule is not None or args.every is not None


def read(args: argparse.Namespace, anchor: Instant = 0) -> Schedule:
    """The schedule that the words name; raises UsageError that names the field."""
    try:
        return schedules.parse(args.schedule, tz=args.tz or "UTC", every=args.every, anchor=anchor)
    except ScheduleError as error:
        raise UsageError(str(error), hint=error.hint) from error
