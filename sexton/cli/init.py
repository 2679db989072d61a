"""Make a settings file, a store and a commented example in this directory.

    mkdir shop && cd shop && sexton init

What is there already is left as it is. Where SEXTON_STORE names the store,
only that is made.

As JSON: {"made": [path, …], "found": [path, …]}.
"""

from __future__ import annotations

import argparse
import os

from sexton.app import place as places
from sexton.cli.say import say, say_json
from sexton.core import errors
from sexton.core.errors import ConfigurationError
from sexton.store import create_store, path_of

SETTINGS = """# Settings of Sexton. docs/reference/settings.md lists them all.
app = "tasks:app"
store = "sqlite:///sexton.db"
"""

EXAMPLE = '''"""The tasks of this application. After a change: sexton sync, or the next tick."""

from sexton import Sexton

app = Sexton()


@app.task(schedule="30 7 * * *", tz="Europe/London", retry="30m x 3")
def hello() -> None:
    """Happens once a day, whoever calls: cron, a console, a test."""
    print("Good morning.")


# @app.task                               # asked for: sexton enqueue resize image=a.png
# def resize(image: str, width: int = 800) -> None: ...

# app.command("backup", argv=["pg_dump", "--file=app.sql", "app"], schedule="0 3 * * *")
'''


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-example", action="store_true", help="make no tasks.py")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    made: dict[str, bool] = {}
    if not os.environ.get("SEXTON_STORE") and not os.environ.get("SEXTON_SETTINGS"):
        made |= _make(os.path.abspath("sexton.toml"), SETTINGS)
    place = places.find()
    path = path_of(place.store)
    made[path] = not os.path.exists(path)
    create_store(place.store, place.settings).close()
    tasks = os.path.join(place.directory, "tasks.py")
    if not args.no_example and place.app == "tasks:app":
        made |= _make(tasks, EXAMPLE)
    if args.json:
        news = [path for path, is_new in made.items() if is_new]
        say_json({"made": news, "found": [path for path in made if path not in news]})
        return errors.DONE
    for path, is_new in made.items():
        say(f"{'made ' if is_new else 'found'}  {path}")
    if place.app == "tasks:app" and not os.path.exists(tasks):
        say("Write your tasks into tasks.py, with app = Sexton(); sexton once does without it.")
    say("Now: sexton sync; then let cron start the tick: sexton install cron")
    return errors.DONE


def _make(path: str, text: str) -> dict[str, bool]:
    """Write a file that is not there yet; whether it was made."""
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return {path: False}
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be made: {error.strerror}", hint="Run it where you may write."
        ) from error
    return {path: True}
