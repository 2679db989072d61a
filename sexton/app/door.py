"""What a declared kind needs of the application that it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sexton.app.here import Here
from sexton.app.place import Place
from sexton.core.kind import Kind
from sexton.store.store import Store
from sexton.store.tasks import Asked, Request

if TYPE_CHECKING:
    import sqlite3


class Declared(Protocol):
    """Whatever has a kind: a task, a plan, a command."""

    @property
    def kind(self) -> Kind: ...


class Door(Protocol):
    """The way from a declared kind to the store: `Sexton` is one."""

    @property
    def place(self) -> Place:
        """Where the store is, and the settings."""

    @property
    def store(self) -> Store:
        """The store of this thread."""

    @property
    def writable(self) -> Store:
        """The same, for what must not be lost."""

    @property
    def here(self) -> Here:
        """This process and thread as a place where guarded functions run."""

    def ask(
        self, declared: Declared, request: Request, connection: sqlite3.Connection | None
    ) -> Asked:
        """Ask for a task in the store, or inside the caller's own SQLite transaction."""
