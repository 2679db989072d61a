"""The application of these tests on a fresh store, at half past seven in the morning."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sexton.store.store import Store
from sexton.testing.application import on_a_fresh_store
from sexton.testing.clock import Clock, frozen
from sexton.testing.crash import Crashes
from tests.crash.world import app, effects


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The store of the application, verified at the end of the test."""
    effects.path = tmp_path / "effects"
    yesterday = frozen(datetime(2026, 3, 2, 12, tzinfo=UTC))
    with on_a_fresh_store(app, str(tmp_path / "sexton.db"), yesterday):
        app.store.db.set_clock(frozen(datetime(2026, 3, 3, 7, 30, tzinfo=UTC)))
        yield app.store
        assert not app.store.upkeep.check()


@pytest.fixture
def clock(store: Store) -> Clock:
    assert store.is_ours
    return Clock(lambda: app.store)


@pytest.fixture
def crashes(clock: Clock, tmp_path: Path) -> Crashes:
    return Crashes(app, clock, tmp_path, effects.forget)
