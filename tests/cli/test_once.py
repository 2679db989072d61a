"""`once` and `item`: any program once a period, with a ledger, in the foreground."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.shop import WAIT_S, Shop

HALF_PAST_SEVEN = 1_795_332_600_000_000  # 2026-11-22T07:30Z
DAILY = ("--name", "nightly-job", "--schedule", "0 3 * * *", "--tz", "Europe/Riga")

# Serves a, b and c; is killed in the middle of b while a file `die` is there.
SCRIPT = """#!/bin/sh
for key in a b c; do
    if sexton item begin $key; then
        echo $key >> served
        if [ $key = b ] && [ -e die ]; then kill -9 $$; fi
        sexton item done $key
    fi
done
"""


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """A shop whose clock stands at half past seven, with a script to run."""
    set_clock(shop, 0)
    script = shop.directory / "job.sh"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    return shop


def set_clock(shop: Shop, hours: float) -> None:
    store = shop.store()
    store.db.set_clock(f"frozen:{HALF_PAST_SEVEN + int(hours * 3_600_000_000)}")
    store.close()


def once(shop: Shop, *words: str) -> subprocess.CompletedProcess[str]:
    return shop.type("once", *words)


def test_a_program_runs_once_a_period_however_often_it_is_called(shop: Shop) -> None:
    line = (*DAILY, "--", "sh", "-c", 'echo "$SEXTON_PERIOD $SEXTON_TASK $SEXTON_ATTEMPT"')
    new = once(shop, *line)
    set_clock(shop, 24)
    first = once(shop, *line)
    second = once(shop, *line)
    set_clock(shop, 48)
    third = once(shop, *line)

    assert (new.returncode, "not due: new since" in new.stdout) == (0, True)
    assert first.stdout.splitlines()[0] == "2026-11-23T03:00 1 1"
    assert second.returncode == 0
    assert second.stdout.startswith("skipped: period 2026-11-23T03:00 completed at 09:30:00 by ")
    assert third.stdout.splitlines()[0] == "2026-11-24T03:00 2 1"
    assert [told.returncode for told in (first, second, third)] == [0, 0, 0]


def test_no_tick_and_no_sync_ever_touches_it(shop: Shop) -> None:
    once(shop, *DAILY, "--", "true")
    set_clock(shop, 24)
    shop.type("sync")
    told = shop.type("tick")

    assert told.returncode == 0
    assert once(shop, *DAILY, "--", "echo", "mine").stdout.startswith("mine\n")


def test_a_failing_program_is_tried_again_as_often_as_was_said(shop: Shop) -> None:
    once(shop, *DAILY, "--", "true")
    set_clock(shop, 24)
    told = [once(shop, *DAILY, "--retry", "30m x 2", "--", "sh", "-c", "exit 7") for _ in range(3)]

    assert [one.returncode for one in told] == [1, 1, 1]
    assert "ended with exit code 7" in told[0].stdout
    assert "attempt 2" in told[1].stdout
    assert "skipped: all 2 attempts" in told[2].stdout


def test_a_minimum_gap_needs_no_schedule(shop: Shop) -> None:
    line = ("--name", "rotate", "--min-gap", "20h", "--", "echo", "rotated")
    first, second = once(shop, *line), once(shop, *line)
    set_clock(shop, 20)
    third = once(shop, *line)

    assert first.stdout.startswith("rotated\n")
    assert second.stdout.startswith("skipped: the last success, task 1, ")
    assert third.stdout.startswith("rotated\n")


def test_without_a_schedule_each_call_runs_but_only_one_at_a_time(shop: Shop) -> None:
    os.mkfifo(shop.directory / "gate")
    line = ("--name", "plain", "--", "cat", "gate")
    with subprocess.Popen(
        shop.line("once", *line), cwd=shop.directory, env=shop.environment(), stdout=-1, text=True
    ) as first:
        with (shop.directory / "gate").open("w") as gate:  # it reads: so it runs
            second = once(shop, *line)
            gate.write("through\n")
        out, _ = first.communicate(timeout=WAIT_S)

    assert out.startswith("through\n")
    assert second.stdout.startswith("skipped: plain runs since ")
    assert second.returncode == 0
    (shop.directory / "gate").unlink()
    (shop.directory / "gate").write_text("again\n")
    assert once(shop, *line).stdout.startswith("again\n")


def test_force_runs_it_at_once_and_keeps_the_reason(shop: Shop) -> None:
    told = once(shop, *DAILY, "--force", "first day", "--", "echo", "now")

    assert told.stdout.startswith("now\n")
    assert shop.json("show", "1")["task"]["note"] == "first day"
    assert once(shop, *DAILY, "--force", "", "--", "true").returncode == 2


def test_output_is_passed_on_byte_for_byte_and_json_stays_alone(shop: Shop) -> None:
    line = ("--name", "noise", "--json", "--", "printf", r"\377\n")
    told = once(shop, *line)

    assert told.stderr == "\udcff\n"
    assert json.loads(told.stdout)["code"] == "done"


def test_a_program_that_is_not_there_is_a_failure_in_words(shop: Shop) -> None:
    told = once(shop, "--name", "absent", "--", "./no-such-program")

    assert told.returncode == 1
    assert "no-such-program could not be started" in told.stdout
    assert told.stderr == ""


def test_a_password_among_its_words_is_not_kept(shop: Shop) -> None:
    once(shop, "--name", "dump-it", "--", "true", "--password=hunter2")
    shop.type("backup", "copy.db")

    assert b"dump-it" in (shop.directory / "copy.db").read_bytes()
    assert b"hunter2" not in (shop.directory / "copy.db").read_bytes()


def test_words_of_the_program_are_its_own_whatever_their_bytes(shop: Shop) -> None:
    own = [b"printf", b"%s|%s|", b"--json", b"\xff", b"--"]
    line = [*map(str.encode, shop.line("once", "--name", "own", "--")), *own]
    told = subprocess.run(
        line,
        cwd=shop.directory,
        env=shop.environment(),
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )

    assert told.stdout.startswith(b"--json|\xff|--||")


def test_a_signal_ends_the_program_and_the_next_call_makes_it_good(shop: Shop) -> None:
    os.mkfifo(shop.directory / "began")
    os.mkfifo(shop.directory / "gate")
    once(shop, *DAILY, "--", "true")
    set_clock(shop, 24)
    line = (*DAILY, "--", "sh", "-c", "echo > began; cat gate")
    with subprocess.Popen(
        shop.line("once", *line), cwd=shop.directory, env=shop.environment(), stdout=-1, text=True
    ) as first:
        (shop.directory / "began").read_text()
        first.send_signal(signal.SIGTERM)
        out, _ = first.communicate(timeout=WAIT_S)
    (shop.directory / "began").unlink()
    (shop.directory / "gate").unlink()
    (shop.directory / "gate").write_text("done\n")
    second = once(shop, *line)

    assert first.returncode == 1
    assert out.startswith("lost: killed by SIGTERM")
    assert second.stdout.startswith("done\n")
    assert "attempt 2" in second.stdout


def test_after_a_crash_a_program_in_any_language_serves_nobody_twice(shop: Shop) -> None:
    (shop.directory / "die").touch()
    line = ("--name", "mails", "--min-gap", "1h", "--", "./job.sh")
    first = once(shop, *line)
    (shop.directory / "die").unlink()
    second = once(shop, *line)
    served = (shop.directory / "served").read_text().split()

    assert (first.returncode, second.returncode) == (1, 0)
    assert served == ["a", "b", "c"]
    assert "item a is not yours to do: settled before" in second.stdout
    assert "item b is not yours to do: in doubt: parked for a person" in second.stdout
    assert [item["key"] for item in shop.json("items", "mails", "--in-doubt")["items"]] == ["b"]


def test_in_doubt_may_also_mean_try_again(shop: Shop) -> None:
    (shop.directory / "die").touch()
    line = ("--name", "mails", "--min-gap", "1h", "--in-doubt", "retry", "--", "./job.sh")
    once(shop, *line)
    (shop.directory / "die").unlink()
    once(shop, *line)

    assert (shop.directory / "served").read_text().split() == ["a", "b", "b", "c"]


def item(shop: Shop, *words: str) -> subprocess.CompletedProcess[str]:
    return shop.type("item", *words, env={"SEXTON_TASK": "1"})


@pytest.fixture
def running(shop: Shop) -> Shop:
    """A shop in which task 1 runs, held by this very process."""
    from sexton.app.declare import kind_of
    from sexton.core.queue import Call, Taken
    from sexton.work.holder import encode_owner
    from sexton.work.owner import Owner

    store = shop.store()
    kind = kind_of("once", "by-hand", {"min_gap": "1h"}, "")
    taken = store.guard(encode_owner(Owner.here())).take(kind, Call(nonce="0" * 32))
    store.close()
    assert isinstance(taken, Taken)
    return shop


def test_an_item_is_begun_once_and_ended_as_it_is_said(running: Shop) -> None:
    begun = item(running, "begin", "a", "--json")
    again = item(running, "begin", "a")
    done = item(running, "done", "a", "--note", "by post", "--json")
    twice = item(running, "done", "a")

    assert json.loads(begun.stdout) == {"key": "a", "is_yours": True, "why": "", "tries": 1}
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.endswith("item a is not yours to do: this task has begun it already\n")
    assert json.loads(done.stdout) == {"key": "a", "status": "Done"}
    assert twice.returncode == 0
    [kept] = running.json("items", "by-hand")["items"]
    assert (kept["status"], kept["note"]) == ("Done", "by post")


@pytest.mark.parametrize(("more", "status"), [([], "Failed"), (["--for-good"], "Rejected")])
def test_a_failed_item_is_tried_again_unless_for_good(
    running: Shop, more: list[str], status: str
) -> None:
    item(running, "begin", "a")
    item(running, "failed", "a", *more)

    assert running.json("items", "by-hand")["items"][0]["status"] == status
    assert item(running, "begin", "a").returncode == (0 if status == "Failed" else 1)


def test_a_key_that_looks_like_an_option_is_written_as_it_is_typed(running: Shop) -> None:
    told = item(running, "done", "--", "-x y")

    assert told.stderr.endswith("First: sexton item begin -- '-x y'\n")
    assert item(running, "begin", "--", "-x y").returncode == 0


def test_an_item_that_has_ended_stays_as_it_ended(running: Shop) -> None:
    item(running, "begin", "a")
    item(running, "done", "a")
    told = item(running, "failed", "a", "--json")

    assert (told.returncode, json.loads(told.stdout)["status"]) == (1, "Done")
    assert "item a is Done already, and stays so" in told.stderr


def test_an_end_without_a_begin_is_refused(running: Shop) -> None:
    told = item(running, "done", "never")

    assert told.returncode == 2
    assert "task 1 has not begun the item 'never'" in told.stderr
    assert item(running, "done", "a", "--for-good").returncode == 2


def test_a_task_that_was_settled_begins_no_items(running: Shop) -> None:
    item(running, "begin", "a")
    store = running.store()
    store.sweeps.settle_lost(store.tasks.get(1), "a test says so")
    store.close()
    begin, done = item(running, "begin", "b"), item(running, "done", "a")

    assert (begin.returncode, done.returncode) == (1, 1)
    assert "task 1 is Aborted" in begin.stderr
    assert [one["key"] for one in running.json("items", "by-hand")["items"]] == ["a"]
    assert [one["text"] for one in running.json("show", "1")["late"]] == ["item a ended late: Done"]


@pytest.mark.parametrize("key", ["", "a\x1fb", "k" * 501])
def test_a_key_that_no_ledger_keeps_is_refused(running: Shop, key: str) -> None:
    assert item(running, "begin", key).returncode == 2


def test_the_name_of_a_declared_kind_is_not_taken_over(shop: Shop, tmp_path: Path) -> None:
    before = shop.json("kinds")
    told = once(shop, "--name", "nightly", "--", "touch", "ran")

    assert told.returncode == 2
    assert shop.json("kinds") == before
    assert not (tmp_path / "ran").exists()


def test_a_reader_that_goes_away_does_not_end_the_program(shop: Shop) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    line = ("--name", "piped", "--", "sh", "-c", "yes | head -c 300000; touch ended; exit 3")
    told = subprocess.run(
        shop.line("once", *line),
        cwd=shop.directory,
        env=shop.environment(),
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    os.close(theirs)

    assert (told.returncode, told.stderr) == (1, "")
    assert (shop.directory / "ended").exists()
    assert shop.json("show", "1")["task"]["outcome"] == "ended with exit code 3"


def test_a_program_whose_name_is_no_text_is_a_failed_run_and_no_crash(shop: Shop) -> None:
    line = shop.line("once", "--name", "strange", "--")
    told = subprocess.run(
        [*(word.encode() for word in line), b"./n\xff"],
        cwd=shop.directory,
        env=shop.environment(),
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )

    assert told.returncode == 1
    assert b"Traceback" not in told.stderr
    assert shop.json("show", "1")["task"]["reason"] == "failed"


def test_a_program_that_leaves_items_to_be_tried_again_has_failed_and_says_so(shop: Shop) -> None:
    sexton = f"{shlex.quote(sys.executable)} -m sexton"
    job = f"{sexton} item begin bob && {sexton} item failed bob"
    done = once(shop, "--name", "letters", "--min-gap", "1h", "--", "sh", "-c", job)

    assert done.returncode == 1, done.stdout
    assert done.stdout.startswith("failed: ended with exit code 0; 1 item is to be tried again")


def test_a_program_without_dashes_before_it_is_refused(shop: Shop) -> None:
    told = shop.type("once", "--name", "nightly-dump", "echo", "--timeout", "5s", "app")

    assert told.returncode == 2
    assert "The program stands behind --" in told.stderr
    assert shop.store().kinds.get("nightly-dump") is None


def test_it_is_told_by_what_comes_first_whose_an_unknown_option_is(shop: Shop) -> None:
    programs = shop.type("once", "--name", "job", "./send.sh", "--all")
    ours = shop.type("once", "--name", "job", "--retires", "3", "--", "./send.sh")

    assert "'./send.sh' is none of its words" in programs.stderr
    assert "The program stands behind --" in programs.stderr
    assert "unrecognized arguments: --retires" in ours.stderr


def test_what_follows_the_dashes_is_the_programs_own(shop: Shop) -> None:
    told = shop.type("once", "--name", "own", "--", "echo", "--force", "a", "--", "--json")

    assert told.stdout.startswith("--force a -- --json\n")
