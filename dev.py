#!/usr/bin/env python3
"""Runs the project's commands on a machine that has Python 3.11 and perhaps nothing else.

It makes `.venv` beside this file, installs the project there with what the command needs, says
what it does and how long it took, and runs the rest inside. The second time it is quick: a stamp,
written last, names what was installed. It needs only the standard library: a minimal Debian has
no ensurepip, no make, no git and no compiler.

The whole file stays readable to Python 3.6, so that an old Python gets a sentence and no
SyntaxError: no `from __future__ import annotations`, no `:=`, no `match`.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "dev.py: Sexton needs Python 3.11 or newer, and this is %s.\n"
        "Call it with a newer one, for example: python3.11 dev.py" % sys.version.split()[0]
    )

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
# Written first: tells a `.venv` that this script may throw away from one that it may not.
MARK = VENV / "made-by-dev.py"
# Written last: a `.venv` without it was left half-made.
STAMP = VENV / "installed.json"
LOG = VENV / "install.log"

PIP_LEAST = (22, 3)  # the first that knows `--python`
END_WAIT_S = 15  # how long a stopped command may take to tidy up
LOG_TAIL_LINES = 15

# Debian package -> a binary of it. Only some tests need them; those say so with the mark `needs`.
TEST_PACKAGES = {
    "cron": "cron",
    "faketime": "faketime",
    "locales": "locale-gen",
    "strace": "strace",
}

CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports",),
    ("deptry", "."),
    ("vulture",),
)

ROOMS = ("sexton", "tests", "examples", "bench")
LITTER = (
    "__pycache__", "build", "dist", "mutants", ".coverage", ".hypothesis", ".import_linter_cache",
    ".mypy_cache", ".pytest_cache", ".ruff_cache",
)  # fmt: skip


class Refusal(Exception):
    """What stops the command, as sentences for the person who typed it."""


class Command(NamedTuple):
    """One word of the command line: which dependency groups it needs, and what it does then."""

    groups: tuple[str, ...]
    run: Callable[[list[str]], int]
    help: str


def main(words: list[str]) -> int:
    """Run one command; return its exit code."""
    signal.signal(signal.SIGTERM, _on_term)
    if not words or words[0] not in COMMANDS:
        asked_for_help = words[:1] in (["help"], ["-h"], ["--help"])
        print(usage(), file=sys.stdout if asked_for_help else sys.stderr)
        return 0 if asked_for_help else 2
    command = COMMANDS[words[0]]
    try:
        if command.groups:
            prepare(command.groups)
        return command.run(words[1:])
    except Refusal as refusal:
        print(f"dev.py: {refusal}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndev.py: stopped.", file=sys.stderr)
        return 130


def usage() -> str:
    """Say what can be typed."""
    lines = [f"  python3 dev.py {name:<6} {command.help}" for name, command in COMMANDS.items()]
    return "\n".join(["Usage:", *lines])


# --- the commands -------------------------------------------------------------------------------


def inside(*line: str | Path) -> Callable[[list[str]], int]:
    """Make a command of one program that runs in `.venv`; the user's words come last."""
    return lambda words: call([*line, *words])


def test(words: list[str]) -> int:
    """Run every check and then every test; a failed check does not spare the tests."""
    missing = fetch_test_packages()
    checked = check([])
    say(f"pytest: {shlex.join(words) if words else 'every test'}, on 2 cores")
    tested = call([PYTHON, "-m", "pytest", "-n", "2", *words])
    if missing:
        say(f"not installed: {', '.join(missing)}; the tests that need them were skipped")
    if checked:
        say("a check has failed before the tests began: see above, or python3 dev.py check")
    return tested or checked


def check(words: list[str]) -> int:
    """Run style, types, imports, dependencies and dead code; 1 if any of them complains."""
    refuse_words("check", words)
    failed = [line for line in CHECKS if not passes(line)]
    return 1 if failed else 0


def clean(words: list[str]) -> int:
    """Remove `.venv` and everything else that this script and its tools have made."""
    refuse_words("clean", words)
    with only_one(), writing():
        clear_away()
        for path in [ROOT / name for name in LITTER]:
            remove(path)
        for room in ROOMS:
            for path in list((ROOT / room).rglob("__pycache__")):
                remove(path)
    say("clean")
    return 0


def refuse_words(command: str, words: list[str]) -> None:
    """Refuse what a command would otherwise silently ignore."""
    if words:
        raise Refusal(f"{command} takes no further words, but got: {' '.join(words)}")


COMMANDS = {
    "demo": Command(
        ("demo",),
        inside(PYTHON, "examples/daily_summary/demo.py"),
        "set up and run the example: mails sent once, whatever is killed",
    ),
    "test": Command(("test", "check"), test, "set up, run all checks and all tests [pytest words]"),
    "check": Command(("test", "check"), check, "the checks alone: ruff, mypy, imports, dead code"),
    "bench": Command(("bench",), inside(PYTHON, "-m", "bench"), "measure beside the peers"),
    "docs": Command(
        ("docs",),
        inside(VENV / "bin" / "sphinx-build", "-W", "-b", "html", "docs", "build/docs"),
        "build the documentation into build/docs; a warning is an error",
    ),
    "clean": Command((), clean, "remove .venv and what the tools have left"),
}


# --- running something inside -------------------------------------------------------------------


def call(words: list[Any], **options: Any) -> int:
    """Run a program from the project's folder inside `.venv`; return its exit code.

    It never outlives this one: on Ctrl-C it has had the signal too and may tidy up, else it is
    told to end; then it is killed.
    """
    sys.stdout.flush()
    with subprocess.Popen(
        [str(word) for word in words], cwd=ROOT, env=environment(), **options
    ) as child:
        try:
            return child.wait()
        except BaseException as error:
            if not isinstance(error, KeyboardInterrupt):
                child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                child.wait(END_WAIT_S)
            child.kill()
            raise


def passes(line: tuple[str, ...]) -> bool:
    """Run one check quietly; show what it said only if it complains."""
    begun = time.monotonic()
    code, said = heard([str(VENV / "bin" / line[0]), *line[1:]])
    if code:
        print(said, end="", flush=True)
    word = "FAILED" if code else "ok"
    say(f"{' '.join(line)}: {word}, {time.monotonic() - begun:.1f} s")
    return code == 0


def heard(words: list[str]) -> tuple[int, str]:
    """Run a program inside; return its exit code and all that it said."""
    pipe, joined = subprocess.PIPE, subprocess.STDOUT
    try:
        done = subprocess.run(
            words, cwd=ROOT, env=environment(), stdout=pipe, stderr=joined, check=False
        )
    except OSError as error:
        return 127, f"{words[0]}: {error.strerror}\n"
    return done.returncode, done.stdout.decode(errors="backslashreplace")


def environment() -> dict[str, str]:
    """The caller's environment with `.venv` in front, and without what would lead pip astray."""
    misleading = ("PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON")
    kept = {name: value for name, value in os.environ.items() if name not in misleading}
    return {
        "PIP_DEFAULT_TIMEOUT": "20",
        "PIP_RETRIES": "2",
        **kept,
        "PATH": os.pathsep.join([str(VENV / "bin"), kept.get("PATH", os.defpath)]),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_USER": "0",
        "VIRTUAL_ENV": str(VENV),
    }


def say(text: str) -> None:
    """Tell the user in one plain line what happens."""
    print(f"dev.py: {text}", flush=True)


# --- making .venv -------------------------------------------------------------------------------


def prepare(groups: tuple[str, ...]) -> None:
    """Make sure that `.venv` holds the project and these dependency groups, as of now."""
    wanted = digest()
    if set(groups) <= installed(wanted):
        return
    with only_one() as lock, writing():
        # Another dev.py may have made it while this one waited for the lock.
        have = installed(wanted)
        if not set(groups) <= have:
            make(groups, have, wanted, lock)


def make(groups: tuple[str, ...], have: set[str], wanted: str, lock: IO[str]) -> None:
    """Install the groups, into a new `.venv` unless the old one was whole.

    1. No stamp while anything changes: whoever is killed here leaves a `.venv` to be remade.
    2. The mark, the environment, the packages.
    3. The stamp.
    """
    begun = time.monotonic()
    base = base_python()
    if have:
        STAMP.unlink()
    else:
        clear_away()
        VENV.mkdir()
        MARK.write_text("dev.py made this folder and may remove it at any time.\n")
        say(f"making .venv with {base} ({sys.version.split()[0]})")
        if not logged([base, "-m", "venv", "--without-pip", VENV], lock):
            raise Refusal(f"{base} could not make an environment. It said:\n{last_words()}")
    everything = sorted(have | set(groups))
    needed = requirements(project(), groups)
    names = ", ".join(re.split("[^A-Za-z0-9_-]", need)[0] for need in needed)
    say(f"installing Sexton and what is needed with it: {names} (a minute or so, only once)")
    install([*pip_words(base, lock), "install", "--editable", str(ROOT), *needed], lock)
    written = STAMP.with_suffix(".new")
    written.write_text(json.dumps({"digest": wanted, "groups": everything}))
    written.replace(STAMP)
    say(f".venv is ready, {time.monotonic() - begun:.0f} s")


def installed(wanted: str) -> set[str]:
    """The groups that a whole `.venv` of exactly this project and Python holds; else none."""
    try:
        stamp = json.loads(STAMP.read_text())
        whole = stamp["digest"] == wanted and os.access(PYTHON, os.X_OK)
        return set(stamp["groups"]) if whole else set()
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def digest() -> str:
    """Name what `.venv` depends on: the declared packages, this Python, and the place itself."""
    told = project()
    parts = [told.get(part) for part in ("build-system", "project", "dependency-groups")]
    told_to_hatch = told.get("tool", {}).get("hatch")
    text = json.dumps([parts, told_to_hatch, sys.version, base_python(), str(ROOT)])
    return hashlib.sha256(text.encode()).hexdigest()


def project() -> dict[str, Any]:
    """Read pyproject.toml."""
    try:
        return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Refusal(f"cannot read {ROOT / 'pyproject.toml'}: {error}") from error


def requirements(told: dict[str, Any], groups: tuple[str, ...]) -> list[str]:
    """List what the groups ask for, each once, with the groups that they include (PEP 735)."""
    found = []  # type: list[str]
    for group in groups:
        _collect(told.get("dependency-groups", {}), group, found, ())
    return list(dict.fromkeys(found))


def _collect(table: dict[str, Any], group: str, found: list[str], above: tuple[str, ...]) -> None:
    if group not in table:
        raise Refusal(f"pyproject.toml has no dependency group {group!r}")
    if group in above:
        raise Refusal(f"the dependency group {group!r} includes itself")
    for entry in table[group]:
        if isinstance(entry, str):
            found.append(entry)
        else:
            _collect(table, entry["include-group"], found, (*above, group))


def base_python() -> str:
    """The Python below any virtual environment that this script may have been started in."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def pip_words(base: str, lock: IO[str]) -> list[str]:
    """Find a pip, in this order: the system's, one by ensurepip, Debian's package.

    Raises Refusal, with what to type, where none of them is to be had.
    """
    if pip_version(base) >= PIP_LEAST:
        return [base, "-m", "pip", "--python", str(PYTHON)]
    if logged([PYTHON, "-m", "ensurepip"], lock):
        return [str(PYTHON), "-m", "pip"]
    if fetch_debian(["python3-pip"], lock) and pip_version(base) >= PIP_LEAST:
        return [base, "-m", "pip", "--python", str(PYTHON)]
    raise Refusal(
        f"{base} has neither pip nor ensurepip, and they could not be installed from here.\n"
        "Install one of them, for example: sudo apt-get install python3-pip"
    )


def pip_version(base: str) -> tuple[int, ...]:
    """The version of a Python's pip as (major, minor), or () where it has none."""
    code, said = heard([base, "-m", "pip", "--version"])
    found = re.search(r"^pip (\d+)\.(\d+)", said, re.MULTILINE) if code == 0 else None
    return (int(found[1]), int(found[2])) if found else ()


def install(words: list[str], lock: IO[str]) -> None:
    """Run pip; Raises Refusal with its last words and, if it was the network, that it was."""
    if logged(words, lock):
        return
    signs = ("NewConnectionError", "ConnectTimeout", "NameResolution", "Max retries", "ProxyError")
    if not any(sign in LOG.read_text(errors="replace") for sign in signs):
        raise Refusal(f"pip could not install what the project needs. It said:\n{last_words()}")
    raise Refusal(
        f"no package index could be reached. pip said:\n{last_words('ERROR')}\n"
        "The network is needed once, to fill .venv. Behind a proxy or with a mirror of your own,"
        f" tell pip so (PIP_PROXY, PIP_INDEX_URL). All that pip said is in {LOG}"
    )


def logged(words: list[Any], lock: IO[str]) -> bool:
    """Run a program with its output in the log; tell whether it succeeded.

    It inherits the lock: should this script be killed, the next one waits for what it left.
    """
    inherited = [lock.fileno()]
    with LOG.open("ab") as log:
        code = call(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=inherited)
    return code == 0


def last_words(sign: str = "") -> str:
    """The last lines of the log that hold the sign, indented."""
    lines = [line for line in LOG.read_text(errors="replace").splitlines() if line.strip()]
    return "\n".join(f"  {line}" for line in [at for at in lines if sign in at][-LOG_TAIL_LINES:])


# --- files --------------------------------------------------------------------------------------


@contextlib.contextmanager
def only_one() -> Iterator[IO[str]]:
    """Hold the right to change `.venv`; wait, and say so, while another dev.py has it."""
    with open(__file__, encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another dev.py is changing .venv: waiting for it to finish")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Turn a folder that cannot be written, or a full disk, into a sentence."""
    try:
        yield
    except OSError as error:
        raise Refusal(
            f"cannot write in {ROOT}: {error.strerror or error}.\n"
            "Make room or run as the folder's owner, or copy the project to a folder of your own."
        ) from error


def clear_away() -> None:
    """Empty the place of `.venv`: remove what this script made, put aside what it did not.

    A rename first, since a removal that is killed halfway must not leave half a `.venv`.
    """
    for path in ROOT.glob(".venv.removed-*"):
        remove(path)
    if MARK.exists():
        removed = ROOT / f".venv.removed-{os.getpid()}"
        VENV.rename(removed)
        remove(removed)
    elif VENV.is_dir() and not VENV.is_symlink() and not any(VENV.iterdir()):
        VENV.rmdir()
    elif os.path.lexists(VENV):
        names = (ROOT / f".venv.kept-{number}" for number in range(1, 1000))
        kept = next(name for name in names if not os.path.lexists(name))
        VENV.rename(kept)
        say(f"there was a .venv that dev.py had not made: it is {kept.name} now")


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


# --- Debian's packages --------------------------------------------------------------------------


def fetch_test_packages() -> list[str]:
    """Install the Debian packages that some tests need; list those that are still missing."""
    missing = missing_packages()
    if missing:
        with only_one() as lock, writing():
            fetch_debian(missing, lock)
        missing = missing_packages()
    if missing:
        say(f"some tests need: {', '.join(missing)}. To install: apt-get install (as root)")
    return missing


def missing_packages() -> list[str]:
    """The packages of TEST_PACKAGES whose binary is on no path; daemons live in sbin."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    return [name for name, binary in TEST_PACKAGES.items() if not shutil.which(binary, path=path)]


def fetch_debian(packages: list[str], lock: IO[str]) -> bool:
    """Install Debian packages where this is Debian and we are root; tell whether it worked."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    begun = time.monotonic()
    say(f"installing Debian's {', '.join(packages)} with apt-get")
    apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120"]
    # A test wants the program, not its service: at run level 1 no init script starts a daemon.
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]
    line = [*quiet, *apt, "install", "--no-install-recommends", *packages]
    # A fresh machine has no package lists yet, one that was left alone has old ones.
    works = logged(line, lock) or (logged([*apt, "update"], lock) and logged(line, lock))
    word = "installed" if works else f"could not be installed, see {LOG}"
    say(f"{', '.join(packages)}: {word}, {time.monotonic() - begun:.0f} s")
    return works


def _on_term(number: int, _frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
