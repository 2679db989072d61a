"""Requests inside a caller's own SQLite transaction: an outbox table in the caller's database.

The caller writes through its own connection, so the request commits, or vanishes, with its work.
The tick drains the table by request id: enqueue in the store, then delete there; killed in
between, it comes again and is obeyed once. The caller's file is opened with the standard library
alone and the store's with ours alone: two SQLite libraries on one file in one process cancel each
other's locks.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing

import msgspec

from sexton.core.errors import StoreError, UsageError
from sexton.core.instant import Instant
from sexton.core.kind import Kind
from sexton.core.notice import Notice
from sexton.store.idle import seen_of
from sexton.store.kinds import kind_of
from sexton.store.rows import notice
from sexton.store.sql import Queries
from sexton.store.sqlite import Database, Refusal
from sexton.store.tasks import Request, Tasks, refuse_impossible

SQL = Queries("outbox")
WAIT_S = 5.0
BATCH = 500


def write(connection: sqlite3.Connection, kind: Kind, request: Request) -> None:
    """Write a request inside the caller's transaction; the caller commits it or rolls it back."""
    refuse_impossible(request)
    connection.execute(SQL.create)
    body = msgspec.json.encode(request).decode()
    connection.execute(SQL.write, {"id": request.id, "kind": kind.name, "request": body})


def path_of(connection: sqlite3.Connection, store_path: str) -> str:
    """The file of a caller's connection; raises UsageError for one that cannot have an outbox."""
    if not isinstance(connection, sqlite3.Connection):
        raise UsageError(f"connection= must be a sqlite3.Connection, not {type(connection)}")
    cursor = connection.cursor()
    cursor.row_factory = None  # whatever shape the caller gives its rows
    (file,) = cursor.execute(SQL.file).fetchone()
    path = os.fsdecode(file or "")
    if not path:
        raise UsageError("a database in memory cannot have an outbox: no tick could read it")
    if os.path.exists(store_path) and os.path.samefile(path, store_path):
        raise UsageError(
            "connection= is open on the store itself",
            hint="The store is a file of Sexton's own; give the connection of your database.",
        )
    return os.path.abspath(path)


class Outboxes:
    def __init__(self, db: Database) -> None:
        self._db = db
        self._tasks = Tasks(db)

    def register(self, path: str) -> None:
        """Remember that this database may hold requests; before the first is written there."""
        if self._db.one(SQL.known, {"path": path}) is None:
            with self._db.transaction():
                self._db.run(SQL.register, {"path": path})

    def drain(self) -> int:
        """Ask for what every known outbox holds; return how many requests came.

        A database that is busy, or gone, is left for the next tick; a notice tells of it once.
        """
        return sum(self._drain(row["path"], row["seen"]) for row in self._db.all(SQL.all))

    def _drain(self, path: str, seen: str) -> int:
        now_seen = seen_of(path)
        if now_seen == seen:
            return 0
        total = after = 0
        if not os.path.exists(path):
            self._tell(path, "the file is not there")
            self._saw(path, now_seen)
            return 0
        try:
            with closing(_open(path)) as theirs:
                while rows := _read(theirs, after):
                    obeyed = self._obey(rows)
                    with theirs:
                        theirs.executemany(SQL.delete, [{"number": number} for number in obeyed])
                    total += len(obeyed)
                    after = rows[-1][0]
        except sqlite3.Error as error:
            self._tell(path, str(error))
            return total
        # What was left there, since no kind of that name is known, is looked for again when one is
        # registered, or when something changes there.
        if total == 0:
            self._saw(path, now_seen)
        return total

    def _saw(self, path: str, seen: str) -> None:
        """Remember that there is nothing to do until the files change."""
        with self._db.transaction():
            self._db.run(SQL.saw, {"path": path, "seen": seen})

    def _obey(self, rows: Iterable[tuple[int, str, str, str]]) -> list[int]:
        """Enqueue a batch in one transaction; return the numbers that are safe to delete there.

        What cannot be obeyed stays where it is and is told of once: it must not hold up the rest.
        """
        obeyed = []
        with self._db.transaction():
            now = self._db.now()
            for number, id_, name, body in rows:
                kind = kind_of(self._db, name)
                if kind is None:
                    text = f"a request in an outbox names the kind {name!r}, which is unknown"
                    self._alert(name, name, text, now)
                    continue
                try:
                    request = msgspec.json.decode(body, type=Request, strict=True)
                    self._tasks.enqueue_within(kind, request, now)
                except (msgspec.DecodeError, RecursionError, UsageError, Refusal) as error:
                    text = f"a request in an outbox cannot be obeyed: {id_}: {error}"
                    self._alert(id_, name, text, now)
                    continue
                obeyed.append(number)
        return obeyed

    def _tell(self, path: str, error: str) -> None:
        with self._db.transaction():
            text = f"the outbox in {path} could not be read: {error}"
            self._alert(path, "", text, self._db.now())

    def _alert(self, about: str, kind: str, text: str, now: Instant) -> None:
        notice(self._db, f"outbox:{about}", Notice(kind=kind, code="outbox", text=text, at=now))


def _open(path: str) -> sqlite3.Connection:
    try:
        theirs = sqlite3.connect(path, timeout=WAIT_S)
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    theirs.text_factory = _text
    return theirs


def _text(read: bytes) -> str:
    """Whatever bytes another program wrote there: one bad row must not hold up the rest."""
    return read.decode(errors="replace")


def _read(theirs: sqlite3.Connection, after: int) -> list[tuple[int, str, str, str]]:
    if not theirs.execute(SQL.has_table).fetchone():
        return []
    return theirs.execute(SQL.read, {"after": after, "limit": BATCH}).fetchall()
