"""List the ledger of a kind: items that are done, that failed, that are in
doubt.

    sexton items daily_summary
    sexton items daily_summary --in-doubt
    sexton items daily_summary --key 17

An item is in doubt if it was begun by a run that died, so that nobody knows
whether it happened. See sexton settle.

As JSON: {"items": [ITEM, …], "is_whole": false where the limit cut the list}.
"""

from __future__ import annotations

import argparse

from sexton.app.explain import known
from sexton.cli.opened import opened
from sexton.cli.say import Ink, moment, say, say_json, table
from sexton.cli.shapes import entry_shape
from sexton.cli.words import within
from sexton.core import errors
from sexton.core.errors import UsageError
from sexton.core.kind import Kind
from sexton.core.ledger import Entry
from sexton.store.store import Store

HEADINGS = ("SCOPE", "KEY", "STATUS", "TASK", "TRIES", "SINCE", "SETTLED BY", "NOTE")
COLOURS = {"Done": "green", "Failed": "red", "Rejected": "red", "Parked": "yellow"}
LIMIT_MAX = 1_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", metavar="KIND", help="the kind's name")
    parser.add_argument("--in-doubt", action="store_true", help="only what a person should settle")
    parser.add_argument("--key", default="", help="only this item")
    parser.add_argument("--scope", default="", metavar="PERIOD", help="only of this period")
    read = within(1, LIMIT_MAX)
    parser.add_argument("--limit", type=read, default=1000, metavar="N", help="how many (1000)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    with opened() as (_, store):
        kind = known(store, args.kind).kind
        found = _found(store, _scopes(store, kind, args.scope), args)
    found, is_whole = found[: args.limit], len(found) <= args.limit
    if args.json:
        say_json({"items": [entry_shape(entry) for entry in found], "is_whole": is_whole})
    elif not found:
        say("nothing is in doubt" if args.in_doubt else "no items")
    else:
        table(HEADINGS, [_row(entry) for entry in found])
        if not is_whole:
            say(f"these are the first {args.limit}: see --limit, --scope and --key")
    return errors.DONE


def _scopes(store: Store, kind: Kind, name: str) -> set[str]:
    """The scopes that --scope names, {""} for all; raises UsageError if it names none."""
    scopes = store.items.scopes(kind, name) if name else {""}
    if not scopes:
        raise UsageError(
            f"no run of {kind.name} was for {name!r}",
            hint=f"sexton tasks --kind {kind.name} shows under FOR what its runs were for.",
        )
    return scopes


def _found(store: Store, scopes: set[str], args: argparse.Namespace) -> list[Entry]:
    """The entries of these scopes, one more than the limit if there are as many."""
    found = [
        entry
        for scope in sorted(scopes)
        for entry in store.items.entries(
            args.kind, in_doubt=args.in_doubt, key=args.key, scope=scope, limit=args.limit + 1
        )
    ]
    return [entry for entry in found if not args.scope or entry.scope in scopes]


def _row(entry: Entry) -> list[str | Ink]:
    status = "in doubt" if entry.is_in_doubt else entry.status
    colour = "yellow" if entry.is_in_doubt else COLOURS.get(entry.status, "")
    return [
        entry.scope,
        entry.key,
        Ink(status, colour),
        str(entry.task),
        str(entry.tries),
        moment(entry.ended_at or entry.begun_at),
        entry.settled_by,
        entry.note,
    ]
