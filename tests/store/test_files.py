"""The file below the store: forks, network file systems, full and read-only disks."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from sexton import Sexton
from sexton.core.errors import ConfigurationError, SextonError, StoreBusy, StoreError
from sexton.core.task import Claim
from sexton.store import create_store, open_store
from sexton.store import sqlite as database
from sexton.store.sql import Queries
from sexton.store.sqlite import Database
from sexton.store.store import Store, refuse_network
from sexton.store.wake import touch, wake_path
from tests.store.kit import (
    ASKED,
    DAILY,
    PLAN,
    begin,
    done,
    finish,
    in_a_child,
    ledger_of,
    taken,
)

NOBODY = 65534


# --- forks --------------------------------------------------------------------------------------


def test_a_connection_carried_across_a_fork_is_refused(store: Store) -> None:
    for act in (
        lambda: str(store.kv.get("a")),
        lambda: str(taken(store, ASKED)),
        lambda: str(store.upkeep.check()),
        lambda: str(store.db.pragma("user_version")),
    ):
        assert in_a_child(act).startswith(
            "StoreError 75: this store connection was opened before a fork"
        )


@pytest.mark.parametrize(
    "act",
    [
        lambda db: db.begin(),
        lambda db: db.run("PRAGMA user_version"),
        lambda db: db.all("SELECT 1"),
        lambda db: db.first("SELECT 1"),
        lambda db: db.commit(),
        lambda db: db.pragma("user_version"),
    ],
    ids=["begin", "run", "all", "first", "commit", "pragma"],
)
def test_every_word_to_a_store_carried_across_a_fork_is_refused_by_itself(
    store: Store, act: Callable[[Database], object]
) -> None:
    said = in_a_child(lambda: f"not refused: {act(store.db)}")

    assert said.startswith("StoreError 75: this store connection was opened before a fork")


def test_a_child_that_closes_what_it_inherited_undoes_nothing_of_its_parents_transaction(
    store: Store,
) -> None:
    store.db.pragma("cache_size", 1)  # so that a transaction is in the log before it is committed

    def close() -> str:
        store.close()
        return "closed"

    def put(keys: range) -> None:
        for key in keys:
            values = {"key": f"{key:04}", "value": '"' + "x" * 1000 + '"', "now": store.now()}
            store.db.run(Queries("kv").put, values)

    with store.db.transaction():
        put(range(500))
        said = in_a_child(close)
        put(range(500, 1000))

    assert said == "closed"
    assert [key for key, _ in open_store(store.url).kv.scan()] == [f"{n:04}" for n in range(1000)]


def test_a_child_that_ends_harms_nothing_of_its_parent(store: Store) -> None:
    claim = taken(store, ASKED)

    def close() -> str:
        store.close()
        return "closed"

    assert in_a_child(close) == "closed"
    assert finish(store, claim)


def test_a_child_may_open_the_store_anew(store: Store) -> None:
    url = store.url

    assert in_a_child(lambda: str(finish(open_store(url), taken(open_store(url), ASKED)))) == "True"
    assert store.tasks.count() == {"Complete": 1}


def test_what_a_child_commits_outlives_its_parent_and_whoever_closes_the_store_last(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/sexton.db"
    create_store(url).close()
    code = f"""
import os, subprocess, sys
from sexton import Sexton

app = Sexton("{url}")
app.kv["of the parent"] = 1
come, go = os.pipe()
if os.fork():
    os._exit(0)
os.close(go)
os.read(come, 1)  # nothing, once the parent has ended
other = "from sexton import Sexton; app = Sexton('{url}'); app.kv['of another'] = 1; app.close()"
app.kv["before"] = 1
subprocess.run([sys.executable, "-c", other], check=True)
app.kv["after"] = 1
subprocess.run([sys.executable, "-c", other], check=True)
print("ended")
os._exit(0)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    keys = [key for key, _ in open_store(url).kv.scan()]

    assert ran.stderr == ""
    assert keys == ["after", "before", "of another", "of the parent"]


# --- a file that is no longer there ---------------------------------------------------------------


@pytest.mark.parametrize("how", ["replaced", "gone"])
def test_nothing_begins_on_a_file_that_was_taken_away(store: Store, how: str) -> None:
    path = store.db.path
    copy = f"{path}.copy"
    store.upkeep.backup(copy)
    os.rename(path, f"{path}.old")
    if how == "replaced":
        os.rename(copy, path)
    try:
        with pytest.raises(StoreError, match="was replaced, or has gone, since it was opened"):
            taken(store, ASKED)
    finally:
        os.rename(f"{path}.old", path)

    assert store.tasks.count() == {}


def test_an_application_goes_on_with_the_file_that_was_put_in_place(store: Store) -> None:
    app = Sexton(store.url)
    app.kv["a"] = 1
    path = store.db.path
    store.upkeep.backup(f"{path}.copy")
    app.kv["a"] = 2
    os.rename(path, f"{path}.old")
    for name in ("-wal", "-shm"):
        os.rename(path + name, f"{path}.old{name}")
    os.rename(f"{path}.copy", path)

    assert app.kv["a"] == 1
    app.kv["a"] = 3
    assert open_store(store.url).kv.get("a")[0] == "3"  # type: ignore[index]
    app.close()


def test_the_store_speaks_through_one_library_alone() -> None:
    code = (
        "import sys, tempfile; from sexton.store import create_store;"
        "s = create_store('sqlite:///' + tempfile.mkdtemp() + '/s.db'); s.kv.put('a', '1');"
        "s.outboxes.drain(); s.close();"
        "import _sqlite3, apsw; assert apsw.sqlite_lib_version() != ''"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    source = Path(database.__file__).read_text()
    assert "import sqlite3" not in source


# --- how it is opened ---------------------------------------------------------------------------


def test_a_store_is_opened_so_that_an_answer_is_on_disk(store: Store) -> None:
    pragmas = {name: store.db.pragma(name) for name in ("journal_mode", "synchronous")}

    assert pragmas == {"journal_mode": "wal", "synchronous": 2}
    assert store.db.pragma("trusted_schema") == 0
    assert store.db.pragma("foreign_keys") == 1


def test_counting_does_not_wait_for_the_disk_and_the_rest_does_again(store: Store) -> None:
    with store.db.relax():
        relaxed = store.db.pragma("synchronous")

    assert (relaxed, store.db.pragma("synchronous")) == (1, 2)


def test_a_store_held_by_another_is_busy_after_a_bounded_wait(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(database._patience())
    monkeypatch.setattr(database, "_patience", lambda: asked)
    monkeypatch.setattr(database, "BUSY_MS", 50)
    late = open_store(store.url)
    with store.db.transaction(), pytest.raises(StoreBusy, match="for over 50 ms") as busy:
        late.kv.put("a", "1")

    assert busy.value.exit_code == 75
    assert (asked.answers[0], asked.answers[-1]) == (True, False)
    late.kv.put("a", "1")
    late.close()


class Asked:
    """Hears what is asked of the store's patience, and lets no test wait for ever."""

    def __init__(self, patience: Callable[[int], bool]) -> None:
        self.answers: list[bool] = []
        self._patience = patience

    def __call__(self, tries: int) -> bool:
        self.answers.append(self._patience(tries))
        return self.answers[-1] and tries < 1000


def test_a_block_that_raises_is_rolled_back(store: Store) -> None:
    def begin_and_raise() -> None:
        with store.db.transaction():
            store.db.run("INSERT INTO mark (name, at) VALUES ('x', 1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        begin_and_raise()
    assert store.db.all("SELECT * FROM mark") == []


# --- where it lies ------------------------------------------------------------------------------

MOUNTS = """/dev/vda1 / ext4 rw 0 0
tmpfs /run tmpfs rw 0 0
filer:/home /srv/home nfs4 rw 0 0
/dev/vdb1 /srv/home/local ext4 rw 0 0
//filer/share /srv/my\\040share cifs rw 0 0
ann@host: /srv/ssh fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/home/ann/sexton.db", "nfs4"),
        ("/srv/my share/sexton.db", "cifs"),
        ("/srv/ssh/sexton.db", "fuse.sshfs"),
    ],
)
def test_a_network_file_system_is_refused(tmp_path: Path, path: str, kind: str) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)

    with pytest.raises(ConfigurationError, match=kind) as refused:
        refuse_network(path, str(tmp_path / "mounts"))
    assert refused.value.exit_code == 78


@pytest.mark.parametrize(
    "path", ["/var/sexton.db", "/srv/home/local/sexton.db", "/srv/homes/sexton.db", "/run/x.db"]
)
def test_a_local_file_system_is_taken(tmp_path: Path, path: str) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)

    refuse_network(path, str(tmp_path / "mounts"))


def test_a_link_into_a_network_file_system_is_seen_through(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    (tmp_path / "link").symlink_to(share)
    (tmp_path / "mounts").write_text(f"/dev/vda1 / ext4 rw 0 0\nfiler: {share} nfs rw 0 0\n")

    with pytest.raises(ConfigurationError):
        refuse_network(str(tmp_path / "link" / "sexton.db"), str(tmp_path / "mounts"))


def test_a_missing_directory_is_told_with_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist") as refused:
        create_store(f"sqlite:///{tmp_path}/no/sexton.db")
    assert refused.value.hint.startswith("Make it: mkdir -p")


# --- a full disk --------------------------------------------------------------------------------


@pytest.fixture
def claim(store: Store) -> Claim:
    """A plan that runs when the disk fills up, with one item begun."""
    claim = taken(store, PLAN, force="now")
    begin(ledger_of(store, PLAN, claim), "ann")
    return claim


def test_on_a_full_disk_no_effect_begins_and_afterwards_all_goes_on(
    store: Store, claim: Claim
) -> None:
    ledger = ledger_of(store, PLAN, claim)
    full = store.db.pragma("page_count")
    store.db.pragma("max_page_count", full)
    begun = 1

    def begin_many() -> None:
        nonlocal begun
        for number in range(10_000):
            begin(ledger, f"{number} " + "x" * 400)
            begun += 1

    with pytest.raises(StoreError, match="no space is left") as refused:
        begin_many()
    with pytest.raises(StoreError, match="no space is left"):
        taken(store, ASKED, payload='"' + "x" * 300_000 + '"')

    assert refused.value.exit_code == 75
    assert len(store.items.entries("summary", limit=20_000)) == begun
    assert store.tasks.newest(kind="resize") == []
    store.db.pragma("max_page_count", 1 << 30)
    done(ledger, "ann")
    assert finish(store, claim)


def test_where_a_file_may_not_grow_nothing_begins(store: Store, claim: Claim) -> None:
    path, url = store.db.path, store.url
    log_bytes = Path(f"{path}-wal").stat().st_size

    def write() -> str:
        # Python ignores SIGXFSZ, so the write fails as it does on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (log_bytes, log_bytes))
        mine = open_store(url)
        return str(taken(mine, DAILY, force="now"))

    said = in_a_child(write)

    assert said.startswith("StoreError 75: ")
    assert store.tasks.newest(kind="daily") == []
    assert finish(store, taken(store, DAILY, force="now"))
    finish(store, claim)


@pytest.fixture
def tiny_disk() -> Iterator[Path]:
    """A file system of 512 KiB."""
    directory = Path(tempfile.mkdtemp())
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "sexton-test", directory],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        directory.rmdir()
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)
        directory.rmdir()


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small file system needs root")
def test_a_backup_to_a_full_disk_says_so(tiny_disk: Path, store: Store) -> None:
    for number in range(300):
        store.kv.put(f"key {number}", '"' + "x" * 2000 + '"')

    with pytest.raises(StoreError, match="failed: no space is left"):
        store.upkeep.backup(str(tiny_disk / "copy.db"))
    assert list(tiny_disk.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user needs root")
def test_a_store_in_a_directory_of_others_is_not_said_to_be_missing(store: Store) -> None:
    directory = Path(store.db.path).parent
    mode = directory.stat().st_mode
    directory.chmod(0o700)

    def use() -> str:
        os.setuid(NOBODY)
        return str(open_store(store.url))

    said = in_a_child(use)
    directory.chmod(mode)

    assert said == f"StoreError 75: the store {store.db.path} cannot be reached: Permission denied"


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small file system needs root")
def test_a_disk_that_is_really_full_refuses_in_words_and_recovers(tiny_disk: Path) -> None:
    store = create_store(f"sqlite:///{tiny_disk}/sexton.db")

    def fill() -> None:
        for number in range(10_000):
            store.kv.put(f"key {number}", '"' + "x" * 2000 + '"')

    with pytest.raises(StoreError) as refused:
        fill()
    kept = len(list(store.kv.scan()))
    assert refused.value.exit_code == 75
    assert store.upkeep.check() == []
    store.close()

    (tiny_disk / "sexton.db").stat()
    subprocess.run(["mount", "-o", "remount,size=8m", tiny_disk], check=True)
    again = open_store(f"sqlite:///{tiny_disk}/sexton.db")
    assert len(list(again.kv.scan())) == kept
    again.kv.put("after", "1")
    assert again.upkeep.check() == []
    again.close()


# --- a read-only directory ----------------------------------------------------------------------


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that everybody may read and only its owner may write."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.mark.parametrize("opened", [open_store, create_store])
def test_a_directory_that_may_not_be_written_is_told_in_words(
    shared: Path, opened: Callable[[str], Store]
) -> None:
    url = f"sqlite:///{shared}/sexton.db"
    create_store(url).close()
    for file in shared.iterdir():
        file.chmod(0o444)
    shared.chmod(0o555)

    def use() -> str:
        if os.getuid() == 0:  # whom no permission hinders
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        return str(taken(opened(url), ASKED))

    said = in_a_child(use)

    assert said.startswith("StoreError 75: "), said
    assert "cannot be opened for writing" in said
    shared.chmod(0o755)
    for file in shared.iterdir():
        file.chmod(0o644)
    store = open_store(url)
    assert store.tasks.count() == {}
    store.close()


# --- whose fault it is --------------------------------------------------------------------------


def test_an_error_of_the_disk_names_the_file_and_what_to_do(store: Store) -> None:
    error = database.said(apsw.FullError("full"), store.db.path)

    assert isinstance(error, SextonError)
    assert store.db.path in str(error)
    assert error.hint == "Free some disk space."


def test_a_wake_is_written_through_no_link(tmp_path: Path) -> None:
    store = tmp_path / "sexton.db"
    precious = tmp_path / "precious"
    store.touch()
    precious.write_text("kept")
    Path(wake_path(str(store))).symlink_to(precious)
    touch(str(store))

    assert precious.read_text() == "kept"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_wake_file_that_root_made_belongs_to_whom_the_store_belongs(tmp_path: Path) -> None:
    store = tmp_path / "sexton.db"
    store.touch(mode=0o640)
    os.chown(store, NOBODY, NOBODY)
    touch(str(store))
    touch(str(store))

    made = os.stat(wake_path(str(store)))
    assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (NOBODY, NOBODY, 0o640)
    assert made.st_size == 1
