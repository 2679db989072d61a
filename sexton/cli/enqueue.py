"""Ask for a task: a row that the next tick runs, on disk when this returns.

    sexton enqueue resize image=a.png width=400
    sexton enqueue resize image=a.png --at 2h --start-before 6h
    sexton enqueue resize image=a.png --at 2026-11-22T07:30Z --priority 10

A request of a kind that joins (key=) gives the task that waits already its
payload. A kind with a schedule could touch everyone again, so it wants
--force and a reason, which is recorded.

As JSON: {"task": TASK, "is_new": false where it joined one that waits}.
"""

from __future__ import annotations

import argparse
from typing import Any

from sexton.app import place as places
from sexton.app.command import Command
from sexton.app.load import load
from sexton.app.sexton import Sexton
from sexton.app.task import Task, caller, reason_of
from sexton.cli.aside import stdout_aside
from sexton.cli.say import say, say_json, when
from sexton.cli.shapes import task_shape
from sexton.cli.words import later, refuse_unfit, within
from sexton.core import errors
from sexton.core.errors import UsageError
from sexton.core.instant import Instant, iso
from sexton.store.tasks import Asked, Request
from sexton.work.holder import nonce

PRIORITY_MAX = 1_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", metavar="KIND", help="the kind's name")
    parser.add_argument(
        "payload", nargs="*", default=[], metavar="NAME=VALUE", help="its payload's fields"
    )
    parser.add_argument("--at", metavar="WHEN", help="not before: a moment, or a length from now")
    parser.add_argument("--start-before", metavar="WHEN", help="not begun after")
    read = within(-PRIORITY_MAX, PRIORITY_MAX)
    parser.add_argument("--priority", type=read, metavar="N", help="higher goes first")
    parser.add_argument("--force", metavar="REASON", help="open a period of its own")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    with stdout_aside(args.json):
        app = load(places.find())
        try:
            asked = _ask(app, args)
        finally:
            app.close()
    if args.json:
        task = task_shape(asked.task) if asked.task else None
        say_json({"task": task, "is_new": asked.is_new})
    elif asked.task:
        say(f"{asked}, due at {when(asked.task.due_at)}")
    return errors.DONE


def _ask(app: Sexton, args: argparse.Namespace) -> Asked:
    declared, now = app[args.kind], app.store.now()
    request: dict[str, Any] = {"by": caller(), "id": nonce(), "priority": args.priority}
    if args.at:
        request["at"] = later(args.at, now)
    if args.start_before:
        request["start_before"] = _latest(args, request.get("at", now), now)
    if args.force is not None:
        request["force"] = reason_of(args.force)
    return app.ask(declared, Request(**request, **_payload(declared, args.payload)), None)


def _latest(args: argparse.Namespace, at: Instant, now: Instant) -> Instant:
    """The moment of --start-before; raises UsageError for one after which nothing can begin."""
    latest = later(args.start_before, now)
    if latest <= max(at, now):
        raise UsageError(
            f"--start-before {args.start_before} is {iso(latest)}, and not before {iso(at)} it may"
            " begin: it could only expire",
            hint="Give a moment that is to come, or a length from now; with --at one behind it.",
        )
    return latest


def _payload(declared: Task[..., Any] | Command, words: list[str]) -> dict[str, Any]:
    """The columns that a payload of command-line words fills."""
    if isinstance(declared, Command):
        if words:
            raise UsageError(f"{declared.name} is a command and takes no payload")
        return {}
    refuse_unfit(declared.name, words, declared.payload.names)
    return {"payload": declared.payload.read(words)}
