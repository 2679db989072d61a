"""Backup, prune and check: what is kept, what may go, and that every broken promise is seen."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from sexton.core import retry
from sexton.core.errors import ConfigurationError, StoreError
from sexton.core.kind import Kind
from sexton.core.ledger import Cap, Wanted
from sexton.store import open_store, upkeep
from sexton.store.store import Store
from sexton.store.tasks import Request
from sexton.testing.clock import Clock
from sexton.work.holder import nonce
from tests.store.kit import (
    ASKED,
    DAILY,
    FAILED,
    GAP,
    JOINED,
    OWNER,
    PLAN,
    begin,
    code,
    done,
    finish,
    ledger_of,
    lose,
    rows,
    statuses,
    taken,
)

DAY_US = 86_400_000_000
MORNING = datetime(2026, 3, 3, 7, 30, tzinfo=UTC)


# --- backup -------------------------------------------------------------------------------------


def test_a_backup_of_a_live_store_is_whole_and_of_one_moment(store: Store, tmp_path: Path) -> None:
    for number in range(200):
        store.kv.put(f"key {number}", '"' + "x" * 1000 + '"')
    claim = taken(store, ASKED)

    size = store.upkeep.backup(str(tmp_path / "copy.db"))
    store.kv.put("later", "1")
    finish(store, claim)
    copy = open_store(f"sqlite:///{tmp_path}/copy.db")

    assert size > 200_000
    assert copy.upkeep.check() == []
    assert len(list(copy.kv.scan())) == 200
    assert statuses(copy) == ["Running"]
    copy.close()


def test_a_backup_ends_however_often_others_write(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(300):
        store.kv.put(f"key {number}", '"' + "x" * 20_000 + '"')
    other = open_store(store.url)
    real_copy, steps = apsw.Connection.backup, []

    class Copy:
        """The library's copy, with a write of another process before each step."""

        def __init__(self, copy: apsw.Backup) -> None:
            self._copy = copy

        def __enter__(self) -> Copy:
            return self

        def __exit__(self, *_: object) -> None:
            self._copy.finish()

        @property
        def done(self) -> bool:
            return self._copy.done

        def step(self, pages: int) -> None:
            steps.append(pages)
            other.kv.put("written meanwhile", str(len(steps)))
            assert len(steps) < 100, "each write begins the copy anew"
            self._copy.step(pages)

    class Target(apsw.Connection):
        def backup(self, *names: Any) -> Any:
            return Copy(real_copy(self, *names))

    monkeypatch.setattr(upkeep, "Target", Target)
    store.upkeep.backup(str(tmp_path / "copy.db"))
    copy = open_store(f"sqlite:///{tmp_path}/copy.db")

    assert len(steps) > 1
    assert copy.kv.get("written meanwhile") is None
    copy.close()
    other.close()


def test_a_restored_backup_works_as_the_store_did(store: Store, tmp_path: Path) -> None:
    store.upkeep.backup(str(tmp_path / "copy.db"))
    copy = open_store(f"sqlite:///{tmp_path}/copy.db")

    assert copy.db.pragma("journal_mode") == "wal"
    assert copy.db.pragma("synchronous") == 2
    assert finish(copy, taken(copy, ASKED))
    copy.close()
    assert sorted(path.name for path in tmp_path.glob("copy.db*")) == ["copy.db"]


def test_a_backup_overwrites_nothing(store: Store, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("precious")

    with pytest.raises(ConfigurationError, match="is there already"):
        store.upkeep.backup(str(tmp_path / "copy.db"))
    assert (tmp_path / "copy.db").read_text() == "precious"


def test_a_half_made_backup_is_no_backup_and_hinders_none(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "copy.db"
    if (pid := os.fork()) == 0:
        os.link = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        open_store(store.url).upkeep.backup(str(path))
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert not path.exists()

    store.upkeep.backup(str(path))

    assert open_store(f"sqlite:///{path}").upkeep.check() == []


def test_a_backup_into_nowhere_is_an_error_of_the_store(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="failed"):
        store.upkeep.backup(str(tmp_path / "no such directory" / "copy.db"))


# --- prune --------------------------------------------------------------------------------------


def run_day(store: Store, clock: Clock, kind: Kind = DAILY, *keys: str) -> None:
    """A morning on which the kind is done."""
    clock.travel_to(MORNING if clock.now < MORNING else clock.now)
    store.rounds.schedule()
    claim = taken(store, kind)
    if keys:
        ledger = ledger_of(store, kind, claim)
        begin(ledger, *keys)
        done(ledger, *keys)
    finish(store, claim)
    clock.travel(days=1)


def test_what_is_long_over_goes_and_the_newest_success_stays(store: Store, clock: Clock) -> None:
    store.kinds.ensure(PLAN)
    for _ in range(5):
        run_day(store, clock, PLAN, "ann", "ben")

    pruned = store.upkeep.prune(2)

    assert (pruned["tasks"], pruned["items"]) == (3, 6)
    assert [task.period for task in store.tasks.newest()] == [
        "2026-03-07T07:30",
        "2026-03-06T07:30",
    ]
    assert len(rows(store, "SELECT * FROM item")) == 4


def test_the_attempts_before_the_newest_success_stay_with_it(store: Store, clock: Clock) -> None:
    finish(store, taken(store, GAP), FAILED)
    finish(store, taken(store, GAP))
    clock.travel(days=900)
    store.upkeep.prune(400)

    assert statuses(store) == ["Aborted/failed", "Complete"]


def test_a_forced_run_is_no_reason_to_forget_the_period_that_guards(
    store: Store, clock: Clock
) -> None:
    yearly = msgspec.structs.replace(PLAN, schedule="30 7 3 3 *")
    store.kinds.ensure(yearly)
    run_day(store, clock, yearly, "ann", "ben")
    forced = taken(store, yearly, force="two were missing")
    begin(ledger_of(store, yearly, forced), "ann")
    done(ledger_of(store, yearly, forced), "ann")
    finish(store, forced)
    clock.travel(days=150)
    store.upkeep.prune(90)

    assert code(store, yearly) == "complete"


def test_the_newest_success_is_the_one_that_began_last_whatever_its_number(
    store: Store, clock: Clock
) -> None:
    kind = msgspec.structs.replace(GAP, min_gap_us=30 * DAY_US, retry=retry.parse("10m x 2"))
    claim = taken(store, kind)
    store.tasks.enqueue(kind, Request())
    finish(store, claim, FAILED)
    finish(store, taken(store, kind))
    clock.travel(days=30)
    finish(store, taken(store, kind))
    clock.travel(days=8)
    store.upkeep.prune(7)

    assert code(store, kind) == "gap"


def test_a_success_that_a_wrong_clock_dated_ahead_forgets_no_other(
    store: Store, clock: Clock
) -> None:
    store.kinds.ensure(DAILY)
    run_day(store, clock, DAILY)
    clock.travel(days=3650)
    finish(store, taken(store, DAILY))
    clock.travel_to(MORNING)
    clock.travel(hours=3)
    store.upkeep.prune(1)

    assert code(store, DAILY) == "complete"


def test_a_gap_holds_though_an_older_success_was_dated_far_ahead(
    store: Store, clock: Clock
) -> None:
    kind = msgspec.structs.replace(GAP, min_gap_us=700 * DAY_US)
    clock.travel(days=3650)
    finish(store, taken(store, kind))
    clock.travel(days=-3650)
    assert code(store, kind) == "gap"  # since when it was seen
    clock.travel(days=701)
    finish(store, taken(store, kind))
    clock.travel(days=401)
    store.upkeep.prune(400)

    assert code(store, kind) == "gap"


def test_a_kind_that_is_done_seldom_is_still_done_once(store: Store, clock: Clock) -> None:
    yearly = msgspec.structs.replace(DAILY, schedule="30 7 3 3 *")
    store.kinds.ensure(yearly)
    clock.travel_to(MORNING)
    finish(store, taken(store, yearly))
    clock.travel(days=90)
    store.upkeep.prune(1)

    assert code(store, yearly) == "complete"


def test_a_gap_outlives_the_prune(store: Store, clock: Clock) -> None:
    monthly = msgspec.structs.replace(GAP, min_gap_us=30 * 24 * 3_600_000_000)
    finish(store, taken(store, monthly))
    clock.travel(days=20)
    store.upkeep.prune(1)

    assert code(store, monthly) == "gap"


def test_attempts_of_one_chain_are_pruned_together_with_what_they_retried(
    store: Store, clock: Clock
) -> None:
    store.kinds.ensure(DAILY)
    clock.travel_to(MORNING)
    for result in (FAILED, FAILED):
        finish(store, taken(store, DAILY), result)
    finish(store, taken(store, DAILY))
    clock.travel(days=1)
    run_day(store, clock)
    clock.travel(days=1)

    assert store.upkeep.prune(1)["tasks"] == 3
    assert statuses(store) == ["Complete"]


def test_a_chain_that_may_go_on_keeps_whom_it_served(store: Store, clock: Clock) -> None:
    weekly = msgspec.structs.replace(PLAN, schedule="30 7 * * 2")
    store.kinds.ensure(weekly)
    clock.travel_to(MORNING)
    claim = taken(store, weekly)
    ledger = ledger_of(store, weekly, claim)
    begin(ledger, "ann")
    done(ledger, "ann")
    finish(store, claim, FAILED)
    clock.travel(days=3)
    store.upkeep.prune(1)

    again = ledger_of(store, weekly, taken(store, weekly))

    assert begin(again, "ann", "ben") == ["leave", "begin"]


def test_requests_of_no_period_go_though_none_of_their_key_follows(
    store: Store, clock: Clock
) -> None:
    per_image = Kind(name="resize", key="image")
    for image in ("a", "b", "c"):
        finish(store, taken(store, per_image, key=image))
    finish(store, taken(store, ASKED), FAILED)
    clock.travel(days=3)

    assert store.upkeep.prune(1)["tasks"] == 4


def test_what_is_in_doubt_stays_with_its_task(store: Store, clock: Clock) -> None:
    store.kinds.ensure(PLAN)
    clock.travel_to(MORNING)
    first = taken(store, PLAN)
    begin(ledger_of(store, PLAN, first), "ann", "ben")
    lose(store, first)
    second = taken(store, PLAN)
    ledger = ledger_of(store, PLAN, second)
    begin(ledger, "ann", "ben")
    finish(store, second)
    for _ in range(4):
        clock.travel(days=1)
        finish(store, taken(store, PLAN))
    store.upkeep.prune(1)

    assert [item.key for item in store.items.entries("summary", in_doubt=True)] == ["ann", "ben"]
    assert store.tasks.get(first.task).status == "Aborted"
    store.items.settle("summary", "ann", "retry", "ann")
    assert store.queue(OWNER).claim(nonce()) is not None


def test_a_backup_is_read_by_no_more_people_than_the_store(store: Store, tmp_path: Path) -> None:
    os.chmod(store.db.path, 0o600)
    before = os.umask(0)
    try:
        store.upkeep.backup(str(tmp_path / "copy.db"))
    finally:
        os.umask(before)

    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600


def test_of_two_backups_at_once_to_one_name_the_first_stays_whole(
    store: Store, tmp_path: Path
) -> None:
    path = str(tmp_path / "copy.db")
    other = open_store(store.url)
    store.kv.put("a", "1")
    copy = store.upkeep._copy

    def be_overtaken(part: str) -> None:
        other.upkeep.backup(path)
        copy(part)

    store.upkeep._copy = be_overtaken  # type: ignore[method-assign]

    with pytest.raises(ConfigurationError, match="is there already"):
        store.upkeep.backup(path)
    assert open_store(f"sqlite:///{path}").kv.get("a") == store.kv.get("a")
    assert list(tmp_path.glob("*.part")) == []


def test_what_was_begun_by_a_retry_is_sent_back_to_its_own_period_however_old(
    store: Store, clock: Clock
) -> None:
    store.kinds.ensure(PLAN)
    clock.travel_to(MORNING)
    finish(store, taken(store, PLAN), FAILED)
    second = taken(store, PLAN)
    begin(ledger_of(store, PLAN, second), "ann")
    lose(store, second)
    third = taken(store, PLAN)
    begin(ledger_of(store, PLAN, third), "ann")
    finish(store, third)
    for _ in range(4):
        clock.travel(days=1)
        finish(store, taken(store, PLAN))
    store.upkeep.prune(1)
    store.items.settle("summary", "ann", "retry", "eve")
    again = store.queue(OWNER).claim(nonce())
    assert again is not None

    ledger = ledger_of(store, PLAN, again)

    assert ledger.scope_name == second.period
    assert [answer.step for answer in ledger.advance([], [Wanted("ann")])] == ["begin"]


def test_live_rows_stay_however_old(store: Store, clock: Clock) -> None:
    taken(store, ASKED)
    store.tasks.enqueue(JOINED, Request())
    clock.travel(days=1000)

    assert store.upkeep.prune(1)["tasks"] == 0
    assert sorted(statuses(store)) == ["Pending", "Running"]


def test_the_attempts_before_one_that_waits_stay_with_it(store: Store, clock: Clock) -> None:
    kind = msgspec.structs.replace(ASKED, retry=retry.parse("30m x 3"))
    claim = taken(store, kind)
    finish(store, claim, FAILED)
    clock.travel(days=1000)

    assert store.upkeep.prune(1)["tasks"] == 0
    assert [(task.id, task.status) for task in store.tasks.chain(claim.task)] == [
        (claim.task, "Aborted"),
        (claim.task + 1, "Pending"),
    ]


@pytest.fixture
def half_done(store: Store, clock: Clock) -> int:
    """A plan's period that is Complete, four later ones as well; of its two items, `ann` is done
    and `ben` is in doubt. The first attempt's id."""
    store.kinds.ensure(PLAN)
    clock.travel_to(MORNING)
    first = taken(store, PLAN)
    ledger = ledger_of(store, PLAN, first)
    begin(ledger, "ann", "ben")
    done(ledger, "ann")
    lose(store, first)
    second = taken(store, PLAN)
    begin(ledger_of(store, PLAN, second), "ben")
    finish(store, second)
    for _ in range(4):
        clock.travel(days=1)
        finish(store, taken(store, PLAN))
    return first.task


def of_period(store: Store) -> dict[str, str]:
    """What the ledger of that period knows."""
    return store.items.statuses("summary", "2026-03-03T07:30")


def test_a_ledger_of_which_an_item_has_not_ended_stays_whole(store: Store, clock: Clock) -> None:
    store.kinds.ensure(PLAN)
    clock.travel_to(MORNING)
    claim = taken(store, PLAN)
    begin(ledger_of(store, PLAN, claim), "ann", "ben")
    done(ledger_of(store, PLAN, claim), "ann")
    lose(store, claim)
    for _ in range(4):
        clock.travel(days=1)
        finish(store, taken(store, PLAN))

    assert store.upkeep.prune(1)["items"] == 0
    assert of_period(store) == {"ann": "Done", "ben": "In doubt"}


@pytest.mark.usefixtures("half_done")
def test_a_ledger_of_which_an_item_began_again_or_ended_lately_stays_whole(
    store: Store, clock: Clock
) -> None:
    store.items.settle("summary", "ben", "retry", "eve")
    again = store.queue(OWNER).claim(nonce())
    assert again is not None
    ledger = ledger_of(store, PLAN, again)
    begin(ledger, "ben")
    store.upkeep.prune(1)
    assert of_period(store) == {"ann": "Done", "ben": "Begun"}
    done(ledger, "ben")
    finish(store, again)
    store.upkeep.prune(1)

    assert of_period(store) == {"ann": "Done", "ben": "Done"}
    clock.travel(days=2)
    store.upkeep.prune(1)
    assert of_period(store) == {}


def test_what_was_sent_back_stays_while_its_attempt_waits(
    store: Store, clock: Clock, half_done: int
) -> None:
    store.items.settle("summary", "ben", "retry", "eve")
    clock.travel(days=1000)  # nobody ticked
    finish(store, taken(store, PLAN))
    store.upkeep.prune(1)
    assert of_period(store) == {"ann": "Done", "ben": "Failed"}

    again = store.queue(OWNER).claim(nonce())

    assert again is not None
    assert again.root == half_done
    assert begin(ledger_of(store, PLAN, again), "ann", "ben") == ["leave", "begin"]


def test_the_keys_of_a_wide_scope_are_never_forgotten(store: Store, clock: Clock) -> None:
    wide = msgspec.structs.replace(GAP, family="plan", scope="reminded")
    for number in range(3):
        claim = taken(store, wide)
        ledger = ledger_of(store, wide, claim)
        begin(ledger, f"appointment {number}")
        done(ledger, f"appointment {number}")
        finish(store, claim)
        clock.travel(days=100)
    store.upkeep.prune(1)

    again = ledger_of(store, wide, taken(store, wide))

    assert begin(again, "appointment 0", "appointment 2") == ["leave", "leave"]


@pytest.mark.parametrize("hour", [3, 12, 23])  # at three it is still yesterday in the west
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/Los_Angeles"])
def test_todays_slots_of_a_cap_stay_in_every_zone(
    store: Store, clock: Clock, zone: str, hour: int
) -> None:
    kind = msgspec.structs.replace(PLAN, tz=zone)
    cap = Cap(1, "email", "mail")
    store.kinds.ensure(kind)
    clock.travel_to(datetime(2026, 3, 3, hour, tzinfo=UTC))
    for _ in range(4):
        clock.travel(days=1)
        claim = taken(store, kind)
        ledger = ledger_of(store, kind, claim, cap)
        assert ledger.advance([], [Wanted("ann", "ann@x.org")])[0].step == "begin"
        done(ledger, "ann")
        store.upkeep.prune(1)
        assert store.upkeep.check() == []
        assert ledger.advance([], [Wanted("bob", "ann@x.org")])[0].step == "capped"
        finish(store, claim)

    assert len(rows(store, "SELECT * FROM slot")) <= 3


def test_counters_notices_and_requests_go_with_their_time(store: Store, clock: Clock) -> None:
    store.kinds.count_skip("daily", "p", "complete", "skipped")
    store.tasks.enqueue(ASKED, Request(id="r1", start_before=store.now() + 1))
    clock.travel(hours=1)
    store.rounds.expire()
    clock.travel(days=3)

    pruned = store.upkeep.prune(1)

    assert (pruned["skips"], pruned["notices"], pruned["requests"]) == (1, 1, 1)


def test_many_rows_are_pruned_in_batches(store: Store) -> None:
    with store.db.transaction():
        for number in range(1201):
            store.db.run(
                "INSERT INTO task (kind, key, lane, status, root, due_at, asked_at, started_at,"
                " ended_at, nth_success)"
                " VALUES ('resize', '', 'l', 'Complete', 1, 0, 0, 1, 2, :number)",
                {"number": number},
            )

    assert store.upkeep.prune(1)["tasks"] == 1201


# --- check --------------------------------------------------------------------------------------

TASK = (
    "INSERT INTO task (kind, key, period, lane, status, reason, attempt, root, retry_of, due_at,"
    " asked_at, started_at, ended_at, lease_at, claim, nth_success) VALUES "
)
ITEM = "INSERT INTO item (scope, key, status, task, kind, begun_at, ended_at) VALUES "

BROKEN = {
    "has 2 rows that are not Aborted": [
        "DROP INDEX task_once_a_period",
        TASK + "('k', '', 'p', 'l1', 'Complete', '', 1, 1, NULL, 0, 0, 1, 2, NULL, '', 1),"
        " ('k', '', 'p', 'l2', 'Complete', '', 2, 1, NULL, 0, 0, 1, 2, NULL, '', 2)",
    ],
    "attempt 1 of k p is there 2 times": [
        "DROP INDEX task_attempt",
        TASK + "('k', '', 'p', 'l', 'Aborted', 'lost', 1, 1, NULL, 0, 0, 1, 2, NULL, '', NULL),"
        " ('k', '', 'p', 'l', 'Aborted', 'lost', 1, 1, NULL, 0, 0, 1, 2, NULL, '', NULL)",
    ],
    "k key has 2 Pending rows": [
        "DROP INDEX task_one_waits",
        TASK + "('k', 'key', '', 'l', 'Pending', '', 1, 1, NULL, 0, 0, NULL, NULL, NULL, '', NULL),"
        " ('k', 'key', '', 'l', 'Pending', '', 1, 2, NULL, 0, 0, NULL, NULL, NULL, '', NULL)",
    ],
    "lane of k has 2 Running rows": [
        "DROP INDEX task_one_runs",
        TASK + "('k', '1', '', 'l', 'Running', '', 1, 1, NULL, 0, 0, 1, NULL, 2, 'c', NULL),"
        " ('k', '2', '', 'l', 'Running', '', 1, 2, NULL, 0, 0, 1, NULL, 2, 'd', NULL)",
    ],
    "the index task_attempt is missing": ["DROP INDEX task_attempt"],
    "the trigger task_final is missing": ["DROP TRIGGER task_final"],
    "the index task_once_a_period is not as it was made": [
        "DROP INDEX task_once_a_period",
        "CREATE INDEX task_once_a_period ON task (target, kind, key, period)",
    ],
    "item ann of k is Begun by task 7, which is not there": [
        "INSERT INTO scope (kind, target, key, name) VALUES ('k', 'any', '', 'p')",
        ITEM + "(1, 'ann', 'Begun', 7, 'k', 0, NULL)",
    ],
    "is Complete with times that do not fit": [
        "PRAGMA ignore_check_constraints = ON",
        TASK + "('k', '', '', 'l', 'Complete', '', 1, 1, NULL, 0, 0, 1, NULL, NULL, '', 3)",
    ],
    "retries task 1, which is Running": [
        TASK + "('k', '1', '', 'l', 'Running', '', 1, 1, NULL, 0, 0, 1, NULL, 2, 'c', NULL),"
        " ('k', '2', '', 'm', 'Pending', '', 2, 1, 1, 0, 0, NULL, NULL, NULL, '', NULL)",
    ],
    "retries task 1, which is Complete": [
        TASK + "('k', '1', '', 'l', 'Complete', '', 1, 1, NULL, 0, 0, 1, 2, NULL, '', 4),"
        " ('k', '2', '', 'm', 'Pending', '', 2, 1, 1, 0, 0, NULL, NULL, NULL, '', NULL)",
    ],
    "item ann of k is Begun, and its task 1 is Complete": [
        TASK + "('k', '1', '', 'l', 'Complete', '', 1, 1, NULL, 0, 0, 1, 2, NULL, '', 5)",
        "INSERT INTO scope (kind, target, key, name) VALUES ('k', 'any', '', 'p')",
        ITEM + "(1, 'ann', 'Begun', 1, 'k', 0, NULL)",
    ],
    "cap mail has slots for item ann": [
        "INSERT INTO slot VALUES ('mail', 'ann', '2026-03-02', 1, 1, 'ann')",
    ],
    "migration 0001_one_machine was applied with another text": [
        "UPDATE migration SET sha256 = 'another'",
    ],
    "a row of item names a row of scope that is not there": [
        "PRAGMA foreign_keys = OFF",
        ITEM + "(7, 'ann', 'Done', 1, 'k', 0, 1)",
    ],
}


@pytest.mark.parametrize("problem", BROKEN)
def test_each_broken_invariant_is_found_on_a_live_store(
    store: Store, tmp_path: Path, problem: str
) -> None:
    path = tmp_path / "copy.db"
    store.upkeep.backup(str(path))
    raw = apsw.Connection(str(path))
    for statement in BROKEN[problem]:
        raw.execute(statement)
    copy = open_store(f"sqlite:///{path}")

    found = copy.upkeep.check()

    assert any(problem in one for one in found), found
    copy.close()
    raw.close()


def test_a_torn_file_is_found(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "copy.db"
    for number in range(300):
        store.kv.put(f"key {number}", '"' + "x" * 500 + '"')
    store.upkeep.backup(str(path))
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 4096)
    copy = open_store(f"sqlite:///{path}")

    try:
        found = copy.upkeep.check()
    except ConfigurationError as error:
        found = [str(error)]
    copy.close()

    assert found


def test_a_sound_store_has_no_problem_and_is_left_as_it_was(store: Store) -> None:
    finish(store, taken(store, DAILY, force="now"))
    before = rows(store)

    assert store.upkeep.check() == []
    assert rows(store) == before
