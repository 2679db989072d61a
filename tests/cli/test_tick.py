"""`tick`, `tick --for`, `watch`: what they say, when they wake, how they end."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Self

import pytest

from sexton.cli.linger import POLL_S
from sexton.store import idle
from sexton.store.store import Store
from sexton.store.tasks import Request
from tests.cli.shop import WAIT_S, Shop, open_shop

pytestmark = pytest.mark.timeout(120)

# A task that tells on a pipe that it has begun, and ends when it may.
TASKS = """
from __future__ import annotations

from sexton import Sexton

app = Sexton()


@app.task
def hold(name: str) -> None:
    with open(f"{name}.began", "w") as pipe:
        pipe.write(name)
    with open(f"{name}.may-end") as pipe:
        pipe.read()


@app.task
def quick(name: str) -> None:
    with open("quick.began", "w") as pipe:
        pipe.write(name)


@app.task(lane="save")
def save(name: str) -> None:
    open(name, "w").close()


@app.task(schedule="* * * * *", expires="10m")
def minutely() -> None:
    with open("minutely.began", "w") as pipe:
        pipe.write("minutely")
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop with tasks that can be watched: each `.began` and `.may-end` is a named pipe."""
    opened = open_shop(tmp_path, tasks=TASKS)
    for name in ("long.began", "long.may-end", "quick.began", "minutely.began"):
        os.mkfifo(tmp_path / name)
    store = opened.store()
    store.db.set_clock("frozen:1795332600000000")  # 2026-11-22T07:30Z: nothing falls due by itself
    store.close()
    assert opened.type("sync").returncode == 0
    return opened


@contextmanager
def started(shop: Shop, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command that runs beside the test, and is killed at the end if it still does."""
    with subprocess.Popen(
        shop.line(*words),
        cwd=shop.directory,
        env=shop.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def heard(shop: Shop, name: str) -> str:
    """What a task writes on its pipe, once it does; fails if it never does."""
    fd = os.open(shop.directory / name, os.O_RDONLY | os.O_NONBLOCK)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        assert poll.poll(WAIT_S * 1000), f"nobody wrote to {name}"
        return os.read(fd, 4096).decode()
    finally:
        os.close(fd)


def let_end(shop: Shop, name: str) -> None:
    (shop.directory / f"{name}.may-end").write_text("")


def ended(shop: Shop, id_: int) -> str:
    store = shop.store()
    task = store.tasks.get(id_)
    store.close()
    return f"{task.status}/{task.reason}"


def test_a_tick_says_nothing_when_nothing_happened(shop: Shop) -> None:
    told = shop.type("tick")

    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def test_a_tick_says_a_line_for_each_task_that_failed(shop: Shop) -> None:
    (shop.directory / "quick.began").unlink()
    (shop.directory / "quick.began").mkdir()
    shop.type("enqueue", "quick", "name=a")
    told = shop.type("tick")

    assert told.returncode == 1
    assert told.stdout == ""
    assert told.stderr.startswith("sexton: quick: task 1, attempt 1 ended Aborted/failed: IsADirec")
    assert told.stderr.count("\n") == 1


def test_a_tick_whose_stderr_nobody_reads_runs_all_the_same(shop: Shop) -> None:
    for name in ("a", "/dev/null/b", "c"):
        shop.type("enqueue", "save", f"name={name}")
    theirs, ours = os.pipe()
    os.close(theirs)
    with open(ours, "wb") as pipe:
        told = subprocess.run(
            shop.line("tick"),
            cwd=shop.directory,
            env=shop.environment(),
            stderr=pipe,
            timeout=WAIT_S,
            check=False,
        )

    assert told.returncode == 1
    assert [ended(shop, id_) for id_ in (1, 2, 3)] == ["Complete/", "Aborted/failed", "Complete/"]


def test_a_tick_tells_as_json_what_it_did(shop: Shop) -> None:
    (shop.directory / "quick.began").unlink()
    shop.type("enqueue", "quick", "name=a")
    shop.type("enqueue", "quick", "name=b")
    told = json.loads(shop.type("tick", "--json").stdout)

    assert told == {
        "complete": 2, "aborted": 0, "swept": 0, "asked": 0, "drained": 0, "sync_error": "",
        "troubles": [],
    }  # fmt: skip


def test_a_broken_deploy_is_told_and_what_was_registered_stays(shop: Shop) -> None:
    (shop.directory / "tasks.py").write_text("def half a file")
    told = shop.type("tick")

    assert told.returncode == 78
    assert "the application could not be read" in told.stderr
    assert "minutely" in shop.type("kinds", "--names").stdout


def test_a_period_that_expires_is_told(shop: Shop) -> None:
    shop.type("enqueue", "quick", "name=a", "--start-before", "1m")
    store = shop.store()
    store.db.set_clock("frozen:1795332720000000")  # two minutes later
    store.kinds.sync([])
    store.close()
    told = shop.type("tick")

    assert "quick: task 1, attempt 1 ended Aborted/expired" in told.stderr


def test_a_tick_that_lingers_starts_what_is_asked_for(shop: Shop) -> None:
    with started(shop, "tick", "--for", "10m", "--json") as tick:
        for name in ("first", "second"):
            shop.type("enqueue", "quick", f"name={name}")
            assert heard(shop, "quick.began") == name
        tick.send_signal(signal.SIGTERM)
        out, err = tick.communicate(timeout=WAIT_S)

    assert (tick.returncode, err) == (0, "")
    assert json.loads(out)["complete"] == 2


def test_what_is_asked_for_while_a_task_runs_does_not_wait_for_it(shop: Shop) -> None:
    shop.type("enqueue", "hold", "name=long")
    with started(shop, "tick", "--for", "10m") as tick:
        assert heard(shop, "long.began") == "long"
        shop.type("enqueue", "quick", "name=other")
        assert heard(shop, "quick.began") == "other"
        assert ended(shop, 1) == "Running/"
        let_end(shop, "long")
        tick.send_signal(signal.SIGINT)
        tick.communicate(timeout=WAIT_S)

    assert [ended(shop, 1), ended(shop, 2)] == ["Complete/", "Complete/"]


@pytest.mark.parametrize("words", [("tick",), ("tick", "--for", "10m")])
def test_a_tick_that_a_person_interrupts_ends_with_130(shop: Shop, words: tuple[str, ...]) -> None:
    shop.type("enqueue", "hold", "name=long")
    with started(shop, *words) as tick:
        assert heard(shop, "long.began") == "long"
        tick.send_signal(signal.SIGINT)
        let_end(shop, "long")
        tick.communicate(timeout=WAIT_S)

    assert tick.returncode == 130
    assert ended(shop, 1) == "Complete/"


def test_what_falls_due_while_a_task_runs_does_not_wait_for_it(shop: Shop) -> None:
    shop.type("enqueue", "hold", "name=long")
    with started(shop, "tick") as tick:
        assert heard(shop, "long.began") == "long"
        store = shop.store()
        store.db.set_clock("offset:" + str(_offset_to(store, minutes=1)))
        store.close()
        assert heard(shop, "minutely.began") == "minutely"
        let_end(shop, "long")
        tick.communicate(timeout=WAIT_S)

    assert tick.returncode == 0
    assert ended(shop, 1) == "Complete/"


def _offset_to(store: Store, minutes: int) -> int:
    """How far to shift the real clock so that the store's is that much later than now."""
    wanted = store.now() + minutes * 60_000_000
    store.db.set_clock("offset:0")
    return wanted - store.now()


def test_a_request_in_a_callers_own_database_is_found_without_a_wake(shop: Shop) -> None:
    script = """
import sqlite3, tasks
with sqlite3.connect("shop.db") as connection:
    tasks.quick.using(connection=connection).enqueue(name="outbox")
connection.close()
"""
    (shop.directory / "ask.py").write_text(script)
    with started(shop, "watch") as watch:
        assert watch.stderr is not None
        assert "watching" in watch.stderr.readline()
        subprocess.run(
            [shop.line()[0], "ask.py"],
            cwd=shop.directory,
            env=shop.environment(),
            timeout=WAIT_S,
            check=True,
        )
        assert heard(shop, "quick.began") == "outbox"
        watch.send_signal(signal.SIGTERM)
        _, err = watch.communicate(timeout=WAIT_S)

    assert watch.returncode == 0
    assert err == "sexton: ended by SIGTERM; 1 task ended Complete\n"


def test_files_that_others_write_beside_the_store_hold_nothing_up(shop: Shop) -> None:
    over = threading.Event()

    def write() -> None:
        while not over.wait(POLL_S / 30):
            (shop.directory / "log").write_text("a line")

    noise = threading.Thread(target=write)
    with started(shop, "watch") as watch:
        assert watch.stderr is not None
        assert "watching" in watch.stderr.readline()
        noise.start()
        try:
            store = shop.store()  # below the application, so that nobody is woken
            quick = store.kinds.get("quick")
            assert quick is not None
            store.tasks.enqueue(quick.kind, Request(payload='{"name":"late"}'))
            store.close()

            assert heard(shop, "quick.began") == "late"
        finally:
            over.set()
            noise.join()


def test_on_term_what_runs_may_end_within_the_grace(shop: Shop) -> None:
    shop.type("enqueue", "hold", "name=long")
    with started(shop, "watch", "--quiet") as watch:
        assert heard(shop, "long.began") == "long"
        watch.send_signal(signal.SIGTERM)
        let_end(shop, "long")
        _, err = watch.communicate(timeout=WAIT_S)

    assert (watch.returncode, err) == (0, "")
    assert ended(shop, 1) == "Complete/"


@pytest.mark.parametrize("grace_s", [0, 600])
def test_after_the_grace_or_a_second_signal_it_ends_and_is_made_good(
    shop: Shop, grace_s: int
) -> None:
    with (shop.directory / "sexton.toml").open("a") as settings:
        settings.write(f"grace_s = {grace_s}\n")
    shop.type("enqueue", "hold", "name=long")
    with started(shop, "watch", "--quiet") as watch:
        assert heard(shop, "long.began") == "long"
        watch.send_signal(signal.SIGTERM)
        if grace_s:
            watch.send_signal(signal.SIGTERM)
            watch.send_signal(signal.SIGINT)
        _, err = watch.communicate(timeout=WAIT_S)

    assert watch.returncode == 0
    assert "ended Aborted/lost: interrupted by SIG" in err
    assert ended(shop, 1) == "Aborted/lost"
    assert ended(shop, 2) == "Pending/"


def test_a_tick_is_not_held_up_by_what_it_was_told_to_end(shop: Shop) -> None:
    with started(shop, "tick", "--for", "1s", "--json") as tick:
        out, err = tick.communicate(timeout=WAIT_S)

    assert (tick.returncode, err) == (0, "")
    assert json.loads(out)["complete"] == 0


def test_a_watch_whose_store_was_moved_away_ends_and_says_so(shop: Shop) -> None:
    with started(shop, "watch") as watch:
        assert watch.stderr is not None
        watch.stderr.readline()
        (shop.directory / "sexton.db").rename(shop.directory / "moved.db")
        (shop.directory / "sexton.db.wake").write_bytes(b"")
        _, err = watch.communicate(timeout=WAIT_S)

    assert watch.returncode == 78
    assert "was moved away or replaced" in err


@pytest.fixture
def pings() -> Iterator[Pings]:
    with Pings() as running:
        yield running


class Pings:
    """A server outside that counts the ticks it hears of."""

    def __init__(self) -> None:
        self.came = threading.Semaphore(0)
        came = self.came

        class Outside(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.send_response(200)
                self.end_headers()
                came.release()

            def log_message(self, *words: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Outside)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/secret"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def ping(shop: Shop, pings: Pings) -> None:
    """Let every tick of the shop be told outside."""
    with (shop.directory / "sexton.toml").open("a") as settings:
        settings.write(f'ping_url = "{pings.url}"\n')
    assert shop.type("sync").returncode == 0


def test_after_a_tick_the_ping_is_sent_by_another_process(shop: Shop, pings: Pings) -> None:
    ping(shop, pings)
    (shop.directory / "quick.began").unlink()
    shop.type("enqueue", "quick", "name=a")
    assert not pings.came.acquire(blocking=False)
    told = shop.type("tick")

    assert told.returncode == 0
    assert pings.came.acquire(timeout=WAIT_S)


def test_a_tick_with_nothing_to_do_is_told_outside_as_well(shop: Shop, pings: Pings) -> None:
    ping(shop, pings)
    assert idle.look(str(shop.directory / "sexton.db"), str(shop.directory)) == pings.url
    assert not pings.came.acquire(blocking=False)
    told = shop.type("tick")

    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    assert pings.came.acquire(timeout=WAIT_S)


INLINE = """
from __future__ import annotations

from sexton import Sexton

app = Sexton()


def say(word: str) -> None:
    with open("quick.began", "w") as pipe:
        pipe.write(word)


@app.task(isolation="inline")
def one() -> None:
    say("old")
"""


def test_a_tick_that_lingers_runs_inline_what_a_deploy_has_changed(shop: Shop) -> None:
    source = shop.directory / f"{shop.module}.py"
    source.write_text(INLINE)
    assert shop.type("sync").returncode == 0
    with started(shop, "tick", "--for", "10m") as tick:
        shop.type("enqueue", "one")
        assert heard(shop, "quick.began") == "old"

        more = '@app.task(isolation="inline")\ndef two() -> None:\n    say("two")\n'
        source.write_text(f"{INLINE.replace('old', 'newer')}\n\n{more}")
        assert shop.type("sync").returncode == 0
        for kind, word in (("one", "newer"), ("two", "two")):
            shop.type("enqueue", kind)
            assert heard(shop, "quick.began") == word
        tick.send_signal(signal.SIGTERM)
        tick.communicate(timeout=WAIT_S)

    store = shop.store()
    ends = {task.status for task in store.tasks.newest()}
    store.close()
    assert ends == {"Complete"}
