"""Backup, prune, and a check of every promise on a live store."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from tempfile import mkstemp

import apsw

from sexton.core.errors import ConfigurationError, StoreError
from sexton.core.instant import DAY_US
from sexton.store import kinds, migrate
from sexton.store.ledger import SQL as LEDGER_SQL
from sexton.store.rows import NOTICE_SQL
from sexton.store.rows import SQL as TASK_SQL
from sexton.store.sql import Queries
from sexton.store.sqlite import Database, said

CHECK_SQL = Queries("check")
BATCH = 500
Target = apsw.Connection  # what a backup is written through


class Upkeep:
    def __init__(self, db: Database) -> None:
        self._db = db

    def check(self) -> list[str]:
        """Verify the file and every invariant; return what is broken, one sentence each.

        All queries see one and the same moment of the store.
        """
        with self._db.snapshot():
            problems = [
                f"the file: {row['integrity_check']}"
                for row in self._db.all("PRAGMA integrity_check(20)")
                if row["integrity_check"] != "ok"
            ]
            problems += [
                f"a row of {row['table']} names a row of {row['parent']} that is not there"
                for row in self._db.all("PRAGMA foreign_key_check")
            ]
            for name in CHECK_SQL.names:
                problems += [row["problem"] for row in self._db.all(getattr(CHECK_SQL, name))]
            problems += migrate.edited(self._db) + migrate.altered(self._db)
            problems += kinds.unreadable(self._db)
        return problems

    def backup(self, path: str) -> int:
        """Copy the live store to a new file, whole and of one moment; return its size in bytes.

        It reads from one snapshot: otherwise each write of others would begin the copy anew.
        Raises ConfigurationError if the file is there already: a backup overwrites nothing.
        """
        path = os.path.abspath(path)
        directory, name = os.path.split(path)
        is_there = ConfigurationError(f"{path} is there already", hint="Name a new file.")
        if os.path.lexists(path):
            raise is_there
        part = ""
        try:
            # A name of its own, so that two backups at once write into two files.
            descriptor, part = mkstemp(prefix=f"{name}.", suffix=".part", dir=directory)
            with open(descriptor, "rb") as file, self._db.snapshot():
                self._copy(part)
                # It holds what the store holds: whoever may not read that shall not read this.
                os.fchmod(file.fileno(), os.stat(self._db.path).st_mode & 0o777)
                os.fsync(file.fileno())
            os.link(part, path)  # unlike rename, this refuses a file that appeared meanwhile
            self._sync_directory(directory)
        except FileExistsError:
            raise is_there from None
        except (OSError, apsw.Error) as error:
            # The library keeps its words with the other file, and would say "not an error" here.
            why = said(error, part) if isinstance(error, apsw.Error) else error
            raise StoreError(f"the backup to {path} failed: {why}") from error
        finally:
            if part:
                os.unlink(part)
        return os.path.getsize(path)

    def _copy(self, part: str) -> None:
        target = Target(part)
        try:
            with target.backup("main", self._db.connection, "main") as copy:
                while not copy.done:
                    copy.step(1000)
        finally:
            target.close()

    def _sync_directory(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def prune(self, keep_days: int) -> dict[str, int]:
        """Forget what is over since that many days, in batches; return how many rows of what.

        What guards, gaps, caps and people still need stays: each kind's newest success, items in
        doubt, chains that go on.
        """
        before = self._db.now() - keep_days * DAY_US
        day = datetime.fromtimestamp(before / 1_000_000, UTC).date().isoformat()
        with self._db.transaction():
            slots = self._db.run(LEDGER_SQL.prune_slots, {"day": day})
        pruned = {
            "slots": slots,
            "items": self._batches(LEDGER_SQL.prune_items, before),
            "tasks": self._batches(TASK_SQL.prune_tasks, before),
            "requests": self._batches(TASK_SQL.prune_requests, before),
        }
        with self._db.transaction():
            pruned["skips"] = self._db.run(kinds.SQL.prune_skips, {"before": before})
            pruned["notices"] = self._db.run(NOTICE_SQL.prune, {"before": before})
        return pruned

    def _batches(self, sql: str, before: int) -> int:
        total = 0
        while True:
            with self._db.transaction():
                values = {"before": before, "now": self._db.now(), "limit": BATCH}
                gone = len(self._db.all(sql, values))
            total += gone
            if gone < BATCH:
                return total
