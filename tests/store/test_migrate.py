"""How a store comes to be, and which files are refused."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from itertools import count
from pathlib import Path

import apsw
import pytest

from sexton.core.errors import ConfigurationError, SchemaError, StoreMissing
from sexton.store import boundary, create_store, migrate, open_store
from sexton.store.sqlite import NEWEST

# Released steps. What is here is never edited; a change is a new step.
RELEASED: dict[str, str] = {}


def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/sexton.db"


def forked(act: Callable[[], object]) -> int:
    """Run it in a child; its wait status."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1]


def killed_at(number: int, act: Callable[[], object]) -> bool:
    """Run it in a child that dies at this boundary; False: it came to its end alive."""
    reached = count(1)

    def told(_at: str) -> None:
        if next(reached) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched() -> None:
        boundary.watch(told)
        act()

    status = forked(watched)
    assert status in {0, signal.SIGKILL}
    return status == signal.SIGKILL


def test_a_first_start_killed_at_every_statement_is_finished_by_the_next(tmp_path: Path) -> None:
    for number in count(1):
        directory = tmp_path / str(number)
        directory.mkdir()
        if not killed_at(number, lambda: create_store(url(directory))):  # noqa: B023
            break
        store = create_store(url(directory))
        assert store.upkeep.check() == []
        assert store.db.all("SELECT number, name FROM migration") == [
            {"number": 1, "name": "one_machine"}
        ]
        assert len(store.meta.get("id")) == 36
        store.close()
        shutil.rmtree(directory)

    assert number > 40


def test_many_first_starts_at_once_make_one_store(tmp_path: Path) -> None:
    gate, opened = os.pipe()

    def start() -> None:
        os.read(gate, 1)
        store = create_store(url(tmp_path))
        assert store.upkeep.check() == []

    pids = []
    for _ in range(8):
        pid = os.fork()
        if pid == 0:
            try:
                start()
                os._exit(0)
            finally:
                os._exit(1)
        pids.append(pid)
    os.write(opened, b"x" * 8)

    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 8
    store = open_store(url(tmp_path))
    assert len(store.db.all("SELECT * FROM migration")) == 1
    store.close()


def test_a_second_migration_finds_nothing_to_do(tmp_path: Path) -> None:
    store = create_store(url(tmp_path))
    store.kv.put("a", "1")

    assert migrate.migrate(store.db) == []
    assert store.kv.get("a")[0] == "1"  # type: ignore[index]
    store.close()


def test_each_step_is_recorded_with_its_digest(tmp_path: Path) -> None:
    store = create_store(url(tmp_path))
    recorded = {row["number"]: row["sha256"] for row in store.db.all("SELECT * FROM migration")}
    store.close()

    assert recorded == {
        number: sha256(sql.encode()).hexdigest() for number, _, sql in migrate.steps()
    }
    assert max(recorded) == NEWEST


def test_released_steps_are_as_they_were_released() -> None:
    found = {f"{number:04}_{name}": sql for number, name, sql in migrate.steps()}

    assert {name: sha256(found[name].encode()).hexdigest() for name in RELEASED} == RELEASED


def test_steps_are_numbered_without_a_gap() -> None:
    assert [number for number, _, _ in migrate.steps()] == list(range(1, NEWEST + 1))


def test_a_newer_store_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    store = create_store(url(tmp_path))
    store.db.pragma("user_version", NEWEST + 1)
    store.close()

    for opened in (open_store, create_store):
        with pytest.raises(SchemaError, match=f"this Sexton knows up to {NEWEST}"):
            opened(url(tmp_path))
    raw = apsw.Connection(str(tmp_path / "sexton.db"))
    assert raw.pragma("user_version") == NEWEST + 1
    raw.close()


def test_a_file_with_no_store_in_it_asks_for_one(tmp_path: Path) -> None:
    apsw.Connection(str(tmp_path / "sexton.db")).execute("PRAGMA journal_mode=wal")

    with pytest.raises(SchemaError) as refused:
        open_store(url(tmp_path))
    assert refused.value.hint == "Run `sexton init` once."


@pytest.mark.parametrize("version", [0, 1, 75])
def test_a_database_of_another_program_is_refused_and_left_as_it_is(
    tmp_path: Path, version: int
) -> None:
    path = tmp_path / "sexton.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE sale (what TEXT)")
    other.execute(f"PRAGMA user_version = {version}")
    other.commit()
    other.close()
    before = path.read_bytes()

    for opened in (open_store, create_store):
        with pytest.raises(SchemaError):
            opened(url(tmp_path))
    assert path.read_bytes() == before
    assert not Path(migrate.marker_path(str(path))).exists()


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "sexton.db"
    path.write_text("dear diary, " * 100)

    with pytest.raises(SchemaError, match="not a sound SQLite database"):
        create_store(url(tmp_path))
    assert path.read_text().startswith("dear diary")


def test_a_store_that_vanished_is_told_from_a_first_start(tmp_path: Path) -> None:
    create_store(url(tmp_path)).close()
    (tmp_path / "sexton.db").unlink()

    for opened in (open_store, create_store):
        with pytest.raises(StoreMissing, match="was made before and has gone"):
            opened(url(tmp_path))
    assert not (tmp_path / "sexton.db").exists()


def test_a_store_that_was_emptied_is_told_from_a_first_start(tmp_path: Path) -> None:
    create_store(url(tmp_path)).close()
    (tmp_path / "sexton.db").write_bytes(b"")

    for opened in (open_store, create_store):
        with pytest.raises(StoreMissing, match="was made before and has been emptied"):
            opened(url(tmp_path))
    assert (tmp_path / "sexton.db").read_bytes() == b""


def test_an_empty_database_in_the_stores_place_is_no_first_start(tmp_path: Path) -> None:
    create_store(url(tmp_path)).close()
    (tmp_path / "sexton.db").unlink()
    with closing(sqlite3.connect(tmp_path / "sexton.db")) as other:
        other.execute("PRAGMA user_version = 0")
        other.execute("CREATE TABLE soon (gone TEXT)")
        other.execute("DROP TABLE soon")
        other.commit()

    for opened in (open_store, create_store):
        with pytest.raises(StoreMissing, match="another file is there now"):
            opened(url(tmp_path))


def test_another_store_in_a_stores_place_is_not_taken_for_it(tmp_path: Path) -> None:
    create_store(url(tmp_path)).close()
    other = tmp_path / "other"
    other.mkdir()
    create_store(url(other)).close()
    (other / "sexton.db").replace(tmp_path / "sexton.db")

    with pytest.raises(StoreMissing, match="is another one than was made here") as refused:
        open_store(url(tmp_path))
    assert "delete" in refused.value.hint

    Path(migrate.marker_path(str(tmp_path / "sexton.db"))).unlink()
    open_store(url(tmp_path)).close()


def test_a_restored_backup_is_the_store_that_was_made_here(tmp_path: Path) -> None:
    made = create_store(url(tmp_path))
    made.kv.put("a", "1")
    made.upkeep.backup(str(tmp_path / "copy.db"))
    made.kv.put("b", "1")
    identity = made.meta.get("id")
    made.close()
    (tmp_path / "copy.db").replace(tmp_path / "sexton.db")

    restored = open_store(url(tmp_path))
    assert restored.meta.get("id") == identity
    assert [key for key, _ in restored.kv.scan()] == ["a"]
    restored.close()


def test_a_store_that_was_moved_without_its_marker_gets_one(tmp_path: Path) -> None:
    made = create_store(url(tmp_path))
    marker = Path(migrate.marker_path(str(tmp_path / "sexton.db")))
    text = marker.read_text()
    marker.unlink()
    made.mark()
    made.close()

    assert marker.read_text() == text


def test_a_place_where_no_store_was_is_told_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no store") as refused:
        open_store(url(tmp_path))
    assert not isinstance(refused.value, StoreMissing)
    assert "sexton init" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_for_its_user_and_group_alone(tmp_path: Path) -> None:
    create_store(url(tmp_path)).close()

    assert (tmp_path / "sexton.db").stat().st_mode & 0o007 == 0


@pytest.mark.parametrize(
    "bad", ["postgres://x", "sqlite://x", "sqlite:///", "x.db", "", "sqlite:///a\0"]
)
def test_a_url_that_names_no_file_is_refused(bad: str) -> None:
    with pytest.raises(ConfigurationError, match="is not understood"):
        open_store(bad)
