"""The store that a command works on: found, opened, and closed again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sexton.app import place as places
from sexton.app.place import Place
from sexton.store import open_store
from sexton.store.store import Store


@contextmanager
def opened() -> Iterator[tuple[Place, Store]]:
    """`with opened() as (place, store):`; raises ConfigurationError or StoreError."""
    place = places.find()
    store = open_store(place.store, place.settings)
    try:
        yield place, store
    finally:
        store.close()
