"""`install`: what starts the tick is written so that cron and systemd read what was meant."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from sexton.cli import install, units
from sexton.cli.units import Install
from sexton.core.errors import ConfigurationError
from tests.cli.conftest import Type
from tests.cli.shop import WAIT_S, Shop, open_shop

STRANGE = """it's 100% "mine" $HOME"""
PLAIN = Install(
    name="shop",
    directory="/srv/shop",
    argv=("/usr/bin/sexton", "tick"),
    env={},
    store="/srv/shop/sexton.db",
    wake="/srv/shop/sexton.db.wake",
    user="shop",
    writable=["/srv/shop"],
)


def as_cron_runs(line: str) -> str:
    """The command of a line of /etc/cron.d, as Debian's cron hands it to the shell."""
    command = line.split(None, 6)[6]
    kept, _, given = command.replace("\\%", "\0").partition("%")
    assert given == "", "an unescaped % is the end of the command"
    return kept.replace("\0", "%")


def last_tick(shop: Shop) -> int | None:
    store = shop.store()
    last = store.rounds.last_tick()
    store.close()
    return last[0] if last else None


def test_the_line_ticks_from_anywhere_whatever_the_directory_is_called(tmp_path: Path) -> None:
    (tmp_path / STRANGE).mkdir()
    shop = open_shop(tmp_path / STRANGE)
    [text] = shop.json("install", "cron")["files"].values()
    marker, line = text.splitlines()
    told = subprocess.run(
        ["/bin/sh", "-c", as_cron_runs(line) if os.geteuid() == 0 else as_cron_runs(f"x {line}")],
        cwd="/",
        env={"HOME": "/", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )

    assert line.startswith("* * * * * ")
    assert marker.startswith("# sexton ")
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    assert last_tick(shop) is not None


def test_what_leads_to_the_store_now_is_written_into_the_line(shop: Shop) -> None:
    env = {"SEXTON_STORE": "sqlite:///sexton.db", "SEXTON_APP": "a b:app"}
    told = shop.type("install", "cron", "--json", env=env)
    [text] = json.loads(told.stdout)["files"].values()

    assert f"SEXTON_STORE={shlex.quote(shop.url)} SEXTON_APP='a b:app' " in text


def test_only_apply_writes_and_twice_is_once(
    typed: Type, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "CRON_DIRECTORY", str(shop.directory / "cron.d"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    printed = typed("install", "cron", "--name", "shop").out
    assert not (shop.directory / "cron.d").exists()
    typed("install", "cron", "--name", "shop", "--apply")
    first = (shop.directory / "cron.d" / "sexton-shop").read_text()
    typed("install", "cron", "--name", "shop", "--apply")

    assert first in printed
    assert [path.name for path in (shop.directory / "cron.d").iterdir()] == ["sexton-shop"]
    assert (shop.directory / "cron.d" / "sexton-shop").read_text() == first
    assert (shop.directory / "cron.d" / "sexton-shop").stat().st_mode & 0o777 == 0o644


def other_shop(shop: Shop) -> Path:
    """A second application, whose directory is called as the first one's."""
    other = shop.directory / "other" / shop.directory.name
    other.mkdir(parents=True)
    open_shop(other)
    return other


@pytest.mark.parametrize("how", ["cron", "systemd"])
def test_a_second_application_does_not_take_the_place_of_the_first(
    typed: Type, shop: Shop, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    systemd_that_notes(shop, monkeypatch)
    monkeypatch.setattr(install, "CRON_DIRECTORY", str(shop.directory / "units"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    typed("install", how, "--apply")
    before = {path: path.read_text() for path in (shop.directory / "units").iterdir()}
    other = other_shop(shop)
    monkeypatch.chdir(other)
    told = typed("install", how, "--apply")
    after = {path: path.read_text() for path in (shop.directory / "units").iterdir()}
    named = typed("install", how, "--apply", "--name", "other")

    assert told.code == 78
    assert f"starts the tick of {shop.directory} already" in told.err
    assert "Choose another --name" in told.err
    assert before == after
    assert named.code == 0


def test_what_a_directory_that_has_gone_installed_is_replaced(
    typed: Type, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "CRON_DIRECTORY", str(shop.directory / "cron.d"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    other = other_shop(shop)
    monkeypatch.chdir(other)
    typed("install", "cron", "--apply", "--name", "shop")
    other.rename(shop.directory / "gone")
    monkeypatch.chdir(shop.directory)
    told = typed("install", "cron", "--apply", "--name", "shop")

    assert told.code == 0
    assert str(other) not in (shop.directory / "cron.d" / "sexton-shop").read_text()


@pytest.mark.parametrize("user", ["nobody-of-that-name", "a b", "root\n"])
def test_a_user_whom_the_machine_does_not_know_is_refused(typed: Type, user: str) -> None:
    told = typed("install", "cron", "--user", user)

    assert told.code == 2
    assert "--user: no user of this machine is called " in told.err


def test_that_there_is_no_store_to_tick_is_told(typed: Type, shop: Shop) -> None:
    assert typed("install", "cron").err == ""
    told = shop.type("install", "cron", env={"SEXTON_STORE": "sqlite:///other.db"})

    assert told.returncode == 0
    assert f"there is no store at {shop.directory}/other.db yet" in told.stderr


def test_without_root_it_is_a_line_of_the_users_crontab_beside_all_others(
    typed: Type, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = shop.directory / "crontab.txt"
    program = shop.directory / "bin" / "crontab"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$1" = -l ] && exec cat "{table}"\nexec cat > "{table}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    table.write_bytes(b"MAILTO=\xe9\n5 4 * * * backup\n")
    assert typed("install", "cron", "--name", "shop", "--apply").code == 0
    once = table.read_bytes()
    typed("install", "cron", "--name", "shop", "--apply")

    lines = once.splitlines()
    assert lines[:2] == [b"MAILTO=\xe9", b"5 4 * * * backup"]
    assert lines[2] == f"# sexton shop: the tick of {shop.directory}".encode()
    assert lines[3].startswith(b"* * * * * cd ")
    assert len(lines) == 4
    assert table.read_bytes() == once
    monkeypatch.chdir(other_shop(shop))
    assert typed("install", "cron", "--name", "shop", "--apply").code == 78
    assert table.read_bytes() == once


def test_a_changed_line_takes_the_place_of_the_old_one() -> None:
    before = "MAILTO=me\n" + units.merged("", PLAIN) + "1 1 * * * other\n"
    after = units.merged(before, PLAIN._replace(directory="/srv/new"))

    assert after.splitlines() == [
        "MAILTO=me",
        "# sexton shop: the tick of /srv/new",
        "* * * * * cd /srv/new && /usr/bin/sexton tick",
        "1 1 * * * other",
    ]


def test_systemd_gets_a_service_a_timer_and_a_watch_on_the_wake_file() -> None:
    files = units.unit_files(PLAIN, of_user=False)

    assert sorted(files) == ["sexton-shop.path", "sexton-shop.service", "sexton-shop.timer"]
    assert "OnCalendar=minutely\nAccuracySec=1s\n" in files["sexton-shop.timer"]
    assert "PathModified=/srv/shop/sexton.db.wake\n" in files["sexton-shop.path"]
    service = files["sexton-shop.service"].splitlines()
    for line in ("User=shop", "WorkingDirectory=/srv/shop", 'ExecStart="/usr/bin/sexton" "tick"',
                 "NoNewPrivileges=yes", 'ReadWritePaths="/srv/shop"'):  # fmt: skip
        assert line in service
    assert "User=shop" not in units.unit_files(PLAIN, of_user=True)["sexton-shop.service"]


def test_systemds_own_signs_are_escaped() -> None:
    strange = PLAIN._replace(
        directory=f"/srv/{STRANGE}", env={"SEXTON_APP": 'a"\\b%:app'}, argv=("/opt x/$a", "tick")
    )
    service = units.unit_files(strange, of_user=True)["sexton-shop.service"].splitlines()

    assert """WorkingDirectory=/srv/it's 100%% "mine" $HOME""" in service
    assert r'Environment="SEXTON_APP=a\"\\b%%:app"' in service
    assert 'ExecStart="/opt x/$$a" "tick"' in service


def systemd_that_notes(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which systemd runs, whose systemctl only notes what it is asked."""
    program = shop.directory / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> "{shop.directory}/asked"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(install, "SYSTEM_UNITS", str(shop.directory / "units"))
    monkeypatch.setattr(install, "SYSTEMD_RUNS", str(shop.directory))


def test_units_are_written_and_switched_on(
    typed: Type, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd_that_notes(shop, monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    told = typed("install", "systemd", "--name", "shop", "--apply")

    assert told.code == 0
    assert len(list((shop.directory / "units").iterdir())) == 3
    assert (shop.directory / "asked").read_text().splitlines() == [
        "daemon-reload",
        "enable --now sexton-shop.timer sexton-shop.path",
    ]


def test_without_systemd_it_says_what_to_use_instead(
    typed: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    told = typed("install", "systemd", "--apply")

    assert told.code == 78
    assert "sexton install cron" in told.err


def test_where_systemd_does_not_run_no_unit_is_left_behind(
    typed: Type, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd_that_notes(shop, monkeypatch)
    monkeypatch.setattr(install, "SYSTEMD_RUNS", str(shop.directory / "nowhere"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    told = typed("install", "systemd", "--apply")

    assert told.code == 78
    assert "systemd does not run here" in told.err
    assert not (shop.directory / "units").exists()


@pytest.mark.parametrize("directory", ["/srv/a\nb", "/srv/a\x07b", "/srv/a\\", "/srv/a "])
def test_a_path_that_neither_can_write_is_refused(directory: str) -> None:
    with pytest.raises(ConfigurationError, match="no crontab and no unit can write"):
        units.refuse_unwritable(PLAIN._replace(directory=directory))


@pytest.mark.parametrize(
    ("directory", "name"),
    [("/srv/My Shop.de", "my-shop-de"), ("/", "tasks"), ("/srv/日本", "tasks")],
)
def test_the_name_is_one_that_cron_reads(directory: str, name: str) -> None:
    # cron skips files in /etc/cron.d whose names have a dot. Source: cron(8), run-parts(8).
    assert units.name_of(directory) == name
