"""Find the application under test, and put it on a fresh store for the length of one test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from sexton.app import Sexton, place
from sexton.app.load import named
from sexton.store import create_store

# The second goes before a store that the code names, so that no test's process touches that one.
NAMES = ("SEXTON_STORE", "SEXTON_TEST_STORE")


def find(name: str, directory: str) -> Sexton:
    """The application as `module:name`; '' for SEXTON_APP, or `app` of the nearest sexton.toml.

    Raises ConfigurationError that says what is wrong with it.
    """
    at = place.find(start=directory)
    return named(msgspec.structs.replace(at, app=name or at.app))


@contextmanager
def moved(app: Sexton, url: str) -> Iterator[None]:
    """Use the store of this URL in the block, here and in processes started from here."""
    before = {name: os.environ.get(name) for name in NAMES}
    os.environ.update(dict.fromkeys(NAMES, url))
    try:
        with app.on(url):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)  # which the test may have deleted itself
            else:
                os.environ[name] = value


@contextmanager
def on_a_fresh_store(app: Sexton, path: str, clock: str = "") -> Iterator[Sexton]:
    """The app on a new store that knows all its kinds; `clock` is set before the first is seen."""
    url = f"sqlite:///{path}"
    create_store(url).close()
    with moved(app, url):
        if clock:
            app.store.db.set_clock(clock)
        app.store.kinds.sync(app.declared())
        yield app
