"""Say what became of an item in doubt, so that nobody has to guess any more.

    sexton settle daily_summary 17 done     # it happened: it is not done again
    sexton settle daily_summary 17 failed   # it did not, and shall not
    sexton settle daily_summary 17 retry    # it did not: the next tick does it
    sexton settle daily_summary --all done  # all that is in doubt

Who settled it, and when, stands in the ledger: sexton items KIND.

As JSON: {"verdict": VERDICT, "settled": [ITEM as it was before, …]}.
"""

from __future__ import annotations

import argparse

from sexton.app.explain import known
from sexton.app.task import caller
from sexton.cli.opened import opened
from sexton.cli.say import count, say, say_json
from sexton.cli.shapes import entry_shape
from sexton.core import errors
from sexton.core.errors import UsageError
from sexton.store import wake

VERDICTS = ("done", "failed", "retry")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", metavar="KIND", help="the kind's name")
    parser.add_argument("key", nargs="?", metavar="KEY", default="", help="the item's key")
    parser.add_argument(
        "verdict", nargs="?", choices=VERDICTS, metavar="|".join(VERDICTS), help="what became of it"
    )
    parser.add_argument("--all", choices=VERDICTS, metavar="VERDICT", help="all that is in doubt")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    verdict = _verdict(args)
    with opened() as (_, store):
        known(store, args.kind)
        settled = store.items.settle(args.kind, args.key, verdict, caller())
        if not settled and args.key:
            raise UsageError(
                f"no item {args.key!r} of {args.kind} is in doubt",
                hint=f"sexton items {args.kind} --in-doubt lists those that are.",
            )
        if settled and verdict == "retry":
            wake.touch(store.db.path)
    if args.json:
        say_json({"verdict": verdict, "settled": [entry_shape(entry) for entry in settled]})
    elif not settled:
        say("nothing is in doubt")
    else:
        say(f"{count(len(settled), 'item')} of {args.kind} settled as {verdict}")
    return errors.DONE


def _verdict(args: argparse.Namespace) -> str:
    if args.all and not args.key:
        return str(args.all)
    if args.verdict and not args.all:
        return str(args.verdict)
    raise UsageError(
        "name one item and its verdict, or --all and a verdict",
        hint=f"sexton settle {args.kind} KEY {'|'.join(VERDICTS)}",
    )
