"""The key-value store's rows: text under a key, with a version for compare-and-set."""

from __future__ import annotations

from collections.abc import Iterator

from sexton.core.errors import ValueRefused
from sexton.store.sql import Queries
from sexton.store.sqlite import Database

SQL = Queries("kv")
KEY_LENGTH_MAX = 500
PAGE = 500


class KeyValue:
    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, key: str) -> tuple[str, int] | None:
        """The text under a key and its version, or None."""
        row = self._db.one(SQL.get, {"key": checked(key)})
        return (row["value"], row["version"]) if row else None

    def put(self, key: str, text: str) -> None:
        with self._db.transaction():
            self._db.run(SQL.put, {"key": checked(key), "value": text, "now": self._db.now()})

    def replace(self, key: str, text: str, version: int | None) -> bool:
        """Set the key if it still has this version (None: is not there); False: it has changed."""
        values: dict[str, str | int] = {"key": checked(key), "value": text}
        with self._db.transaction():
            values["now"] = self._db.now()
            if version is None:
                return self._db.one(SQL.insert, values) is not None
            return self._db.one(SQL.replace, values | {"version": version}) is not None

    def delete(self, key: str) -> bool:
        """Forget a key; False: it was not there."""
        with self._db.transaction():
            return self._db.one(SQL.delete, {"key": checked(key)}) is not None

    def scan(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Keys that start so with their texts, in order. Read in pages, so nothing stays open."""
        after = ""
        while True:
            values = {"prefix": prefix, "after": after, "limit": PAGE}
            page = self._db.all(SQL.list, values)
            for row in page:
                yield row["key"], row["value"]
            if len(page) < PAGE:
                return
            after = page[-1]["key"]


def checked(key: object) -> str:
    """The key as it is kept; raises ValueRefused for what is no text of a fair length."""
    if not isinstance(key, str) or not 1 <= len(key) <= KEY_LENGTH_MAX or not _is_text(key):
        raise ValueRefused(
            f"a key must be a text of 1 to {KEY_LENGTH_MAX} characters, not {key!r:.60}"
        )
    return key


def _is_text(key: str) -> bool:
    """Whether a database can keep it: no NUL, no half of a character."""
    return not any(sign == "\x00" or "\ud800" <= sign <= "\udfff" for sign in key)
