"""Write what the application declares into the store, so that a tick need not import it.

Also noted: which source files that came from, so that a changed one is noticed; and what of the
settings an idle tick needs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress

import msgspec

from sexton.app.load import load
from sexton.app.place import Place
from sexton.app.sexton import Sexton
from sexton.store.store import Store

SOURCES_MAX = 2000


class Synced(msgspec.Struct, frozen=True):
    """The names that are new, changed and gone, and how many kinds there are now."""

    added: list[str]
    changed: list[str]
    gone: list[str]
    count: int


def sync(place: Place, store: Store) -> Synced:
    """Register the application's kinds; raises ConfigurationError and then changes nothing."""
    before = _stamps(line.split(" ", 2)[2] for line in store.meta.get("sources").splitlines())
    app = load(place)
    declared = app.declared()
    for kind in declared:
        _resolve(app, kind.name)
    sources = _sources(place, before)
    added, changed, gone = store.kinds.sync(declared)
    with suppress(OSError):  # a directory that this user may not write
        store.mark()  # a store that was moved here may have come without it
    store.meta.put(
        sources=sources,
        kinds=" ".join(kind.name for kind in declared),
        app=place.app,
        directory=place.directory,
        settings=place.settings_path,
        notify="yes" if place.settings.notify.targets else "",
        ping=place.settings.ping_url,
    )
    return Synced(added, changed, gone, len(declared))


def _resolve(app: Sexton, name: str) -> None:
    """Touch what a declaration leaves for later, so that it fails here and not at 07:30."""
    payload = getattr(app[name], "payload", None)
    if payload is not None:
        payload.struct  # noqa: B018


def _sources(place: Place, before: dict[str, str]) -> str:
    """One line for each source file of the application: modified at (ns), size, path.

    A file that was known stands as it was before it was read: if a deploy replaced it meanwhile,
    the next tick reads it again.
    """
    root = os.path.join(os.path.abspath(place.directory), "")
    files = {place.settings_path} if place.settings_path else set()
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and os.path.abspath(file).startswith(root) and "site-packages" not in file:
            files.add(os.path.abspath(file))
    known = sorted(files)[:SOURCES_MAX]
    stamps = _stamps(known) | before
    return "\n".join(stamps[file] for file in known if file in stamps)


def _stamps(files: Iterable[str]) -> dict[str, str]:
    """The line of each file that is there."""
    stamps = {}
    for file in files:
        with suppress(FileNotFoundError):
            found = os.stat(file)
            stamps[file] = f"{found.st_mtime_ns} {found.st_size} {file}"
    return stamps
