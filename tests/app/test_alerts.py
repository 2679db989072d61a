"""Alerts that the tick delivers, once, to a real program, a real web server and a real mailbox."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from tests.app.shop import Shop

# The mail server of the example: a neighbour of its tasks, in a directory that is no package.
sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "daily_summary"))

from smtp_sink import Mailbox, Sink

FAILING = """
@app.task(schedule="@daily", retry="1h x 2")
def nightly() -> None:
    did("tried")
    raise ConnectionError("the warehouse is down")
"""


class Checks:
    """A web server in the style of Healthchecks that keeps what it was told."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str]] = []
        self.status = 200
        checks = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                checks.got.append((self.path, body.decode()))
                self.send_response(checks.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/secret"


@pytest.fixture
def checks() -> Iterator[Checks]:
    made = Checks()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    with Sink(Mailbox(tmp_path / "mailbox")) as running:
        yield running


def fail_for_good(shop: Shop) -> None:
    """Let both attempts of a period fail, with many more ticks beside them."""
    shop.travel(days=1)
    for _ in range(3):
        shop.sexton("tick")
    shop.travel(hours=1)
    for _ in range(3):
        shop.sexton("tick")


def test_a_program_hears_of_it_once_after_the_last_failure(shop: Shop) -> None:
    told = shop.file("told")
    shop.settings(f'[notify.command]\nargv = ["tee", "-a", "{told}"]\n')
    shop.declare(FAILING)
    shop.travel(days=1)
    shop.sexton("tick")
    after_the_first = told.exists()
    shop.travel(hours=1)
    for _ in range(3):
        shop.sexton("tick")

    notice = msgspec.json.decode(told.read_text())
    assert not after_the_first
    assert shop.effects() == {"tried": 2}
    assert (notice["kind"], notice["code"]) == ("nightly", "failed")
    assert (notice["target"], notice["period"]) == ("", "2026-01-02T00:00")
    assert "ended Aborted/failed after all 2 attempts" in notice["text"]
    assert "the warehouse is down" in notice["text"]


def test_a_web_check_hears_of_it_once(shop: Shop, checks: Checks) -> None:
    shop.settings(f'[notify.http]\nurl = "{checks.url}"\n')
    shop.declare(FAILING)
    fail_for_good(shop)

    [(path, body)] = checks.got
    assert path == "/secret/fail"
    assert "the warehouse is down" in body


def test_a_mailbox_hears_of_it_once(shop: Shop, sink: Sink) -> None:
    shop.settings(
        f"""
        [notify.mail]
        to = ["ops@example.com"]
        sender = "sexton@example.com"
        host = "127.0.0.1"
        port = {sink.port}
        security = "none"
        """
    )
    shop.declare(FAILING)
    fail_for_good(shop)

    assert sink.mailbox.count() == {"ops@example.com": 1}
    [mail] = sink.mailbox.mails()
    assert "nightly" in mail["Subject"]
    assert "the warehouse is down" in mail.get_content()


def test_a_delivery_that_fails_is_tried_again_and_then_not_repeated(
    shop: Shop, checks: Checks
) -> None:
    shop.settings(f'[notify.http]\nurl = "{checks.url}"\n')
    shop.declare(FAILING)
    checks.status = 503
    fail_for_good(shop)
    while_down = len(checks.got)
    checks.status = 200
    for _ in range(4):
        shop.travel(minutes=2)
        shop.sexton("tick")

    assert while_down == 1
    assert len(checks.got) == 2
    assert len({body for _, body in checks.got}) == 1


def test_an_alert_that_nobody_takes_is_no_reason_for_another(shop: Shop, checks: Checks) -> None:
    shop.settings(f'[notify.http]\nurl = "{checks.url}"\n')
    shop.declare(FAILING)
    checks.status = 503
    fail_for_good(shop)
    for _ in range(10):
        shop.travel(minutes=10)
        shop.sexton("tick")

    assert set(shop.ends("sexton.notify")) == {"Aborted/failed"}
    assert {body for _, body in checks.got} == {checks.got[0][1]}
    assert len(checks.got) == len(shop.ends("sexton.notify")) == 5
    assert [notice["kind"] for notice in shop.store.tasks.notices()] == ["nightly"]


def test_who_took_a_notice_does_not_get_it_again_when_another_did_not(
    shop: Shop, checks: Checks
) -> None:
    told = shop.file("told")
    command = f'argv = ["tee", "-a", "{told}"]'
    shop.settings(f'[notify.command]\n{command}\n[notify.http]\nurl = "{checks.url}"\n')
    shop.declare(FAILING)
    checks.status = 503
    fail_for_good(shop)
    for _ in range(2):
        shop.travel(minutes=2)
        shop.sexton("tick")

    assert len(checks.got) == 3
    assert told.read_text().count('"code":"failed"') == 1


def test_an_expired_period_is_an_alert(shop: Shop, checks: Checks) -> None:
    shop.settings(f'[notify.http]\nurl = "{checks.url}"\n')
    shop.declare(
        """
        @app.task(schedule="0 7 * * *", expires="2h")
        def morning() -> None:
            did("morning")
        """
    )
    shop.travel(hours=20)
    shop.sexton("tick")
    shop.sexton("tick")

    assert shop.effects() == {}
    assert len(checks.got) == 1
    assert "expired" in checks.got[0][1]


def test_nobody_is_told_where_nobody_is_named(shop: Shop) -> None:
    shop.declare(FAILING)
    fail_for_good(shop)

    assert shop.ends("sexton.notify") == []
    assert len(shop.store.tasks.notices("nightly")) == 1
