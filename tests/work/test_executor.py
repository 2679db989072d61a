"""The executor's loop, on the real store and real processes: claim, enter, renew, finish."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sexton.core.errors import StoreError
from sexton.core.kind import Kind
from sexton.core.queue import Output, Renewed
from sexton.core.retry import Retry
from sexton.core.task import ABORTED, COMPLETE, Claim, Result
from sexton.store.queue import StoreQueue
from sexton.store.tasks import Request
from sexton.work.executor import Means, Tally, execute
from sexton.work.holder import decode_leader, encode_owner
from sexton.work.launch import Channel, Launch
from sexton.work.owner import Owner
from tests.app.shop import Shop, opened
from tests.work.process_kit import PATH, await_end, is_running_pid, seen

OWNER = encode_owner(Owner.here())
LEASE_S = 3600.0


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    yield from opened(tmp_path)


class Bench:
    """Kinds whose programs are shell scripts, and a queue of them."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.scripts: dict[str, str] = {}
        self.kinds: dict[str, Kind] = {}
        self.queue: Any = shop.store.queue(OWNER)

    def ask(self, name: str, script: str, **options: Any) -> int:
        options = {"family": "command", **options}
        self.kinds[name] = Kind(name=name, **options)
        self.scripts[name] = script
        return self.shop.store.tasks.enqueue(self.kinds[name], Request()).id

    def means(self, **options: Any) -> Means:
        def launch(claim: Claim, kind: Kind) -> Launch:
            # It waits for its task, and without one begins nothing, as the real one does; then the
            # script says what follows.
            script = f'[ -n "$(cat </dev/fd/$1)" ] || exit 0; {self.scripts[kind.name]}'
            return Launch(
                ("sh", "-c", script, "sh", Channel.GIVE, Channel.TAKE),
                cookie=claim.nonce,
                env={"PATH": PATH, "DIR": str(self.shop.directory)},
                give=msgspec.json.encode(claim.task),
                takes=True,
            )

        settings: dict[str, Any] = {
            "kind": lambda claim: self.kinds[claim.kind],
            "launch": launch,
            "inline": None,
            "parallel": 4,
            "lease_s": 60.0,
            "grace_s": 0.3,
        }
        return Means(**{**settings, **options})

    def run(self, until: Callable[[], bool] = lambda: False, **options: Any) -> Tally:
        return execute(self.queue, self.means(**options), until)

    def end(self, task: int) -> str:
        row = self.shop.store.tasks.get(task)
        return f"{row.status}/{row.reason}: {row.outcome}"


class Travelling:
    """The loop's clock, as far ahead of the real one as a test sets it."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s


@pytest.fixture
def bench(shop: Shop) -> Bench:
    return Bench(shop)


def report(**fields: Any) -> str:
    """A shell word that reports a result."""
    return f"printf '%s\\n' '{msgspec.json.encode(Result(**fields)).decode()}' >/dev/fd/$2"


# --- how a task ends ---


def test_it_runs_until_nothing_is_due_and_counts_how_tasks_ended(bench: Bench) -> None:
    good = bench.ask("good", "true")
    bad = bench.ask("bad", "exit 3")

    assert bench.run() == Tally(1, 1)
    assert bench.end(good) == "Complete/: ended with exit code 0"
    assert bench.end(bad) == "Aborted/failed: ended with exit code 3"
    assert bench.run() == Tally(0, 0)


def test_a_functions_report_is_what_counts(bench: Bench) -> None:
    told = bench.ask("told", report(status=COMPLETE, outcome="all well"), family="task")
    silent = bench.ask("silent", "true", family="task")
    failed = bench.ask(
        "failed", report(status=ABORTED, reason="failed", outcome="no"), family="task"
    )
    crashed = bench.ask(
        "crashed", report(status=COMPLETE, outcome="all well") + "; kill -SEGV $$", family="task"
    )
    garbage = bench.ask(
        "garbage",
        'echo \'{"status": "Wonderful"}\' >/dev/fd/$2; ' + report(status=COMPLETE, outcome="last"),
        family="task",
    )
    bench.run()

    assert bench.end(told) == "Complete/: all well"
    assert bench.end(silent).startswith("Aborted/failed: it never returned")
    assert bench.end(failed) == "Aborted/failed: no"
    assert bench.end(crashed).startswith("Aborted/lost: killed by SIGSEGV")
    assert bench.end(garbage) == "Complete/: last"


def test_the_body_begins_only_after_its_entry_is_on_disk(bench: Bench, shop: Shop) -> None:
    class Slow(StoreQueue):
        """Looks whether the body has begun, before it writes that it begins."""

        def enter(self, claim: Claim, leader: str) -> bool:
            found = decode_leader(leader)
            assert found is not None
            assert is_running_pid(found.pid)
            assert not shop.file("began").exists()
            return super().enter(claim, leader)

    bench.queue = Slow(shop.store.db, shop.store.settings, OWNER, "any")
    bench.ask("work", "touch $DIR/began")
    bench.run()

    assert shop.file("began").exists()


def test_a_program_that_cannot_be_started_fails_once(bench: Bench) -> None:
    task = bench.ask("work", "true")
    missing = bench.means()._replace(
        launch=lambda claim, kind: Launch(("/no/such/program",), cookie=claim.nonce)  # noqa: ARG005
    )

    assert execute(bench.queue, missing) == Tally(0, 1)
    assert bench.end(task).startswith("Aborted/failed: ")
    assert "/no/such/program" in bench.end(task)


def test_what_cannot_be_started_counts_as_an_attempt_each_time(bench: Bench, shop: Shop) -> None:
    launched: list[int] = []

    def launch(claim: Claim, _: Kind) -> Launch:
        launched.append(claim.attempt)
        return Launch(("/no/such/program",), cookie=claim.nonce)

    bench.ask("work", "true", retry=Retry(3, 0, True))
    missing = bench.means()._replace(launch=launch)
    # Begun without being counted, it would come again and again; ten are enough to see that.
    execute(bench.queue, missing, until=lambda: len(launched) == 10)

    assert launched == [1, 2, 3]
    assert shop.ends("work") == ["Aborted/failed"] * 3
    assert [row.spent for row in shop.store.tasks.newest(kind="work")] == [2, 1, 0]


def test_what_was_settled_before_it_was_entered_runs_nothing(bench: Bench, shop: Shop) -> None:
    leaders: list[int] = []

    class Late(StoreQueue):
        """One whose claim a person ends, and another settles, just before it would begin."""

        def enter(self, claim: Claim, leader: str) -> bool:
            found = decode_leader(leader)
            assert found is not None
            leaders.append(found.pid)
            shop.store.tasks.abort(claim.task, "ann", "wrong month")
            assert shop.store.sweeps.settle_lost(shop.store.tasks.get(claim.task), "it died")
            return super().enter(claim, leader)

    bench.queue = Late(shop.store.db, shop.store.settings, OWNER, "any")
    task = bench.ask("work", "touch $DIR/began")

    assert bench.run() == Tally(0, 0)
    assert not shop.file("began").exists()
    assert [is_running_pid(pid) for pid in leaders] == [False]
    assert bench.end(task) == "Aborted/administrator: aborted by ann: wrong month"
    assert shop.store.tasks.late(task) == []


# --- side by side ---


def test_no_more_run_at_once_than_may(bench: Bench, shop: Shop) -> None:
    count = "ls $DIR/now | wc -l >>$DIR/most; touch $DIR/now/$$; sleep 0.05; rm $DIR/now/$$"
    shop.file("now").mkdir()
    for number in range(9):
        bench.ask(f"work{number}", count)

    assert bench.run(parallel=3) == Tally(9, 0)
    assert max(map(int, shop.file("most").read_text().split())) <= 2


def test_until_begins_no_more_but_ends_what_runs(bench: Bench, shop: Shop) -> None:
    for number in range(3):
        bench.ask(f"work{number}", "touch $DIR/began; sleep 0.05")

    assert bench.run(until=shop.file("began").exists, parallel=1) == Tally(1, 0)
    assert sorted(shop.ends()) == ["Complete", "Pending", "Pending"]


def test_what_is_asked_for_meanwhile_runs_in_the_same_pass(bench: Bench, shop: Shop) -> None:
    first = bench.ask("first", "true")
    late: list[int] = []

    def ask_again() -> bool:
        if shop.store.tasks.get(first).is_final and not late:
            late.append(bench.ask("second", "true"))
        return False

    assert bench.run(until=ask_again) == Tally(2, 0)


# --- stopping ---


def test_a_deadline_ends_the_process_and_all_its_children(bench: Bench, shop: Shop) -> None:
    task = bench.ask(
        "stuck", "sleep 1000 & echo $! >$DIR/child; trap '' TERM; sleep 1000", timeout_us=400_000
    )
    assert bench.run() == Tally(0, 1)

    child = int(shop.file("child").read_text())
    assert bench.end(task).startswith("Aborted/timed out: its time was up")
    assert not is_running_pid(child)


def test_a_report_that_came_just_in_time_is_kept(bench: Bench) -> None:
    told = report(status=COMPLETE, outcome="all well")
    task = bench.ask("late", f"{told}; trap 'exit 0' TERM; sleep 5 & wait", timeout_us=400_000)
    task_family = bench.kinds["late"]
    bench.kinds["late"] = msgspec.structs.replace(task_family, family="task")
    bench.run(grace_s=5.0)

    assert bench.end(task) == "Complete/: all well"


def test_a_task_that_was_settled_elsewhere_is_killed_at_once(bench: Bench, shop: Shop) -> None:
    script = "[ -e $DIR/pid ] && exit 0; echo $$ >$DIR/pid; trap '' TERM; sleep 1000"
    task = bench.ask("work", script)

    class Settled(StoreQueue):
        def renew(self, claims: Sequence[Claim]) -> list[Renewed]:
            row = shop.store.tasks.get(task)
            if row.status == "Running":
                assert shop.store.sweeps.settle_lost(row, "nobody heard of it")
            return super().renew(claims)

    bench.queue = Settled(shop.store.db, shop.store.settings, OWNER, "any")
    bench.run(grace_s=1000.0)  # a grace that nobody waits for: another one may run already

    assert not is_running_pid(int(shop.file("pid").read_text()))
    first, *_ = sorted(shop.store.tasks.newest(kind="work"), key=lambda row: row.id)
    assert (first.reason, first.outcome) == ("lost", "nobody heard of it")
    assert "somebody else settled it" in shop.store.tasks.late(first.id)[0][1]


def test_without_renewals_a_task_ends_before_another_may_begin(
    bench: Bench, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Travelling()
    monkeypatch.setattr("sexton.work.executor.time", clock)

    class Deaf(StoreQueue):
        """A store that takes claims and ends, and answers no renewal; soon its lease is over."""

        looks = 0

        def renew(self, _: Sequence[Claim]) -> list[Renewed]:
            self.looks += 1
            clock.ahead_s = 0.9 * LEASE_S
            if self.looks == 3:
                shop.file("go").touch()  # who was not ended by now comes to its own end
            raise StoreError("no answer")

    bench.queue = Deaf(shop.store.db, shop.store.settings, OWNER, "any")
    script = "while [ ! -e $DIR/go ]; do sleep 0.05; done"
    task = bench.ask("work", script, timeout_us=int(10 * LEASE_S * 1e6))
    bench.run(lease_s=LEASE_S)

    assert bench.end(task).startswith("Aborted/lost: the store could not be reached to renew")


def test_an_end_that_the_store_did_not_take_is_told_again(bench: Bench, shop: Shop) -> None:
    class Hiccup(StoreQueue):
        refusals = 2

        def finish(
            self, claim: Claim, result: Result, output: Output | None = None
        ) -> Result | None:
            if self.refusals:
                Hiccup.refusals -= 1
                raise StoreError("no space is left")
            return super().finish(claim, result, output)

    bench.queue = Hiccup(shop.store.db, shop.store.settings, OWNER, "any")
    task = bench.ask("work", "echo hello >>$DIR/ran; echo out")

    assert bench.run() == Tally(1, 0)
    assert bench.end(task) == "Complete/: ended with exit code 0"
    assert shop.file("ran").read_text() == "hello\n"
    assert shop.store.tasks.output(task).head == b"out\n"


@pytest.mark.parametrize(
    "wait", ["while [ ! -e $DIR/second ]; do sleep 0.05; done", "true"], ids=["long", "short"]
)
def test_a_store_that_is_busy_at_an_entry_ends_nothing_that_runs(
    bench: Bench, shop: Shop, wait: str
) -> None:
    class Hiccup(StoreQueue):
        entries = 0

        def enter(self, claim: Claim, leader: str) -> bool:
            self.entries += 1
            if self.entries == 2:
                raise StoreError("held by another program")
            return super().enter(claim, leader)

    bench.queue = Hiccup(shop.store.db, shop.store.settings, OWNER, "any")
    first = bench.ask("first", f"echo x >>$DIR/begun; {wait}", priority=1)
    second = bench.ask("second", "touch $DIR/second")

    assert bench.run().complete == 2
    assert bench.end(first).startswith("Complete/")
    assert shop.file("begun").read_text() == "x\n"
    assert bench.end(second).startswith("Aborted/lost: the store did not answer when it was to")
    assert shop.ends("second") == ["Aborted/lost", "Complete"]
    assert shop.store.tasks.newest(kind="second")[0].spent == 0


def test_a_loop_that_fails_leaves_no_process(bench: Bench, shop: Shop) -> None:
    class Broken(StoreQueue):
        def log(self, *_: object) -> None:
            raise RuntimeError("a bug of ours")

    bench.queue = Broken(shop.store.db, shop.store.settings, OWNER, "any")
    bench.ask("work", "echo $$ >$DIR/pid; while true; do echo x; sleep 0.1; done")

    with pytest.raises(RuntimeError, match="a bug of ours"):
        bench.run()

    assert not is_running_pid(int(shop.file("pid").read_text()))
    [row] = shop.store.tasks.newest(status="Running")
    leader = decode_leader(row.leader)
    assert leader is not None
    shop.store.sweeps.settle_lost(row, "the loop failed")


def test_output_is_kept_while_a_task_still_runs(bench: Bench, shop: Shop) -> None:
    task = bench.ask("work", "echo begun; while [ ! -e $DIR/go ]; do sleep 0.05; done; echo over")
    seen_while_running: list[bytes] = []

    class Watching(StoreQueue):
        def log(self, claim: Claim, output: Output) -> None:
            super().log(claim, output)
            seen_while_running.append(shop.store.tasks.output(task).head)
            shop.file("go").touch()

    bench.queue = Watching(shop.store.db, shop.store.settings, OWNER, "any")
    bench.run()

    assert seen_while_running[0] == b"begun\n"
    assert shop.store.tasks.output(task).head == b"begun\nover\n"


def test_a_task_is_the_child_that_the_store_names(bench: Bench, shop: Shop) -> None:
    task = bench.ask("work", "echo $PPID $$ >$DIR/pids")
    bench.run()

    parent, pid = map(int, shop.file("pids").read_text().split())
    leader = decode_leader(shop.store.tasks.get(task).leader)
    assert leader is not None
    assert (parent, pid) == (os.getpid(), leader.pid)


def test_orphans_of_a_task_that_ended_well_are_ended_and_named(bench: Bench, shop: Shop) -> None:
    task = bench.ask("work", "sleep 1000 & echo $! >$DIR/child")
    bench.run()

    assert "1 of its processes still ran and were ended" in bench.end(task)
    child = int(shop.file("child").read_text())
    if is_running_pid(child):
        await_end(seen(child))
