"""A task's own process, whatever the user's code does in it; by the real tick."""

from __future__ import annotations

import msgspec
import pytest

from tests.app.body_kit import ask, last, output
from tests.app.shop import Shop
from tests.work.process_kit import OF_THE_C_LIBRARY

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
        import signal

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
        def leaves_a_child_that_returns_later() -> None:
            parent = os.getpid()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                while os.getppid() == parent:
                    time.sleep(0.001)
                return
            raise ValueError("the parent")

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
    bad = [
        "leaves_a_child_that_returns_later",
        "forks_and_dies",
        "raises_what_cannot_be_said",
        "becomes_another_program",
    ]
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


def test_a_program_that_a_body_starts_cannot_report_in_its_place(shop: Shop) -> None:
    shop.file("forger.py").write_text(
        """
import os

for number in range(3, 256):
    try:
        os.write(number, b'{"status":"Complete","outcome":"forged"}\\n')
    except OSError:
        pass
"""
    )
    shop.declare(
        """
        import subprocess

        @app.task
        def vanishes() -> None:
            line = [sys.executable, "-I", "-S", "forger.py"]
            subprocess.run(line, close_fds=False, check=True)
            os._exit(0)
        """
    )
    ask(shop, "vanishes")
    shop.sexton("tick")

    assert shop.ends("vanishes") == ["Aborted/failed"]
    assert last(shop, "vanishes").outcome.startswith("it never returned: ")


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


def test_a_command_finds_the_same_surroundings_whoever_starts_it(
    shop: Shop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shop.declare(
        """
        app.command("look", argv=["sh", "-c", "pwd; grep SigIgn /proc/self/status"])
        """
    )
    ask(shop, "look")
    shop.sexton("tick", cwd=shop.directory)
    by_a_tick = output(shop, "look")
    directory, _, ignored = by_a_tick.decode().partition("\nSigIgn:\t")
    settings = {"SEXTON_SETTINGS": str(shop.file("sexton.toml"))}
    done = shop.sexton("run", "look", cwd=elsewhere, env=settings)

    assert directory == str(shop.directory)
    assert int(ignored, 16) & ~OF_THE_C_LIBRARY == 0
    assert done.returncode == 0, done.stderr
    assert output(shop, "look") == by_a_tick


def test_a_function_whose_program_left_items_to_be_tried_again_is_not_complete(
    shop: Shop,
) -> None:
    shop.declare(
        """
        import subprocess

        @app.task(retry="1s x 3")
        def letters() -> None:
            script = "sexton item begin a && sexton item failed a"
            subprocess.run(["sh", "-c", script], check=False)
        """
    )
    ask(shop, "letters")
    shop.sexton("tick")

    assert shop.ends("letters") == ["Aborted/failed", "Pending"]
