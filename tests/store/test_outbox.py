"""Requests inside a caller's own transaction: asked for if, and only if, that commits."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sexton.core.errors import UsageError
from sexton.core.kind import Kind
from sexton.store import idle, outbox
from sexton.store.store import Store
from sexton.store.tasks import Request
from tests.store.kit import ASKED, DAILY, JOINED, statuses


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The caller's own database."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE sale (what TEXT)")
        connection.commit()
        yield connection


def write(store: Store, shop: sqlite3.Connection, id_: str, kind: Kind = ASKED) -> None:
    store.kinds.ensure(kind)
    store.outboxes.register(outbox.path_of(shop, store.db.path))
    shop.execute("INSERT INTO sale VALUES ('a lamp')")
    outbox.write(shop, kind, Request(id=id_, payload=f'{{"n":"{id_}"}}'))


def waiting(shop: sqlite3.Connection) -> int:
    return int(shop.execute("SELECT count(*) FROM sexton_outbox").fetchone()[0])


def test_a_request_is_asked_for_after_the_callers_commit(
    store: Store, shop: sqlite3.Connection
) -> None:
    write(store, shop, "r1")
    assert store.outboxes.drain() == 0
    shop.commit()

    assert store.outboxes.drain() == 1
    assert [task.payload for task in store.tasks.newest()] == ['{"n":"r1"}']
    assert waiting(shop) == 0
    assert store.outboxes.drain() == 0


def test_a_request_vanishes_with_the_callers_rollback(
    store: Store, shop: sqlite3.Connection
) -> None:
    write(store, shop, "r1")
    shop.rollback()

    assert store.outboxes.drain() == 0
    assert store.tasks.count() == {}
    assert shop.execute("SELECT count(*) FROM sale").fetchone()[0] == 0


def test_a_drain_that_was_killed_between_the_two_files_obeys_once(
    store: Store, shop: sqlite3.Connection
) -> None:
    write(store, shop, "r1")
    shop.commit()
    path = store.db.path
    pid = os.fork()
    if pid == 0:
        from sexton.store import open_store

        other = open_store(f"sqlite:///{path}")
        # The caller's file is locked, so the drain gets no further than our own commit.
        blocker = sqlite3.connect(outbox.path_of(shop, path), isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        outbox.WAIT_S = 0.0
        other.outboxes.drain()
        os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(pid, 0)

    assert os.WTERMSIG(status) == signal.SIGKILL
    assert statuses(store) == ["Pending"]
    assert waiting(shop) == 1
    assert store.outboxes.drain() == 1
    assert statuses(store) == ["Pending"]
    assert waiting(shop) == 0


def test_many_requests_come_in_the_order_of_their_writing(
    store: Store, shop: sqlite3.Connection
) -> None:
    for number in range(1203):
        write(store, shop, f"r{number:04}")
    shop.commit()

    assert store.outboxes.drain() == 1203
    payloads = [task.payload for task in reversed(store.tasks.newest(limit=2000))]
    assert payloads == sorted(payloads)
    assert len(payloads) == 1203


def test_requests_that_join_lose_no_change(store: Store, shop: sqlite3.Connection) -> None:
    write(store, shop, "r1", JOINED)
    write(store, shop, "r2", JOINED)
    shop.commit()

    assert store.outboxes.drain() == 2
    assert [task.payload for task in store.tasks.newest()] == ['{"n":"r2"}']


def test_a_request_of_an_unknown_kind_stays_and_holds_up_no_other(
    store: Store, shop: sqlite3.Connection
) -> None:
    write(store, shop, "r1")
    outbox.write(shop, Kind(name="stranger"), Request(id="r2"))
    shop.execute("INSERT INTO sexton_outbox (id, kind, request) VALUES ('r3', 'resize', '{')")
    shop.commit()

    assert store.outboxes.drain() == 1
    assert store.outboxes.drain() == 0
    assert waiting(shop) == 2
    assert sorted(notice["name"] for notice in store.tasks.notices()) == [
        "outbox:r3",
        "outbox:stranger",
    ]
    store.kinds.ensure(Kind(name="stranger"))
    assert store.outboxes.drain() == 1


def test_a_whole_page_of_unknown_kinds_holds_up_no_other(
    store: Store, shop: sqlite3.Connection
) -> None:
    write(store, shop, "r1")
    shop.execute("DELETE FROM sexton_outbox")
    for number in range(outbox.BATCH + 1):
        outbox.write(shop, Kind(name="stranger"), Request(id=f"s{number}"))
    write(store, shop, "r2")
    shop.commit()

    assert store.outboxes.drain() == 1
    assert [task.kind for task in store.tasks.newest()] == ["resize"]
    assert waiting(shop) == outbox.BATCH + 1


@pytest.mark.parametrize(
    ("kind", "request_"),
    [
        ("resize", '{"priority": 1180591620717411303424}'),
        ("resize", '{"at": -99999999999999999999}'),
        ("resize", '{"by": "\\ud800"}'),
        ("resize", '{"payload": ' + "[" * 100_000),
        ("crop", '{"payload": "' + "[" * 100_000 + '"}'),
        ("ghost", "{}"),
        ("resize", '{"payload": "no object"}'),
        ("resize", '{"payload": "[1]"}'),
        ("resize", b"\xff{"),
        (b"\xff", "{}"),
        ("resize", 5),
    ],
)
def test_a_row_that_nobody_could_obey_stops_no_tick_and_no_other_row(
    store: Store, shop: sqlite3.Connection, kind: object, request_: object
) -> None:
    store.kinds.ensure(Kind(name="crop", key="image"))
    store.kinds.ensure(Kind(name="ghost"))
    store.db.run("UPDATE kind SET definition = '{\"name\":5}' WHERE name = 'ghost'")
    write(store, shop, "r1")
    shop.execute("DELETE FROM sexton_outbox")
    insert = "INSERT INTO sexton_outbox (id, kind, request) VALUES ('bad', ?, ?)"
    shop.execute(insert, (kind, request_))
    as_text = "INSERT INTO sexton_outbox (id, kind, request) VALUES (CAST(x'ff' AS TEXT), ?, ?)"
    shop.execute(as_text, (kind, request_))
    write(store, shop, "r2")
    shop.commit()

    assert store.outboxes.drain() == 1
    assert [task.payload for task in store.tasks.newest()] == ['{"n":"r2"}']
    assert waiting(shop) == 2
    assert store.tasks.notices()
    store.kinds.sync([ASKED])  # which forgets the ghost


@pytest.mark.parametrize("shape", ["dict", "bytes"])
def test_a_connection_may_give_its_rows_any_shape(
    store: Store, shop: sqlite3.Connection, shape: str
) -> None:
    if shape == "dict":
        shop.row_factory = lambda cursor, row: dict(zip(cursor.description, row, strict=True))
    else:
        shop.text_factory = bytes
    write(store, shop, "r1")
    shop.commit()

    assert store.outboxes.drain() == 1


def test_a_request_that_can_no_longer_be_obeyed_stops_no_tick(
    store: Store, shop: sqlite3.Connection
) -> None:
    write(store, shop, "r1", Kind(name="daily"))
    write(store, shop, "r2")
    shop.commit()
    store.kinds.ensure(DAILY)

    assert store.outboxes.drain() == 1
    assert [task.kind for task in store.tasks.newest()] == ["resize"]
    (notice,) = store.tasks.notices()
    assert "could touch everyone again" in notice["text"]


def test_a_database_that_is_gone_is_told_once_and_stops_no_other(
    store: Store, shop: sqlite3.Connection, tmp_path: Path
) -> None:
    store.outboxes.register(str(tmp_path / "a-gone.db"))
    write(store, shop, "r1")
    shop.commit()

    assert store.outboxes.drain() == 1
    assert store.outboxes.drain() == 0
    assert len(store.tasks.notices()) == 1
    assert not (tmp_path / "a-gone.db").exists()
    store.tasks.abort(1, "ann")
    assert idle.is_quiet(store.db)


def test_a_database_that_comes_back_is_read_again(
    store: Store, shop: sqlite3.Connection, tmp_path: Path
) -> None:
    write(store, shop, "r1")
    shop.commit()
    shop.close()
    file = Path(store.db.all("SELECT path FROM outbox")[0]["path"])
    file.rename(tmp_path / "away.db")
    assert store.outboxes.drain() == 0

    (tmp_path / "away.db").rename(file)

    assert store.outboxes.drain() == 1


def test_the_store_itself_is_refused_as_a_callers_database(store: Store) -> None:
    connection = sqlite3.connect(store.db.path)
    try:
        with pytest.raises(UsageError, match="open on the store itself"):
            outbox.path_of(connection, store.db.path)
    finally:
        connection.close()


def test_the_store_is_refused_under_another_name_too(store: Store, tmp_path: Path) -> None:
    (tmp_path / "alias.db").symlink_to(store.db.path)
    connection = sqlite3.connect(tmp_path / "alias.db")
    try:
        with pytest.raises(UsageError, match="open on the store itself"):
            outbox.path_of(connection, store.db.path)
    finally:
        connection.close()


def test_a_database_in_memory_has_no_outbox(store: Store) -> None:
    with (
        closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(UsageError, match="no tick could read it"),
    ):
        outbox.path_of(connection, store.db.path)


def test_what_is_no_connection_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match=r"must be a sqlite3\.Connection"):
        outbox.path_of("shop.db", store.db.path)  # type: ignore[arg-type]
