"""Bring a store to this version's schema: numbered steps, each with its record in one transaction.

A step is never edited once it is released. A store that is newer than this code is refused: an
older Sexton must not guess what a newer one promised.
"""

from __future__ import annotations

import os
import uuid
from hashlib import sha256

import apsw

from sexton.core.errors import SchemaError, StoreMissing
from sexton.store.sqlite import APPLICATION_ID, NEWEST, Database

MARKER_LENGTH_MAX = 1000

_HERE = os.path.join(os.path.dirname(__file__), "migrations", "sqlite")


def steps() -> list[tuple[int, str, str]]:
    """Every step as (number, name, SQL), in order."""
    found = []
    for file in sorted(os.listdir(_HERE)):
        number, _, name = file.removesuffix(".sql").partition("_")
        with open(os.path.join(_HERE, file), encoding="utf-8") as text:
            found.append((int(number), name, text.read()))
    return found


def edited(db: Database) -> list[str]:
    """What was applied here under another text than these files have, one sentence each."""
    digests = {number: sha256(sql.encode()).hexdigest() for number, _, sql in steps()}
    return [
        f"migration {row['number']:04}_{row['name']} was applied with another text than it has now"
        for row in db.all(_APPLIED)
        if digests.get(row["number"]) != row["sha256"]
    ]


def altered(db: Database) -> list[str]:
    """What of the schema is missing, or is not as the steps make it, one sentence each: a promise
    is only kept by the index or trigger that makes it."""
    model = apsw.Connection(":memory:")
    try:
        model.execute(_RECORDS)
        for _, _, sql in steps():
            model.execute(sql)
        wanted = list(model.execute(_SCHEMA))
    finally:
        model.close()
    found = {row["name"]: row["sql"] for row in db.all(_SCHEMA)}
    problems = []
    for kind, name, sql in wanted:
        if name not in found:
            problems.append(f"the {kind} {name} is missing: its promise is not kept")
        elif found[name] != sql:
            problems.append(f"the {kind} {name} is not as it was made: its promise may not be kept")
    return problems


def check(db: Database) -> None:
    """Raise SchemaError unless this store is exactly of this version."""
    version = db.pragma("user_version")
    if version == NEWEST and db.pragma("application_id") == APPLICATION_ID:
        return
    if version > NEWEST:
        raise SchemaError(
            f"the store {db.path} has schema {version}; this Sexton knows up to {NEWEST}",
            hint="Run the newer Sexton that made it; an older one could break its promises.",
        )
    if not version and not db.all("SELECT 1 FROM sqlite_schema LIMIT 1"):
        raise SchemaError(
            f"{db.path} is empty: there is no store in it", hint="Run `sexton init` once."
        )
    if version and db.pragma("application_id") != APPLICATION_ID:
        raise SchemaError(
            f"{db.path} is a database of another program",
            hint="Give the store a file of its own.",
        )
    raise SchemaError(
        f"the store {db.path} has schema {version}; this Sexton needs {NEWEST}",
        hint="Run `sexton migrate`.",
    )


def migrate(db: Database) -> list[str]:
    """Apply what is missing; return the names of the applied steps.

    Killed in between, the next call goes on where this one stopped. Two at once: the second
    waits, and finds nothing to do.
    """
    with db.transaction():  # so that another's first migration is seen whole, or not at all
        _refuse_foreign(db)
    if db.pragma("journal_mode", "wal") != "wal":
        raise SchemaError(f"the store {db.path} cannot use write-ahead logging on this file system")
    applied = []
    for number, name, sql in steps():
        with db.transaction():
            if db.pragma("user_version") >= number:
                continue
            if number == 1:
                db.pragma("application_id", APPLICATION_ID)
                db.run(_RECORDS)
            db.script(sql)
            values = {"number": number, "name": name, "at": db.now()}
            digest = sha256(sql.encode()).hexdigest()
            db.run("INSERT INTO migration VALUES (:number, :name, :sha256, :at)",
                   values | {"sha256": digest})  # fmt: skip
            if number == 1:
                identity = {"value": str(uuid.uuid4())}
                db.run("INSERT INTO meta VALUES ('id', :value)", identity)
            db.pragma("user_version", number)
            applied.append(f"{number:04}_{name}")
    return applied


_SCHEMA = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
_APPLIED = "SELECT number, name, sha256 FROM migration ORDER BY number"
_RECORDS = """
CREATE TABLE migration (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, at INTEGER NOT NULL
) STRICT
"""


def _refuse_foreign(db: Database) -> None:
    version, application = db.pragma("user_version"), db.pragma("application_id")
    if version > NEWEST and application == APPLICATION_ID:
        check(db)
    tables = db.all("SELECT count(*) AS count FROM sqlite_schema")[0]["count"]
    if tables and application != APPLICATION_ID:
        raise SchemaError(
            f"{db.path} holds tables of another program; nothing was changed",
            hint="Give the store a file of its own, and the application another.",
        )


def marker_path(path: str) -> str:
    """The file beside a store that remembers that the store was made."""
    return f"{path}.made"


def refuse_vanished(path: str) -> None:
    """Tell a store that vanished, or was emptied, from a first start, which would silently do all
    work again."""
    if not os.path.exists(marker_path(path)):
        return
    if not os.path.exists(path):
        raise _gone(f"the store {path} was made before and has gone", path)
    if os.path.getsize(path) == 0:
        raise _gone(f"the store {path} was made before and has been emptied", path)


def refuse_replaced(db: Database) -> None:
    """The same for a file that holds nothing of ours, or another store than was made here."""
    marked = _marked_id(db.path)
    if not marked:
        return
    if db.pragma("application_id") != APPLICATION_ID:
        raise _gone(f"the store {db.path} was made before, and another file is there now", db.path)
    found = db.one("SELECT value FROM meta WHERE name = 'id'")
    if found and found["value"] != marked:
        raise StoreMissing(
            f"the store {db.path} is another one than was made here ({found['value']}, and not"
            f" {marked})",
            hint="If it shall be this one from now on, delete"
            f" {marker_path(db.path)}: the next tick makes it anew.",
        )


def _gone(text: str, path: str) -> StoreMissing:
    return StoreMissing(
        text,
        hint="Restore a backup to that path; or, if all it remembered may be forgotten and done"
        f" again, delete {marker_path(path)} and what is left of the store, and run `sexton init`.",
    )


def _marked_id(path: str) -> str:
    """The id of the store that was made here, '' where none is noted."""
    try:
        with open(marker_path(path), encoding="utf-8") as file:
            return file.read(MARKER_LENGTH_MAX).rpartition("id ")[2].strip().rstrip(".")
    except (OSError, UnicodeDecodeError):
        return ""


def write_marker(path: str, identity: str) -> None:
    with open(marker_path(path), "w", encoding="utf-8") as file:
        file.write(f"The store {os.path.basename(path)} was made here, with the id {identity}.\n")
        file.flush()
        os.fsync(file.fileno())
