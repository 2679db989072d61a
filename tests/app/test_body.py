"""A task's own process, whatever the user's code does in it; by the real tick."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter

import pytest

from sexton.core.task import Task
from sexton.work.host import look
from tests.app.shop import BOUND_S, Shop, await_text, finish


def ask(shop: Shop, *kinds: str) -> None:
    for kind in kinds:
        done = shop.sexton("enqueue", kind)
        assert done.returncode == 0, done.stderr


def last(shop: Shop, kind: str) -> Task:
    [task] = shop.store.tasks.newest(kind=kind, limit=1)
    return task


def output(shop: Shop, kind: str) -> bytes:
    return shop.store.tasks.output(last(shop, kind).id).head


def await_gone(*pids: int) -> None:
    """Wait until processes have ended; fail if they do not."""
    deadline_s = time.monotonic() + BOUND_S
    for pid in pids:
        while (seen := look(pid)) and not seen.is_dead:
            assert time.monotonic() < deadline_s, f"process {pid} still runs"
            os.sched_yield()


def start_and_await(shop: Shop, *files: str) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a tick, and wait until its task has written these files, each with a process id."""
    tick = shop.start("tick")
    try:
        return tick, [int(await_text(shop.file(name))) for name in files]
    except BaseException:
        tick.kill()
        raise


# --- ends ---


def test_only_a_body_that_returned_is_complete(shop: Shop) -> None:
    shop.declare(
        """
        import ctypes, signal

        @app.task
        def returns() -> object: return lambda: "nobody can pickle this"

        @app.task
        def raises() -> None: raise ValueError("no")

        @app.task
        def exits() -> None: sys.exit("changed my mind")

        @app.task
        def interrupts() -> None: raise KeyboardInterrupt

        @app.task
        def vanishes() -> None: os._exit(0)

        @app.task
        def fails_hard() -> None: os._exit(7)

        @app.task
        def segfaults() -> None: ctypes.string_at(0)

        @app.task
        def kills_itself() -> None: os.kill(os.getpid(), signal.SIGKILL)

        @app.task
        def dies_after_its_report() -> None:
            import atexit
            atexit.register(os.abort)
        """
    )
    kinds = [
        "returns", "raises", "exits", "interrupts", "vanishes", "fails_hard", "segfaults",
        "kills_itself", "dies_after_its_report",
    ]  # fmt: skip
    ask(shop, *kinds)
    done = shop.sexton("tick")

    assert done.returncode == 1
    assert {kind: shop.ends(kind) for kind in kinds} == {
        "returns": ["Complete"],
        "raises": ["Aborted/failed"],
        "exits": ["Aborted/failed"],
        "interrupts": ["Aborted/failed"],
        "vanishes": ["Aborted/failed"],
        "fails_hard": ["Aborted/failed"],
        # What was lost is made good once.
        "segfaults": ["Aborted/lost"] * 2,
        "kills_itself": ["Aborted/lost"] * 2,
        "dies_after_its_report": ["Aborted/lost"] * 2,
    }
    assert last(shop, "raises").outcome == "ValueError: no"
    assert b"ValueError: no" in output(shop, "raises")
    assert last(shop, "exits").outcome == "SystemExit: changed my mind"
    assert "SIGSEGV" in last(shop, "segfaults").outcome
    assert last(shop, "vanishes").outcome.startswith("it never returned: ")


def test_a_body_may_do_odd_things_and_is_still_judged_by_its_return(shop: Shop) -> None:
    shop.declare(
        """
        @app.task
        def closes_its_output() -> None:
            sys.stdout.close()
            sys.stderr.close()

        @app.task
        def replaces_its_output() -> None:
            sys.stdout = None

        @app.task
        def goes_elsewhere() -> None:
            os.chdir("/")
            os.environ.clear()

        @app.task
        def forks() -> None:
            if os.fork() == 0:
                raise ValueError("the child")
            os.wait()

        @app.task
        def forks_and_dies() -> None:
            if os.fork() == 0:
                return
            os.wait()
            raise ValueError("the parent")

        class Mute(Exception):
            def __str__(self) -> str:
                raise RuntimeError("and this one, too")

        @app.task
        def raises_what_cannot_be_said() -> None:
            raise Mute

        @app.task
        def becomes_another_program() -> None:
            os.execvp("true", ["true"])
        """
    )
    good = ["closes_its_output", "replaces_its_output", "goes_elsewhere", "forks"]
    bad = ["forks_and_dies", "raises_what_cannot_be_said", "becomes_another_program"]
    ask(shop, *good, *bad)
    shop.sexton("tick")

    assert {kind: shop.ends(kind) for kind in good} == {kind: ["Complete"] for kind in good}
    assert {kind: shop.ends(kind) for kind in bad} == {kind: ["Aborted/failed"] for kind in bad}
    assert last(shop, "forks_and_dies").outcome == "ValueError: the parent"
    assert last(shop, "raises_what_cannot_be_said").outcome == "Mute"


def test_a_body_that_writes_into_stray_descriptors_harms_neither_store_nor_verdict(
    shop: Shop,
) -> None:
    shop.declare(
        """
        @app.task
        def strays() -> None:
            forged = b'{"status":"Aborted","reason":"administrator"}\\n'
            for number in range(3, 50):
                try:
                    os.write(number, b"no SQLite" * 100 + forged)
                except OSError:
                    pass
        """
    )
    ask(shop, "strays")
    shop.tick()

    # A forged report is the function's own word about itself, and the true one comes last.
    assert shop.ends("strays") == ["Complete"]
    assert shop.store.upkeep.check() == []


def test_output_is_bytes_and_its_head_and_tail_are_kept(shop: Shop) -> None:
    shop.declare(
        r"""
        @app.task(output_bytes_max=1000)
        def chatty() -> None:
            sys.stdout.buffer.write(b"\xff\xfe\x00head" + b"x" * 5000 + b"tail\x80")

        @app.task
        def silent() -> None: ...
        """
    )
    ask(shop, "chatty", "silent")
    shop.tick()

    kept = shop.store.tasks.output(last(shop, "chatty").id)
    assert kept.head.startswith(b"\xff\xfe\x00head")
    assert kept.tail.endswith(b"tail\x80")
    assert len(kept.head) + len(kept.tail) <= 1000
    assert kept.dropped_bytes == 5000 + 7 + 5 - len(kept.head) - len(kept.tail)
    assert output(shop, "silent") == b""


def test_a_task_finds_a_clean_process_and_knows_who_it_is(shop: Shop) -> None:
    shop.declare(
        """
        import json

        @app.task(schedule="@daily")
        def nightly() -> None:
            mask = os.umask(0)
            print(json.dumps({
                "task": os.environ["SEXTON_TASK"],
                "kind": os.environ["SEXTON_KIND"],
                "period": os.environ["SEXTON_PERIOD"],
                "attempt": os.environ["SEXTON_ATTEMPT"],
                "stdin": sys.stdin.read(),
                "umask": mask,
                "leads": os.getsid(0) == os.getpgrp() == os.getpid(),
                "fds": sorted(int(n) for n in os.listdir("/proc/self/fd"))[:3],
                "cwd": os.getcwd(),
            }))
        """
    )
    shop.travel(days=1)
    shop.tick()

    import msgspec

    found = msgspec.json.decode(output(shop, "nightly"))
    assert found == {
        "task": str(last(shop, "nightly").id),
        "kind": "nightly",
        "period": "2026-01-02T00:00",
        "attempt": "1",
        "stdin": "",
        "umask": 0o027,
        "leads": True,
        "fds": [0, 1, 2],
        "cwd": str(shop.directory),
    }


# --- programs ---


def test_a_command_is_judged_by_its_exit_code(shop: Shop) -> None:
    shop.declare(
        """
        app.command("good", argv=["sh", "-c", "echo $SEXTON_KIND $SEXTON_TASK; exit 0"])
        app.command("bad", argv=["sh", "-c", "echo sorry >&2; exit 3"])
        app.command("missing", argv=["no-such-program-at-all"])
        app.command("killed", argv=["sh", "-c", "kill -9 $$"])
        app.command("literal", argv=["echo", "$HOME;", "`id`", "*"])
        """
    )
    kinds = ["good", "bad", "missing", "killed", "literal"]
    ask(shop, *kinds)
    shop.sexton("tick")

    assert {kind: shop.ends(kind)[0] for kind in kinds} == {
        "good": "Complete",
        "bad": "Aborted/failed",
        "missing": "Aborted/failed",
        "killed": "Aborted/lost",
        "literal": "Complete",
    }
    assert output(shop, "good") == f"good {last(shop, 'good').id}\n".encode()
    assert output(shop, "bad") == b"sorry\n"
    assert "no-such-program-at-all cannot be started" in last(shop, "missing").outcome
    assert output(shop, "literal") == b"$HOME; `id` *\n"


def test_a_command_called_directly_passes_its_output_on_and_is_guarded(shop: Shop) -> None:
    shop.write("""app.command("backup", argv=["echo", "saved"], min_gap="1h")""")

    first = shop.sexton("run", "backup")
    second = shop.sexton("run", "backup")

    assert first.returncode == second.returncode == 0
    assert "done: " in first.stdout
    assert "skipped: the last success" in second.stdout
    assert output(shop, "backup") == b"saved\n"


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
