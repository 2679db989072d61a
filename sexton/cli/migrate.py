"""Bring the store to this version's schema. Killed halfway, it goes on there.

    sexton backup before.db && sexton migrate

A store that is up to date is left as it is.

As JSON: {"applied": [name, …]}.
"""

from __future__ import annotations

import argparse
import os

from sexton.app import place as places
from sexton.cli.say import say, say_json
from sexton.core import errors
from sexton.core.errors import ConfigurationError
from sexton.store import migrate, path_of
from sexton.store.sqlite import Database
from sexton.store.store import refuse_network


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    path = path_of(places.find().store)
    migrate.refuse_vanished(path)
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        raise ConfigurationError(
            f"there is no store at {path}, or it is empty", hint="Run `sexton init` once."
        )
    refuse_network(path)
    db = Database(path)
    try:
        migrate.refuse_replaced(db)
        applied = migrate.migrate(db)
    finally:
        db.close()
    if args.json:
        say_json({"applied": applied})
    else:
        say(f"applied: {', '.join(applied)}" if applied else "the store is up to date")
    return errors.DONE
