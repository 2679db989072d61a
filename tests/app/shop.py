"""A place of its own for a test: a store with a travelling clock, an application, its commands.

Effects are counted outside of the store, in a file that each of them appends a line to.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sexton.core import instant
from sexton.store import create_store
from sexton.store.store import Store

BOUND_S = 120.0
END_S = 30.0  # more than a tick, told to end, gives its tasks
START = datetime(2026, 1, 1, tzinfo=UTC)

HEAD = """
from __future__ import annotations
import os, sys, time
from collections.abc import Iterator
from pathlib import Path
from sexton import Item, Permanent, Sexton

HERE = Path(__file__).parent
app = Sexton()

def did(word: object) -> None:
    with open(HERE / "effects", "ab", 0) as file:
        file.write(f"{word}\\n".encode())
"""


class Shop:
    """An application in a directory: `tasks.py`, `sexton.toml`, `sexton.db`, and its effects."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._started: list[subprocess.Popen[str]] = []
        self.url = f"sqlite:///{directory / 'sexton.db'}"
        (directory / "sexton.toml").write_text('app = "tasks:app"\n')
        self.store: Store = create_store(self.url)
        self.now = START
        self.travel_to(START)

    # -- time ------------------------------------------------------------------------------

    def travel_to(self, moment: datetime) -> None:
        """Set the store's clock; it stands still until the next call, for every process."""
        self.now = moment
        self.store.db.set_clock(f"frozen:{instant.from_datetime(moment)}")

    def travel(self, **length: float) -> None:
        self.travel_to(self.now + timedelta(**length))

    # -- the application -------------------------------------------------------------------

    def write(self, text: str, name: str = "tasks.py") -> None:
        """Write the tasks below the usual head, and give the file a time of change of its own."""
        head = HEAD if name.endswith("tasks.py") else ""
        file = self.directory / name
        before = file.stat().st_mtime_ns if file.exists() else 0
        file.write_text(head + textwrap.dedent(text), encoding="utf-8")
        if file.stat().st_mtime_ns == before:
            os.utime(file, ns=(before + 1, before + 1))

    def settings(self, text: str) -> None:
        (self.directory / "sexton.toml").write_text('app = "tasks:app"\n' + textwrap.dedent(text))

    def declare(self, text: str) -> None:
        """Write the tasks, and sync."""
        self.write(text)
        done = self.sexton("sync")
        assert done.returncode == 0, done.stderr

    # -- its commands ----------------------------------------------------------------------

    def environment(self, **more: str) -> dict[str, str]:
        theirs = {k: v for k, v in os.environ.items() if not k.startswith(("SEXTON_", "PYTEST_"))}
        return theirs | {"PYTHONDONTWRITEBYTECODE": "1"} | more

    def start_line(self, *words: str, python: Sequence[str] = ()) -> list[str]:
        return [sys.executable, *python, "-m", "sexton", *words]

    def start(
        self,
        *words: str,
        env: dict[str, str] | None = None,
        python: Sequence[str] = (),
        cwd: Path | None = None,
    ) -> subprocess.Popen[str]:
        """Start one command; if the test does not wait for its end, it ends with the shop."""
        process = subprocess.Popen(
            self.start_line(*words, python=python),
            cwd=cwd or self.directory,
            env=self.environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="surrogateescape",
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        """End what a test that failed has left running: all are asked first, so that each ends
        its own tasks meanwhile, and who does not listen is killed."""
        left = [process for process in self._started if process.poll() is None]
        for process in left:
            process.terminate()
        for process in left:
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=END_S)
            process.kill()
            process.wait()

    def sexton(
        self,
        *words: str,
        env: dict[str, str] | None = None,
        python: Sequence[str] = (),
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return finish(self.start(*words, env=env, python=python, cwd=cwd))

    def tick(self) -> subprocess.CompletedProcess[str]:
        """One tick that must succeed."""
        done = self.sexton("tick")
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def python(self, code: str, *, env: dict[str, str] | None = None) -> str:
        """Run code beside the tasks, as a console or a web view would; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            cwd=self.directory,
            env=self.environment(**(env or {})),
            capture_output=True,
            text=True,
            timeout=BOUND_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    # -- what happened ---------------------------------------------------------------------

    def effects(self) -> Counter[str]:
        """What was done, outside of the store, and how often."""
        file = self.directory / "effects"
        return Counter(file.read_text().split("\n")[:-1] if file.exists() else [])

    def ends(self, kind: str = "") -> list[str]:
        """How tasks ended or stand, oldest first: `Complete`, `Aborted/lost`, `Pending`."""
        tasks = reversed(self.store.tasks.newest(kind=kind, limit=1000))
        return [f"{one.status}/{one.reason}".rstrip("/") for one in tasks]

    def until(self, is_true: Callable[[], bool]) -> None:
        """Wait for what another process brings about."""
        deadline_s = time.monotonic() + BOUND_S
        while not is_true():
            assert time.monotonic() < deadline_s, "it never came true"
            self.pause()

    def pause(self) -> None:
        """Give way between two looks at what another process does."""
        select.select([], [], [], 0.02)

    def file(self, name: str) -> Path:
        return self.directory / name

    def await_file(self, name: str) -> str:
        """Wait until a process has written a file; return its text."""
        return await_text(self.directory / name)


def opened(directory: Path) -> Iterator[Shop]:
    """A shop for one test; what its store promises is checked after it."""
    made = Shop(directory)
    yield made
    made.end()
    found = made.store.upkeep.check()
    made.store.close()
    assert found == []


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for the end of a process, and return all that it said."""
    try:
        out, err = process.communicate(timeout=BOUND_S)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def await_text(file: Path) -> str:
    """Wait for a file that ends with a line break."""
    deadline_s = time.monotonic() + BOUND_S
    while time.monotonic() < deadline_s:
        if file.exists() and (text := file.read_text()).endswith("\n"):
            return text
        select.select([], [], [], 0.01)
    raise AssertionError(f"{file} was never written")
