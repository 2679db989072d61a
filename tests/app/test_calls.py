"""Direct calls: what runs, what is answered, what is recorded, and what goes on to the caller."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sexton import Permanent, Sexton
from sexton.core.errors import ConfigurationError, UsageError
from sexton.core.outcome import Outcome
from sexton.store import open_store
from tests.app.shop import Shop


@pytest.fixture
def app(shop: Shop) -> Iterator[Sexton]:
    made = Sexton(shop.url)
    yield made
    made.close()


@pytest.fixture
def runs() -> list[str]:
    return []


# --- once a period ---


def test_a_first_call_before_the_first_period_does_nothing_and_says_why(
    app: Sexton, runs: list[str]
) -> None:
    @app.task(schedule="0 3 * * *", tz="Europe/Riga")
    def nightly_job() -> None:
        runs.append("x")

    outcome = nightly_job()

    assert (outcome.code, outcome.ran, outcome.ok, outcome.task) == ("not due", False, True, None)
    assert str(outcome) == (
        "skipped: not due: new since 02:00:00; first period 2026-01-01T03:00;"
        " force(reason) to run now"
    )
    assert runs == []


def test_a_period_is_done_once_however_often_it_is_called(
    shop: Shop, app: Sexton, runs: list[str]
) -> None:
    @app.task(schedule="0 3 * * *")
    def nightly() -> str:
        runs.append("x")
        return "tidy"

    nightly()
    shop.travel(hours=3)
    first, second = nightly(), nightly()
    shop.travel(days=1)
    third = nightly()

    assert (first.code, first.value, first.period) == ("done", "tidy", "2026-01-01T03:00")
    assert (second.code, second.value, second.ran) == ("complete", None, False)
    assert second.task == first.task
    assert "period 2026-01-01T03:00 completed at 03:00:00 by" in str(second)
    assert (third.code, third.period) == ("done", "2026-01-02T03:00")
    assert runs == ["x", "x"]


def test_an_early_call_claims_the_coming_period(shop: Shop, app: Sexton, runs: list[str]) -> None:
    @app.task(schedule="30 7 * * *", early="4h")
    def morning() -> None:
        runs.append("x")

    morning()
    shop.travel(hours=5)
    by_hand = morning()
    shop.travel(hours=2, minutes=30)
    by_cron = morning()

    assert (by_hand.code, by_hand.period) == ("done", "2026-01-01T07:30")
    assert (by_cron.code, by_cron.task) == ("complete", by_hand.task)


def test_three_triggers_of_a_simple_scheduler_give_two_retries(
    shop: Shop, app: Sexton, runs: list[str]
) -> None:
    @app.task(schedule="30 7 * * *", retry="30m x 3")
    def morning() -> None:
        runs.append("x")
        raise ConnectionError("down")

    shop.store.kinds.ensure(morning.kind)
    shop.travel(hours=7, minutes=30)
    for _ in range(3):
        with pytest.raises(ConnectionError):
            morning()
        shop.travel(minutes=30)
    fourth = morning()

    assert len(runs) == 3
    assert (fourth.code, fourth.ok) == ("exhausted", False)
    assert "all 3 attempts at period 2026-01-01T07:30 ended Aborted" in str(fourth)
    assert len(shop.store.tasks.notices("morning")) == 1


def test_a_call_too_late_for_its_period_expires_it_and_alerts(
    shop: Shop, app: Sexton, runs: list[str]
) -> None:
    @app.task(schedule="30 7 * * *", expires="4h")
    def morning() -> None:
        runs.append("x")

    shop.store.kinds.ensure(morning.kind)
    shop.travel(hours=12)
    outcomes = [morning(), morning()]

    assert [one.code for one in outcomes] == ["expired", "expired"]
    assert runs == []
    assert shop.ends("morning") == ["Aborted/expired"]
    assert len(shop.store.tasks.notices("morning")) == 1


def test_a_call_adopts_the_row_that_the_schedule_asked_for(
    shop: Shop, app: Sexton, runs: list[str]
) -> None:
    @app.task(schedule="@daily")
    def nightly() -> None:
        runs.append("x")

    shop.store.kinds.ensure(nightly.kind)
    shop.travel(days=1)
    [waiting] = shop.store.rounds.schedule()
    outcome = nightly()

    assert (outcome.code, outcome.task) == ("done", waiting.id)
    assert shop.ends() == ["Complete"]


# --- a minimum gap ---


def test_a_gap_is_measured_from_the_start_of_the_last_success(
    shop: Shop, app: Sexton, runs: list[str]
) -> None:
    @app.task(min_gap="20h")
    def rotate() -> None:
        runs.append("x")
        shop.travel(hours=3)  # it takes its time

    first = rotate()
    shop.travel(hours=16, minutes=59)
    second = rotate()
    shop.travel(minutes=1)
    third = rotate()

    assert [one.code for one in (first, second, third)] == ["done", "gap", "done"]
    assert "20 h later is 20:00:00" in str(second)


def test_a_failure_starts_no_gap(app: Sexton, runs: list[str]) -> None:
    @app.task(min_gap="20h")
    def rotate() -> None:
        runs.append("x")
        if len(runs) == 1:
            raise OSError("not now")

    with pytest.raises(OSError, match="not now"):
        rotate()
    second = rotate()
    third = rotate()

    assert (second.code, third.code) == ("done", "gap")
    assert len(runs) == 2


# --- asked for ---


def test_a_kind_without_a_guard_runs_at_every_call(app: Sexton, runs: list[str]) -> None:
    @app.task
    def resize(image: str, width: int = 800) -> int:
        runs.append(image)
        return width

    outcomes = [resize("a.png"), resize("a.png", width=3)]

    assert [one.value for one in outcomes] == [800, 3]
    assert runs == ["a.png", "a.png"]


def test_a_call_of_oneself_answers_running(app: Sexton) -> None:
    inner: list[Outcome[None]] = []

    @app.task(key="")
    def rebuild() -> None:
        inner.append(rebuild())

    outer = rebuild()

    assert outer.code == "done"
    assert [one.code for one in inner] == ["running"]
    assert "rebuild runs since" in str(inner[0])


def test_a_lane_is_shared_by_kinds(app: Sexton) -> None:
    inner: list[Outcome[None]] = []

    @app.task(lane="disk")
    def vacuum() -> None: ...

    @app.task(lane="disk")
    def backup() -> None:
        inner.append(vacuum())

    backup()
    after = vacuum()

    assert [one.code for one in inner] == ["lane"]
    assert "its lane is held by backup" in str(inner[0])
    assert after.code == "done"


def test_force_opens_a_period_of_its_own_and_keeps_the_reason(
    shop: Shop, app: Sexton, runs: list[str]
) -> None:
    @app.task(schedule="@daily")
    def nightly(colour: str = "red") -> None:
        runs.append(colour)

    outcomes = [nightly.force("first install"), nightly.force("lost on the way", "blue")]
    shop.travel(days=1)
    scheduled = nightly()

    assert [one.code for one in outcomes] == ["done", "done"]
    assert scheduled.code == "done"
    assert runs == ["red", "blue", "red"]
    assert shop.store.tasks.get(outcomes[0].task or 0).note == "first install"


@pytest.mark.parametrize("reason", ["", "   "])
def test_force_needs_a_reason(app: Sexton, runs: list[str], reason: str) -> None:
    @app.task
    def resize() -> None:
        runs.append("x")

    with pytest.raises(UsageError, match="force needs a reason"):
        resize.force(reason)

    assert runs == []


# --- exceptions ---


def test_a_functions_exception_is_recorded_and_raised_unchanged(shop: Shop, app: Sexton) -> None:
    error = ValueError("no such colour:\nmauve")

    @app.task
    def paint() -> None:
        raise error

    with pytest.raises(ValueError, match="no such colour") as raised:
        paint()

    assert raised.value is error
    [task] = shop.store.tasks.newest(kind="paint")
    assert (task.status, task.reason) == ("Aborted", "failed")
    assert task.outcome == "ValueError: no such colour: mauve"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_even_an_interrupt_is_recorded_before_it_goes_on(
    shop: Shop, app: Sexton, error: BaseException
) -> None:
    @app.task
    def paint() -> None:
        raise error

    with pytest.raises(type(error)):
        paint()

    assert shop.ends("paint") == ["Aborted/failed"]


def test_an_item_exception_is_recorded_and_not_raised(app: Sexton) -> None:
    @app.plan(min_gap="1h")
    def letters() -> list[str]:
        return ["a", "b", "c"]

    @letters.each(key=str)
    def send(thing: str) -> None:
        if thing == "b":
            raise ConnectionError("down")

    outcome = letters()

    assert (outcome.code, outcome.ok) == ("failed", False)
    assert outcome.counts == {"done": 2, "failed": 1, "planned": 3}
    assert "some items are to be tried again" in str(outcome)


@pytest.mark.parametrize("error", [ConnectionError("down"), Permanent("no such mailbox")])
def test_a_call_stops_after_exactly_so_many_failures_as_are_declared(
    app: Sexton, runs: list[str], error: Exception
) -> None:
    @app.plan(min_gap="1h")
    def letters() -> list[str]:
        return ["good", "a", "b", "c", "d", "e"]

    @letters.each(key=str, max_failures=3)
    def send(thing: str) -> None:
        runs.append(thing)
        if thing != "good":
            raise error

    outcome = letters()

    assert runs == ["good", "a", "b", "c"]
    assert "stopped after 3 failures" in str(outcome)
    assert (outcome.code, outcome.counts["done"]) == ("failed", 1)


# --- plan mode ---


def test_a_preview_touches_nobody_and_counts_whom_a_run_would_touch(
    shop: Shop, app: Sexton, runs: list[str]
) -> None:
    @app.plan(schedule="@daily", retry="1h x 2")
    def letters() -> list[str]:
        return ["a", "b", "b", "c"]

    @letters.each(key=str)
    def send(thing: str) -> None:
        if thing == "c":
            raise ConnectionError("down")
        runs.append(thing)

    shop.store.kinds.ensure(letters.kind)
    shop.travel(days=1)
    before = letters.plan()
    nothing_yet = list(runs)
    letters()
    after = letters.plan()

    assert nothing_yet == []
    assert before.keys == ["a", "b", "c"]
    assert before.counts == {"planned": 4, "twice": 1, "to serve": 3}
    assert (after.keys, after.period) == (["c"], "2026-01-02T00:00")
    assert "would serve 1 of 4 planned" in str(after)
    assert runs == ["a", "b"]


def test_a_preview_counts_what_has_no_key_as_a_run_would_pass_it_over(app: Sexton) -> None:
    @app.plan(schedule="@daily")
    def cards() -> list[dict[str, int]]:
        return [{"id": 1}, {"number": 2}, {"id": 3}]

    cards.each(key="id")(lambda thing: None)  # noqa: ARG005

    assert cards.plan().keys == ["1", "3"]
    assert cards.plan().counts == {"planned": 3, "without a key": 1, "to serve": 2}
    assert "1 without a key" in str(cards.plan())


def test_a_preview_before_the_first_period_shows_the_coming_one(shop: Shop, app: Sexton) -> None:
    @app.plan(schedule="@daily")
    def letters() -> list[str]:
        return ["a"]

    letters.each(key=str)(lambda thing: None)  # noqa: ARG005

    preview = letters.plan()

    assert (preview.period, preview.keys) == ("2026-01-02T00:00", ["a"])
    assert shop.store.tasks.count() == {}


# --- outcomes ---


def test_an_outcome_is_neither_true_nor_false(app: Sexton) -> None:
    @app.task
    def resize() -> None: ...

    outcome = resize()

    with pytest.raises(TypeError, match="neither true nor false"):
        bool(outcome)


# --- threads, and a store that is not there ---


def test_a_pool_of_threads_calls_and_the_work_happens_once(shop: Shop, app: Sexton) -> None:
    done: list[int] = []
    barrier = threading.Barrier(8)

    @app.task(schedule="@daily")
    def nightly() -> None:
        done.append(1)

    shop.store.kinds.ensure(nightly.kind)
    shop.travel(days=1)

    def trigger(_: int) -> str:
        barrier.wait(60)
        try:
            return nightly().code
        finally:
            app.close()

    with ThreadPoolExecutor(8) as pool:
        codes = sorted(pool.map(trigger, range(8)))

    assert done == [1]
    assert codes.count("done") == 1
    assert set(codes) <= {"done", "complete", "running"}


def test_without_a_store_nothing_runs(shop: Shop, runs: list[str]) -> None:
    app = Sexton(f"sqlite:///{shop.directory}/elsewhere/sexton.db")

    @app.task
    def resize() -> None:
        runs.append("x")

    with pytest.raises(ConfigurationError, match="there is no store at"):
        resize()

    assert runs == []


def test_a_lease_is_renewed_while_a_long_call_runs(shop: Shop) -> None:
    shop.settings("lease_s = 5\n")
    app = Sexton(shop.url)
    shop.store.db.set_clock("offset:0")
    leases: list[int] = []

    @app.task(key="")
    def slow() -> None:
        other = open_store(shop.url)
        first = other.tasks.newest(kind="slow")[0].lease_at or 0
        leases.append(first)
        # The renewing thread is real, and so is its clock: wait for what it writes.
        deadline = threading.Event()
        for _ in range(600):
            deadline.wait(0.1)
            lease = other.tasks.newest(kind="slow")[0].lease_at or 0
            if lease > first:
                leases.append(lease)
                break
        other.close()

    app._directory = str(shop.directory)
    outcome = slow()
    app.close()

    assert outcome.code == "done"
    assert len(leases) == 2


def test_a_call_whose_task_was_settled_meanwhile_says_so(shop: Shop, app: Sexton) -> None:
    @app.task
    def slow() -> str:
        other = open_store(shop.url)
        [task] = other.tasks.newest(kind="slow", status="Running")
        assert other.sweeps.settle_lost(task, "nobody heard of it") is not None
        other.close()
        return "too late"

    outcome = slow()

    assert (outcome.code, outcome.ok, outcome.ran) == ("lost", False, True)
    assert "was settled by somebody else meanwhile" in str(outcome)
    [first, *_] = reversed(shop.store.tasks.newest(kind="slow"))
    assert (first.status, first.reason, first.outcome) == ("Aborted", "lost", "nobody heard of it")
    assert "returned" in shop.store.tasks.late(first.id)[0][1]
