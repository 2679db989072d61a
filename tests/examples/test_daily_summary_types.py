"""What a type checker says of the example, and of a payload that does not fit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "daily_summary"

HEAD = """
from collections.abc import Iterator
from datetime import timedelta
from sexton import Item, Outcome, Sexton

app = Sexton()

class User:
    id: int
    email: str

@app.task
def resize(image: str, width: int = 800) -> float: return 1.0

@app.plan(schedule="30 7 * * *")
def daily() -> Iterator[User]: yield User()

@daily.each(key="id", cap="1/day per email")
def send(user: User, item: Item) -> None: ...

@app.plan(min_gap="1h")
def weekly(since: int) -> list[User]: return []

@weekly.each(key=lambda user: user.id)
def send_weekly(user: User) -> int: return user.id

backup = app.command("backup", argv=["pg_dump", "app"], schedule="0 3 * * *", timeout="1h")
"""

GOOD = """
outcome: Outcome[float] = resize("a.png", width=3)
value: float | None = outcome.value
resize.enqueue(image="a.png")
resize.using(priority=3, start_before=timedelta(hours=1)).enqueue("a.png", 7)
resize.force("lost", "a.png")
nothing: Outcome[None] = daily()
keys: list[str] = weekly.plan(since=7).keys
send(User(), Item.fake())
number: int = send_weekly(User())
done: Outcome[None] = backup()
count: int | None = app.kv.get("count", int)
total: int = app.kv.update("count", lambda old: old + 1, int, 0)
"""

BAD = {
    "another type": ("resize(image=7)", "arg-type"),
    "a missing field": ("resize.enqueue()", "call-arg"),
    "an unknown field": ('resize.enqueue(image="a", colour="red")', "call-arg"),
    "an option as a field": ('resize.enqueue(image="a", priority=3)', "call-arg"),
    "another type with conditions": ('resize.using(priority=3).enqueue("a", "b")', "arg-type"),
    "another type of a condition": ('resize.using(priority="high")', "arg-type"),
    "a forced call without a reason": ("daily.force()", "call-arg"),
    "a plan's payload": ('weekly(since="today")', "arg-type"),
    "a preview's payload": ("weekly.plan()", "call-arg"),
    "the value of a call": ('text: str | None = resize("a").value', "assignment"),
    "an unknown option": ('app.task(shedule="@daily")', "call"),
    "an effect of another thing": (
        '@daily.each(key="id")\ndef other(user: str) -> None: ...',
        "arg-type",
    ),
    "an effect of too many things": (
        '@daily.each(key="id")\ndef third(user: User, item: Item, more: int) -> None: ...',
        "arg-type",
    ),
}


def mypy(*words: str, cwd: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    flags = ["--strict", "--cache-dir", str(cache)]
    path = os.pathsep.join([str(ROOT), str(EXAMPLE)])
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", *flags, *words],
        cwd=cwd,
        env={**os.environ, "MYPYPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


def test_the_example_passes_a_strict_type_checker(cache: Path) -> None:
    done = mypy("tasks.py", "demo.py", cwd=EXAMPLE, cache=cache)

    assert done.returncode == 0, done.stdout


def test_calls_that_fit_pass_and_those_that_do_not_are_type_errors(
    tmp_path: Path, cache: Path
) -> None:
    (tmp_path / "good.py").write_text(HEAD + GOOD)
    begins = {}
    text = HEAD
    for name, (line, _) in BAD.items():
        begins[name] = text.count("\n") + 1
        text += line + "\n"
    (tmp_path / "bad.py").write_text(text)
    good = mypy("good.py", cwd=tmp_path, cache=cache)
    bad = mypy("bad.py", cwd=tmp_path, cache=cache)

    assert good.returncode == 0, good.stdout
    errors = [line for line in bad.stdout.splitlines() if ": error: " in line]
    unseen = {
        name: BAD[name][1]
        for name, begin in begins.items()
        if not any(
            line.startswith(tuple(f"bad.py:{at}:" for at in (begin, begin + 1)))
            and f"[{BAD[name][1]}" in line
            for line in errors
        )
    }
    assert unseen == {}, bad.stdout
    assert all(int(line.split(":")[1]) > HEAD.count("\n") for line in errors), bad.stdout
