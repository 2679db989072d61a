"""A relaxed commit must not leave the connection relaxed: the next promise waits for the disk."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from sexton.core.errors import StoreBusy
from sexton.store import create_store

FULL = 2


def test_a_relaxed_commit_that_cannot_begin_leaves_the_next_one_safe(tmp_path: Path) -> None:
    store = create_store(f"sqlite:///{tmp_path}/sexton.db")
    store.db.connection.set_busy_timeout(0)
    with closing(apsw.Connection(str(tmp_path / "sexton.db"))) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy), store.db.relax():
            pass

    assert store.db.pragma("synchronous") == FULL
    store.close()


def test_a_relaxed_commit_leaves_the_next_one_safe(tmp_path: Path) -> None:
    store = create_store(f"sqlite:///{tmp_path}/sexton.db")
    store.kinds.count_skip("hello", "", "gap", "skipped")

    assert store.db.pragma("synchronous") == FULL
    store.close()
