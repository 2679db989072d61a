"""Verify the file and every invariant of the live store; changes nothing.

    sexton check

Exit code 1 if anything is broken, each on a line of its own.

As JSON: {"broken": [text, …]}.
"""

from __future__ import annotations

import argparse

from sexton.cli.opened import opened
from sexton.cli.say import one_line, say, say_json, warn
from sexton.core import errors


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    with opened() as (_, store):
        broken = store.upkeep.check()
    if args.json:
        say_json({"broken": broken})
    elif broken:
        for text in broken:
            say(one_line(text))
        warn("sexton: keep the file as it is, restore a backup, and report what stands above")
    else:
        say("every invariant holds")
    return errors.TASK_FAILED if broken else errors.DONE
