"""Say why a kind did or did not do something: what it waits for, did, skipped.

    sexton why daily_summary

As JSON: {"kind": KIND as in `sexton kinds`, "running": [TASK, …], "waiting":
[TASK, …], "skips": {code: count, …}, "sentences": [text, …]}.
"""

from __future__ import annotations

import argparse

from sexton.app import explain
from sexton.cli import kinds
from sexton.cli.opened import opened
from sexton.cli.say import one_line, say, say_json
from sexton.cli.shapes import task_shape
from sexton.core import errors


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", metavar="KIND", help="the kind's name")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    with opened() as (_, store):
        known = explain.known(store, args.kind)
        sentences = explain.why(store, args.kind).splitlines()
        at = explain.status(store, args.kind)
    if args.json:
        say_json(
            {
                "kind": kinds.shape(known, at),
                "running": [task_shape(task) for task in at.running],
                "waiting": [task_shape(task) for task in at.waiting],
                "skips": at.skips,
                "sentences": sentences,
            }
        )
    else:
        for sentence in sentences:
            say(one_line(sentence))
    return errors.DONE
