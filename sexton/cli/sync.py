"""Register what the application declares, so that ticks know it without importing it.

Run it on deploy. A tick does it by itself when a source file has changed.
"""

from __future__ import annotations

import argparse

from sexton.app import place as places
from sexton.app import sync as syncing
from sexton.cli.say import say_json
from sexton.core import errors
from sexton.store import open_store


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    parser.add_argument("--json", action="store_true", help="print what changed as JSON")


def run(args: argparse.Namespace) -> int:
    place = places.find()
    store = open_store(place.store, place.settings)
    synced = syncing.sync(place, store)
    if args.json:
        say_json(synced)
    elif not args.quiet:
        _say(synced)
    return errors.DONE


def _say(synced: syncing.Synced) -> None:
    for word, names in (("new", synced.added), ("changed", synced.changed), ("gone", synced.gone)):
        for name in names:
            print(f"{word}: {name}")
    if synced.gone:
        print("What is gone runs no more; its history stays under its name.")
    print(f"{synced.count} kinds are registered.")
