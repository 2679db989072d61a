"""List what is registered, when it runs next, and how its last task ended.

    sexton kinds
    sexton kinds --all           # also what is gone, and built-in kinds

As JSON: {"kinds": [KIND, …]}, each with next_at, next_period, last (TASK or
null), running and waiting (numbers), and in_doubt (a number).
"""

from __future__ import annotations

import argparse
from typing import Any

from sexton.app import explain
from sexton.app.explain import Status
from sexton.cli.opened import opened
from sexton.cli.say import Ink, moment, say, say_json, stamp, table
from sexton.cli.shapes import kind_shape, task_shape, timing
from sexton.cli.tasks import COLOURS
from sexton.core import errors
from sexton.store.kinds import Registered

HEADINGS = ("KIND", "RUNS", "NEXT", "LAST", "NOW", "IN DOUBT", "SUMMARY")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="also gone and built-in kinds")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--names", action="store_true", help="only the names, one a line")
    how.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    with opened() as (_, store):
        listed = [known for known in store.kinds.all() if args.all or _is_current(known)]
        if args.names:
            for known in listed:
                say(known.kind.name)
            return errors.DONE
        found = [(known, explain.status(store, known.kind.name)) for known in listed]
    if args.json:
        say_json({"kinds": [shape(known, at) for known, at in found]})
    elif not found:
        say("no kinds: declare one, then `sexton sync`")
    else:
        table(HEADINGS, [_row(known, at) for known, at in found])
    return errors.DONE


def _is_current(known: Registered) -> bool:
    return known.gone_at is None and known.kind.family != "builtin"


def shape(known: Registered, at: Status) -> dict[str, Any]:
    """A kind and where it stands, as JSON."""
    return kind_shape(known) | {
        "next_at": stamp(at.next_at),
        "next_period": at.next_period,
        "last": task_shape(at.last) if at.last else None,
        "running": len(at.running),
        "waiting": len(at.waiting),
        "in_doubt": at.in_doubt,
    }


def _row(known: Registered, at: Status) -> list[str | Ink]:
    last = at.last
    ended = f"{last.status}/{last.reason}" if last and last.reason else last.status if last else ""
    runs = f"{len(at.running)} run" if at.running else ""
    waits = f"{len(at.waiting)} wait" if at.waiting else ""
    return [
        known.kind.name,
        "gone" if known.gone_at else timing(known.kind, known),
        moment(at.next_at),
        Ink(ended, COLOURS[last.status] if last else ""),
        ", ".join(part for part in (runs, waits) if part),
        Ink(str(at.in_doubt), "red") if at.in_doubt else "",
        known.kind.summary,
    ]
