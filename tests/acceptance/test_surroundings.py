"""The same promises where a process finds itself: forked, optimised, in threads, in Turkey."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.app.shop import Shop, finish

LETTERS = """
@app.plan(schedule="30 7 * * *", retry="30m x 3")
def letters() -> Iterator[str]:
    yield from ("İstanbul", "ıspanak", "Straße", "I", "i")

@letters.each(key=str, width=2)
def send(city: str, item: Item) -> None:
    did(city)
"""
ONCE = Counter(dict.fromkeys(("İstanbul", "ıspanak", "Straße", "I", "i"), 1))


@pytest.fixture
def due(shop: Shop) -> Shop:
    shop.declare(LETTERS)
    shop.travel(hours=7, minutes=30)
    return shop


# --- processes and threads ---


def test_children_of_a_fork_call_with_connections_of_their_own(due: Shop) -> None:
    said = due.python(
        """
        import os, sys
        from tasks import app, letters
        app.store.kinds.all()  # the parent has the store open before it forks
        children = []
        for _ in range(6):
            sys.stdout.flush()
            if (pid := os.fork()) == 0:
                os.write(1, f"{letters().code}\\n".encode())
                os._exit(0)
            children.append(pid)
        ends = [os.waitpid(pid, 0)[1] for pid in children]
        print(letters().code, *ends)
        """
    )

    codes = Counter(said.split())
    assert due.effects() == ONCE
    assert (codes["done"], codes["0"]) == (1, 6)
    assert codes["complete"] + codes["running"] == 6


def test_a_pool_of_threads_in_one_process_sends_one_each(due: Shop) -> None:
    said = due.python(
        """
        from concurrent.futures import ThreadPoolExecutor
        from tasks import letters
        with ThreadPoolExecutor(16) as pool:
            outcomes = list(pool.map(lambda _: letters(), range(16)))
        print(*sorted(outcome.code for outcome in outcomes))
        """
    )

    assert due.effects() == ONCE
    assert said.split().count("done") == 1


def test_a_process_that_is_killed_in_a_direct_call_is_taken_over_at_once(shop: Shop) -> None:
    shop.declare(
        """
        @app.task(schedule="@daily")
        def nightly() -> None:
            did("began")
            if not (HERE / "there").exists():
                (HERE / "there").write_text("yes\\n")
                time.sleep(1000)
        """
    )
    shop.travel(days=1)
    first = shop.start("run", "nightly")
    shop.await_file("there")
    first.kill()
    finish(first)
    second = shop.sexton("run", "nightly")

    assert second.stdout.startswith("done: ")
    assert shop.ends("nightly") == ["Aborted/lost", "Complete"]
    assert shop.effects() == {"began": 2}


# --- how Python is started ---


@pytest.mark.parametrize("flag", ["-O", "-OO"])
def test_without_assertions_all_is_the_same(due: Shop, flag: str) -> None:
    level = {"PYTHONOPTIMIZE": str(len(flag) - 1)}
    ticks = [due.start("tick", env=level, python=[flag]) for _ in range(4)]
    ends = [finish(tick).returncode for tick in ticks]
    again = due.sexton("run", "letters", env=level, python=[flag])

    assert ends == [0] * 4
    assert again.stdout.startswith("skipped: period 2026-01-01T07:30 completed")
    assert due.effects() == ONCE


def test_warnings_as_errors_change_nothing(due: Shop) -> None:
    done = due.sexton("tick", env={"PYTHONWARNINGS": "error"}, python=["-X", "dev"])

    assert (done.returncode, done.stderr) == (0, "")
    assert due.effects() == ONCE


# --- where it stands ---


# Put in force by the application in each of its processes; raises where there is no such locale.
IN_FORCE = """
import locale
taken = locale.setlocale(locale.LC_ALL, "")
monday = time.strftime("%A", (2026, 1, 5, 0, 0, 0, 0, 5, 0))
with open(HERE / "languages", "a", encoding="utf-8") as file:
    print(taken, monday, locale.localeconv()["decimal_point"], file=file)
"""


@pytest.fixture(scope="module")
def turkish(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A Turkish locale, compiled for these tests alone, and the environment that chooses it."""
    place = tmp_path_factory.mktemp("locale")
    line = ["localedef", "-i", "tr_TR", "-f", "UTF-8", str(place / "tr_TR.UTF-8")]
    subprocess.run(line, check=True, capture_output=True)
    return {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "LOCPATH": str(place)}


@pytest.mark.needs("localedef", "locale-gen")  # the latter comes with the locales' sources
def test_in_a_turkish_locale_all_is_the_same(shop: Shop, turkish: dict[str, str]) -> None:
    shop.write(IN_FORCE + LETTERS)
    synced = shop.sexton("sync", env=turkish)
    shop.travel(hours=7, minutes=30)
    done = shop.sexton("tick", env=turkish)
    again = shop.sexton("run", "letters", env=turkish)
    refused = shop.sexton("run", "LETTERS", env=turkish)

    assert (synced.returncode, done.returncode) == (0, 0), synced.stderr + done.stderr
    assert again.stdout.startswith("skipped: period 2026-01-01T07:30 completed")
    assert refused.returncode == 2
    assert shop.effects() == ONCE
    assert set(shop.store.items.statuses("letters", "2026-01-01T07:30")) == set(ONCE)
    languages = Counter(shop.file("languages").read_text(encoding="utf-8").splitlines())
    assert set(languages) == {"tr_TR.UTF-8 Pazartesi ,"}
    assert languages.total() >= 4  # of the sync, of the tick's task, and of either call


def test_a_terminal_that_knows_only_ascii_breaks_nothing(shop: Shop) -> None:
    shop.declare(
        """
        @app.task
        def greet() -> None:
            '''Grüß Gott — 30 × am Tag.'''
            raise ValueError("Grüß Gott — ×")
        """
    )
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    shop.sexton("enqueue", "greet", env=ascii_only)
    done = shop.sexton("tick", env=ascii_only)
    why = shop.sexton("why", "greet", env=ascii_only)

    assert done.returncode == 1
    assert why.returncode == 0, why.stderr
    assert shop.store.tasks.newest(kind="greet")[0].outcome == "ValueError: Grüß Gott — ×"
    assert "Traceback" not in done.stderr + why.stderr


def test_an_almost_empty_environment_is_enough(due: Shop) -> None:
    done = subprocess.run(
        due.start_line("tick"),
        cwd=due.directory,
        env={},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert due.effects() == ONCE


def test_closed_standard_streams_change_nothing(due: Shop) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "closed", *due.start_line("tick")],
        cwd=due.directory,
        env=due.environment(),
        check=False,
    )

    assert done.returncode == 0
    assert due.effects() == ONCE


def test_another_directory_finds_the_same_store_by_its_name(due: Shop, tmp_path: Path) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    named = {"SEXTON_SETTINGS": str(due.file("sexton.toml"))}
    for _ in range(2):
        done = subprocess.run(
            due.start_line("tick"),
            cwd=elsewhere,
            env=due.environment(**named),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    assert due.effects() == ONCE
    assert os.listdir(elsewhere) == []
