"""Register what the application declares, so that ticks need not import it.

    sexton sync

Run it on deploy. A tick does it by itself when a source file has changed.

As JSON: {"added": [name, …], "changed": [name, …], "gone": [name, …],
"count"}.
"""

from __future__ import annotations

import argparse

import msgspec

from sexton.app import sync as syncing
from sexton.cli.aside import stdout_aside
from sexton.cli.opened import opened
from sexton.cli.say import count, say, say_json
from sexton.core import errors


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    with opened() as (place, store), stdout_aside(args.json):
        synced = syncing.sync(place, store)
    if args.json:
        say_json(msgspec.structs.asdict(synced))
    elif not args.quiet:
        _say(synced)
    return errors.DONE


def _say(synced: syncing.Synced) -> None:
    for word, names in (("new", synced.added), ("changed", synced.changed), ("gone", synced.gone)):
        for name in names:
            say(f"{word}: {name}")
    if synced.gone:
        say("What is gone runs no more; its history stays under its name.")
    say(f"{count(synced.count, 'kind is', 'kinds are')} registered.")
