"""What this store is, and what `sync` notes so that an idle tick reads no settings, no source."""

from __future__ import annotations

from sexton.store.sql import Queries
from sexton.store.sqlite import Database

SQL = Queries("meta")


class Meta:
    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, name: str) -> str:
        """The text under a name, or ''."""
        row = self._db.one(SQL.get, {"name": name})
        return str(row["value"]) if row else ""

    def put(self, **texts: str) -> None:
        """Set several texts in one commit; an empty one is forgotten."""
        with self._db.transaction():
            for name, value in texts.items():
                if value:
                    self._db.run(SQL.put, {"name": name, "value": value})
                else:
                    self._db.run(SQL.forget, {"name": name})
