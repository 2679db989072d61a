"""A task's own process and its bounds: deadline, abort, limits, and a tick that dies around it."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.app.body_kit import ask, await_gone, last, start_and_await
from tests.app.shop import Shop, finish, opened

# --- deadlines, aborts, limits ---


def test_a_task_that_overstays_is_ended_with_its_whole_group(shop: Shop) -> None:
    shop.settings("grace_s = 1\n")
    shop.declare(
        """
        import subprocess

        @app.task(timeout="2s")
        def stuck() -> None:
            child = subprocess.Popen(["sleep", "1000"])
            away = subprocess.Popen(["setsid", "sleep", "1000"])
            Path("child").write_text(f"{child.pid}\\n")
            Path("away").write_text(f"{away.pid}\\n")
            time.sleep(1000)
        """
    )
    ask(shop, "stuck")
    tick, pids = start_and_await(shop, "child", "away")
    done = finish(tick)
    await_gone(*pids)

    assert done.returncode == 1
    assert shop.ends("stuck") == ["Aborted/timed out"]
    assert "its time was up" in last(shop, "stuck").outcome


def test_an_abort_ends_the_whole_group_and_nothing_follows(shop: Shop) -> None:
    shop.settings("grace_s = 1\n")
    shop.declare(
        """
        import signal, subprocess

        @app.task(retry="1s x 5")
        def stuck() -> None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            child = subprocess.Popen(["sleep", "1000"])
            away = subprocess.Popen(["setsid", "sleep", "1000"])
            Path("child").write_text(f"{child.pid}\\n")
            Path("away").write_text(f"{away.pid}\\n")
            time.sleep(1000)
        """
    )
    ask(shop, "stuck")
    tick, pids = start_and_await(shop, "child", "away")
    shop.store.tasks.abort(last(shop, "stuck").id, "ann", "wrong month")
    finish(tick)
    await_gone(*pids)

    assert shop.ends("stuck") == ["Aborted/administrator"]
    assert "aborted by ann: wrong month" in last(shop, "stuck").outcome


SLOW_LETTERS = """
@app.plan(schedule="@daily", retry="1h x 2")
def letters() -> Iterator[int]:
    yield from range(30)

@letters.each(key=str)
def send(thing: int) -> None:
    did(thing)
    if thing == 2:
        (HERE / "at_two").write_text(f"{os.getpid()}\\n")
    if thing >= 2 and os.environ["SEXTON_ATTEMPT"] == "1":
        time.sleep(1)
"""


def test_a_plan_that_goes_down_with_its_machine_writes_the_item_at_hand(shop: Shop) -> None:
    shop.declare(SLOW_LETTERS)
    shop.travel(days=1)
    tick, [pid] = start_and_await(shop, "at_two")
    os.kill(pid, signal.SIGTERM)
    finish(tick)

    assert shop.ends("letters") == ["Aborted/lost", "Complete"]
    assert shop.effects() == Counter(map(str, range(30)))
    assert shop.store.items.entries("letters", in_doubt=True) == []


def test_an_aborted_plan_writes_the_item_at_hand_and_nothing_follows(shop: Shop) -> None:
    shop.declare(SLOW_LETTERS)
    shop.travel(days=1)
    tick, _ = start_and_await(shop, "at_two")
    shop.store.tasks.abort(last(shop, "letters").id, "ann")
    finish(tick)

    statuses = shop.store.items.statuses("letters", "2026-01-02T00:00")
    assert shop.ends("letters") == ["Aborted/administrator"]
    assert set(statuses.values()) == {"Done"}
    assert set(statuses) == set(shop.effects())
    assert 3 <= len(statuses) < 20


def test_a_plan_that_runs_past_its_expiry_begins_no_more_items(shop: Shop) -> None:
    shop.settings("lease_s = 3600\n")
    shop.declare(
        """
        @app.plan(schedule="@daily", expires="30m", timeout="10h", retry="1s x 5")
        def letters() -> Iterator[int]:
            yield from range(5)

        @letters.each(key=str)
        def send(thing: int) -> None:
            did(thing)
            if thing == 1:
                app.store.db.set_clock(f"frozen:{app.store.now() + 30 * 60_000_000}")
        """
    )
    shop.travel(days=1)
    shop.sexton("tick")

    assert shop.effects() == {"0": 1, "1": 1}
    assert shop.ends("letters") == ["Aborted/expired"]
    assert shop.store.items.statuses("letters", "2026-01-02T00:00") == {"0": "Done", "1": "Done"}


def test_limits_hold_for_the_tasks_process_alone(shop: Shop) -> None:
    shop.declare(
        """
        from sexton.core.kind import Limits

        @app.task(limits=Limits(memory_bytes=300_000_000))
        def greedy() -> None:
            bytearray(1_000_000_000)

        @app.task(limits=Limits(file_bytes=1000))
        def wordy() -> None:
            Path("big").write_bytes(b"x" * 10_000)

        @app.task(limits=Limits(open_files=20))
        def opener() -> None:
            kept = [open(os.devnull) for _ in range(100)]

        @app.task
        def ordinary() -> None:
            Path("big2").write_bytes(b"x" * 10_000)
        """
    )
    ask(shop, "greedy", "wordy", "opener", "ordinary")
    shop.sexton("tick")

    assert shop.ends("ordinary") == ["Complete"]
    assert last(shop, "greedy").outcome.startswith("MemoryError")
    assert last(shop, "wordy").status == "Aborted"
    assert "OSError" in last(shop, "opener").outcome


# --- inside the tick ---


def test_an_inline_task_beside_one_that_runs_has_a_process_so_that_nobody_waits_for_it(
    shop: Shop,
) -> None:
    shop.declare(
        """
        @app.task(priority=9)
        def long() -> None:
            while not Path("go").exists():
                time.sleep(0.05)
            did("long ended")

        @app.task(isolation="inline")
        def quick() -> None:
            Path("quick").write_text(str(os.getpid()))
            Path("go").touch()
        """
    )
    ask(shop, "long")
    ask(shop, "quick")
    tick = shop.start("tick")
    done = finish(tick)

    assert done.returncode == 0, done.stderr
    assert shop.ends() == ["Complete", "Complete"]
    assert int(shop.file("quick").read_text()) != tick.pid


def test_a_child_that_an_inline_body_forks_and_lets_return_is_no_second_tick(shop: Shop) -> None:
    shop.declare(
        """
        @app.task(isolation="inline", priority=9)
        def forks() -> None:
            did("child" if os.fork() == 0 else "parent")

        @app.task(isolation="inline")
        def after() -> None:
            did("after")
        """
    )
    ask(shop, "forks")
    ask(shop, "after")
    done = shop.tick()
    shop.until(lambda: shop.effects()["child"] == 1)

    assert done.stderr == ""
    assert shop.effects() == {"parent": 1, "child": 1, "after": 1}
    assert shop.ends() == ["Complete", "Complete"]


def test_an_inline_task_runs_in_the_tick_and_its_failure_stops_nobody(shop: Shop) -> None:
    shop.declare(
        """
        @app.task(isolation="inline", priority=9)
        def bad() -> None:
            raise ValueError("no")

        @app.task(isolation="inline", priority=8)
        def exits() -> None:
            sys.exit(3)

        @app.task(isolation="inline")
        def good() -> None:
            did(os.getpid())

        @app.plan(isolation="inline", min_gap="1h")
        def letters() -> Iterator[int]:
            yield from range(3)

        @letters.each(key=str)
        def send(thing: int) -> None:
            did(thing)
        """
    )
    ask(shop, "bad", "exits", "good", "letters")
    tick = shop.start("tick")
    done = finish(tick)

    assert done.returncode == 1
    assert shop.ends("good") == shop.ends("letters") == ["Complete"]
    assert last(shop, "bad").outcome == "ValueError: no"
    assert shop.ends("exits") == ["Aborted/failed"]
    assert set(shop.effects()) == {str(tick.pid), "0", "1", "2"}


# --- an application that cannot be loaded ---


def test_a_task_whose_application_is_broken_fails_in_words(shop: Shop) -> None:
    shop.declare(
        """
        if (HERE / "broken").exists():
            raise RuntimeError("the licence server is down")

        @app.task
        def resize() -> None: ...
        """
    )
    ask(shop, "resize")
    shop.file("broken").touch()
    done = shop.sexton("tick")

    assert done.returncode == 1
    assert shop.ends("resize") == ["Aborted/failed"]
    assert "RuntimeError: the licence server is down (at tasks.py:" in last(shop, "resize").outcome


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_tick_that_dies_leaves_no_process_and_the_next_finishes(
    shop: Shop, number: signal.Signals
) -> None:
    shop.declare(
        """
        @app.task(schedule="@daily")
        def nightly() -> None:
            did(os.environ["SEXTON_ATTEMPT"])
            if os.environ["SEXTON_ATTEMPT"] == "1":
                (HERE / "running").write_text(f"{os.getpid()}\\n")
                time.sleep(1000)
        """
    )
    shop.travel(days=1)
    tick, [pid] = start_and_await(shop, "running")
    tick.send_signal(number)
    if number == signal.SIGTERM:
        # Asked to end, it waits for what runs; so the task is asked as well, and dies of it.
        os.kill(pid, signal.SIGKILL)
    finish(tick)
    await_gone(pid)
    shop.sexton("tick")

    assert shop.ends("nightly") == ["Aborted/lost", "Complete"]
    assert shop.effects() == {"1": 1, "2": 1}


def test_what_a_failed_test_leaves_running_ends_with_its_shop(tmp_path: Path) -> None:
    lent = opened(tmp_path)
    shop = next(lent)
    shop.settings("grace_s = 0\n")
    shop.declare(
        """
        @app.task
        def stuck() -> None:
            Path("pid").write_text(f"{os.getpid()}\\n")
            time.sleep(1000)
        """
    )
    ask(shop, "stuck")
    tick, [pid] = start_and_await(shop, "pid")
    try:
        was_running = tick.poll() is None
        remaining = list(lent)
        is_running = tick.poll() is None
    finally:
        tick.kill()
    await_gone(pid)

    assert (was_running, remaining, is_running) == (True, [], False)
