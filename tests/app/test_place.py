"""Where the store, the settings and the application are found, and what is said if they are not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sexton import Sexton
from sexton.app import place as places
from sexton.app.load import load
from sexton.core.errors import ConfigurationError


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test in a directory of its own, with no settings from outside; modules are forgotten."""
    for name in ("SEXTON_STORE", "SEXTON_SETTINGS", "SEXTON_APP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("shop_"):
            del sys.modules[name]


def settings(directory: Path, text: str = "") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "sexton.toml"
    file.write_text(text)
    return file


# --- the store: argument, environment, settings file, default ---


def test_the_argument_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings(tmp_path, 'store = "sqlite:///settings.db"')
    monkeypatch.setenv("SEXTON_STORE", "sqlite:///environment.db")

    found = places.find("sqlite:////srv/argument.db")

    assert found.store == "sqlite:////srv/argument.db"


def test_the_environment_comes_before_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(tmp_path, 'store = "sqlite:///settings.db"')
    monkeypatch.setenv("SEXTON_STORE", "sqlite:///environment.db")

    assert places.find().store == f"sqlite:///{tmp_path}/environment.db"


def test_the_settings_come_before_the_default(tmp_path: Path) -> None:
    settings(tmp_path, 'store = "sqlite:///data/shop.db"')

    assert places.find().store == f"sqlite:///{tmp_path}/data/shop.db"


def test_the_default_lies_beside_the_settings(tmp_path: Path) -> None:
    settings(tmp_path)

    assert places.find().store == f"sqlite:///{tmp_path}/sexton.db"


def test_without_settings_the_default_lies_where_the_search_began(tmp_path: Path) -> None:
    found = places.find(start=str(tmp_path / "app"))

    assert found.store == f"sqlite:///{tmp_path}/app/sexton.db"
    assert found.settings_path == ""


# --- the settings file: named, from the module upward, from here upward ---


def test_the_settings_are_looked_for_upward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(tmp_path)
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)

    found = places.find()

    assert found.directory == str(tmp_path)
    assert found.store == f"sqlite:///{tmp_path}/sexton.db"


def test_the_nearest_settings_file_is_taken(tmp_path: Path) -> None:
    settings(tmp_path)
    near = settings(tmp_path / "a" / "b")

    assert places.find(start=str(tmp_path / "a" / "b" / "c")).settings_path == str(near)


def test_the_modules_own_settings_come_before_those_of_the_directory_we_are_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = settings(tmp_path / "ours")
    settings(tmp_path / "theirs")
    monkeypatch.chdir(tmp_path / "theirs")

    assert places.find(start=str(tmp_path / "ours")).settings_path == str(ours)


def test_a_named_settings_file_is_the_only_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(tmp_path)
    named = settings(tmp_path / "elsewhere", "lease_s = 7").rename(tmp_path / "other.toml")
    monkeypatch.setenv("SEXTON_SETTINGS", str(named))

    found = places.find(start=str(tmp_path))

    assert (found.settings_path, found.settings.lease_s) == (str(named), 7)


def test_a_named_settings_file_that_is_not_there_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEXTON_SETTINGS", str(tmp_path / "none.toml"))

    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        places.find()


def test_the_app_is_found_in_the_environment_before_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(tmp_path, 'app = "tasks:app"')
    before = places.find().app
    monkeypatch.setenv("SEXTON_APP", "other:app")

    assert (before, places.find().app) == ("tasks:app", "other:app")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lease_s = 4", "lease_s"),
        ('lease_s = "60"', "lease_s"),
        ("leese_s = 60", "leese_s"),
        ("parallel = 0", "parallel"),
        ('ping_url = "hc.example.org/ping"', "ping_url: a url starts with https://"),
        ("lease_s = ", "is not valid TOML"),
        ('app = "\\xff"', "is not valid TOML"),
        ('[notify.http]\nurl = "ftp://x"', "notify"),
    ],
)
def test_a_wrong_setting_is_refused_with_file_and_field(
    tmp_path: Path, text: str, words: str
) -> None:
    file = settings(tmp_path, text)

    with pytest.raises(ConfigurationError) as refused:
        places.find()

    assert str(file) in str(refused.value)
    assert words in str(refused.value)
    assert refused.value.exit_code == 78


@pytest.mark.parametrize("url", ["postgres://x/y", "shop.db", "sqlite://shop.db", "sqlite:///"])
def test_a_store_that_is_no_sqlite_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        places.find(url)


# --- the application ---


def named(directory: Path, app: str) -> places.Place:
    settings(directory, f'app = "{app}"' if app else "")
    return places.find(start=str(directory))


def test_the_application_is_loaded_from_beside_its_settings(tmp_path: Path) -> None:
    (tmp_path / "shop_one.py").write_text("from sexton import Sexton\napp = Sexton()\n")

    loaded = load(named(tmp_path, "shop_one:app"))

    assert isinstance(loaded, Sexton)
    assert loaded.place.store == f"sqlite:///{tmp_path}/sexton.db"


@pytest.mark.parametrize(
    ("app", "text", "words"),
    [
        ("", "", "no application is named"),
        ("shop_two", "", "is not of the form module:object"),
        ("shop_two:", "", "is not of the form module:object"),
        (":app", "", "is not of the form module:object"),
        ("shop_two:a.b", "", "is not of the form module:object"),
        ("shop_none:app", "", "there is no module shop_none in"),
        ("shop_two:app", "", "the module shop_two has no app"),
        ("shop_two:app", "app = 7", "the module shop_two has another kind of app"),
        ("shop_two:app", "import shop_missing", "No module named 'shop_missing'"),
        ("shop_two:app", "x = = 1", "SyntaxError"),
        ("shop_two:app", "1 / 0", r"ZeroDivisionError: division by zero (at shop_two.py:1)"),
        ("shop_two:app", "raise SystemExit(3)", "SystemExit: 3"),
        (
            "shop_two:app",
            "from sexton import Sexton\napp = Sexton('sqlite:////srv/other.db')",
            "the application uses the store sqlite:////srv/other.db, and this command",
        ),
    ],
)
def test_an_application_that_cannot_be_used_is_refused_in_words(
    tmp_path: Path, app: str, text: str, words: str
) -> None:
    (tmp_path / "shop_two.py").write_text(text)

    with pytest.raises(ConfigurationError) as refused:
        load(named(tmp_path, app))

    assert words in str(refused.value)
