"""The idle tick's one look at the store: is anything due, running, changed or wrong?"""

from __future__ import annotations

import _collections_abc
import os
import sys

# apsw takes one class from collections.abc, which is this module under another name, and the
# import system loads the package collections on the way. Lent both names while apsw is imported,
# six modules, a tenth of the whole idle tick, are spared. Whoever needs collections later, as a
# full tick does, imports it as ever; an apsw that came to need more of it is imported below.
_LENT = [name for name in ("collections", "collections.abc") if name not in sys.modules]
sys.modules.update(dict.fromkeys(_LENT, _collections_abc))
try:
    import apsw  # noqa: F401 -- so that the store finds it imported
except ImportError:
    pass
finally:
    for _name in _LENT:
        del sys.modules[_name]

from sexton.core.errors import SextonError
from sexton.store.sql import Queries
from sexton.store.sqlite import APPLICATION_ID, NEWEST, Database

# A time service corrects less than this; what is dated later still is from a clock that was wrong.
CLOCK_STEP_US = 120_000_000
# The longest pause between two ticks of a steady row: with one each minute, a step of the clock by
# more than CLOCK_STEP_US shows.
PAUSE_US = 180_000_000


def look(path: str, directory: str = "") -> str | None:
    """The URL to ping (or '') if nothing needs a full tick; the mark of this one is committed then.

    `directory`: where the settings file was found, '' if none was looked for: of a release in
    another directory than the last sync read, the application has to be read anew.
    Reads through kind_next, task_due and the index of Running rows, so it takes the same time
    however long the history is. None: a full tick is needed, if only to tell an error in words.
    """
    try:
        db = Database(path)
    except SextonError:
        return None
    try:
        db.keep_wal()
        if db.pragma("user_version") != NEWEST or db.pragma("application_id") != APPLICATION_ID:
            return None
        sql = Queries("idle")
        now = db.now()
        found = _quiet(db, sql, now)
        if found is None or (directory and found["directory"] not in ("", directory)):
            return None
        with db.transaction():
            mark_tick(db, sql, now, os.uname().nodename)
        return found["ping"]
    except SextonError:
        return None
    finally:
        db.close()


def mark_tick(db: Database, sql: Queries, now: int, host: str) -> None:
    """Note, in a transaction that the caller opened, that a tick came."""
    steady = {"pause_us": PAUSE_US, "step_us": CLOCK_STEP_US}
    db.run(sql.mark, {"now": now, "text": host} | steady)


def is_quiet(db: Database) -> bool:
    """Whether nothing needs a full tick, for one that lingers: only a look, and no mark."""
    return _quiet(db, Queries("idle"), db.now()) is not None


def _quiet(db: Database, sql: Queries, now: int) -> dict[str, str] | None:
    """What was found where nothing is to be done, else None."""
    found = db.all(sql.look, {"now": now})[0]
    if found["is_due"] or found["last_at"] > now + CLOCK_STEP_US:
        return None
    if has_changed(found["sources"]) or _is_outbox_full(db.all(sql.outboxes)):
        return None
    return found


def has_changed(sources: str) -> bool:
    """Whether a file noted by `sync` is gone, or has another size or time of change.

    One line a file: modified at (ns), size, path.
    """
    for line in sources.splitlines():
        modified, size, path = line.split(" ", 2)
        try:
            found = os.stat(path)
        except OSError:
            return True
        if found.st_mtime_ns != int(modified) or found.st_size != int(size):
            return True
    return False


def _is_outbox_full(outboxes: list[dict[str, str]]) -> bool:
    return any(seen_of(row["path"]) != row["seen"] for row in outboxes)


def seen_of(path: str) -> str:
    """Inodes, sizes and times of a database's files: unchanged, there is nothing new to drain."""
    parts = []
    for file in (path, f"{path}-wal"):
        try:
            found = os.stat(file)
            parts.append(f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}")
        except OSError:
            parts.append("-")
    return " ".join(parts)
