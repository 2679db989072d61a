"""Copy the live store to a new file, whole and of one moment, while tasks run.

    sexton backup /var/backups/sexton-$(date +%F).db

The copy is a plain SQLite file. It overwrites nothing. To restore: stop the
ticks, move the store and its -wal and -shm files away, put the copy in its
place, start the ticks.

As JSON: {"file", "bytes"}.
"""

from __future__ import annotations

import argparse
import os
import shlex

from sexton.cli.opened import opened
from sexton.cli.say import say, say_json
from sexton.core import errors
from sexton.core.errors import ConfigurationError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="where to; it must not be there yet")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    path = os.path.abspath(args.file)
    _refuse_directory(os.path.dirname(path))
    with opened() as (_, store):
        size_bytes = store.upkeep.backup(path)
    if args.json:
        say_json({"file": path, "bytes": size_bytes})
    else:
        say(f"copied to {path}, {size_bytes} bytes")
    return errors.DONE


def _refuse_directory(directory: str) -> None:
    """Raise ConfigurationError where no file can be made."""
    if not os.path.isdir(directory):
        raise ConfigurationError(
            f"there is no directory {directory}", hint=f"Make it: mkdir -p {shlex.quote(directory)}"
        )
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"this user may not write in {directory}", hint="Name a file in another directory."
        )
