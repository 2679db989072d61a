"""What these tests share: a small project with an application, as a user has one."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

TASKS = """
import smtplib
from email.message import EmailMessage
from sexton import Item, Sexton

app = Sexton()
PORT = 0
PEOPLE = ["ann@example.org", "ben@example.org", "cy@example.org"]


@app.plan(schedule="30 7 * * *", retry="30m x 3", expires="4h")
def daily():
    yield from ({"id": who} for who in PEOPLE)


@daily.each(key="id")
def send(who, item: Item):
    mail = EmailMessage()
    mail["To"], mail["From"], mail["Subject"] = who["id"], "shop@example.org", "Good morning"
    mail["Message-ID"] = item.message_id
    mail.set_content("Your day.")
    with smtplib.SMTP("127.0.0.1", PORT, "localhost") as server:
        server.send_message(mail)


@app.task(min_gap="20h")
def rotate():
    app.kv.update("rotations", lambda n: (n or 0) + 1)


@app.task
def resize(image: str, width: int = 800):
    app.kv["resized"] = f"{image} {width}"
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A directory with tasks.py and a pytest.ini that names the application."""
    for name in ("SEXTON_APP", "SEXTON_STORE", "SEXTON_SETTINGS"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(tasks=TASKS)
    pytester.makeini("[pytest]\nsexton_app = tasks:app\npythonpath = .\n")
    return pytester


def passes(project: pytest.Pytester, body: str, *, passed: int = 1) -> None:
    """Run these tests in a process of their own, and hold them to pass."""
    project.makepyfile(test_it=body)
    result = project.runpytest_subprocess(
        "-p", "no:cacheprovider", "-p", "no:randomly", "-W", "error"
    )
    result.assert_outcomes(passed=passed)
