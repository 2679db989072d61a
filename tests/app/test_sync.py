"""What the application declares, as the tick knows it; and a deploy while ticks come."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.app.shop import Shop, finish

NIGHTLY = """
@app.task(schedule="@daily")
def nightly() -> None:
    did("nightly")
"""


def kinds(shop: Shop) -> dict[str, bool]:
    """The registered kinds of the application, and whether each is still declared."""
    found = {known.kind.name: known.gone_at is None for known in shop.store.kinds.all()}
    return {name: is_there for name, is_there in found.items() if not name.startswith("sexton.")}


def test_sync_says_what_is_new_changed_and_gone(shop: Shop) -> None:
    shop.write(NIGHTLY + "@app.task\ndef resize(image: str) -> None: ...\n")
    first = shop.sexton("sync")
    shop.write(NIGHTLY.replace("@daily", "@hourly") + "@app.task\ndef crop() -> None: ...\n")
    second = shop.sexton("sync")
    third = shop.sexton("sync")

    assert ("new: nightly" in first.stdout, "new: resize" in first.stdout) == (True, True)
    assert "new: crop" in second.stdout
    assert "changed: nightly" in second.stdout
    assert "gone: resize" in second.stdout
    assert "history stays under its name" in second.stdout
    assert not {"new:", "changed:", "gone:"} & set(third.stdout.split())
    assert kinds(shop) == {"nightly": True, "crop": True, "resize": False}


def test_a_new_schedule_never_fires_for_the_time_before_it_was_seen(shop: Shop) -> None:
    shop.travel(days=100)
    shop.declare(NIGHTLY)
    shop.tick()
    before = shop.ends("nightly")
    shop.travel(days=1)
    shop.tick()

    assert before == []
    assert shop.effects() == {"nightly": 1}


def test_an_edited_schedule_does_not_fire_retroactively(shop: Shop) -> None:
    shop.declare(NIGHTLY.replace("@daily", "0 23 * * *"))
    shop.travel(hours=12)
    shop.declare(NIGHTLY.replace("@daily", "0 6 * * *"))
    shop.tick()
    before = dict(shop.effects())
    shop.travel_to(datetime(2026, 1, 2, 6, tzinfo=UTC))
    shop.tick()

    assert before == {}
    assert shop.effects() == {"nightly": 1}


def test_a_tick_notices_a_changed_source_without_a_sync(shop: Shop) -> None:
    shop.declare(NIGHTLY)
    shop.write(NIGHTLY + "@app.task(schedule='@daily')\ndef second() -> None:\n    did('second')\n")
    shop.tick()
    noticed = kinds(shop)
    shop.travel(days=1)
    shop.tick()

    assert noticed == {"nightly": True, "second": True}
    assert shop.effects() == {"nightly": 1, "second": 1}


def test_a_tick_notices_a_change_in_a_module_that_the_application_imports(shop: Shop) -> None:
    shop.write("WORD = 'old'\n", "shop_words.py")
    shop.declare(
        """
        import shop_words

        @app.task(name=f"say_{shop_words.WORD}")
        def say() -> None: ...
        """
    )
    shop.write("WORD = 'newer'\n", "shop_words.py")
    shop.tick()

    assert kinds(shop) == {"say_old": False, "say_newer": True}


def test_in_the_middle_of_a_deploy_the_kinds_stay_and_the_tick_says_78(shop: Shop) -> None:
    shop.declare(NIGHTLY)
    shop.write(NIGHTLY + "def half_written(\n")
    shop.travel(days=1)
    broken = shop.sexton("tick")
    while_broken = (kinds(shop), shop.ends("nightly"))
    shop.write(NIGHTLY)
    mended = shop.sexton("tick")
    shop.travel(days=1)
    after = shop.sexton("tick")

    assert broken.returncode == 78
    assert "SyntaxError" in broken.stderr
    # It was due, and could not be loaded: that attempt has failed, and its kind is still there.
    assert while_broken == ({"nightly": True}, ["Aborted/failed"])
    assert (mended.returncode, after.returncode) == (0, 0)
    assert shop.ends("nightly") == ["Aborted/failed", "Complete"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("os._exit(0)", "its import ended the process"),
        ("os.kill(os.getpid(), 11)", "killed by SIGSEGV"),
    ],
)
def test_an_import_that_ends_the_process_is_told(shop: Shop, line: str, words: str) -> None:
    shop.declare(NIGHTLY)
    shop.write(line + "\n")
    done = shop.sexton("tick")

    assert done.returncode == 78
    assert words in done.stderr
    assert kinds(shop) == {"nightly": True}


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(shop: Shop) -> None:
    text = "import shop_words\nname = shop_words.NAME\n"
    late = "Path(shop_words.__file__).write_text(\"NAME = 'the_new_one'\\n\")\n"
    task = "@app.task(name=name)\ndef say() -> None: ...\n"
    shop.write("NAME = 'old'\n", "shop_words.py")
    shop.declare(text + task)
    shop.write(text + late + task)
    shop.tick()
    shop.tick()

    assert kinds(shop) == {"old": False, "the_new_one": True}


def test_a_source_that_vanished_is_noticed(shop: Shop) -> None:
    shop.declare(NIGHTLY)
    shop.file("tasks.py").unlink()
    done = shop.sexton("tick")

    assert done.returncode == 78
    assert "there is no module tasks in" in done.stderr
    assert kinds(shop) == {"nightly": True}


def test_an_incomplete_plan_is_refused_and_changes_nothing(shop: Shop) -> None:
    shop.declare(NIGHTLY)
    shop.write("@app.plan(schedule='@daily')\ndef letters() -> list[int]:\n    return []\n")
    done = shop.sexton("sync")

    assert done.returncode == 78
    assert "the plan letters has no effect" in done.stderr
    assert kinds(shop) == {"nightly": True}


def test_a_changed_setting_reaches_the_tick(shop: Shop, tmp_path: Path) -> None:
    shop.declare("@app.task\ndef fail() -> None:\n    raise OSError('down')\n")
    told = tmp_path / "told"
    shop.settings(f'[notify.command]\nargv = ["tee", "-a", "{told}"]\n')
    shop.sexton("tick")
    shop.sexton("enqueue", "fail")
    shop.sexton("tick")

    assert "fail" in told.read_text()


def test_an_idle_tick_does_not_import_the_application(shop: Shop) -> None:
    shop.declare("did('imported')\n" + NIGHTLY)
    once = shop.effects()["imported"]
    shop.tick()
    shop.travel(hours=1)
    shop.tick()
    idle = shop.effects()["imported"]
    shop.travel(days=1)
    shop.tick()

    assert (once, idle) == (1, 1)
    assert shop.effects() == {"imported": 2, "nightly": 1}


def test_a_release_in_a_new_directory_is_noticed_and_run_from_there(
    shop: Shop, tmp_path: Path
) -> None:
    where = """
        @app.task(schedule="@daily")
        def nightly() -> None:
            (Path(os.environ["TOLD"]) / HERE.name).write_text(f"{os.getcwd()} RELEASE")
        """
    current = tmp_path / "current"
    named = {"SEXTON_STORE": shop.url, "TOLD": str(tmp_path / "told")}
    (tmp_path / "told").mkdir()
    for number in (1, 2):
        release = tmp_path / f"release{number}"
        release.mkdir()
        (release / "sexton.toml").write_text('app = "tasks:app"')
        shop.write(where.replace("RELEASE", str(number)), f"release{number}/tasks.py")
        current.unlink(missing_ok=True)
        current.symlink_to(release)
        if number == 1:
            assert shop.sexton("sync", env=named, cwd=current).returncode == 0
        shop.travel(days=1)
        assert shop.sexton("tick", env=named, cwd=current).returncode == 0

    told = {file.name: file.read_text() for file in (tmp_path / "told").iterdir()}
    assert told == {
        "release1": f"{tmp_path / 'release1'} 1",
        "release2": f"{tmp_path / 'release2'} 2",
    }


def test_a_tick_that_knows_only_the_store_finds_the_application_where_sync_did(
    shop: Shop,
) -> None:
    shop.declare(
        NIGHTLY
        + """
@app.task(schedule="@daily", isolation="inline")
def inside() -> None:
    did("inside")
"""
    )
    shop.travel(days=1)
    done = shop.sexton("tick", env={"SEXTON_STORE": shop.url}, cwd=Path("/"))

    assert done.returncode == 0, done.stderr
    assert shop.effects() == {"nightly": 1, "inside": 1}


def test_a_store_reached_by_a_link_is_the_same_store(shop: Shop, tmp_path: Path) -> None:
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(tmp_path)
    shop.write(
        f"""
        app = Sexton("sqlite:///{link}/sexton.db")

        @app.task
        def resize() -> None: ...
        """
    )
    done = shop.sexton("sync")

    assert done.returncode == 0, done.stderr


def test_a_settings_file_that_is_gone_turns_no_alert_off(shop: Shop) -> None:
    told = shop.file("told")
    shop.settings(f'[notify.command]\nargv = ["tee", "-a", "{told}"]\n')
    shop.declare("@app.task\ndef bad() -> None:\n    raise ValueError\n")
    kept = shop.file("sexton.toml").rename(shop.file("away.toml"))
    without = shop.sexton("tick")
    kept.rename(shop.file("sexton.toml"))
    with_it = shop.sexton("tick")
    shop.sexton("enqueue", "bad")
    shop.sexton("tick")
    shop.sexton("tick")

    assert (without.returncode, with_it.returncode) == (78, 0)
    assert "sexton.toml, which the last sync read, is gone" in without.stderr
    assert told.exists()


def test_a_tick_whose_application_hangs_when_it_is_read_still_ends_when_it_is_told_to(
    shop: Shop,
) -> None:
    shop.declare(NIGHTLY)
    shop.write(NIGHTLY + 'Path("reading").write_text("now\\n")\ntime.sleep(1000)\n')
    tick = shop.start("tick")
    shop.await_file("reading")
    tick.send_signal(signal.SIGTERM)
    done = finish(tick)

    assert done.returncode == 0, done.stderr
    assert kinds(shop) == {"nightly": True}


def test_a_release_in_a_new_directory_is_noticed_by_a_tick_with_nothing_due(
    shop: Shop, tmp_path: Path
) -> None:
    for release in ("one", "two"):
        directory = tmp_path / release
        directory.mkdir()
        (directory / "sexton.toml").write_text(f'app = "tasks:app"\nstore = "{shop.url}"\n')
        kind = NIGHTLY.replace("nightly", f"nightly_{release}")
        shop.write(kind, f"{release}/tasks.py")
    assert shop.sexton("sync", cwd=tmp_path / "one").returncode == 0
    first = kinds(shop)
    done = shop.sexton("tick", cwd=tmp_path / "two")

    assert done.returncode == 0, done.stderr
    assert first == {"nightly_one": True}
    assert kinds(shop) == {"nightly_one": False, "nightly_two": True}


def test_a_program_finds_the_commands_of_sexton_also_under_crons_path(shop: Shop) -> None:
    shop.declare(
        """
        app.command("letters", argv=["sh", "-c", "sexton item begin ann && echo x >effects"],
                    schedule="@daily")
        """
    )
    shop.travel(days=1)
    done = shop.sexton("tick", env={"PATH": "/usr/bin:/bin"})

    assert done.returncode == 0, done.stdout + done.stderr
    assert shop.effects() == {"x": 1}


def test_an_inline_task_leaves_nothing_in_the_ticks_environment(shop: Shop) -> None:
    shop.declare(
        """
        @app.task(isolation="inline", priority=9)
        def first() -> None:
            os.environ["LEFT_BEHIND"] = "1"

        app.command("second", argv=["sh", "-c", "echo ${LEFT_BEHIND-none} $SEXTON_KIND >effects"])
        """
    )
    shop.sexton("enqueue", "first")
    shop.sexton("enqueue", "second")
    shop.tick()

    assert shop.effects() == {"none second": 1}
