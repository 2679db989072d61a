"""A store that its own process opens by another way: locks of one process undo each other."""

from __future__ import annotations

import gc
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from sexton import Sexton
from sexton.core.errors import SextonError, StoreError
from sexton.store import open_store
from sexton.store.sqlite import Database
from tests.app.shop import Shop, opened
from tests.store.kit import in_a_child


@pytest.fixture
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    yield from opened(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def app(shop: Shop) -> Iterator[Sexton]:
    made = Sexton(shop.url)
    yield made
    made.close()


def test_whoever_holds_the_store_by_another_library_is_told_before_anything_begins(
    shop: Shop, app: Sexton
) -> None:
    runs: list[str] = []

    @app.task
    def resize(image: str) -> None:
        runs.append(image)

    resize("a.png")
    with closing(sqlite3.connect(shop.file("sexton.db"))) as theirs:
        theirs.execute("BEGIN IMMEDIATE")
        for act in (
            lambda: resize("b.png"),
            lambda: resize.enqueue("b.png"),
            lambda: app.kv.__setitem__("key", 1),
            lambda: app.kv.update("key", lambda old: old),
        ):
            with pytest.raises(StoreError, match="open by another way, too"):
                act()

    assert runs == ["a.png"]
    assert len(app.store.tasks.newest()) == 1


def test_another_way_is_seen_also_after_threads_have_come_and_gone(shop: Shop, app: Sexton) -> None:
    app.kv["first"] = 1
    for _ in range(5):
        thread = threading.Thread(target=app.kv.__setitem__, args=("from a thread", 1))
        thread.start()
        thread.join()
    app.close()
    gc.collect()
    app.kv["again"] = 1

    with closing(sqlite3.connect(shop.file("sexton.db"))) as theirs:
        theirs.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="open by another way, too"):
            app.kv["last"] = 1


def test_an_opening_that_failed_is_no_other_way(shop: Shop, app: Sexton) -> None:
    kept: list[BaseException] = []
    shop.store.close()
    sound = shop.file("sexton.db").read_bytes()
    shop.file("sexton.db").write_bytes(sound[:4096] + b"x" * (len(sound) - 4096))
    for _ in range(3):
        with pytest.raises(SextonError) as failed:
            app.kv["key"] = 1
        kept.append(failed.value)
    shop.file("sexton.db").write_bytes(sound)
    for leftover in ("sexton.db-wal", "sexton.db-shm"):
        shop.file(leftover).unlink(missing_ok=True)

    app.kv["key"] = 1

    assert len(kept) == 3
    shop.store = open_store(shop.url)


def test_connections_of_our_own_are_no_other_way(shop: Shop, app: Sexton) -> None:
    def in_a_thread() -> None:
        app.kv["from a thread"] = threading.get_ident()
        app.close()

    app.kv["first"] = 1
    for _ in range(3):
        threads = [threading.Thread(target=in_a_thread) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with closing(open_store(shop.url)):
            app.kv["again"] = 1
    app.close()
    app.kv["last"] = 1

    assert sorted(app.kv) == ["again", "first", "from a thread", "last"]


def test_a_forked_child_may_write_beside_what_it_inherited(app: Sexton) -> None:
    app.kv["parent"] = 1
    pid = os.fork()
    if pid == 0:
        app.kv["child"] = 1
        os._exit(0)
    _, status = os.waitpid(pid, 0)

    assert status == 0
    assert sorted(app.kv) == ["child", "parent"]


def read(db: Database, linger: Callable[[], bool]) -> None:
    with db.snapshot():
        linger()


def write(db: Database, linger: Callable[[], bool]) -> None:
    with db.transaction():
        linger()


def be_in_a_statement(db: Database, linger: Callable[[], bool]) -> None:
    db.connection.set_progress_handler(linger, 1)
    db.all("SELECT count(*) FROM sqlite_schema")


@pytest.mark.parametrize("work", [read, write, be_in_a_statement])
def test_a_child_forked_while_a_thread_is_at_work_in_the_store_is_told_so(
    shop: Shop, work: Callable[[Database, Callable[[], bool]], None]
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def linger() -> bool:
        entered.set()
        return not leave.wait()

    def be_at_work() -> None:
        with closing(open_store(shop.url)) as mine:
            work(mine.db, linger)

    thread = threading.Thread(target=be_at_work)
    thread.start()
    entered.wait()
    said = in_a_child(lambda: open_store(shop.url).url)
    leave.set()
    thread.join()

    assert said.startswith(
        "StoreError 75: this process was forked while another thread was at work"
    )
    assert in_a_child(lambda: open_store(shop.url).url) == shop.url


def test_no_fork_falls_into_the_opening_of_a_store(shop: Shop) -> None:
    over = threading.Event()

    def open_and_close() -> None:
        while not over.is_set():
            open_store(shop.url).close()

    threads = [threading.Thread(target=open_and_close) for _ in range(2)]
    for thread in threads:
        thread.start()
    said = [in_a_child(lambda: open_store(shop.url).url) for _ in range(50)]
    over.set()
    for thread in threads:
        thread.join()

    assert set(said) == {shop.url}
