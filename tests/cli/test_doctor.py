"""`doctor`: each trouble is seen, named, and answered with what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from sexton.cli import look
from tests.cli.conftest import Type
from tests.cli.shop import WAIT_S, Shop
from tests.work.test_owner import unshared


class Seen(NamedTuple):
    level: str
    about: str
    text: str
    hint: str


def looked(typed: Type) -> tuple[int, list[Seen]]:
    told = typed("doctor", "--json")
    return told.code, [Seen(**finding) for finding in json.loads(told.out)["findings"]]


def of(findings: list[Seen], about: str) -> list[Seen]:
    return [finding for finding in findings if finding.about == about]


@pytest.fixture
def ticked(shop: Shop, typed: Type) -> Type:
    """A shop in which a tick has just been."""
    assert shop.type("tick").returncode == 0
    return typed


def test_a_sound_store_with_a_fresh_tick_has_nothing_bad(ticked: Type) -> None:
    code, findings = looked(ticked)

    assert code == 0
    assert [finding for finding in findings if finding.level == "bad"] == []
    assert of(findings, "tick")[0].text.startswith("the last tick came now")
    assert of(findings, "application")[0].level == "ok"
    assert all(finding.hint for finding in findings if finding.level != "ok")
    assert "ok    store: " in ticked("doctor").out


def test_that_no_tick_ever_came_is_bad(typed: Type) -> None:
    code, findings = looked(typed)

    assert code == 1
    assert of(findings, "tick") == [Seen("bad", "tick", "no tick ever came",
        "Let cron or systemd start it: sexton install cron, sexton install systemd.")]  # fmt: skip


def test_a_tick_that_stays_away_is_bad(ticked: Type, shop: Shop) -> None:
    store = shop.store()
    store.db.run("UPDATE mark SET at = at - 240000000 WHERE name = 'tick'")

    assert of(looked(ticked)[1], "tick")[0].text.startswith("the last tick came 4 min ago, on ")
    assert looked(ticked)[0] == 1


def test_a_clock_that_went_back_is_bad(ticked: Type, shop: Shop) -> None:
    store = shop.store()
    store.db.run("UPDATE mark SET at = at + 3600000000 WHERE name = 'tick'")
    store.close()
    [clock] = of(looked(ticked)[1], "clock")

    assert clock.level == "bad"
    assert "later than now" in clock.text


def test_a_store_with_a_travelled_clock_is_not_for_real_work(ticked: Type, shop: Shop) -> None:
    store = shop.store()
    store.db.set_clock("offset:0")
    store.close()

    assert of(looked(ticked)[1], "clock")[0].text.startswith("the clock of this store was set")


def test_changed_sources_are_seen_before_the_next_tick(ticked: Type, shop: Shop) -> None:
    with (shop.directory / f"{shop.module}.py").open("a") as file:
        file.write("\n")

    [found] = of(looked(ticked)[1], "application")
    assert (found.level, found.hint) == (
        "warn", "Run: sexton sync; the next tick does it too.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nowhere_to_be_found\n", "nowhere_to_be_found"),
        ("print('sexton: hello')\nimport os; os._exit(0)\n", "its import ended the process"),
        ("import os; os._exit(3)\n", "its import ended the process: ended with exit code 3"),
        ("from sexton import Sexton\napp = Sexton()\n@app.task(tz='Europe/Rigga')\n"
         "def a() -> None: ...\n", "time zone"),
    ],
)  # fmt: skip
def test_an_application_that_cannot_be_imported_is_bad(
    ticked: Type, shop: Shop, text: str, said: str
) -> None:
    (shop.directory / f"{shop.module}.py").write_text(text)
    code, findings = looked(ticked)
    [found] = of(findings, "application")

    assert (found.level, code) == ("bad", 1)
    assert said in found.text
    assert ticked("kinds", "--names").out.split()[0] == "dump"


def test_an_application_that_was_not_written_yet_is_no_fault(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "tasks")
    shop.type("init", "--no-example")
    shop.type("tick")
    told = shop.type("doctor", "--json")
    [found] = [one for one in json.loads(told.stdout)["findings"] if one["about"] == "application"]

    assert (told.returncode, found["level"]) == (0, "warn")
    assert "there is no module tasks" in found["text"]


@pytest.mark.parametrize(
    ("text", "said"), [("store = ", "not valid TOML"), ('stor = "x"', "Did you mean store?")]
)
def test_settings_that_cannot_be_read_are_told_as_the_settings(
    typed: Type, shop: Shop, text: str, said: str
) -> None:
    (shop.directory / "sexton.toml").write_text(text)
    code, [found] = looked(typed)

    assert (code, found.level, found.about) == (1, "bad", "settings")
    assert said in found.text + found.hint


def on_a_small_disk(directory: Path, script: str) -> str:
    """What a shell script says in a directory of one MiB, which is a file system of its own."""
    prefix = unshared("--mount")
    mount = f"mount -t tmpfs -o size=1m none '{directory}' && cd '{directory}' && {script}"
    told = subprocess.run(
        [*prefix, "sh", "-c", f"PATH={os.path.dirname(sys.executable)}:$PATH; {mount}"],
        capture_output=True,
        text=True,
        env=Shop(directory, "tasks").environment(),
        timeout=WAIT_S,
        check=False,
    )
    return told.stdout + told.stderr


FILL = "sexton init --no-example && rm -f *-shm *-wal; cat /dev/zero > fill;"


def test_a_full_disk_is_told_by_every_command_and_by_doctor(tmp_path: Path) -> None:
    told = on_a_small_disk(tmp_path, f"{FILL} sexton tasks; echo code $?; sexton doctor")

    assert f"sexton: no space is left for {tmp_path}/sexton.db\n  Free some disk space.\n" in told
    assert "code 75\n" in told
    assert f"bad   disk: 0 MiB are left in {tmp_path}\n" in told
    assert f"bad   store: no space is left for {tmp_path}/sexton.db\n" in told


def test_a_disk_that_is_mounted_read_only_is_told_as_that(tmp_path: Path) -> None:
    script = "sexton init --no-example; mount -o remount,ro .; sexton kv set a 1; sexton doctor"
    told = on_a_small_disk(tmp_path, script)

    assert f"sexton: the file system of {tmp_path}/sexton.db is mounted read-only\n" in told
    assert f"bad   disk: the file system of {tmp_path} is mounted read-only\n" in told
    assert "belong" not in told


def test_a_schedule_in_a_gap_is_named_with_what_happens_then(shop: Shop, ticked: Type) -> None:
    shop.type("once", "--name", "early-bird", "--schedule", "30 3 * * *", "--tz", "Europe/Riga",
              "--", "true")  # fmt: skip

    [found] = of(looked(ticked)[1], "early-bird")
    assert found.level == "warn"
    assert "does not exist" in found.text


def test_tasks_of_a_kind_that_is_gone_are_told(ticked: Type, shop: Shop) -> None:
    ticked("enqueue", "resize", "image=a")
    store = shop.store()
    store.kinds.sync([])

    [found] = of(looked(ticked)[1], "resize")
    assert "1 task of it wait for ever" in found.text
    assert found.hint.endswith("sexton abort 1")


def test_items_in_doubt_are_counted_and_named(ticked: Type, shop: Shop) -> None:
    (shop.directory / "die").touch()
    shop.type("run", "remind", "--force", "to see it die")
    (shop.directory / "die").unlink()
    shop.type("tick")

    [found] = of(looked(ticked)[1], "remind")
    assert found == Seen(
        "warn", "remind", "1 item is in doubt: 2", "sexton settle remind KEY done|failed|retry"
    )


OPTION_LIKE = """

@app.plan(scope="ever")
def strange() -> list[str]:
    return ["-x"]


@strange.each(key=lambda key: key)
def dies(key: str) -> None:
    os.kill(os.getpid(), 9)
"""


def test_a_key_that_looks_like_an_option_can_be_settled_as_it_is_told(
    ticked: Type, shop: Shop
) -> None:
    with (shop.directory / f"{shop.module}.py").open("a") as file:
        file.write(OPTION_LIKE)
    shop.type("run", "strange")
    shop.type("tick")
    [found] = of(looked(ticked)[1], "strange")

    assert found.hint == "sexton settle strange -- KEY done|failed|retry"
    assert ticked("settle", "strange", "--", "-x", "done").code == 0


def test_what_waits_for_days_and_what_nobody_renews_is_told(ticked: Type, shop: Shop) -> None:
    ticked("enqueue", "resize", "image=a")
    store = shop.store()
    store.db.run("UPDATE task SET due_at = due_at - 172800000000")
    [found] = of(looked(ticked)[1], "tasks")

    assert found.text == "1 task is due for over a day, the newest is task 1"


def test_that_nobody_hears_of_alerts_is_told(ticked: Type, shop: Shop) -> None:
    assert of(looked(ticked)[1], "notify")[0].text.startswith("nobody hears of alerts")
    with (shop.directory / "sexton.toml").open("a") as file:
        file.write('[notify.command]\nargv = ["false"]\n')
    assert of(looked(ticked)[1], "notify")[0].hint == "Run: sexton sync"
    shop.type("sync")
    assert [one.level for one in of(looked(ticked)[1], "notify")] == ["ok"]
    shop.type("enqueue", "resize", "image=bad")
    store = shop.store()
    shop.type("tick")
    for _ in range(5):
        store.db.set_clock(f"frozen:{store.now() + 600_000_000}")
        shop.type("tick")

    notify = of(looked(ticked)[1], "notify")[0]
    assert (notify.level, "was not delivered" in notify.text) == ("bad", True)


def test_a_store_that_others_may_write_is_bad(ticked: Type, shop: Shop) -> None:
    (shop.directory / "sexton.db").chmod(0o666)
    disk = of(looked(ticked)[1], "disk")

    assert any("everybody on this machine may write" in one.text for one in disk)


def test_a_foreign_journal_and_a_large_log_are_told(
    ticked: Type, shop: Shop, tmp_path: Path
) -> None:
    assert list(look.leftovers(str(shop.directory / "sexton.db"))) == []
    (tmp_path / "other.db-journal").touch()
    with (tmp_path / "other.db-wal").open("w") as log:
        os.truncate(log.fileno(), look.WAL_LARGE_BYTES + 1)
    found = list(look.leftovers(str(tmp_path / "other.db")))

    assert [one.level for one in found] == ["warn", "warn"]
    assert looked(ticked)[0] == 0


def test_a_store_that_is_not_there_is_told_as_a_finding(tmp_path: Path) -> None:
    told = Shop(tmp_path, "tasks").type("doctor", "--json")
    findings = json.loads(told.stdout)["findings"]

    assert told.returncode == 1
    assert findings[-1]["level"] == "bad"
    assert findings[-1]["hint"].startswith("Run `sexton init` once")


def test_a_damaged_store_is_told_as_a_finding(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_bytes(b"no database at all, but long enough to look like one" * 99)
    told = shop.type("doctor", env={"SEXTON_STORE": f"sqlite:///{tmp_path / 'bad.db'}"})

    assert told.returncode == 1
    assert "bad   store: " in told.stdout
    assert "Restore a backup" in told.stdout


def test_a_cron_daemon_is_found_by_its_name(tmp_path: Path) -> None:
    daemon = tmp_path / "crond"
    daemon.symlink_to("/bin/cat")
    with subprocess.Popen([daemon], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"started\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"started\n"
        found = look.running_cron()
        child.stdin.close()
        child.wait(WAIT_S)

    assert found in look.CRON_NAMES
