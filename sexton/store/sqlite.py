"""One SQLite file, opened so that a positive answer is on disk.

WAL with `synchronous=FULL`: a power cut then loses no acknowledged commit. Every transaction is
`BEGIN IMMEDIATE`, waits a bounded time for others, and belongs to the process that opened the
file: a connection carried across a fork is refused. This is on the path of an idle tick, so it
imports nothing slow.
"""

from __future__ import annotations

import os
import time
from os import getpid
from time import monotonic_ns

import apsw

from sexton.core.errors import SchemaError, SextonError, StoreBusy, StoreError
from sexton.store import connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Any, NoReturn

    Row = dict[str, Any]
else:
    Row = dict

APPLICATION_ID = 0x5378746E  # "Sxtn", so that another program's file is told from ours
NEWEST = 1  # the schema of this version: the number of the last migration
BUSY_MS = 10_000  # how long an act waits for others before it gives up
MOVED_LOOK_NS = 50_000_000  # how long one of many trusts the last look for the file


def _patience() -> Callable[[int], bool]:
    """Whether to try once more for a lock that another holds: after a short pause, up to BUSY_MS.

    SQLite's own pauses grow to 100 ms: of fifty that want one lock, the last then comes seconds
    late (0.45 s a round against 0.05 s). The pauses are uneven, so that those who wait part.
    """
    until_ns = 0

    def wait(tries: int) -> bool:
        nonlocal until_ns
        now_ns = time.monotonic_ns()
        if tries == 0:
            until_ns = now_ns + BUSY_MS * 1_000_000
        if now_ns >= until_ns:
            return False
        time.sleep(0.0005 + now_ns // 1000 % 4000 / 1_000_000)
        return True

    return wait


class Transaction:
    """`with db.transaction():` commits at the end, or rolls back if the block raises."""

    __slots__ = ("_db", "_is_one_of_many", "_is_rehearsal", "_is_relaxed")

    def __init__(
        self,
        db: Database,
        *,
        is_relaxed: bool = False,
        is_one_of_many: bool = False,
        is_rehearsal: bool = False,
    ) -> None:
        self._db = db
        self._is_rehearsal = is_rehearsal
        self._is_relaxed = is_relaxed
        self._is_one_of_many = is_one_of_many

    def __enter__(self) -> Database:
        self._db.refuse_moved(MOVED_LOOK_NS if self._is_one_of_many else 0)
        if self._is_relaxed:
            self._db.run("PRAGMA synchronous=NORMAL")
        try:
            self._db.begin()
        except SextonError:
            self._wait_for_disk_again()
            raise
        return self._db

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and not self._is_rehearsal:
                self._db.commit()
            else:
                self._db.rollback()
        finally:
            if self._is_relaxed:
                self._wait_for_disk_again()

    def _wait_for_disk_again(self) -> None:
        if self._is_relaxed:
            self._db.run("PRAGMA synchronous=FULL")


class Snapshot:
    """`with db.snapshot():` reads one moment of the store, whoever writes meanwhile."""

    __slots__ = ("_db",)

    def __init__(self, db: Database) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.run("BEGIN")
        self._db.all("SELECT 1 FROM sqlite_schema LIMIT 1")  # the moment is that of the first read

    def __exit__(self, *_: object) -> None:
        self._db.rollback()


class Database:
    """One connection. Rows are dicts; parameters are named."""

    def __init__(self, path: str, *, create: bool = False) -> None:
        self.path = path
        self._pid = os.getpid()
        flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
        try:
            self._connection = connection.opened(path, flags)
        except apsw.Error as error:
            raise said(error, path) from error
        self._file = self._connection.file
        self._looked_ns = 0
        try:
            # For what gives no rows: a new cursor each time would cost a tenth of a small write.
            self._writer = self._connection.cursor()
            self._connection.set_busy_handler(_patience())
            for pragma in ("trusted_schema=OFF", "foreign_keys=ON", "synchronous=FULL"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._travels = self._is_travelled()
        except apsw.Error as error:
            connection.closed(self._connection)
            raise said(error, path) from error

    def _is_travelled(self) -> bool:
        """Whether this store's clock was ever set by a test, as it says itself."""
        if self._connection.pragma("application_id") != APPLICATION_ID:
            return False
        found = self._connection.execute("SELECT 1 FROM meta WHERE name = 'clock'").fetchone()
        return found is not None

    def now(self) -> int:
        """The store's clock: microseconds since 1970. A test's store carries its own."""
        if not self._travels:
            return time.time_ns() // 1000
        setting = self.all("SELECT value FROM meta WHERE name = 'clock'")[0]["value"]
        word, _, amount = setting.partition(":")
        return int(amount) if word == "frozen" else time.time_ns() // 1000 + int(amount)

    def set_clock(self, setting: str) -> None:
        """For tests: `frozen:INSTANT` stands still, `offset:MICROSECONDS` runs on, shifted."""
        with self.transaction():
            self.run(
                "INSERT INTO meta VALUES ('clock', :value)"
                " ON CONFLICT (name) DO UPDATE SET value = :value",
                {"value": setting},
            )
        self._travels = True

    def transaction(self, *, is_one_of_many: bool = False) -> Transaction:
        """`is_one_of_many`: of those that follow each other closely, as a plan's items do, not
        each looks whether the file is still at its path."""
        return Transaction(self, is_one_of_many=is_one_of_many)

    def snapshot(self) -> Snapshot:
        return Snapshot(self)

    def rehearsal(self) -> Transaction:
        """`with db.rehearsal():` sees what the block would do, and then nothing of it was done."""
        return Transaction(self, is_rehearsal=True)

    def run(self, sql: str, values: Mapping[str, Any] | Sequence[Any] | None = None) -> int:
        """Execute one statement; return how many rows it changed.

        `values` by name, or in the order in which the statement first names them.
        """
        if self._pid != getpid():
            self._refuse_fork()
        try:
            self._writer.execute(sql, values)
            return self._connection.changes()
        except apsw.Error as error:
            raise said(error, self.path) from error
        except (UnicodeEncodeError, OverflowError) as error:
            raise Refusal(f"a value cannot be kept in a row: {error}") from error

    def all(self, sql: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        if self._pid != getpid():
            self._refuse_fork()
        try:
            cursor = self._connection.execute(sql, values)
            names = next(zip(*cursor.get_description(), strict=True))
            return [dict(zip(names, row, strict=True)) for row in cursor]
        except apsw.ExecutionCompleteError:  # no row at all: the library knows no columns then
            return []
        except apsw.Error as error:
            raise said(error, self.path) from error
        except (UnicodeEncodeError, OverflowError) as error:
            raise Refusal(f"a value cannot be kept in a row: {error}") from error

    def one(self, sql: str, values: Mapping[str, Any] | None = None) -> Row | None:
        rows = self.all(sql, values)
        return rows[0] if rows else None

    def first(self, sql: str, values: Mapping[str, Any] | None = None) -> tuple[Any, ...] | None:
        """The first row as a plain tuple, or None: for what each item of a plan asks."""
        if self._pid != getpid():
            self._refuse_fork()
        try:
            rows = list(self._connection.execute(sql, values))
        except apsw.Error as error:
            raise said(error, self.path) from error
        return tuple(rows[0]) if rows else None

    def script(self, sql: str) -> None:
        """Execute several statements, for migrations."""
        self.run(sql)

    def begin(self) -> None:
        if self._pid != getpid():
            self._refuse_fork()
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except apsw.Error as error:
            raise said(error, self.path) from error

    def commit(self) -> None:
        if self._pid != getpid():
            self._refuse_fork()
        try:
            self._writer.execute("COMMIT")
        except apsw.Error as error:
            self.rollback()
            raise said(error, self.path) from error

    def rollback(self) -> None:
        # An I/O error or a full disk may have rolled back already.
        if self._pid == os.getpid() and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def relax(self) -> Transaction:
        """`with db.relax():` commits without waiting for the disk: for what promises nothing."""
        return Transaction(self, is_relaxed=True)

    def pragma(self, name: str, value: int | str | None = None) -> Any:
        if self._pid != getpid():
            self._refuse_fork()
        try:
            if value is None:
                return self._connection.pragma(name)
            return self._connection.pragma(name, value)
        except apsw.Error as error:
            raise said(error, self.path) from error

    def keep_wal(self) -> None:
        """Leave the write-ahead log where it is when the last connection closes.

        Copying it into the file at once costs two waits for the disk; so one tick in about
        thirty does it for all.
        """
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self._connection.wal_autocheckpoint(32)

    @property
    def connection(self) -> apsw.Connection:
        return self._connection

    @property
    def is_ours(self) -> bool:
        """Whether this process opened it."""
        return self._pid == os.getpid()

    @property
    def is_current(self) -> bool:
        """Whether its path still leads to the file that was opened."""
        return self._file is not None and connection.file_of(self.path) == self._file

    def refuse_moved(self, trusted_ns: int = 0) -> None:
        """Raise StoreError if the file was replaced or has gone: what is written to the old one is
        seen by nobody, so the same work would be done by whoever opens the new one.

        A look that is no older than `trusted_ns` is not repeated.
        """
        now_ns = monotonic_ns()
        if now_ns - self._looked_ns < trusted_ns:
            return
        self._looked_ns = now_ns
        if not self.is_current:
            raise StoreError(
                f"the store {self.path} was replaced, or has gone, since it was opened",
                hint="Try again: the next one opens what is there now.",
            )

    def refuse_shared(self) -> None:
        """Raise StoreError if this process has the store open by the module sqlite3, too."""
        if connection.is_shared(self.path, self._file):
            raise StoreError(
                f"this process has the store {self.path} open by another way, too, by the module"
                " sqlite3, and that would undo its locks",
                hint="The store is Sexton's own file: keep the application's tables in another.",
            )

    def close(self) -> None:
        """Close; a copy that a fork left behind is only forgotten, its locks are the parent's."""
        if self.is_ours:
            connection.closed(self._connection)

    def _refuse_fork(self) -> NoReturn:
        raise StoreError(
            "this store connection was opened before a fork",
            hint="Open the store in the process that uses it: its locks do not survive fork().",
        )


class Refusal(SextonError):
    """A constraint refused a row: one of the promises was about to be broken."""


def said(error: apsw.Error, path: str) -> SextonError:
    """The library's error in our words: who is at fault, and what to do now."""
    from sexton.store import disk  # noqa: PLC0415 -- only where something failed

    match error:
        case apsw.ConstraintError():
            return Refusal(str(error))
        case apsw.BusyError() | apsw.LockedError():
            return StoreBusy(f"the store {path} is held by another program for over {BUSY_MS} ms")
        case apsw.NotADBError() | apsw.CorruptError():
            return SchemaError(
                f"the store {path} is not a sound SQLite database: {error}",
                hint="Restore a backup of `sexton backup`; the damaged file was left as it is.",
            )
        case apsw.SQLError() if "malformed JSON" in str(error):
            return SchemaError(
                f"a value in the store {path} is no JSON: a row is damaged",
                hint="`sexton check` names it; of a kind, `sexton sync` writes it anew.",
            )
        case apsw.FullError():
            return disk.full(path)
        case apsw.IOError() | apsw.ReadOnlyError() | apsw.CantOpenError() if told := disk.why(path):
            return told
        case apsw.ReadOnlyError() | apsw.PermissionsError() | apsw.CantOpenError():
            return StoreError(
                f"the store {path} cannot be opened for writing: {error}",
                hint="Check that the file and its directory belong to the user who runs this.",
            )
        case _:
            return StoreError(f"the store {path} failed: {error}")
