"""End a task: one that waits at once, one that runs with all its processes.

    sexton abort 812 --reason "wrong recipients"

Whoever runs it ends it: it gets TERM, and KILL after the grace time of the
settings. Nothing follows it: a person's end is no failure, so it is not
retried. A task that has ended already stays as it is.

As JSON: {"task": TASK, "was": "Pending", "Running", "Complete" or "Aborted"}.
"""

from __future__ import annotations

import argparse

from sexton.app.task import caller
from sexton.cli.opened import opened
from sexton.cli.say import say, say_json
from sexton.cli.shapes import task_shape
from sexton.cli.words import task_id
from sexton.core import errors
from sexton.core.task import PENDING, RUNNING, Status, Task


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=task_id, metavar="ID", help="the task's id")
    parser.add_argument("--reason", default="", metavar="TEXT", help="why, for the record")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    with opened() as (_, store):
        was = store.tasks.get(args.id).status
        task = store.tasks.abort(args.id, caller(), args.reason.strip()[:500])
    if args.json:
        say_json({"task": task_shape(task), "was": was})
    else:
        say(_sentence(task, was))
    return errors.DONE


def _sentence(task: Task, was: Status) -> str:
    if was == PENDING and task.reason == "administrator":
        return f"task {task.id} of {task.kind} was waiting and is Aborted now"
    if task.status == RUNNING:
        return f"task {task.id} of {task.kind} runs on {task.host}: its end was asked for"
    ended = f"{task.status}/{task.reason}" if task.reason else task.status
    return f"task {task.id} of {task.kind} has ended already: {ended}; nothing was changed"
