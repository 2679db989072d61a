"""The main job, before your eyes: 59 mails a day, once each, whatever fires twice or is killed.

    python3 dev.py demo [--seed N] [--keep]

Real: the command that cron would start, the store, the mail server, SIGKILL. Not real: the store's
clock travels, since nobody wants to wait a day; and the mail server takes a pause at each mail, so
that a run has a middle to be killed in. What is shown is also checked; the exit code is 1 if
anybody got two mails or was forgotten.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

from customers import customers
from sexton.app.explain import Status, status
from sexton.core import instant
from sexton.store import create_store
from sexton.store.store import Store
from sexton.work.holder import decode_leader
from sexton.work.host import look
from smtp_sink import Mailbox, Sink

HERE = Path(__file__).resolve().parent
KIND = "daily_summary"
MAIL_PAUSE_S = 0.02
QUIET_S = 25 * MAIL_PAUSE_S  # so long without a mail, and none is on its way any more
KILL_AFTER_MAILS = (5, 40)
COMMAND_TIMEOUT_S = 50
END_TIMEOUT_S = 10
WIDTH = 79
# The moments at which it falls due: London keeps UTC in winter.
DAY_ONE = datetime(2026, 1, 1, 7, 30, tzinfo=UTC)
DAY_TWO = datetime(2026, 1, 2, 7, 30, tzinfo=UTC)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, help="aim at the same mail as another run did")
    parser.add_argument("--keep", action="store_true", help="leave the store and the mails behind")
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10_000)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.stdout.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr]
    begun_s = time.monotonic()
    with directory(chosen.keep) as place, stage(place) as shown:
        code = show(shown, seed)
    say(f"It took {time.monotonic() - begun_s:.0f} s. --seed {seed} aims at the same mail again.")
    return code


# --- the story ------------------------------------------------------------------------------------


def show(stage: Stage, seed: int) -> int:
    """Tell it all; 1 if a promise was broken."""
    opening(stage, seed)
    first_day(stage)
    second_day(stage, random.Random(seed))
    doubts = in_doubt(stage)
    why(stage)
    table(stage, doubts)
    return verdict(stage)


def opening(stage: Stage, seed: int) -> None:
    title("A daily summary for each of the 59 customers of a music shop")
    say(
        "Each line with a $ is the real command, in a process of its own. The mail server is real"
        f" as well: SMTP on 127.0.0.1, port {stage.sink.port}. It pauses for"
        f" {MAIL_PAUSE_S * 1000:.0f} ms"
        " at each mail, so that a run has a middle to be killed in; and the store's clock travels,"
        " so that nobody waits for a day. How many mails go out before the kill is chance;"
        f" --seed {seed} aims at the same mail again."
    )
    print()
    stage.at(datetime(2025, 12, 31, 12, 0, tzinfo=UTC))
    command(stage, "sync", note="once, on deploy")


def first_day(stage: Stage) -> None:
    title(f"{DAY_ONE:%A, %-d %B %Y}: three triggers, ten at once, and a person")
    for minute, note in ((30, "as cron starts it"), (31, "a minute later"), (32, "and again")):
        stage.at(DAY_ONE.replace(minute=minute))
        command(stage, "tick", note=note)
    crowd(stage, DAY_ONE)
    stage.at(DAY_ONE.replace(hour=9, minute=12))
    command(stage, "run", KIND, note="by hand, from a console")


def second_day(stage: Stage, chance: random.Random) -> None:
    title(f"{DAY_TWO:%A, %-d %B %Y}: killed in the middle")
    stage.at(DAY_TWO)
    killed(stage, chance)
    stage.at(DAY_TWO.replace(minute=31))
    command(stage, "tick", note="a minute later")
    crowd(stage, DAY_TWO)


def killed(stage: Stage, chance: random.Random) -> None:
    """Start a tick, and kill it some time after the server has taken some mails."""
    wanted, pause_s = chance.randint(*KILL_AFTER_MAILS), chance.random() * MAIL_PAUSE_S * 2
    before = stage.mailbox.kept
    bell = stage.mailbox.bell(before + wanted)
    prompt(stage, "tick", note="as cron starts it")
    with stage.start("tick") as tick:
        is_there = bell.wait(COMMAND_TIMEOUT_S)
        time.sleep(pause_s)
        tick.kill()
    if not is_there:
        raise TimeoutError(f"after {COMMAND_TIMEOUT_S} s the server had not got {wanted} mails")
    [task] = stage.store.tasks.newest(kind=KIND, status="Running")
    leader = decode_leader(task.leader)
    assert leader is not None
    await_end(leader.pid, leader.start)
    await_quiet(stage.mailbox)
    say(
        f"kill -9 {tick.pid}, when {stage.mailbox.kept - before} of 59 mails had gone out;"
        f" with the tick dies the process of its task, {leader.pid}.",
        indent=7,
    )


def crowd(stage: Stage, day: datetime) -> None:
    """Start ten ticks at the same time; nothing is left for them."""
    stage.at(day.replace(minute=33))
    prompt(stage, "tick", note="ten of them at once")
    before = stage.mailbox.kept
    ticks = [stage.start("tick") for _ in range(10)]
    for tick in ticks:
        stage.end(tick, ["tick"])
    say(arrived(stage.mailbox.kept - before, stage), indent=7)


def in_doubt(stage: Stage) -> dict[str, str]:
    """Show who is in doubt, look in the mailbox as a person would, and settle each of them.

    Returns the verdict for each key.
    """
    entries = stage.store.items.entries(KIND, in_doubt=True)
    title(f"In doubt after the kill: {len(entries) or 'nobody'}")
    if not entries:
        say("The kill fell between two mails: all that had begun was written down as done.")
        return {}
    say(
        "The killed run had noted that it begins these mails, and did not come to note that they"
        " were done. Sexton cannot know whether they went out. It does not risk a second mail, and"
        " forgets nobody: it parks them, names them, and a person looks. In this demonstration the"
        " mailbox tells; elsewhere it is the mail server's log."
    )
    print()
    stage.at(DAY_TWO.replace(hour=10, minute=5))
    mails = stage.mails()
    verdicts = {}
    for key in sorted((entry.key for entry in entries), key=int):
        has_arrived = mails[stage.email(key), DAY_TWO.date()] > 0
        verdicts[key] = "done" if has_arrived else "retry"
        note = "its mail is there" if has_arrived else "there is none: send it"
        command(stage, "settle", KIND, key, verdicts[key], note=note)
    stage.at(DAY_TWO.replace(hour=10, minute=6))
    command(stage, "tick", note="serves what was sent back")
    return verdicts


def why(stage: Stage) -> None:
    title("Why each call did something, or nothing")
    prompt(stage, "why", KIND)
    said = stage.run("why", KIND)
    for line in said.splitlines():
        say(line, indent=7)
    if again := re.search(r"\bagain:\d+", said):
        print()
        say(
            f"{again[0]} names the run of what was sent back by settle … retry: it has a period of"
            " its own, since that of the day was Complete already, and stays so."
        )


def table(stage: Stage, doubts: dict[str, str]) -> None:
    title("Mails for each customer, on the first day and on the second")
    mails = stage.mails()
    signs = {"done": "?", "retry": "!"}
    cells = [
        f"{one.id:>2}  {one.name:<23.23} {mails[one.email, DAY_ONE.date()]:>2}"
        f" {mails[one.email, DAY_TWO.date()]:>2} {signs.get(doubts.get(str(one.id), ''), ' ')}"
        for one in stage.customers
    ]
    half = (len(cells) + 1) // 2
    head = f"id  {'customer':<19} {DAY_ONE:%b} {DAY_ONE.day:>2} {DAY_TWO.day:>2}"
    print(f"{head:<40} {head}")
    for left, right in zip(cells[:half], [*cells[half:], ""], strict=False):
        print(f"{left:<40} {right}".rstrip())
    if doubts:
        print()
        print("?  was in doubt after the kill: the mail had arrived")
        print("!  was in doubt after the kill: the mail had not arrived, and was sent later")


def verdict(stage: Stage) -> int:
    """Hold the mailbox against the promise; 1 if it was broken."""
    mails = stage.mails()
    broken = [
        f"{one.name} got {count} mails on {day:%-d %B}."
        for one in stage.customers
        for day in (DAY_ONE, DAY_TWO)
        if (count := mails[one.email, day.date()]) != 1
    ]
    broken += stage.failed + stage.store.upkeep.check()
    title("Broken" if broken else "Kept")
    for line in broken or ["Everybody got one mail on each day: nobody two, and nobody none."]:
        say(line)
    return 1 if broken else 0


def command(stage: Stage, *words: str, note: str) -> None:
    """Show and run one command: what it said, and how many mails it sent."""
    prompt(stage, *words, note=note)
    before, begun_s = stage.mailbox.kept, time.monotonic()
    said = stage.run(*words)
    took_s = time.monotonic() - begun_s
    for line in said.splitlines():
        say(line, indent=7)
    if words[0] == "tick":
        count = stage.mailbox.kept - before
        say(arrived(count, stage) + (f" in {took_s:.1f} s" if count else ""), indent=7)


def arrived(count: int, stage: Stage) -> str:
    """How many mails came; where there was none, why not, as the store has it."""
    if count == 0:
        return f"no mail: {standing(status(stage.store, KIND))}"
    return "1 mail arrived" if count == 1 else f"{count} mails arrived"


def standing(at: Status) -> str:
    """Where a kind stands, in a few words."""
    if at.running:
        return f"task {at.running[0].id} runs"
    before = f"{at.last.period} is {at.last.status}, task {at.last.id}; " if at.last else ""
    return f"{before}next {at.next_period}"


# --- the stage ------------------------------------------------------------------------------------


class SlowMailbox(Mailbox):
    """Keeps mails as the sink's own does, with half of a pause before and half after.

    So a kill falls now before a mail is on the disk, now after it.
    """

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.kept = 0
        self._bells: list[tuple[int, threading.Event]] = []

    def bell(self, count: int) -> threading.Event:
        """What is set as soon as so many mails are kept."""
        event = threading.Event()
        self._bells.append((count, event))
        return event

    def keep(self, sender: str, recipients: Iterable[str], content: bytes) -> Path:
        time.sleep(MAIL_PAUSE_S / 2)
        file = super().keep(sender, recipients, content)
        self.kept += 1
        for count, event in self._bells:
            if self.kept >= count:
                event.set()
        time.sleep(MAIL_PAUSE_S / 2)
        return file


class Stage:
    """A store and a mail server of this run's own, and the commands that use them."""

    def __init__(self, store: Store, sink: Sink, mailbox: SlowMailbox) -> None:
        self.store = store
        self.sink = sink
        self.mailbox = mailbox
        self.customers = list(customers())
        self.failed: list[str] = []
        self.clock = ""

    def at(self, moment: datetime) -> None:
        """Set the store's clock; it runs on from there, for every process that asks it."""
        ahead_us = instant.from_datetime(moment) - time.time_ns() // 1000
        self.store.db.set_clock(f"offset:{ahead_us}")
        self.clock = f"{moment:%H:%M}"

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start the command, as cron would from its line."""
        ours = {"SEXTON_STORE": self.store.url, "SMTP_HOST": "127.0.0.1"}
        ours["SMTP_PORT"] = str(self.sink.port)
        theirs = {k: v for k, v in os.environ.items() if not k.startswith("SEXTON_")}
        return subprocess.Popen(
            [sys.executable, "-m", "sexton", *words],
            cwd=HERE,
            env=theirs | ours | {"PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    def run(self, *words: str) -> str:
        """Run the command to its end, and return what it said; a failure is remembered."""
        return self.end(self.start(*words), words)

    def end(self, process: subprocess.Popen[str], words: Iterable[str]) -> str:
        try:
            said, _ = process.communicate(timeout=COMMAND_TIMEOUT_S)
        finally:
            process.kill()
        if process.returncode:
            self.failed.append(f"sexton {' '.join(words)} ended with {process.returncode}: {said}")
        return said.strip()

    def mails(self) -> Counter[tuple[str, date]]:
        """How many mails there are for each address and day, as the mails themselves say it."""
        return Counter(
            (str(mail["Delivered-To"]), day_in(mail.get_content())) for mail in self.mailbox.mails()
        )

    def email(self, key: str) -> str:
        return next(one.email for one in self.customers if str(one.id) == key)


def day_in(text: str) -> date:
    """The day that a summary is for."""
    return date.fromisoformat(text.split("to the day before ")[1][:10])


@contextmanager
def stage(place: Path) -> Iterator[Stage]:
    mailbox = SlowMailbox(place / "mailbox")
    store = create_store(f"sqlite:///{place / 'sexton.db'}")
    with Sink(mailbox) as sink:
        yield Stage(store, sink, mailbox)
    store.close()


@contextmanager
def directory(is_kept: bool) -> Iterator[Path]:
    """A directory of this run's own; removed afterwards, or named if it is kept."""
    place = Path(tempfile.mkdtemp(prefix="sexton-demo-"))
    try:
        yield place
    finally:
        if is_kept:
            print(f"Left behind: {place}")
        else:
            shutil.rmtree(place)


def await_end(pid: int, start: int) -> None:
    """Wait until a process has ended; raises TimeoutError if it does not."""
    deadline_s = time.monotonic() + END_TIMEOUT_S
    while (seen := look(pid)) and seen.start == start and not seen.is_dead:
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"process {pid} outlived the tick that had started it")
        time.sleep(0.01)


def await_quiet(mailbox: SlowMailbox) -> None:
    """Wait until no mail comes any more: what a dead process had sent, the server still takes."""
    seen, since_s = mailbox.kept, time.monotonic()
    while time.monotonic() - since_s < QUIET_S:
        time.sleep(MAIL_PAUSE_S)
        if mailbox.kept != seen:
            seen, since_s = mailbox.kept, time.monotonic()


# --- what is printed ------------------------------------------------------------------------------


def title(text: str) -> None:
    is_bold = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print(f"\n\033[1m{text}\033[0m" if is_bold else f"\n{text}")
    print("─" * len(text))


def say(text: str = "", indent: int = 0) -> None:
    """Print a paragraph, wrapped; what does not fit goes on a little further in."""
    margin = " " * indent
    wrapped = textwrap.wrap(
        text, WIDTH, initial_indent=margin, subsequent_indent=margin + "  " * bool(indent)
    )
    print("\n".join(wrapped) or margin.rstrip())


def prompt(stage: Stage, *words: str, note: str = "") -> None:
    line = f"{stage.clock}  $ sexton {' '.join(words)}"
    print(f"{line:<47} # {note}" if note else line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
