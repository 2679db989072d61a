"""A small application whose every effect is counted outside the store, and ways to end it badly.

An effect is a line appended to a file and synced to the disk: it has happened, whoever dies next.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sexton import Item, Plan, Sexton
from sexton.core.ledger import Cap
from sexton.store.store import Store

Anything = Plan[..., Any]
app = Sexton("sqlite:///crash-tests.db")
KEYS = ("ann", "ben", "cy", "dan", "eve")


class Effects:
    """The counter outside the store."""

    path = Path()

    def __init__(self) -> None:
        self.before: Callable[[str], object] = lambda _what: None

    def happen(self, what: str) -> None:
        """Append one line, and come back when it is on disk; `before` that, a test may strike."""
        self.before(what)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{what}\n".encode())
        os.fsync(descriptor)
        os.close(descriptor)

    def count(self) -> Counter[str]:
        return Counter(self.path.read_text().split()) if self.path.exists() else Counter()

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


effects = Effects()


@dataclass(frozen=True)
class Person:
    id: str
    email: str = "one@example.org"


def people() -> Iterator[Person]:
    yield from (Person(key) for key in KEYS)


@app.task(schedule="30 7 * * *", retry="30m x 3", isolation="inline")
def morning() -> None:
    effects.happen("morning")


@app.task(min_gap="20h", isolation="inline")
def gap() -> None:
    effects.happen("gap")


@app.task(isolation="inline")
def asked(name: str) -> None:
    effects.happen(name)


@app.plan(schedule="30 7 * * *", retry="30m x 3", isolation="inline")
def narrow() -> Iterator[Person]:
    yield from people()


@narrow.each(key="id")
def serve_narrow(person: Person) -> None:
    effects.happen(person.id)


@app.plan(schedule="30 7 * * *", retry="30m x 3", isolation="inline")
def wide() -> Iterator[Person]:
    yield from people()


@wide.each(key="id", width=4)
def serve_wide(person: Person) -> None:
    effects.happen(person.id)


@app.plan(schedule="30 7 * * *", retry="30m x 3", isolation="inline")
def retried() -> Iterator[Person]:
    yield from people()


@retried.each(key="id", in_doubt="retry")
def serve_retried(person: Person, item: Item) -> None:
    effects.happen(f"{person.id}:{item.idempotency_key}")


@app.plan(schedule="30 7 * * *", retry="30m x 3", isolation="inline")
def skipped() -> Iterator[Person]:
    yield from people()


@skipped.each(key="id", in_doubt="skip", cap="3/day per email")
def serve_skipped(person: Person) -> None:
    effects.happen(person.id)


def was_served(item: Item) -> bool:
    return effects.count()[item.key] > 0


@app.plan(schedule="30 7 * * *", retry="30m x 3", isolation="inline")
def probed() -> Iterator[Person]:
    yield from people()


@probed.each(key="id", in_doubt=was_served)
def serve_probed(person: Person) -> None:
    effects.happen(person.id)


def alone(*kinds: str) -> None:
    """Let the tick know these kinds and no others."""
    for known in app.store.kinds.all():
        if known.kind.name not in kinds:
            values = {"name": known.kind.name}
            app.store.db.run("UPDATE kind SET gone_at = 1 WHERE name = :name", values)


CAP = Cap(3, "email", "skipped")


def in_doubt(store: Store, kind: str) -> set[str]:
    return {item.key for item in store.items.entries(kind, in_doubt=True)}


def forked(act: Callable[[], object]) -> int:
    """Run it in a child that has opened nothing yet; return the child's pid."""
    app.close()
    pid = os.fork()
    if pid == 0:
        try:
            act()
            os._exit(0)
        finally:
            os._exit(1)
    return pid


def ended(pid: int) -> int:
    """Wait for the end of a child; its wait status."""
    return os.waitpid(pid, 0)[1]
