"""A program that is called directly: guarded, watched, ended with its group, and heard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sexton.app.here import Here
from sexton.core.errors import StoreError
from sexton.core.kind import Kind
from sexton.core.outcome import Outcome
from sexton.core.queue import Call, Output
from sexton.core.task import Claim, Result
from sexton.work import guard
from sexton.work.guard import Run
from sexton.work.holder import decode_leader, nonce
from sexton.work.launch import Launch
from sexton.work.program import Journal, run_program
from tests.app.shop import Shop, opened
from tests.work.process_kit import PATH, is_running_pid

KIND = Kind(name="backup", family="command", key="")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    yield from opened(tmp_path)


@pytest.fixture
def here(shop: Shop) -> Here:
    made = Here(shop.store)
    made.lease_s = 0.03
    return made


def call(
    here: Here, script: str, *, kind: Kind = KIND, journal: Journal | None = None, **options: Any
) -> Outcome[Any]:
    def body(run: Run) -> tuple[Result, None]:
        launch = Launch(
            ("sh", "-c", script),
            cookie=run.claim.nonce,
            env={"PATH": PATH, "DIR": str(Path(here.store.db.path).parent)},
        )
        keeps = journal or here.store.queue(here.owner)
        limits = {"grace_s": 0.3, "output_bytes_max": 10_000, **options}
        return run_program(run, launch, keeps, **limits), None

    return guard.call(here, kind, Call(nonce=nonce(), key=""), body)


@pytest.mark.parametrize(
    ("script", "code", "end"),
    [
        ("exit 0", "done", "Complete"),
        ("exit 3", "failed", "Aborted/failed"),
        ("kill -TERM $$", "failed", "Aborted/lost"),
    ],
)
def test_its_exit_code_is_its_word(
    shop: Shop, here: Here, script: str, code: str, end: str
) -> None:
    outcome = call(here, script)

    assert outcome.code == code
    assert shop.ends()[0] == end


def test_its_output_is_passed_on_whole_and_kept_in_bounds(shop: Shop, here: Here) -> None:
    heard = bytearray()

    outcome = call(
        here, "head -c 50000 /dev/zero; echo end >&2", tee=heard.extend, output_bytes_max=100
    )

    kept = shop.store.tasks.output(outcome.task or 0)
    assert bytes(heard) == b"\0" * 50_000 + b"end\n"
    assert kept.tail.endswith(b"end\n")
    assert kept.dropped_bytes == 50_004 - len(kept.head) - len(kept.tail)


def test_an_abort_ends_it_with_all_that_it_started(shop: Shop, here: Here) -> None:
    class Aborting:
        """Keeps what it is told, and a person asks for the end as soon as it has begun."""

        def enter(self, claim: Claim, leader: str) -> bool:
            held = shop.store.queue(here.owner).enter(claim, leader)
            shop.store.tasks.abort(claim.task, "ann", "wrong disk")
            return held

        def log(self, claim: Claim, output: Output) -> None:
            shop.store.queue(here.owner).log(claim, output)

    outcome = call(
        here, "trap '' TERM; setsid sleep 1000 & echo $!; sleep 1000", journal=Aborting()
    )

    task = shop.store.tasks.get(outcome.task or 0)
    leader = decode_leader(task.leader)
    assert (task.status, task.reason) == ("Aborted", "administrator")
    assert leader is not None
    assert not is_running_pid(leader.pid)
    assert not is_running_pid(int(shop.store.tasks.output(task.id).head))


def test_what_somebody_else_settled_is_ended_and_blames_nobody(shop: Shop, here: Here) -> None:
    class Settling:
        """Keeps what it is told, and a sweep takes it for lost as soon as it has begun."""

        def enter(self, claim: Claim, leader: str) -> bool:
            held = shop.store.queue(here.owner).enter(claim, leader)
            shop.store.sweeps.settle_lost(shop.store.tasks.get(claim.task), "no lease")
            return held

        def log(self, claim: Claim, output: Output) -> None: ...

    outcome = call(here, "sleep 1000", journal=Settling())

    assert outcome.code == "lost"
    assert shop.ends()[0] == "Aborted/lost"
    (late,) = shop.store.tasks.late(outcome.task or 0)
    assert late[1].startswith("finished late as Aborted/lost")


def test_its_deadline_is_the_stores_clock(shop: Shop, here: Here) -> None:
    kind = Kind(name="backup", family="command", key="", timeout_us=60_000_000)

    class Travelling:
        def enter(self, claim: Claim, leader: str) -> bool:
            held = shop.store.queue(here.owner).enter(claim, leader)
            shop.travel(seconds=60)
            return held

        def log(self, claim: Claim, output: Output) -> None: ...

    call(here, "sleep 1000", kind=kind, journal=Travelling())

    assert shop.ends()[0] == "Aborted/timed out"


def test_a_program_that_is_not_there_fails_in_words(shop: Shop, here: Here) -> None:
    def body(run: Run) -> tuple[Result, None]:
        launch = Launch(("/no/such/program",), cookie=run.claim.nonce)
        journal = here.store.queue(here.owner)
        return run_program(run, launch, journal, grace_s=0.1, output_bytes_max=100), None

    outcome = guard.call(here, KIND, Call(nonce=nonce(), key=""), body)

    assert outcome.code == "failed"
    assert "/no/such/program" in str(outcome)
    assert shop.ends() == ["Aborted/failed"]


def test_output_that_cannot_be_kept_does_not_make_a_success_a_failure(
    shop: Shop, here: Here
) -> None:
    class Full:
        def enter(self, claim: Claim, leader: str) -> bool:
            return shop.store.queue(here.owner).enter(claim, leader)

        def log(self, *_: object) -> None:
            raise StoreError("no space is left")

    outcome = call(here, "echo out >>$DIR/ran", journal=Full())

    assert outcome.code == "done"
    assert shop.file("ran").read_text() == "out\n"


def test_it_does_not_begin_where_its_claim_was_settled_before(shop: Shop, here: Here) -> None:
    class Late:
        def enter(self, claim: Claim, leader: str) -> bool:
            task = shop.store.tasks.get(claim.task)
            assert shop.store.sweeps.settle_lost(task, "nobody heard of it")
            return shop.store.queue(here.owner).enter(claim, leader)

        def log(self, *_: object) -> None: ...

    outcome = call(here, "sleep 1000", journal=Late())

    assert outcome.code == "lost"
    assert shop.ends() == ["Aborted/lost", "Pending"]
