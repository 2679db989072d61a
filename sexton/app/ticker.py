"""One tick: sweep, schedule, run until nothing is due.

mark -> learn of changed sources -> sweep -> drain outboxes -> expire -> schedule -> run
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

import msgspec

from sexton.app.attend import Beside, Starter, look_around
from sexton.app.body import Errand
from sexton.app.command import limits_of
from sexton.app.here import Here
from sexton.app.inline import Inline
from sexton.app.place import Place
from sexton.core.errors import SchemaError
from sexton.core.kind import Kind
from sexton.core.task import Claim
from sexton.store.idle import has_changed
from sexton.store.kinds import kind_of
from sexton.store.store import Store
from sexton.work.ended import words_of
from sexton.work.executor import Executor, Means, Tally
from sexton.work.launch import Channel, Launch

ROUNDS_MAX = 1000  # a chain that asks for itself without end is left to the next tick
SYNC_TIMEOUT_S = 120
SYNC_LOOK_S = 0.2  # how often it is looked whether the tick itself is to end


class Ticked(msgspec.Struct, frozen=True, kw_only=True):
    """What one tick did. `sync_error`: the application could not be read, '' if all is well."""

    complete: int = 0
    aborted: int = 0
    swept: int = 0
    asked: int = 0
    drained: int = 0
    sync_error: str = ""


def tick(
    store: Store,
    place: Place,
    until: Callable[[], bool] = lambda: False,
    starter: Starter | None = None,
) -> Ticked:
    """Do one pass; `until` stops it from beginning more, `starter` hears what went wrong."""
    here, starter = Here(store), starter or Starter()
    store.rounds.mark_tick(here.process.host_name)
    sync_error = sync_if_changed(store, place, starter)
    tally, swept, asked, drained = Tally(), 0, 0, 0
    for _ in range(ROUNDS_MAX):
        found = look_around(here, starter)
        swept, drained, asked = swept + found.swept, drained + found.drained, asked + found.asked
        executor = Executor(store.queue(here.owner), means(store, place), Beside(here, starter))
        ran = executor.execute(until)
        tally = Tally(tally.complete + ran.complete, tally.aborted + ran.aborted)
        if ran == Tally() or until():
            break
    return Ticked(
        complete=tally.complete,
        aborted=tally.aborted,
        swept=swept,
        asked=asked,
        drained=drained,
        sync_error=sync_error,
    )


def means(store: Store, place: Place) -> Means:
    """How this process runs a claim."""
    place = home(store, place)
    inline = Inline(store, place)

    def definition(claim: Claim) -> Kind:
        kind = kind_of(store.db, claim.kind)
        if kind is None:
            raise SchemaError(f"the definition of {claim.kind} in the store cannot be read")
        if kind.isolation == "inline" and not inline.is_current():
            return msgspec.structs.replace(kind, isolation="process")
        return kind

    def launch(claim: Claim, kind: Kind) -> Launch:
        errand = Errand(
            claim=claim,
            store=place.store,
            app=place.app,
            directory=place.directory,
            settings_path=place.settings_path,
        )
        return Launch(
            argv=(sys.executable, "-m", "sexton.cli.body", Channel.GIVE, Channel.TAKE),
            cookie=claim.nonce,
            env=dict(os.environ),
            cwd=errand.directory,
            limits=limits_of(kind),
            give=msgspec.json.encode(errand),
            takes=True,
        )

    settings = store.settings
    return Means(
        kind=definition,
        launch=launch,
        inline=inline.run,
        parallel=settings.parallel,
        lease_s=float(settings.lease_s),
        grace_s=float(settings.grace_s),
    )


def home(store: Store, place: Place) -> Place:
    """The place with the application in it: beside the settings file that was found, so that a
    release in a new directory is run from there; without one, where `sync` last found it."""
    app = place.app or store.meta.get("app")
    directory = place.directory
    if not place.settings_path:
        directory = store.meta.get("directory") or directory
    return msgspec.structs.replace(place, app=app, directory=directory)


def sync_if_changed(store: Store, place: Place, starter: Starter) -> str:
    """Read the application anew if one of its files changed; what went wrong, or ''.

    Until it can be read again, its kinds stay as they were.
    """
    here, sources = home(store, place), store.meta.get("sources")
    has_moved = store.meta.get("directory") not in ("", here.directory)
    if not has_moved and not has_changed(sources):
        return ""
    settings = place.settings_path or store.meta.get("settings")
    if settings and not os.path.isfile(settings):
        # Read without it, nobody would hear of alerts any more.
        return f"{settings}, which the last sync read, is gone; if it shall be so: sexton sync"
    environ = {**os.environ, "SEXTON_STORE": place.store, "SEXTON_APP": here.app}
    if settings:
        environ["SEXTON_SETTINGS"] = settings
    done = _sync(here.directory, environ, starter)
    if done is None:
        return ""
    if isinstance(done, str):
        return done
    if done.returncode == 0:
        is_read = has_moved or store.meta.get("sources") != sources
        return "" if is_read else "its import ended the process"
    told = done.stderr.decode("utf-8", "backslashreplace").strip().removeprefix("sexton: ")
    return told or f"its import ended the process: {words_of(done.returncode)}"


def _sync(
    directory: str, environ: Mapping[str, str], starter: Starter
) -> subprocess.CompletedProcess[bytes] | str | None:
    """Run `sexton sync`: how it ended, what kept it from that, or None if we are to end.

    In a process of its own: the tick stays free of the application, and an import that hangs or
    dies takes nothing with it.
    """
    ends_s = time.monotonic() + SYNC_TIMEOUT_S
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "sexton", "sync", "--quiet"],
            cwd=directory if os.path.isdir(directory) else None,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            while True:
                try:
                    _, told = process.communicate(timeout=SYNC_LOOK_S)
                    return subprocess.CompletedProcess(process.args, process.returncode, b"", told)
                except subprocess.TimeoutExpired:
                    is_late = time.monotonic() >= ends_s
                if is_late or starter.is_over():
                    os.killpg(process.pid, signal.SIGKILL)
                    return f"it was not read in {SYNC_TIMEOUT_S} s" if is_late else None
    except OSError as error:
        return str(error)
