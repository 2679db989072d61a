"""Bare commits: what the disk allows, by the library that Sexton uses."""

from __future__ import annotations

from pathlib import Path

import apsw


class Commits:
    """One small table; each row is a commit that waits for the disk."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path))
        self._connection.pragma("journal_mode", "wal")
        self._connection.pragma("synchronous", "FULL")
        self._connection.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")

    def make(self, count: int) -> None:
        for number in range(count):
            self._connection.execute("INSERT INTO bare (text) VALUES (?)", (f"row {number}",))

    def close(self) -> None:
        self._connection.close()
