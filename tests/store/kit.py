"""What the tests of the store share: a new store whose clock stands, and words to fill it.

Every store that a test was given is verified at its end: each promise holds, whatever the test did.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sexton.core import retry
from sexton.core.kind import Kind
from sexton.core.ledger import Cap, Ended, Wanted
from sexton.core.queue import Call, Refused, Taken
from sexton.core.task import ABORTED, COMPLETE, Claim, Result, Task
from sexton.store import create_store
from sexton.store.ledger import StoreLedger
from sexton.store.sqlite import Row
from sexton.store.store import Store
from sexton.testing.clock import Clock, frozen
from sexton.work.holder import encode_owner, nonce
from sexton.work.owner import Owner

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
OWNER = encode_owner(Owner.here())
DONE = Result(status=COMPLETE, outcome="returned")
FAILED = Result(status=ABORTED, reason="failed", outcome="ValueError: no")

DAILY = Kind(name="daily", schedule="30 7 * * *", retry=retry.parse("30m x 3"))
ASKED = Kind(name="resize")
JOINED = Kind(name="rebuild", key="")
GAP = Kind(name="rotate", min_gap_us=20 * 3_600_000_000)
PLAN = Kind(name="summary", family="plan", schedule="30 7 * * *", retry=retry.parse("30m x 3"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new store whose clock stands at noon, verified at the end of the test."""
    made = create_store(f"sqlite:///{tmp_path}/sexton.db")
    made.db.set_clock(frozen(NOON))
    yield made
    problems = made.upkeep.check()
    made.close()
    assert not problems


@pytest.fixture
def clock(store: Store) -> Clock:
    return Clock(lambda: store)


def take(store: Store, kind: Kind, **asked: Any) -> Taken | Refused:
    """Call a guarded kind, as a function does."""
    return store.guard(OWNER).take(kind, Call(nonce=nonce(), **asked))


def taken(store: Store, kind: Kind, **asked: Any) -> Claim:
    """The claim of a call that must be let in."""
    answer = take(store, kind, **asked)
    assert isinstance(answer, Taken), answer
    return answer.claim


def code(store: Store, kind: Kind, **asked: Any) -> str:
    """Why a call was refused."""
    answer = take(store, kind, **asked)
    assert isinstance(answer, Refused), answer
    return answer.skip.code


def finish(store: Store, claim: Claim, result: Result = DONE) -> bool:
    return store.guard(OWNER).finish(claim, result) is not None


def lose(store: Store, claim: Claim) -> Task | None:
    """Settle a claim as a sweep does that saw its owner dead."""
    return store.sweeps.settle_lost(store.tasks.get(claim.task), "process 1 on host-a died")


def begin(ledger: StoreLedger, *keys: str) -> list[str]:
    """Ask to begin these items; the answers."""
    return [answer.step for answer in ledger.advance([], [Wanted(key) for key in keys])]


def done(ledger: StoreLedger, *keys: str) -> None:
    ledger.advance([Ended(key, "Done") for key in keys], [])


def rows(store: Store, sql: str = "SELECT * FROM task ORDER BY id", **values: Any) -> list[Row]:
    """What is in the tables, for what no method tells."""
    return store.db.all(sql, values)


def statuses(store: Store, kind: str = "") -> list[str]:
    """`Complete`, `Aborted/lost`, … of all rows, oldest first."""
    return [
        f"{task.status}/{task.reason}" if task.reason else task.status
        for task in reversed(store.tasks.newest(kind=kind, limit=1000))
    ]


def ledger_of(store: Store, kind: Kind, claim: Claim, cap: Cap | None = None) -> StoreLedger:
    return store.ledger(kind, claim, cap)


def in_a_child(act: Callable[[], str]) -> str:
    """Run it in a forked child; what it returns, or the name and text of its error."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = act()
        except BaseException as error:  # noqa: BLE001 -- told to the parent, whatever it is
            said = f"{type(error).__name__} {getattr(error, 'exit_code', '')}: {error}"
        os.write(write, said.encode()[:4096])
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return said
