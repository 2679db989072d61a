"""What the fixtures give a user's test, seen from a project that uses them."""

from __future__ import annotations

import pytest

from tests.testing.conftest import passes

CLOCK = """
import subprocess, sys
from datetime import UTC, datetime, timedelta

import pytest
import tasks
from sexton import SextonError
from sexton.testing import tick


def test_the_clock_stands_and_travels(sexton_app, sexton_clock):
    assert sexton_clock.now == datetime(2020, 1, 1, tzinfo=UTC)
    assert tasks.rotate().code == "done"
    assert tasks.rotate().code == "gap"

    sexton_clock.travel(hours=20)

    assert sexton_clock.now == datetime(2020, 1, 1, 20, tzinfo=UTC)
    assert tasks.rotate().code == "done"
    assert sexton_app.kv["rotations"] == 2


def test_a_moment_without_a_zone_is_refused(sexton_clock):
    with pytest.raises(SextonError, match="no time zone"):
        sexton_clock.travel_to(datetime(2026, 1, 1))


def test_a_test_may_take_its_environment_away(sexton_app, monkeypatch):
    monkeypatch.delenv("SEXTON_STORE")

    assert tasks.rotate().code == "done"


def test_a_child_process_sees_the_same_time_and_the_same_store(sexton_app, sexton_clock):
    sexton_clock.travel_to(datetime(2031, 5, 6, tzinfo=UTC))
    code = "import tasks; print(tasks.rotate()); print(tasks.app.store.now())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert str(int(datetime(2031, 5, 6, tzinfo=UTC).timestamp()) * 1_000_000) in told.stdout
    assert tasks.rotate().code == "gap"


def test_a_tick_runs_what_was_asked_for(sexton_app, sexton_clock):
    tasks.resize.enqueue("a.png")

    assert tick(sexton_app).complete == 1
    assert sexton_app.kv["resized"] == "a.png 800"


def test_a_tick_runs_a_period_that_fell_due(sexton_app, sexton_clock, sexton_outbox):
    tasks.PORT = sexton_outbox.port
    sexton_clock.travel_to(datetime(2026, 11, 22, 7, 31, tzinfo=UTC))

    assert tick(sexton_app).complete == 1
    assert tick(sexton_app).complete == 0
    assert sexton_outbox.recipients == tasks.PEOPLE


def test_a_tick_outlives_a_task_that_leaves(sexton_app, monkeypatch):
    monkeypatch.setattr(tasks.resize, "function", lambda **_: sys.exit(3))
    tasks.resize.enqueue("a.png")

    assert tick(sexton_app).aborted == 1
    assert sexton_app.store.tasks.newest()[0].outcome == "SystemExit: 3"
"""

FRESH = """
import os
import tasks

USUAL = tasks.app.place.store


def test_a_store_is_new(sexton_app):
    assert sexton_app is tasks.app
    assert "seen" not in sexton_app.kv
    sexton_app.kv["seen"] = True
    assert os.environ["SEXTON_STORE"] == sexton_app.store.url != USUAL


def test_a_store_is_new_again(sexton_app):
    assert "seen" not in sexton_app.kv


def test_afterwards_the_app_is_as_it_was():
    assert tasks.app.place.store == USUAL
    assert "SEXTON_STORE" not in os.environ
    assert not os.path.exists(USUAL.removeprefix("sqlite:///"))
"""

OUTBOX = """
import smtplib
from collections import Counter
from datetime import UTC, datetime
import pytest
import tasks


def test_an_outbox_keeps_what_it_gets(sexton_outbox):
    with smtplib.SMTP(sexton_outbox.host, sexton_outbox.port, "localhost") as server:
        server.sendmail("a@x.org", ["b@x.org", "c@x.org"], "Subject: two\\r\\n\\r\\nHello\\r\\n")

    assert [message["Subject"] for message in sexton_outbox.messages] == ["two"]
    assert sexton_outbox.recipients == ["b@x.org", "c@x.org"]


def test_an_outbox_refuses_whom_it_is_told(sexton_app, sexton_clock, sexton_outbox):
    tasks.PORT = sexton_outbox.port
    sexton_outbox.refuse("ben@example.org")
    sexton_clock.travel_to(datetime(2026, 11, 22, 7, 30, tzinfo=UTC))

    outcome = tasks.daily()

    assert outcome.code == "failed"
    assert outcome.counts == {"done": 2, "failed": 1, "planned": 3}
    assert sexton_outbox.recipients == ["ann@example.org", "cy@example.org"]


def test_a_cleared_outbox_still_refuses(sexton_outbox):
    sexton_outbox.refuse("b@x.org")
    sexton_outbox.clear()
    with (
        smtplib.SMTP(sexton_outbox.host, sexton_outbox.port, "localhost") as server,
        pytest.raises(smtplib.SMTPRecipientsRefused),
    ):
        server.sendmail("a@x.org", ["b@x.org"], "Subject: no\\r\\n\\r\\n")
"""

CRASHES = """
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
import tasks
from sexton import SextonError


def test_a_plain_function_runs_again_after_each_crash(sexton_app, sexton_clock, sexton_crashes):
    numbers = []
    for crash in sexton_crashes(tasks.rotate):
        crash.resume()

        numbers.append(crash.number)
        assert sexton_app.kv["rotations"] in (1, 2), crash
        assert crash.at.startswith(("before ", "after "))

    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 10


def test_each_crash_begins_with_the_store_as_it_was(sexton_app, sexton_crashes):
    sexton_app.kv["rotations"] = 40
    found = set()
    for crash in sexton_crashes(tasks.rotate):
        found.add(sexton_app.kv["rotations"])

    assert found == {40, 41}
    assert sexton_app.kv["rotations"] == 40


def test_a_kind_that_is_asked_for_is_asked_for_once(sexton_app, sexton_crashes):
    for crash in sexton_crashes(tasks.resize, "a.png", width=3):
        crash.resume()

        assert sexton_app.kv["resized"] == "a.png 3"
        roots = {task.root for task in sexton_app.store.tasks.newest()}
        assert len(roots) == 1, crash


def test_a_run_with_nothing_to_do_is_refused(sexton_crashes):
    with pytest.raises(SextonError, match="nothing to do: skipped: not due"):
        for crash in sexton_crashes(tasks.daily):
            pass


def test_a_run_that_never_uses_the_store_is_refused(sexton_crashes):
    with pytest.raises(SextonError, match="never used the store"):
        for crash in sexton_crashes(lambda: None):
            pass


def test_a_run_that_fails_by_itself_is_told(sexton_crashes):
    with pytest.raises(SextonError, match="ZeroDivisionError"):
        for crash in sexton_crashes(lambda: tasks.app.kv.update("x", lambda n: 1 / 0)):
            pass
"""

UNSOUND = """
def test_that_leaves_a_broken_store(sexton_app):
    db = sexton_app.store.db
    db.run("DROP INDEX task_one_runs")
"""

BY_SETTINGS_FILE = """
def test_the_app_is_found(sexton_app):
    assert set(sexton_app.kinds) == {"daily", "rotate", "resize"}
"""


def test_the_clock_travels_through_the_store(project: pytest.Pytester) -> None:
    passes(project, CLOCK, passed=7)


def test_every_test_has_a_store_of_its_own_and_leaves_the_app_as_it_was(
    project: pytest.Pytester,
) -> None:
    passes(project, FRESH, passed=3)


def test_the_outbox_is_a_real_mail_server(project: pytest.Pytester) -> None:
    passes(project, OUTBOX, passed=3)


def test_crashes_happen_at_every_boundary_and_refuse_to_test_nothing(
    project: pytest.Pytester,
) -> None:
    passes(project, CRASHES, passed=6)


def test_a_store_that_is_not_sound_fails_its_test(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=UNSOUND)
    result = project.runpytest_subprocess("-p", "no:cacheprovider")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the index task_one_runs is missing*"])


def test_the_app_may_be_named_by_the_settings_file(project: pytest.Pytester) -> None:
    project.makeini("[pytest]\npythonpath = .\n")
    project.makefile(".toml", sexton='app = "tasks:app"')
    passes(project, BY_SETTINGS_FILE)


def test_the_app_may_be_named_by_the_environment(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.makeini("[pytest]\npythonpath = .\n")
    monkeypatch.setenv("SEXTON_APP", "tasks:app")
    passes(project, BY_SETTINGS_FILE)


def test_an_app_that_is_not_named_is_asked_for_in_words(project: pytest.Pytester) -> None:
    project.makeini("[pytest]\npythonpath = .\n")
    project.makepyfile(test_it=BY_SETTINGS_FILE)
    result = project.runpytest_subprocess("-p", "no:cacheprovider")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no application is named*"])


def test_a_missing_mail_server_library_is_told_with_what_to_install(
    project: pytest.Pytester,
) -> None:
    project.makepyfile(aiosmtpd="raise ImportError('not here')")
    project.makepyfile(test_it="def test_mail(sexton_outbox): pass")
    result = project.runpytest_subprocess("-p", "no:cacheprovider")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*needs aiosmtpd*"])


def test_a_test_without_the_fixtures_loads_nothing_of_sexton(project: pytest.Pytester) -> None:
    passes(
        project,
        """
        import sys

        def test_nothing():
            assert "sexton.testing.plugin" in sys.modules
            assert "sexton.store" not in sys.modules
            assert "sexton.app" not in sys.modules
        """,
    )


PRODUCTION = """
import subprocess, sys
import tasks


def test_a_child_leaves_the_store_that_the_code_names_alone(sexton_app):
    code = "import tasks; print(tasks.app.place.store); tasks.app.kv['ran'] = 1"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == sexton_app.place.store
    assert sexton_app.kv["ran"] == 1
"""


def test_what_a_test_starts_touches_no_store_that_the_code_names(
    project: pytest.Pytester,
) -> None:
    source = project.path / "tasks.py"
    production = project.path / "production.db"
    text = source.read_text().replace("Sexton()", f"Sexton('sqlite:///{production}')")
    source.write_text(text)

    passes(project, PRODUCTION)

    assert not production.exists()


FORCED = """
import tasks


def test_a_forced_run_and_a_request_are_not_asked_for_twice(sexton_app, sexton_crashes):
    for crash in sexton_crashes(tasks.resize.enqueue, "a.png"):
        crash.resume()
        assert sexton_app.kv.get("resized-times", int) == 1, crash
    for crash in sexton_crashes(tasks.rotate.force, "by hand"):
        crash.resume()
        done = [task for task in sexton_app.store.tasks.newest(kind="rotate")
                if task.status == "Complete"]
        assert len(done) == 1, crash
"""


def test_what_asks_anew_is_asked_once_after_a_crash(project: pytest.Pytester) -> None:
    source = project.path / "tasks.py"
    counted = 'app.kv["resized"] = f"{image} {width}"'
    more = f'{counted}\n    app.kv.update("resized-times", lambda n: (n or 0) + 1)'
    # What is counted twice was run twice: the count commits last.
    source.write_text(source.read_text().replace(counted, more))

    passes(project, FORCED)
