"""`run`: one kind, now and here, and how far it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from tests.cli.conftest import Type
from tests.cli.shop import WAIT_S, Shop
from tests.cli.test_frame import on_a_terminal

LONG_PLAN = """

@app.plan(scope="forever")
def many() -> list[int]:
    return list(range(200))


@many.each(key=lambda number: number)
def serve(number: int) -> None:
    import select
    select.select([], [], [], 0.002)
"""


def test_a_kind_is_run_and_says_what_happened(typed: Type) -> None:
    told = typed("run", "resize", "image=a.png")

    assert told.code == 0
    assert told.out == "resizing a.png 800\ndone: returned (task 1, attempt 1)\n"


def test_json_is_alone_on_stdout(typed: Type) -> None:
    told = typed("run", "resize", "image=a.png", "--json")

    assert json.loads(told.out)["code"] == "done"
    assert told.err == "resizing a.png 800\n"


def test_a_kinds_own_exception_is_shown_recorded_and_a_failure(typed: Type) -> None:
    told = typed("run", "resize", "image=bad")

    assert told.code == 1
    assert 'raise ValueError("no picture' in told.err
    assert "sexton: resize failed: ValueError: no picture \\x1b[31m in it" in told.err
    assert "Aborted/failed" in typed("tasks").out


def test_a_kinds_own_exception_is_shown_from_its_own_code_on_and_safely(typed: Type) -> None:
    err = typed("run", "resize", "image=bad").err

    assert "in resize" in err
    assert "/sexton/cli/run.py" not in err
    assert "\x1b" not in err


def test_a_kinds_own_exception_is_an_outcome_as_json(typed: Type) -> None:
    told = typed("run", "resize", "image=bad", "--json")

    answer = json.loads(told.out)
    assert (told.code, answer["code"], answer["ok"], answer["task"]) == (1, "failed", False, 1)


def test_what_is_not_due_is_skipped_and_that_is_no_failure(typed: Type) -> None:
    told = typed("run", "nightly")

    assert told.code == 0
    assert told.out.startswith("skipped: not due: new since ")
    assert told.out.endswith("; --force REASON to run now\n")
    assert json.loads(typed("run", "nightly", "--json").out)["ran"] is False


def test_force_runs_it_and_keeps_the_reason(typed: Type) -> None:
    told = typed("run", "nightly", "--force", "mails were lost")

    assert told.out.startswith("night\ndone: returned (period forced:1, ")
    assert "mails were lost" in typed("show", "1").out


def test_a_plan_can_be_looked_at_and_touches_nobody(typed: Type) -> None:
    told = typed("run", "remind", "--plan")
    shape = json.loads(typed("run", "remind", "--plan", "--json").out)

    assert told.out == "1\n2\n3\n"
    assert "would serve 3 of 3 planned" in told.err
    assert shape["keys"] == ["1", "2", "3"]
    assert typed("tasks").out == "no tasks\n"
    assert typed("items", "remind").out == "no items\n"


def test_a_programs_output_is_passed_on_and_its_exit_code_is_told(shop: Shop) -> None:
    told = shop.type("run", "dump")

    assert told.returncode == 1
    assert told.stdout.startswith("dumping\nfailed: ended with exit code 3 ")


STEADY_PLAN = """

@app.plan(schedule="@daily")
def steady() -> list[int]:
    return [1, 2, 3]


@steady.each(key=lambda number: number)
def gate(number: int) -> None:
    with open("begun", "w") as pipe:
        pipe.write(str(number))
    with open("may-end") as pipe:
        pipe.read()
"""


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, "administrator"), (signal.SIGTERM, "lost")]
)
def test_a_signal_lets_a_plan_end_the_item_at_hand_and_write_it(
    shop: Shop, number: int, status: str
) -> None:
    with (shop.directory / f"{shop.module}.py").open("a") as file:
        file.write(STEADY_PLAN)
    os.mkfifo(shop.directory / "begun")
    os.mkfifo(shop.directory / "may-end")
    line = shop.line("run", "steady", "--force", "to be ended")
    with subprocess.Popen(
        line, cwd=shop.directory, env=shop.environment(), stdout=-1, text=True
    ) as child:
        assert (shop.directory / "begun").read_text() == "1"
        child.send_signal(number)
        (shop.directory / "may-end").write_text("")
        try:
            out, _ = child.communicate(timeout=WAIT_S)
        finally:
            child.kill()

    assert child.returncode == (130 if number == signal.SIGINT else 1)
    assert out.startswith(f"{status}: 1 done of ")
    assert [(one["key"], one["status"]) for one in shop.json("items", "steady")["items"]] == [
        ("1", "Done")
    ]
    waiting = shop.json("tasks", "--status", "Pending")["tasks"]
    assert len(waiting) == (1 if status == "lost" else 0)


WAITING = """

@app.task
def waiting() -> None:
    with open("begun", "w") as pipe:
        pipe.write("x")
    open("never").close()


app.command("waits", argv=["sh", "-c", "echo > begun; exec cat never"], min_gap="20h")
"""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("run", "waiting", "--json"), "KeyboardInterrupt: interrupted by Ctrl-C"),
        (("run", "waits", "--json"), ""),
        (("once", "--name", "x", "--json", "--", "sh", "-c", "echo > begun; exec cat never"), ""),
    ],
)
def test_what_a_person_interrupts_ends_with_130_and_says_so(
    shop: Shop, words: tuple[str, ...], sentence: str
) -> None:
    with (shop.directory / f"{shop.module}.py").open("a") as file:
        file.write(WAITING)
    for name in ("begun", "never"):
        os.mkfifo(shop.directory / name)
    with subprocess.Popen(
        shop.line(*words), cwd=shop.directory, env=shop.environment(), stdout=-1, text=True
    ) as child:
        try:
            (shop.directory / "begun").read_text()
            child.send_signal(signal.SIGINT)
            out, _ = child.communicate(timeout=WAIT_S)
        finally:
            child.kill()

    assert child.returncode == 130
    assert sentence in json.loads(out)["sentence"]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_for_a_terminal_and_gone_at_the_end(shop: Shop, is_terminal: bool) -> None:
    with (shop.directory / f"{shop.module}.py").open("a") as file:
        file.write(LONG_PLAN)
    if not is_terminal:
        assert shop.type("run", "many").stderr == ""
        return
    said = on_a_terminal(shop, "run", "many")
    drawn = said.split("\r\033[K")

    assert any(line.startswith("many  [") and "/200  " in line for line in drawn)
    assert drawn[-1].startswith("done: 200 done of 200 planned")
    assert all(len(line) < 80 for line in drawn[:-1])


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_progress_is_not_for_a_terminal_that_is_plain(shop: Shop, env: dict[str, str]) -> None:
    with (shop.directory / f"{shop.module}.py").open("a") as file:
        file.write(LONG_PLAN)
    said = on_a_terminal(shop, "run", "many", **env)

    assert "\033" not in said
    assert said.startswith("done: 200 done of 200 planned")


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_what_an_effect_prints_stands_on_lines_of_its_own(
    shop: Shop, more: tuple[str, ...]
) -> None:
    loud = LONG_PLAN.replace("import select", "print('served', number); import select")
    with (shop.directory / f"{shop.module}.py").open("a") as file:
        file.write(loud)
    said = on_a_terminal(shop, "run", "many", *more)
    lines = said.replace("\r\033[K", "\n").splitlines()

    assert "many  [" in said
    assert {f"served {number}" for number in range(200)} <= set(lines)
