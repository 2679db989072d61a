"""What a tick with nothing due may cost: the modules it imports, what it opens, what it commits.

It runs every minute on every machine, so the list of its modules is held here to the last one.
The counts stand for the time: `python3 dev.py bench` measures that, a test never does.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import sexton
from sexton.app import place as places
from sexton.app.sync import sync
from sexton.store import create_store
from sexton.store.store import Store

# Beyond `python -c "import os"`, in the order of the rooms.
IDLE_MODULES = {
    "sexton",
    "__future__",
    "sexton.cli",
    "sexton.cli.idle",
    "sexton.store",
    "sexton.store.idle",
    "sexton.core",
    "sexton.core.errors",
    "sexton.store.connection",
    "sexton.store.sql",
    "sexton.store.sqlite",
    "apsw",
}
TOO_MANY = (
    "the idle tick imports what it did not: {}. Import that inside the function that needs it, or"
    " under TYPE_CHECKING. Only where nothing due can be told without it, add it to IDLE_MODULES,"
    " and measure what it costs: python3 dev.py bench"
)

SETTINGS = """
app = "tasks_of_idle:app"
store = "sqlite:///sexton.db"
"""
APP = """
from sexton import Sexton

app = Sexton()

@app.task(schedule="30 7 * * *", tz="Europe/Riga")
def hello() -> None: ...
"""

# Without `site`, whose .pth files differ from one environment to another.
BARE = "import os, sys; sys.path[:0] = sys.argv[1].split(os.pathsep)"
TELLS_WHAT_IT_OPENS = """
sys.addaudithook(lambda event, given: event == "open" and os.write(1, b"%a\\n" % (given[0],)))
"""
TICKS = "from sexton.cli import main; sys.exit(main(['tick']))"

WAL_HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
PAGE_BYTES = 4096


class Shop(NamedTuple):
    """A synced application, and its open store."""

    directory: Path
    store: Store

    @property
    def wal(self) -> Path:
        return self.directory / "sexton.db-wal"

    def environment(self) -> dict[str, str]:
        """Nothing but what cron gives: what a developer's shell says must not help."""
        return {"PATH": os.defpath, "HOME": str(self.directory)}

    def tick(self, *words: str, before: str = "") -> subprocess.CompletedProcess[str]:
        """Run a tick in a bare interpreter; raises if it fails."""
        return self.python(f"{BARE}\n{before}\n{TICKS}", *words)

    def python(self, code: str, *words: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(part for part in sys.path if part)
        python = () if "strace" in words else (sys.executable,)
        line = [*python, *words, "-I", "-S", "-c", code, path]
        return subprocess.run(
            line,
            cwd=self.directory,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=True,
        )


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A store whose application was synced in the year 2026, with nothing due for hours."""
    for name in ("SEXTON_STORE", "SEXTON_APP", "SEXTON_SETTINGS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "tasks_of_idle.py").write_text(APP)
    (tmp_path / "sexton.toml").write_text(SETTINGS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    place = places.find()
    store = create_store(place.store, place.settings)
    store.db.set_clock("frozen:1795330800000000")
    sync(place, store)
    yield Shop(tmp_path, store)
    store.close()
    sys.modules.pop("tasks_of_idle", None)


def imported(told: str) -> set[str]:
    """The modules that `-X importtime` names."""
    return set(re.findall(r"^import time:.*\| +(\S+)$", told, re.MULTILINE)) - {"package"}


def modules_of_tick(shop: Shop) -> set[str]:
    """What a tick imports beyond an interpreter that does nothing."""
    bare = shop.python(BARE, "-X", "importtime")
    return imported(shop.tick("-X", "importtime").stderr) - imported(bare.stderr)


def marked_at(shop: Shop) -> int:
    """When the last tick came, as the store says."""
    return int(shop.store.db.all("SELECT at FROM mark WHERE name = 'tick'")[0]["at"])


def commits_in(wal: Path) -> int:
    """How many frames of a write-ahead log end a transaction: they name the file's size."""
    log = wal.read_bytes()
    salt, commits = log[16:24], 0
    for at in range(WAL_HEADER_BYTES, len(log), FRAME_HEADER_BYTES + PAGE_BYTES):
        is_of_this_log = log[at + 8 : at + 16] == salt
        commits += is_of_this_log and log[at + 4 : at + 8] != bytes(4)
    return commits


def test_an_idle_tick_imports_exactly_these_modules(shop: Shop) -> None:
    found = modules_of_tick(shop)

    assert not found - IDLE_MODULES, TOO_MANY.format(", ".join(sorted(found - IDLE_MODULES)))
    assert found == IDLE_MODULES, "it imports less than it did: take that from IDLE_MODULES"


def test_a_tick_that_is_not_idle_imports_more(shop: Shop) -> None:
    shop.store.db.set_clock("offset:86400000000000")

    assert modules_of_tick(shop) > IDLE_MODULES


def test_an_idle_tick_makes_one_commit_and_it_is_its_mark(shop: Shop) -> None:
    shop.tick()
    commits = commits_in(shop.wal)
    shop.store.db.set_clock("frozen:1795330860000000")
    set_clock = commits_in(shop.wal) - commits
    shop.tick()

    assert commits_in(shop.wal) - commits - set_clock == 1
    assert marked_at(shop) == 1795330860000000


@pytest.mark.needs("strace")
def test_the_mark_of_an_idle_tick_is_on_disk_before_it_ends(shop: Shop) -> None:
    shop.store.db.all("PRAGMA wal_checkpoint(TRUNCATE)")  # else the tick may write a full log back
    trace = shop.directory / "trace"
    words = ("strace", "-y", "-e", "trace=pwrite64,fdatasync,fsync", "-o", str(trace))
    shop.tick(*words, sys.executable)
    of_wal = [line.partition("(")[0] for line in trace.read_text().splitlines() if "-wal>" in line]

    assert of_wal.count("pwrite64") >= 1
    assert of_wal[-1] in {"fdatasync", "fsync"}, "the commit was not waited for"


@pytest.mark.parametrize("says_where", ["sexton.toml", "SEXTON_STORE"])
def test_an_idle_tick_opens_no_source_of_the_application(shop: Shop, says_where: str) -> None:
    by_name = f"os.environ['SEXTON_STORE'] = 'sqlite:///{shop.directory}/sexton.db'"
    before = TELLS_WHAT_IT_OPENS + (by_name if says_where == "SEXTON_STORE" else "")
    opened = shop.tick(before=before).stdout.splitlines()
    package = os.path.dirname(sexton.__file__)
    own = [path.strip("'") for path in opened if not path.strip("'").startswith(package)]

    of_shop = [path for path in own if path.startswith(str(shop.directory))]
    settings = [str(shop.directory / "sexton.toml")]
    assert of_shop == (settings if says_where == "sexton.toml" else [])


def test_an_idle_tick_sees_by_stat_alone_that_a_source_was_changed(shop: Shop) -> None:
    source = shop.directory / "tasks_of_idle.py"
    os.utime(source, ns=(0, 1_795_330_800_000_000_000))

    assert modules_of_tick(shop) > IDLE_MODULES
