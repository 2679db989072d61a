"""This process as a place where guarded functions run: its store, its owner, its threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sexton.core.errors import StoreError
from sexton.core.instant import Instant
from sexton.core.kind import Kind
from sexton.core.outcome import Outcome
from sexton.core.queue import Renewed
from sexton.core.task import Claim
from sexton.store import open_store
from sexton.store.connection import Unforked
from sexton.store.guards import StoreGuard
from sexton.store.store import Store
from sexton.store.sweeps import Sweeps
from sexton.work.holder import encode_owner
from sexton.work.owner import Owner


class Stores(threading.local):
    """One open store for each thread; a forked child opens its own."""

    store: Store | None = None


class Here:
    """`work.guard.House` for this process and thread."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.process = Owner.here()
        self.owner = encode_owner(self.process)  # as rows have it
        self.lease_s = float(store.settings.lease_s)
        self.grace_s = float(store.settings.grace_s)
        self.now: Callable[[], Instant] = store.db.now  # each item of a plan asks it

    def guard(self) -> StoreGuard:
        return self.store.guard(self.owner)

    def sweeps(self) -> Sweeps:
        return self.store.sweeps

    def anchor(self, kind: Kind) -> Instant:
        return self.store.kinds.ensure(kind).anchor_at

    def count_skip(self, kind: Kind, outcome: Outcome[Any], period: str) -> None:
        with suppress(StoreError):  # nothing is promised by a counter
            self.store.kinds.count_skip(kind.name, period, outcome.code, str(outcome))

    def renew(self, claim: Claim) -> Renewed:
        """Hold a claim for another lease; for the renewing thread, on a connection of its own."""
        with Unforked():  # the body may fork, as multiprocessing does, at any moment
            again = open_store(self.store.url, self.store.settings)
            try:
                return again.guard(self.owner).renew(claim)
            finally:
                again.close()
