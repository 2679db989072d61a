"""Where the store and the application are: argument, environment, settings file, default.

A relative path in `sexton.toml` starts at that file, so that cron's own directory cannot make a
second store that remembers nothing.
"""

from __future__ import annotations

import os
import re
import tomllib

import msgspec

from sexton.core.errors import ConfigurationError
from sexton.core.near import nearest
from sexton.core.notice import CommandTarget, HttpTarget, MailTarget
from sexton.core.settings import Notify, Settings
from sexton.store import path_of

SETTINGS_FILE = "sexton.toml"
DEFAULT_STORE = "sqlite:///sexton.db"
SHAPES = (Settings, Notify, CommandTarget, HttpTarget, MailTarget)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """`store`: an absolute URL. `app`: `module:name` or ''. `directory`: where the settings file
    is, or where the search began; modules are found from there. `settings_path`: '' if there is
    no settings file."""

    store: str
    app: str
    directory: str
    settings: Settings
    settings_path: str


def find(store: str | None = None, start: str | None = None) -> Place:
    """Find the store and the app; raises ConfigurationError that names the file and the field.

    1. The store: a test's own (SEXTON_TEST_STORE), the argument, SEXTON_STORE, `store` of
       sexton.toml, sexton.db beside it.
    2. The app: SEXTON_APP, `app` of sexton.toml.
    3. sexton.toml: SEXTON_SETTINGS, else looked for from `start` upward, then from the current
       directory upward.
    """
    path = os.environ.get("SEXTON_SETTINGS") or _search(start) or _search(os.getcwd())
    settings = read_settings(path) if path else Settings()
    directory = os.path.dirname(os.path.abspath(path)) if path else start or os.getcwd()
    return Place(
        store=_url(store, settings, directory),
        app=os.environ.get("SEXTON_APP") or settings.app,
        directory=directory,
        settings=settings,
        settings_path=os.path.abspath(path) if path else "",
    )


def _url(store: str | None, settings: Settings, directory: str) -> str:
    given = os.environ.get("SEXTON_STORE") if store is None else None
    # Before all else: what a test starts must not touch the store that the code names.
    given = os.environ.get("SEXTON_TEST_STORE") or given
    if given:
        return absolute(given, os.getcwd())
    return absolute(store or settings.store or DEFAULT_STORE, directory)


def absolute(url: str, directory: str) -> str:
    """The URL with an absolute path; raises ConfigurationError for what is no file of ours."""
    if not url.startswith("sqlite:///"):
        url = re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:…@", url)  # a password is shown to nobody
    path = path_of(url)
    if path == ":memory:" or "?" in path:
        raise ConfigurationError(
            f"the store {url!r} is not understood: it is a file, and takes no options",
            hint="Write sqlite:///sexton.db for a file here.",
        )
    return f"sqlite:///{os.path.normpath(os.path.join(directory, path))}"


def _search(start: str | None) -> str:
    """The nearest sexton.toml from a directory upward, or ''."""
    here = os.path.abspath(start) if start else ""
    while here:
        candidate = os.path.join(here, SETTINGS_FILE)
        # Also what is no file: to pass it by would be to work with another store.
        if os.path.lexists(candidate):
            return candidate
        parent = os.path.dirname(here)
        here = parent if parent != here else ""
    return ""


def read_settings(path: str) -> Settings:
    """Parse a settings file; raises ConfigurationError that names the file and the field."""
    try:
        with open(path, "rb") as file:
            return msgspec.convert(tomllib.load(file), Settings, strict=True)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from error
    except (msgspec.ValidationError, ConfigurationError) as error:
        hint = "docs/reference/settings.md lists every setting with its unit and bounds."
        if near := _nearest_setting(str(error)):
            hint = f"Did you mean {near}? {hint}"
        raise ConfigurationError(f"{path}: {error}", hint=hint) from error


def _nearest_setting(message: str) -> str:
    """The setting that comes near the unknown one which a message names, or ''."""
    unknown = re.search(r"unknown field `(.+?)`", message)
    known = [name for shape in SHAPES for name in shape.__struct_fields__]
    return nearest(unknown[1], known) if unknown else ""
