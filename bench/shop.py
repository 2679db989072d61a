"""An application of no-op tasks with a store of its own, as a user would set it up."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from sexton import Sexton
from sexton.app import place as places
from sexton.app.load import load
from sexton.app.place import Place
from sexton.app.sync import sync
from sexton.store import create_store
from sexton.store.store import Store

# What the shell that runs the benchmark says must neither help nor hinder: no PYTHON* variables.
ENVIRONMENT = {"PATH": os.defpath, "HOME": os.path.expanduser("~"), "LANG": "C.UTF-8"}
BIN = Path(sys.executable).parent

SOURCE = '''"""No-op tasks."""

from __future__ import annotations

from sexton import Item, Sexton

app = Sexton()


@app.task(schedule="30 7 1 1 *", tz="Europe/Riga")
def yearly() -> None:
    """Never due here: what an idle tick knows."""


@app.task
def noop(number: int = 0) -> None:
    """In a process of its own, as is the default."""


@app.task(isolation="inline")
def inline(number: int = 0) -> None:
    """In the tick's process."""


@app.task(min_gap="20h")
def rare() -> None:
    """Skipped, once it has run."""


def width(many: int) -> None:
    """A plan of which `many` effects run at the same time."""

    @app.plan(every="1d", name=f"plan_{many}")
    def plan(count: int = 0) -> list[dict[str, int]]:
        return [{"id": number} for number in range(count)]

    @plan.each(key="id", width=many)
    def effect(thing: dict[str, int], item: Item) -> None:
        """Does nothing."""


for many in (1, 4, 16):
    width(many)
'''


@dataclass(frozen=True)
class Shop:
    """One application, synced, with its store open."""

    place: Place
    app: Sexton
    store: Store


def make(directory: Path) -> Shop:
    """Set one up in a new folder."""
    # A task that ran in this process has left its store's name there.
    for name in [name for name in os.environ if name.startswith("SEXTON_")]:
        del os.environ[name]
    directory.mkdir()
    module = f"tasks_{directory.name}"
    (directory / f"{module}.py").write_text(SOURCE)
    text = f'app = "{module}:app"\nstore = "sqlite:///sexton.db"\n'
    (directory / "sexton.toml").write_text(text)
    place = places.find(start=str(directory))
    store = create_store(place.store, place.settings)
    sync(place, store)
    return Shop(place, load(place), store)
