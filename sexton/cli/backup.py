"""Copy the live store to a new file, whole and of one moment, while tasks run.

    sexton backup /var/backups/sexton-$(date +%F).db

The copy is a plain SQLite file. It overwrites nothing. To restore: stop the ticks, move the store
and its -wal and -shm files away, put the copy in its place, start the ticks.

As JSON: {"file", "bytes"}.
"""

from __future__ import annotations

import argparse
import os

from sexton.cli.opened import opened
from sexton.cli.say import say, say_json
from sexton.core import errors


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="where to; it must not be there yet")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    with opened() as (_, store):
        size_bytes = store.upkeep.backup(args.file)
    path = os.path.abspath(args.file)
    if args.json:
        say_json({"file": path, "bytes": size_bytes})
    else:
        say(f"copied to {path}, {size_bytes} bytes")
    return errors.DONE
