"""What doctor looks at: each look is a function that answers with findings.

Those about the machine read files and /proc and change nothing; those about the store ask it what
any tick would ask.
"""

from __future__ import annotations

import ctypes
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from typing import Literal, NamedTuple

from sexton.app.place import Place
from sexton.app.ticker import home
from sexton.cli.say import count
from sexton.core.instant import DAY_US, MINUTE_US, Instant, ago, iso
from sexton.core.notice import NOTIFY
from sexton.core.schedule import findings
from sexton.core.task import ABORTED, PENDING, RUNNING
from sexton.store.idle import CLOCK_STEP_US, has_changed
from sexton.store.store import NETWORK_FILE_SYSTEMS, Store, file_system_of
from sexton.work import host
from sexton.work.ended import words_of

Level = Literal["ok", "warn", "bad"]

CRON_NAMES = {"anacron", "cron", "crond", "cronie", "dcron", "fcron", "supercronic"}
TICK_LATE_US = 3 * MINUTE_US
SPACE_BAD_BYTES = 10 << 20
SPACE_LOW_BYTES = 200 << 20
WAL_LARGE_BYTES = 64 << 20
EARLIEST_US = 1_735_689_600_000_000  # 2025-01-01: no machine that runs this is older
NAMED_MAX = 5
IMPORT_TIMEOUT_S = 120
IMPORT_HINT = "Mend it, then: sexton sync. Until then its kinds stay as they were registered."
_TIME_ERROR = 5  # adjtimex(2): the kernel's clock is not synchronised


class Finding(NamedTuple):
    """What one look found: `about` what, in words, and what to do about it ('' = nothing)."""

    level: Level
    about: str
    text: str
    hint: str = ""


# --- the machine --------------------------------------------------------------------------------


def disk(path: str) -> Iterator[Finding]:
    """Whether the store can be written, has room, and lies where SQLite can lock.

    Also where there is no store yet; without its directory there is no disk to look at.
    """
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        return
    kind = file_system_of(os.path.realpath(path), "/proc/self/mounts")
    if kind in NETWORK_FILE_SYSTEMS:
        text = f"the store lies on a network file system ({kind})"
        yield Finding("bad", "disk", text, "Put it on a local disk: SQLite cannot lock there.")
    yield from _unwritable(path, directory)
    yield _space(directory)
    if os.path.exists(path):
        yield from _strangers(path, directory)


def _unwritable(path: str, directory: str) -> Iterator[Finding]:
    files = [file for file in (path, directory) if os.path.exists(file)]
    if os.statvfs(directory).f_flag & os.ST_RDONLY:
        text = f"the file system of {directory} is mounted read-only"
        yield Finding("bad", "disk", text, "Mount it for writing; dmesg says what happened to it.")
    elif not all(os.access(file, os.W_OK) for file in files):
        text = f"{path} or its directory cannot be written by this user"
        yield Finding("bad", "disk", text, "Run as the user whom they belong to.")


def _space(directory: str) -> Finding:
    found = os.statvfs(directory)
    left_bytes = found.f_bavail * found.f_frsize
    left = f"{left_bytes >> 20} MiB are left in {directory}"
    if left_bytes < SPACE_BAD_BYTES:
        return Finding("bad", "disk", left, "Free some space: nothing begins on a full disk.")
    if left_bytes < SPACE_LOW_BYTES:
        return Finding("warn", "disk", left, "Free some space; see also sexton prune.")
    return Finding("ok", "disk", left)


def _strangers(path: str, directory: str) -> Iterator[Finding]:
    """Others who may write the store can make its tasks do what they like."""
    modes = [os.stat(path).st_mode, os.stat(directory).st_mode]
    if any(mode & stat.S_IWOTH and not mode & stat.S_ISVTX for mode in modes):
        text = f"everybody on this machine may write {path} or its directory"
        yield Finding("bad", "disk", text, f"chmod o-w {path} {directory}")
    if os.geteuid() == 0 and os.stat(path).st_uid != 0:
        text = "root opens a store that another user may write"
        yield Finding("warn", "disk", text, "Let that user run the tick, not root.")


def leftovers(path: str) -> Iterator[Finding]:
    """A write-ahead log that does not shrink, a backup that was cut off."""
    try:
        wal_bytes = os.path.getsize(f"{path}-wal")
    except OSError:
        wal_bytes = 0
    if wal_bytes > WAL_LARGE_BYTES:
        text = f"the write-ahead log has {wal_bytes >> 20} MiB"
        hint = "A program holds a read transaction open for long: look for it with fuser."
        yield Finding("warn", "store", text, hint)
    if os.path.exists(f"{path}-journal"):
        text = f"{path}-journal lies beside the store, which uses a write-ahead log"
        yield Finding("warn", "store", text, "Another program has opened the store: keep it away.")


def clock(now: Instant, last_tick: Instant | None, is_travelled: bool) -> Finding:
    """Whether the clock can be right."""
    if is_travelled:
        text = f"the clock of this store was set by a test: it says {iso(now)}"
        return Finding("bad", "clock", text, "Use another store for real work.")
    if last_tick is not None and last_tick > now + CLOCK_STEP_US:
        text = f"the last tick came at {iso(last_tick)}, which is later than now, {iso(now)}"
        return Finding("bad", "clock", text, "Set the clock; the next tick mends the schedules.")
    if now < EARLIEST_US:
        return Finding("bad", "clock", f"it is said to be {iso(now)}", "Set the clock.")
    if _is_unsynchronised():
        text = "the kernel says that its clock is not synchronised"
        return Finding("warn", "clock", text, "Run chrony, or systemd-timesyncd.")
    return Finding("ok", "clock", f"it is {iso(now)}")


def _is_unsynchronised() -> bool:
    """Ask the kernel, changing nothing. Source: adjtimex(2); 512 bytes hold any `struct timex`."""
    try:
        return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))) == _TIME_ERROR
    except AttributeError:
        return False


def ticks(last: tuple[Instant, str] | None, now: Instant, cron: str) -> Iterator[Finding]:
    """Whether somebody starts the tick."""
    is_late = last is None or last[0] + TICK_LATE_US < now
    if last is None:
        text = "no tick ever came"
    else:
        text = f"the last tick came {ago(last[0], now)}, on {last[1]}"
    hint = "Let cron or systemd start it: sexton install cron, sexton install systemd."
    yield Finding("bad", "tick", text, hint) if is_late else Finding("ok", "tick", text)
    if cron:
        yield Finding("ok", "cron", f"{cron} runs")
    elif is_late:
        yield Finding("warn", "cron", "no cron daemon runs here", "Start it, or use a timer.")


def running_cron() -> str:
    """The name of a cron daemon that runs and can be seen from here, or ''."""
    for pid in host.everyone():
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                name = file.read().strip()
        except OSError:
            continue
        if name in CRON_NAMES:
            return name
    return ""


# --- what the store knows -----------------------------------------------------------------------


def application(store: Store, place: Place) -> Iterator[Finding]:
    """Whether it can be imported, and what is registered is what its files say now."""
    sources, place = store.meta.get("sources"), home(store, place)
    if not place.app:
        yield Finding("ok", "application", "none is named: only sexton once uses this store")
    elif broken := _broken(place):
        # Who has written none yet, and works with `sexton once`, has nothing to mend.
        is_unwritten = not sources and broken[0].startswith("there is no module ")
        yield Finding("warn" if is_unwritten else "bad", "application", *broken)
    elif not sources:
        yield Finding("warn", "application", "it was never registered", "Run: sexton sync")
    elif has_changed(sources):
        text = "source files have changed since it was registered"
        yield Finding("warn", "application", text, "Run: sexton sync; the next tick does it too.")
    else:
        yield Finding("ok", "application", f"registered from {len(sources.splitlines())} files")


def _broken(place: Place) -> tuple[str, str] | None:
    """What is wrong with the application and what to do about it, None if it can be read.

    Read in a process of its own, as a tick does, by a command that changes nothing.
    """
    environ = {**os.environ, "SEXTON_STORE": place.store, "SEXTON_APP": place.app}
    if place.settings_path:
        environ["SEXTON_SETTINGS"] = place.settings_path
    try:
        done = subprocess.run(
            [sys.executable, "-m", "sexton", "lint", "--json"],
            cwd=place.directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=IMPORT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error), IMPORT_HINT
    if done.returncode == 0:
        return None if done.stdout else ("its import ended the process", IMPORT_HINT)
    # Before our own words may stand what the application wrote.
    told = f"\n{done.stderr.decode('utf-8', 'backslashreplace')}".rpartition("\nsexton: ")[2]
    text, _, hint = told.strip().partition("\n")
    ended = f"its import ended the process: {words_of(done.returncode)}"
    return (text, hint.strip() or IMPORT_HINT) if text else (ended, IMPORT_HINT)


def kinds(store: Store, now: Instant) -> Iterator[Finding]:
    """Schedules that summer time meets, kinds that are gone, items in doubt."""
    for known in store.kinds.all():
        name = known.kind.name
        if known.gone_at is not None:
            yield from _gone(store, name)
        elif known.kind.has_schedule:
            met = [it for it in findings(known.schedule, now) if it.code in {"gap", "ended"}]
            if met:
                yield Finding("warn", name, met[0].text, "All of it: sexton lint")
        doubtful = store.items.entries(name, in_doubt=True)
        if doubtful:
            keys = ", ".join(entry.key for entry in doubtful[:NAMED_MAX])
            more = ", …" if len(doubtful) > NAMED_MAX else ""
            text = f"{count(len(doubtful), 'item is', 'items are')} in doubt: {keys}{more}"
            # A key that looks like an option is one to argparse, unless `--` stands before it.
            key = "-- KEY" if any(entry.key.startswith("-") for entry in doubtful) else "KEY"
            yield Finding("warn", name, text, f"sexton settle {name} {key} done|failed|retry")


def _gone(store: Store, name: str) -> Iterator[Finding]:
    waiting = store.tasks.newest(kind=name, status=PENDING)
    if waiting:
        text = f"it is no longer declared, and {count(len(waiting), 'task')} of it wait for ever"
        yield Finding("warn", name, text, f"Declare it again, or: sexton abort {waiting[0].id}")


def stuck(store: Store, now: Instant) -> Iterator[Finding]:
    """Tasks that nobody renews, or that wait though they are long due."""
    for task in store.tasks.newest(status=RUNNING, limit=1000):
        if task.lease_at is not None and task.lease_at < now:
            text = f"task {task.id} runs on {task.host}, which has not renewed its lease"
            yield Finding("warn", task.kind, text, "The next tick settles it: is there one?")
    late = [
        task
        for task in store.tasks.newest(status=PENDING, limit=1000)
        if task.due_at < now - DAY_US and task.kind != NOTIFY.name
    ]
    if late:
        named = count(len(late), "task is", "tasks are")
        text = f"{named} due for over a day, the newest is task {late[0].id}"
        yield Finding("warn", "tasks", text, f"Ask why: sexton why {late[0].kind}")


def notices(store: Store, place: Place) -> Iterator[Finding]:
    """Whether alerts reach anybody."""
    targets = place.settings.notify.targets
    if not targets:
        text = "nobody hears of alerts but who looks at `sexton tasks`"
        yield Finding("warn", "notify", text, "Set [notify] in sexton.toml, then: sexton sync")
        return
    if not store.meta.get("notify"):
        text = "the settings name who hears of alerts, and the store does not know yet"
        yield Finding("warn", "notify", text, "Run: sexton sync")
    failed = store.tasks.newest(kind=NOTIFY.name, status=ABORTED, limit=1)
    complete = store.tasks.newest(kind=NOTIFY.name, status="Complete", limit=1)
    if failed and (not complete or complete[0].id < failed[0].id):
        text = f"the last alert was not delivered: {failed[0].outcome}"
        yield Finding("bad", "notify", text, f"sexton show {failed[0].id}")
    else:
        yield Finding("ok", "notify", f"{len(targets)} ways to tell of alerts")
