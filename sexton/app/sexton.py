"""The Sexton object: an application's closed table of kinds, and its door to the store."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, overload

import msgspec

from sexton.app import place
from sexton.app.command import Command
from sexton.app.declare import (
    Options,
    Timing,
    kind_of,
    name_of,
    refuse_async,
    refuse_generator,
    summary_of,
    words_of,
)
from sexton.app.door import Declared
from sexton.app.here import Here, Stores
from sexton.app.kv import KV
from sexton.app.plan import Plan
from sexton.app.task import Task
from sexton.core.errors import DeclarationError, UnknownKind
from sexton.core.kind import Kind
from sexton.core.near import nearest
from sexton.store import open_store, outbox, wake
from sexton.store.store import Store
from sexton.store.tasks import Asked, Request, refuse_unforced

if TYPE_CHECKING:
    import sqlite3

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")
D = TypeVar("D", bound=Task[..., Any] | Command)


class Sexton:
    """The tasks of one application.

    `store`: a URL such as `sqlite:////var/lib/shop/sexton.db`; else SEXTON_STORE, else `store` of
    the nearest sexton.toml, else sexton.db beside it. Nothing is opened before it is needed.
    """

    def __init__(self, store: str | None = None) -> None:
        self._given = store
        self._directory = _directory_of_caller()
        self._place: place.Place | None = None
        self._stores = Stores()
        self._kinds: dict[str, Task[..., Any] | Command] = {}
        self.kv = KV(self)

    # -- declaring -------------------------------------------------------------------------

    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(self, /, **options: Unpack[Options]) -> Callable[[Callable[P, R]], Task[P, R]]: ...
    def task(self, function: Any = None, /, **options: Unpack[Options]) -> Any:
        """Make a task of a function; `Options` says what may be declared."""

        def declare(function: Callable[P, R]) -> Task[P, R]:
            name = name_of(function, options)
            refuse_async(function)
            refuse_generator(function)
            kind = kind_of("task", name, options, summary_of(function))
            return self._add(name, Task(self, kind, function))

        return declare if function is None else declare(function)

    def plan(
        self, *, scope: str = "", **options: Unpack[Options]
    ) -> Callable[[Callable[P, Iterable[T]]], Plan[P, T]]:
        """Make a plan of a function that returns or yields who; declare its effect with `.each`.

        scope: the name in which the items' keys hold for ever, over periods and kinds.
        """

        def declare(function: Callable[P, Iterable[T]]) -> Plan[P, T]:
            name = name_of(function, options)
            refuse_async(function)
            kind = kind_of("plan", name, options, summary_of(function), scope=scope)
            if not kind.is_guarded and not scope:
                raise DeclarationError(
                    f"{name}: a plan needs schedule=, every=, min_gap= or scope=",
                    hint="Without one, a retry could not know whom an earlier attempt served.",
                )
            return self._add(name, Plan(self, kind, function))

        return declare

    def command(self, name: str, /, *, argv: Sequence[str], **options: Unpack[Timing]) -> Command:
        """Register a program: a fixed argv, no shell."""
        words = words_of(name, argv)
        kind = kind_of("command", name, options, " ".join(words)[:200])
        return self._add(name, Command(self, kind, words))

    def _add(self, name: str, declared: D) -> D:
        if name in self._kinds:
            raise DeclarationError(f"two kinds are named {name}", hint="Give one of them name='…'.")
        self._kinds[name] = declared
        return declared

    @property
    def kinds(self) -> dict[str, Task[..., Any] | Command]:
        """What is declared, by name."""
        return dict(self._kinds)

    def __getitem__(self, name: str) -> Task[..., Any] | Command:
        """One declared kind; raises UnknownKind with what comes near."""
        try:
            return self._kinds[name]
        except KeyError:
            raise unknown_kind(name, self._kinds) from None

    def declared(self) -> list[Kind]:
        """The closed table, as data; raises DeclarationError for what is not complete."""
        return [declared.kind for declared in self._kinds.values()]

    # -- the store -------------------------------------------------------------------------

    @property
    def place(self) -> place.Place:
        """Where the store is, and the settings; found at first use."""
        if self._place is None:
            self._place = place.find(self._given, self._directory)
        return self._place

    @property
    def store(self) -> Store:
        """The store, opened once for each thread; a forked child opens its own, and so does
        everybody once another file was put in its place."""
        held = self._stores.store
        if held is None or not held.is_ours or not held.is_current:
            held = open_store(self.place.store, self.place.settings)
            self._stores.store = held
        return held

    @property
    def writable(self) -> Store:
        """The store, for what must not be lost: raises StoreError if this process would undo it."""
        store = self.store
        store.db.refuse_shared()
        return store

    @property
    def here(self) -> Here:
        """This process and thread as a place where guarded functions run."""
        return Here(self.writable)

    def close(self) -> None:
        """Close this thread's connection; the next use opens a new one."""
        held, self._stores.store = self._stores.store, None  # forgotten before a signal can use it
        if held is not None:
            held.close()

    @contextmanager
    def on(self, store: str) -> Iterator[None]:
        """Use the store of this URL in the block, in every thread, whatever else is configured.

        For tests: the module's own app object then works on a store of theirs.
        """
        self.close()
        before = self._place, self._stores
        found = place.find(None, self._directory)
        url = place.absolute(store, found.directory)
        self._place, self._stores = msgspec.structs.replace(found, store=url), Stores()
        try:
            yield
        finally:
            self.close()
            self._place, self._stores = before

    def ask(
        self,
        declared: Declared,
        request: Request,
        connection: sqlite3.Connection | None,
    ) -> Asked:
        """Ask for a task in the store, or inside the caller's own SQLite transaction."""
        if connection is None:
            asked = self.writable.tasks.enqueue(declared.kind, request)
            wake.touch(self.store.db.path)
            return asked
        refuse_unforced(declared.kind, request)
        path = outbox.path_of(connection, self.store.db.path)
        self.store.kinds.ensure(declared.kind)
        self.store.outboxes.register(path)
        outbox.write(connection, declared.kind, request)
        return Asked(None, is_new=True)


def unknown_kind(name: str, known: Iterable[str]) -> UnknownKind:
    near = nearest(name, known)
    hint = f"Did you mean {near}?" if near else "`sexton kinds` lists them."
    return UnknownKind(f"no kind is named {name!r}", hint=hint)


def _directory_of_caller() -> str:
    """The directory of the module that makes the Sexton object."""
    file = sys._getframe(2).f_globals.get("__file__")
    return os.path.dirname(os.path.abspath(file)) if file else os.getcwd()
