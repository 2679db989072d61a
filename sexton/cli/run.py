"""Call one kind through the guard, now and in this process; say in a sentence what happened.

sexton run daily_summary             # does nothing if the period is done already
sexton run daily_summary --plan      # whom it would touch; touches nobody
sexton run daily_summary --force "mails were lost on the way"
sexton run resize image=a.png width=400
"""

from __future__ import annotations

import argparse

from sexton.app import place as places
from sexton.app.command import Command
from sexton.app.load import load
from sexton.app.plan import Plan
from sexton.cli.say import say_json
from sexton.core import errors
from sexton.core.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", help="the kind's name")
    parser.add_argument("payload", nargs="*", metavar="NAME=VALUE", help="its payload's fields")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--plan", action="store_true", help="only count and show whom it would touch")
    how.add_argument("--force", metavar="REASON", help="run in a period of its own, done or not")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def run(args: argparse.Namespace) -> int:
    declared = load(places.find())[args.kind]
    if isinstance(declared, Command):
        if args.payload:
            raise UsageError(f"{args.kind} takes no payload")
        outcome = declared.force(args.force) if args.force is not None else declared()
    else:
        values = declared.payload.decode(declared.payload.read(args.payload))
        if args.plan:
            return _preview(declared, values, args)
        outcome = (
            declared.force(args.force, **values) if args.force is not None else declared(**values)
        )
    if args.json:
        say_json({name: getattr(outcome, name) for name in _SHOWN})
    else:
        print(outcome)
    return errors.DONE if outcome.ok else errors.TASK_FAILED


_SHOWN = ("code", "sentence", "ran", "ok", "counts", "period", "task")


def _preview(declared: object, values: dict[str, object], args: argparse.Namespace) -> int:
    if not isinstance(declared, Plan):
        raise UsageError(f"{args.kind} is no plan: it has nobody to show")
    preview = declared.plan(**values)
    if args.json:
        say_json(preview)
    else:
        print(preview)
    return errors.DONE
