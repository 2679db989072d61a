"""The demonstration of the README: it shows what it says, checks itself, and leaves nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "daily_summary"
sys.path.insert(0, str(EXAMPLE))

import demo  # noqa: E402
from smtp_sink import Mailbox  # noqa: E402

BOUND_S = 120


def run(*words: str, place: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLE / "demo.py"), *words],
        cwd="/",
        env={**os.environ, "TMPDIR": str(place), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )


@pytest.mark.parametrize("seed", [1, 4])
def test_the_demo_sends_each_mail_once_though_its_run_is_killed(seed: int, tmp_path: Path) -> None:
    # What the surroundings say of another application must not lead it astray.
    done = run("--seed", str(seed), place=tmp_path, SEXTON_APP="other:app", SEXTON_STORE="x")

    assert (done.returncode, done.stderr) == (0, "")
    assert "59 mails arrived" in done.stdout
    first = "       no mail: 2026-01-01T07:30 is Complete, task 1; next 2026-01-02T07:30\n"
    second = "       no mail: 2026-01-02T07:30 is Complete, task 3; next 2026-01-03T07:30\n"
    assert (done.stdout.count(first), done.stdout.count(second)) == (3, 1)
    assert done.stdout.count("no mail:") == 4
    assert re.search(r"kill -9 \d+, when \d+ of 59 mails had gone out", done.stdout)
    assert mails_told_of(done.stdout) == 2 * 59
    assert "Everybody got one mail on each day" in done.stdout
    assert f"--seed {seed} aims" in done.stdout
    assert len(re.findall(r"  1  1\b", done.stdout)) == 59
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\033" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def mails_told_of(said: str) -> int:
    """The mails of all lines that tell of some, over both days."""
    told = re.findall(r"(\d+) mails? arrived|when (\d+) of 59 mails", said)
    return sum(int(arrived or before) for arrived, before in told)


def test_what_was_in_doubt_is_named_and_settled_by_the_mailbox(tmp_path: Path) -> None:
    done = run("--seed", "2", "--keep", place=tmp_path)

    [place] = tmp_path.iterdir()
    settled = re.findall(r"\$ sexton settle daily_summary (\d+) (done|retry)", done.stdout)
    assert done.returncode == 0, done.stdout
    assert f"Left behind: {place}" in done.stdout
    assert f"In doubt after the kill: {len(settled) or 'nobody'}" in done.stdout
    assert done.stdout.count("1 item of daily_summary settled as") == len(settled)
    assert len(re.findall(r"  1  1 [?!]", done.stdout)) == len(settled) <= 4
    assert len(Mailbox(place / "mailbox").files()) == 2 * 59


def test_a_demo_that_is_told_to_end_leaves_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, str(EXAMPLE / "demo.py")],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "sexton tick" in line:
                break
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        process.wait(BOUND_S)

    assert process.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


# --- its own check has teeth ---


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[demo.Stage]:
    """A stage on which everybody has got one mail on each day, and no run was needed for it."""
    with demo.stage(tmp_path) as made:
        for one in made.customers:
            for day in (demo.DAY_ONE, demo.DAY_TWO):
                deliver(made, one.email, f"{day:%Y-%m-%d}")
        yield made


def deliver(stage: demo.Stage, email: str, day: str) -> None:
    text = f"\r\nyou bought nothing from then to the day before {day}.\r\n"
    Mailbox.keep(stage.mailbox, "shop@example.com", [email], text.encode())


def test_one_mail_each_is_a_promise_kept(
    shown: demo.Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.verdict(shown) == 0
    assert "Kept" in capsys.readouterr().out


def test_a_second_mail_to_anybody_is_a_promise_broken(
    shown: demo.Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(shown, shown.customers[6].email, "2026-01-02")

    assert demo.verdict(shown) == 1
    assert "Astrid Gruber got 2 mails on 2 January." in capsys.readouterr().out


def test_a_forgotten_customer_is_a_promise_broken(
    shown: demo.Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    shown.mailbox.files()[0].unlink()

    assert demo.verdict(shown) == 1
    assert "Luís Gonçalves got 0 mails on 1 January." in capsys.readouterr().out


def test_a_command_that_fails_is_a_promise_broken(
    shown: demo.Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    shown.run("show", "999")

    assert demo.verdict(shown) == 1
    assert "sexton show 999 ended with 2" in capsys.readouterr().out
