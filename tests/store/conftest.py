"""The store's fixtures; the store is verified after every test that has one."""

from __future__ import annotations

from tests.store.kit import clock, store

__all__ = ["clock", "store"]
