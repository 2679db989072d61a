"""Debian's own cron daemon starts the tick, on the real minute, and 59 mails arrive."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

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


@pytest.fixture
def crontab() -> Iterator[Path]:
    """A file in cron's own directory, gone afterwards; and a daemon that reads it."""
    if os.geteuid() != 0:
        pytest.skip("only root may write a line for cron")
    file = CRON_D / f"sexton-test-{os.getpid()}"
    daemon = None
    if not is_cron_running():
        cron = shutil.which("cron", path=DAEMON_PATH)
        assert cron is not None
        daemon = subprocess.Popen([cron, "-f"], stdin=subprocess.DEVNULL)
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)
        if daemon:
            daemon.terminate()
            daemon.wait()


def is_cron_running() -> bool:
    try:
        pid = int(Path("/run/crond.pid").read_text())
        return Path(f"/proc/{pid}/comm").read_text().strip() == "cron"
    except (OSError, ValueError):
        return False


def quoted(words: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in words.items())


@pytest.mark.needs("cron")
def test_a_line_in_a_crontab_sends_59_mails_on_the_minute_and_no_more(
    shop: Shop, sink: Sink, crontab: Path
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
    line = f"* * * * * root cd {EXAMPLE} && {sys.executable} -m sexton tick >>{said} 2>&1\n"
    crontab.write_text(quoted(ours) + line)
    crontab.chmod(0o644)

    deadline_s = time.monotonic() + MINUTES_S
    while not shop.store.tasks.newest(kind="daily_summary", status="Complete"):
        assert time.monotonic() < deadline_s, said.read_text() if said.exists() else "no tick came"
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
