"""List tasks, newest first.

    sexton tasks                          # the newest 20
    sexton tasks --status Aborted --kind nightly
    sexton tasks --before 812             # the page below task 812

As JSON: {"tasks": [TASK, …], "next_before": ID or null}; a further page
starts at next_before.
"""

from __future__ import annotations

import argparse
from typing import get_args

from sexton.app.explain import known
from sexton.cli.opened import opened
from sexton.cli.say import Ink, moment, say, say_json, table
from sexton.cli.shapes import task_shape
from sexton.cli.words import task_id, within
from sexton.core import duration, errors
from sexton.core.task import Reason, Status, Task

HEADINGS = ("ID", "KIND", "FOR", "TRY", "STATUS", "SINCE", "TOOK", "OUTCOME")
COLOURS = {"Complete": "green", "Aborted": "red", "Running": "yellow", "Pending": "faint"}
LIMIT_MAX = 10_000


def configure(parser: argparse.ArgumentParser) -> None:
    reasons = [reason for reason in get_args(Reason) if reason]
    parser.add_argument("--status", choices=get_args(Status), default="", help="only these")
    parser.add_argument("--kind", default="", help="only tasks of this kind")
    parser.add_argument(
        "--reason",
        choices=reasons,
        default="",
        metavar="REASON",
        help=f"only those Aborted so: {', '.join(reasons)}",
    )
    read = within(1, LIMIT_MAX)
    parser.add_argument("--limit", type=read, default=20, metavar="N", help="how many (20)")
    parser.add_argument("--before", type=task_id, metavar="ID", help="only ids below this one")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    with opened() as (_, store):
        if args.kind:
            known(store, args.kind)
        found = store.tasks.newest(
            status=args.status,
            kind=args.kind,
            reason=args.reason,
            before=args.before,
            limit=args.limit + 1,
        )
    found, is_whole = found[: args.limit], len(found) <= args.limit
    following = None if is_whole else found[-1].id
    if args.json:
        say_json({"tasks": [task_shape(task) for task in found], "next_before": following})
    elif not found:
        say("no tasks")
    else:
        table(HEADINGS, [row_of(task) for task in found])
    return errors.DONE


def row_of(task: Task) -> list[str | Ink]:
    """A task as a line of a table."""
    status = f"{task.status}/{task.reason}" if task.reason else task.status
    since = task.ended_at or task.started_at or task.due_at
    return [
        str(task.id),
        task.kind,
        task.period or (task.key if task.key != str(task.root) else ""),
        str(task.attempt),
        Ink(status, COLOURS[task.status]),
        moment(since),
        took(task),
        task.outcome,
    ]


def took(task: Task) -> str:
    """How long it ran, in whole seconds from a minute on."""
    if task.started_at is None or task.ended_at is None:
        return ""
    length_us = max(0, task.ended_at - task.started_at)
    unit_us = 1_000_000 if length_us >= duration.MINUTE_US else 10_000
    return duration.say(length_us // unit_us * unit_us)
