"""A tick with nothing due: one look at the store, one mark, and out.

Each import here costs every user every minute; a test holds the list of what it imports. Whatever
is out of the ordinary, an error too, is left to the full tick, which says it in words.
"""

from __future__ import annotations

import os
import sys

SETTINGS_FILE = "sexton.toml"


def is_all_done() -> bool:
    """Whether nothing is due, and the mark of this tick is on disk."""
    try:
        path, directory = store_path()
    except OSError:  # the current directory was removed, say
        return False
    if not path or not os.path.exists(path):
        return False
    from sexton.store import idle  # noqa: PLC0415 -- only where there is a store to ask

    ping = idle.look(path, directory)
    if ping:
        send_ping(ping)
    return ping is not None


def send_ping(url: str) -> int:
    """Tell whoever watches from outside that a tick came, by a process that nobody waits for.

    Returns its pid, for one that stays long enough to reap it.
    """
    nothing = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)]
    argv = [sys.executable, "-m", "sexton.work.ping", url]
    return os.posix_spawn(sys.executable, argv, os.environ, file_actions=nothing, setsid=True)


def store_path() -> tuple[str, str]:
    """The store's file, '' where that takes more than a look to find out; and the directory of the
    settings file that was found on the way, or ''."""
    if "SEXTON_TEST_STORE" in os.environ:
        return "", ""
    url = os.environ.get("SEXTON_STORE", "")
    here, directory = os.getcwd(), ""
    if not url:
        if "SEXTON_SETTINGS" in os.environ:
            return "", ""
        here = directory = _settings_directory(here)
        url = _store_of(os.path.join(directory, SETTINGS_FILE)) if directory else ""
    prefix = "sqlite:///"
    if not url.startswith(prefix) or "\x00" in url:
        return "", ""
    return os.path.normpath(os.path.join(here, url[len(prefix) :])), directory


def _settings_directory(here: str) -> str:
    while not os.path.lexists(os.path.join(here, SETTINGS_FILE)):
        parent = os.path.dirname(here)
        if parent == here:
            return ""
        here = parent
    return here


def _store_of(path: str) -> str:
    """The value of a plain line `store = "…"` before any table; '' if it is written otherwise.

    The TOML parser costs more than the whole idle tick. This reads only what it surely
    understands: no escapes, no other quotes; everything else goes to the parser.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(65536)
    except (OSError, UnicodeDecodeError):
        return ""
    if '"""' in text or "'''" in text:
        return ""
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if line.lstrip().startswith("["):
            break
        if equals and name.strip() == "store":
            quoted = value.strip()
            plain = quoted[1:-1]
            is_plain = quoted[:1] == quoted[-1:] == '"' and '"' not in plain and "\\" not in plain
            return plain if is_plain else ""
    return "sqlite:///sexton.db"
