"""Make a settings file, a store and a commented example in this directory.

What is there already is left as it is.
"""

from __future__ import annotations

import argparse
import os

from sexton.app import place as places
from sexton.core import errors
from sexton.store import create_store

SETTINGS = """# Settings of Sexton. docs/reference/settings.md lists them all.
app = "tasks:app"
store = "sqlite:///sexton.db"
"""

EXAMPLE = '''"""The tasks of this application. A tick notices by itself when this file changes."""

from sexton import Sexton

app = Sexton()


@app.task(schedule="30 7 * * *", tz="Europe/London", retry="30m x 3")
def hello() -> None:
    """Happens once a day, whoever calls: cron, a console, a test."""
    print("Good morning.")
'''


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-example", action="store_true", help="make no tasks.py")


def run(args: argparse.Namespace) -> int:
    if not os.environ.get("SEXTON_STORE"):
        _make("sexton.toml", SETTINGS)
    place = places.find()
    path = place.store.removeprefix("sqlite:///")
    was_there = os.path.exists(path)
    create_store(place.store, place.settings).close()
    print(f"{'found' if was_there else 'made'}  {path}")
    if not args.no_example and place.app.partition(":")[0] == "tasks":
        _make(os.path.join(place.directory, "tasks.py"), EXAMPLE)
    print("Now: sexton sync; then let cron run `sexton tick` every minute: sexton install cron")
    return errors.DONE


def _make(path: str, text: str) -> None:
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
        print(f"made   {os.path.abspath(path)}")
    except FileExistsError:
        print(f"found  {os.path.abspath(path)}")
