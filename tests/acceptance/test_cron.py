"""Debian's own cron daemon starts the tick, on the real minute, and 59 mails arrive."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import pytest

from sexton.core import instant
from tests.app.shop import Shop

EXAMPLE = Path(__file__).parents[2] / "examples" / "daily_summary"
sys.path.insert(0, str(EXAMPLE))

from smtp_sink import Mailbox, Sink  # noqa: E402

CRON_D = Path("/etc/cron.d")
DAEMON_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
# One minute until its line is due, one more where cron reads its table only at the next, and room.
MINUTES_S = 170


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    with Sink(Mailbox(tmp_path / "mailbox")) as running:
        yield running


class Cron:
    """A line in cron's own directory, and a daemon that reads it; gone when the block ends.

    A daemon is started wherever none holds cron's lock, also later: the one that was there at
    first may belong to another run of these tests, and end with it.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.witness = file.with_name("cron-came")
        self.table = CRON_D / f"sexton-test-{os.getpid()}"
        self.errors = file.open("w+")
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.keep()
        return self

    def __exit__(self, *_: object) -> None:
        self.table.unlink(missing_ok=True)
        if self._daemon:
            self._daemon.terminate()
            self._daemon.wait()
        self.errors.close()

    def write(self, text: str) -> None:
        """Write the table, with a line of our own that tells whether cron reads it."""
        self.table.write_text(f"{text}* * * * * root date >>{self.witness}\n")
        self.table.chmod(0o644)

    def keep(self) -> None:
        if (self._daemon and self._daemon.poll() is None) or is_cron_running():
            return
        cron = shutil.which("cron", path=DAEMON_PATH)
        assert cron is not None
        self._daemon = subprocess.Popen(
            [cron, "-f"], stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors
        )

    def story(self) -> str:
        """What is known of why a tick did not come."""
        self.errors.seek(0)
        came = self.witness.read_text().splitlines() if self.witness.exists() else []
        return (
            f"cron ran our other line {len(came)} times; its lock is "
            f"{'held' if is_cron_running() else 'free'}, our daemon ended with "
            f"{self._daemon and self._daemon.poll()}; it said: {self.errors.read() or 'nothing'}"
        )


@pytest.fixture
def crontab(tmp_path: Path) -> Iterator[Cron]:
    if os.geteuid() != 0:
        pytest.skip("only root may write a line for cron")
    with Cron(tmp_path / "cron-said") as running:
        yield running


def is_cron_running() -> bool:
    """Whether a cron of this root lives, told by its lock as cron itself tells it.

    The pid in the file may be stale, or in a chroot that of another root's cron.
    """
    try:
        with Path("/run/crond.pid").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def quoted(words: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in words.items())


@pytest.mark.needs("cron")
def test_a_line_in_a_crontab_sends_59_mails_on_the_minute_and_no_more(
    shop: Shop, sink: Sink, crontab: Cron
) -> None:
    # It is 07:30 in London, by the store's clock, at the next minute that leaves time to prepare.
    next_minute_us = (time.time_ns() // 60_000_000_000 + 1) * 60_000_000
    if next_minute_us - time.time_ns() // 1000 < 10_000_000:
        next_minute_us += 60_000_000
    due_us = instant.from_datetime(datetime(2026, 1, 1, 7, 30, tzinfo=UTC))
    shop.store.db.set_clock(f"offset:{due_us - next_minute_us}")
    ours = {"SEXTON_STORE": shop.url, "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(sink.port)}
    synced = subprocess.run(
        shop.start_line("sync"),
        cwd=EXAMPLE,
        env=shop.environment(**ours),
        capture_output=True,
        text=True,
        check=False,
    )
    assert synced.returncode == 0, synced.stderr
    said = shop.file("said")
    place, python = shlex.quote(str(EXAMPLE)), shlex.quote(sys.executable)
    line = f"* * * * * root cd {place} && {python} -m sexton tick >>{said} 2>&1\n"
    crontab.write(quoted(ours) + line)

    deadline_s = time.monotonic() + MINUTES_S
    while not shop.store.tasks.newest(kind="daily_summary", status="Complete"):
        told = f"the tick said: {said.read_text()!r}" if said.exists() else "no tick came"
        assert time.monotonic() < deadline_s, f"{told}; {crontab.story()}"
        crontab.keep()
        shop.pause()
    for _ in range(3):
        subprocess.run(
            shop.start_line("tick"), cwd=EXAMPLE, env=shop.environment(**ours), check=True
        )

    counts = sink.mailbox.count()
    assert Counter(counts.values()) == {1: 59}
    assert said.read_text() == ""
    [task] = shop.store.tasks.newest(kind="daily_summary")
    assert (task.period, task.asked_by) == ("2026-01-01T07:30", "schedule")
    assert task.started_at is not None
    assert task.started_at - due_us < 60_000_000
