"""Print, or with --apply install, what starts the tick every minute.

    sexton install cron                  # look at it
    sudo sexton install cron --apply     # /etc/cron.d/sexton-NAME
    sexton install cron --apply          # without root: your crontab
    sudo sexton install systemd --apply  # service, timer, path unit

Twice the same is once; what another directory installed under this name is
refused, see --name. The names are absolute, since cron has neither your
PATH nor your directory; SEXTON_STORE, SEXTON_APP and SEXTON_SETTINGS are
written into it where they are set now. With systemd, what is enqueued starts
within milliseconds, and nothing runs in between.

As JSON: {"files": {path: text, …}, "applied": bool}; the user's own crontab
is named "crontab".
"""

from __future__ import annotations

import argparse
import getpass
import os
import pwd
import shutil
import subprocess
import sys
from contextlib import suppress

from sexton.app import place as places
from sexton.cli import units
from sexton.cli.say import say, say_json, warn
from sexton.cli.units import Install
from sexton.core import errors
from sexton.core.errors import ConfigurationError, UsageError
from sexton.store import path_of
from sexton.store.wake import wake_path

CRON_DIRECTORY = "/etc/cron.d"
SYSTEM_UNITS = "/etc/systemd/system"
SYSTEMD_RUNS = "/run/systemd/system"  # there only if it is the init. Source: sd_booted(3)
USER_UNITS = "~/.config/systemd/user"
PASSED_ON = ("SEXTON_STORE", "SEXTON_APP", "SEXTON_SETTINGS")
PROGRAM_TIMEOUT_S = 60


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "how", choices=("cron", "systemd"), metavar="cron|systemd", help="what starts it"
    )
    parser.add_argument("--apply", action="store_true", help="install it; else only print it")
    parser.add_argument("--name", default="", help="of the file and units; from the directory")
    parser.add_argument("--user", default="", help="who runs it; only root may choose")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    install = _install(args)
    units.refuse_unwritable(install)
    files = _cron_files(install) if args.how == "cron" else _unit_files(install)
    if not os.path.exists(install.store):
        warn(f"sexton: there is no store at {install.store} yet; make it: sexton init")
    if args.apply:
        _apply(args.how, install, files)
    if args.json:
        say_json({"files": files, "applied": args.apply})
    elif args.apply:
        for path in files:
            say(f"installed {path}")
        if args.how == "systemd" and not _is_root():
            say("It runs while you are logged in; for always: loginctl enable-linger")
    else:
        for path, text in files.items():
            say(f"# {path}\n{text}")
    return errors.DONE


def _install(args: argparse.Namespace) -> Install:
    place = places.find()
    store = path_of(place.store)
    name = args.name or units.name_of(place.directory)
    if name != units.name_of(name):
        raise UsageError("--name has small letters, digits and '-' in between")
    user = _user(args.user) if args.user else getpass.getuser()
    return Install(
        name=name,
        directory=place.directory,
        argv=(*_program(), "tick"),
        env=_environment(place.store, place.settings_path),
        store=store,
        wake=wake_path(store),
        user=user,
        writable=sorted({place.directory, os.path.dirname(store)}),
    )


def _user(name: str) -> str:
    """The user that --user names, whom cron and systemd must know."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        raise UsageError(
            f"--user: no user of this machine is called {name!r}", hint="getent passwd lists them."
        ) from None
    if name != getpass.getuser() and not _is_root():
        raise UsageError("only root may choose another --user")
    return name


def _environment(store: str, settings_path: str) -> dict[str, str]:
    """What leads this command to its store, made absolute."""
    found = {name: os.environ[name] for name in PASSED_ON if os.environ.get(name)}
    if "SEXTON_STORE" in found:
        found["SEXTON_STORE"] = store
    if "SEXTON_SETTINGS" in found:
        found["SEXTON_SETTINGS"] = settings_path
    return found


def _program() -> tuple[str, ...]:
    """The command by its absolute path: the script beside this Python, else the module."""
    script = os.path.join(os.path.dirname(sys.executable), "sexton")
    return (script,) if os.access(script, os.X_OK) else (sys.executable, "-m", "sexton")


def _is_root() -> bool:
    return os.geteuid() == 0


# --- cron ---------------------------------------------------------------------------------------


def _cron_files(install: Install) -> dict[str, str]:
    if _is_root():
        path = os.path.join(CRON_DIRECTORY, f"sexton-{install.name}")
        return {path: units.cron_file(install)}
    text = f"{units.marker(install)}\n{units.cron_line(install, with_user=False)}\n"
    return {"crontab": text}


def _apply(how: str, install: Install, files: dict[str, str]) -> None:
    if how == "systemd":
        _apply_systemd(install, files)
    elif "crontab" in files:
        _apply_crontab(install)
    else:
        _put(install, files)


def _put(install: Install, files: dict[str, str]) -> None:
    """Write all of the files, or none where one of them starts another directory's tick."""
    for path in files:
        with suppress(FileNotFoundError), open(path, errors="surrogateescape") as file:
            _refuse_others(install, path, file.read())
    for path, text in files.items():
        _write(path, text)


def _refuse_others(install: Install, path: str, text: str) -> None:
    """Raise ConfigurationError for what another directory installed under this name.

    Where that directory has gone, as after a move, its files are only left over.
    """
    directory = units.directory_in(text, install.name)
    if directory not in ("", install.directory) and os.path.isdir(directory):
        raise ConfigurationError(
            f"{path} starts the tick of {directory} already", hint="Choose another --name."
        )


def _apply_crontab(install: Install) -> None:
    """Put our line into the user's crontab; all others stay as they are."""
    listed = _run(["crontab", "-l"], check=False)
    before = listed.stdout.decode(errors="surrogateescape") if listed.returncode == 0 else ""
    _refuse_others(install, "your crontab", before)
    after = units.merged(before, install)
    if after != before:
        _run(["crontab", "-"], given=after)


# --- systemd ------------------------------------------------------------------------------------


def _unit_files(install: Install) -> dict[str, str]:
    directory = SYSTEM_UNITS if _is_root() else os.path.expanduser(USER_UNITS)
    texts = units.unit_files(install, of_user=not _is_root())
    return {os.path.join(directory, name): text for name, text in texts.items()}


def _apply_systemd(install: Install, files: dict[str, str]) -> None:
    if shutil.which("systemctl") is None or not os.path.isdir(SYSTEMD_RUNS):
        raise ConfigurationError("systemd does not run here", hint="Use: sexton install cron")
    _put(install, files)
    control = ["systemctl"] if _is_root() else ["systemctl", "--user"]
    name = f"sexton-{install.name}"
    _run([*control, "daemon-reload"])
    _run([*control, "enable", "--now", f"{name}.timer", f"{name}.path"])


# --- files and programs -------------------------------------------------------------------------


def _write(path: str, text: str) -> None:
    """Replace a file in one step: who reads it meanwhile sees the old or the new one.

    The new one is hidden by a dot until then: cron reads no such names.
    """
    directory, name = os.path.split(path)
    part = os.path.join(directory, f".{name}.new")
    try:
        os.makedirs(directory, exist_ok=True)
        with open(part, "w", encoding="utf-8", errors="surrogateescape") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error


def _run(
    argv: list[str], given: str = "", *, check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    try:
        done = subprocess.run(
            argv,
            input=given.encode(errors="surrogateescape"),
            capture_output=True,
            timeout=PROGRAM_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"{argv[0]} could not be run: {error}") from error
    if check and done.returncode != 0:
        words = done.stderr.decode(errors="backslashreplace").strip()
        raise ConfigurationError(f"{' '.join(argv)} failed: {words}")
    return done
