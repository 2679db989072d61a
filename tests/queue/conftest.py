"""The queues that every test of this directory runs on, and the store behind them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sexton.core.queue import Queue
from sexton.core.task import ANY_TARGET
from sexton.store.store import Store
from tests.store.kit import OWNER, clock, store

__all__ = ["clock", "store"]

QUEUES: dict[str, Callable[[Store, str], Queue]] = {
    "sqlite": lambda store, target: store.queue(OWNER, target),
}


@pytest.fixture(params=QUEUES)
def queue_for(request: pytest.FixtureRequest, store: Store) -> Callable[[str], Queue]:
    """A queue as the server with this name sees it."""
    made = QUEUES[request.param]
    return lambda target: made(store, target)


@pytest.fixture
def queue(queue_for: Callable[[str], Queue]) -> Queue:
    return queue_for(ANY_TARGET)
