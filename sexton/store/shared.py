"""Whether this process has the store's file open by the standard library's SQLite as well.

Asked only where the file has more descriptors than our own connections explain: it looks through
all objects of the process.
"""

from __future__ import annotations

import gc
import os
import sqlite3
from contextlib import suppress

from sexton.store.sql import Queries

SQL = Queries("outbox")


def is_open_by_sqlite3(path: str) -> bool:
    """Whether a `sqlite3.Connection` that may be asked here leads to this file, attached or not.

    One that another thread made is asked only if it was made with `check_same_thread=False`, and
    then after whatever it is doing.
    """
    return any(
        _is_same(file, path)
        for thing in gc.get_objects()
        if issubclass(type(thing), sqlite3.Connection)
        for file in _files_of(thing)
    )


def _files_of(connection: sqlite3.Connection) -> list[str]:
    with suppress(sqlite3.Error):
        cursor = sqlite3.Cursor(connection)
        cursor.row_factory = None  # whatever shape the caller gives its rows
        rows = cursor.execute(SQL.files).fetchall()
        return [os.fsdecode(file) for (file,) in rows if file]
    return []


def _is_same(file: str, path: str) -> bool:
    try:
        return os.path.samefile(file, path)
    except OSError:
        return False
