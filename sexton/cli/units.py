"""What starts the tick, as text: a crontab line, and the units of systemd.

Pure: it is given all names, and quotes them by the rules of each.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sexton.core.errors import ConfigurationError


class Install(NamedTuple):
    """What to start: `argv` with absolute paths, from `directory`, with `env` beside the usual.

    `name`: of the crontab file and the units. `store`, `wake`: the store's file and its wake file.
    `user`: who runs it. `writable`: the directories that it must be able to write.
    """

    name: str
    directory: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    store: str
    wake: str
    user: str
    writable: Sequence[str]


def name_of(directory: str) -> str:
    """A name for a directory's tick that both cron and systemd allow: letters, digits, `-`."""
    base = directory.rstrip("/").rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9]+", "-", base).strip("-").lower() or "tasks"


def refuse_unwritable(install: Install) -> None:
    """Raise ConfigurationError for a path that no crontab and no unit can write."""
    texts = [install.directory, install.wake, *install.argv, *install.env.values()]
    for text in texts:
        if any(ord(sign) < ord(" ") for sign in text) or text.endswith((" ", "\\")):
            raise ConfigurationError(
                f"no crontab and no unit can write {text!r}: it holds a control character, or ends"
                " with a space or a backslash",
                hint="Rename the directory.",
            )


# --- cron ---------------------------------------------------------------------------------------


def marker(install: Install) -> str:
    """The comment by which the line is found again."""
    return f"# sexton {install.name}: the tick of {install.directory}"


def directory_in(text: str, name: str) -> str:
    """Whose tick a crontab or a service starts under this name, as it says itself; '' if none."""
    for line in text.splitlines():
        if line.startswith(start := f"# sexton {name}: the tick of "):
            return line[len(start) :]
        if line.startswith(start := "Description=Sexton: the tick of "):
            return line[len(start) :].replace("%%", "%")
    return ""


def cron_line(install: Install, *, with_user: bool) -> str:
    """The line itself; with the user's name as files in /etc/cron.d have it."""
    assigned = [f"{name}={shlex.quote(value)}" for name, value in install.env.items()]
    words = [*assigned, *map(shlex.quote, install.argv)]
    command = f"cd {shlex.quote(install.directory)} && {' '.join(words)}"
    # crontab(5): an unescaped % is a line end, also between quotes; cron takes the backslash away.
    user = f"{install.user} " if with_user else ""
    return f"* * * * * {user}{command.replace('%', chr(92) + '%')}"


def cron_file(install: Install) -> str:
    """A whole file for /etc/cron.d."""
    return f"{marker(install)}\n{cron_line(install, with_user=True)}\n"


def merged(crontab: str, install: Install) -> str:
    """A user's crontab with our marker and line, in place of those that stand there."""
    lines = crontab.splitlines()
    ours = [marker(install), cron_line(install, with_user=False)]
    start = f"# sexton {install.name}: "
    at = next((i for i, line in enumerate(lines) if line.startswith(start)), len(lines))
    return "\n".join([*lines[:at], *ours, *lines[at + 2 :]]) + "\n"


# --- systemd ------------------------------------------------------------------------------------


def unit_files(install: Install, *, of_user: bool) -> dict[str, str]:
    """The units by file name: the service, its timer, and the path unit on the wake file."""
    name = f"sexton-{install.name}"
    return {
        f"{name}.service": _service(install, of_user=of_user),
        f"{name}.timer": _timer(install),
        f"{name}.path": _path(install),
    }


def _service(install: Install, *, of_user: bool) -> str:
    env = [f"Environment={_quoted(f'{name}={value}')}" for name, value in install.env.items()]
    user = [] if of_user else [f"User={install.user}"]
    writable = " ".join(_quoted(path) for path in install.writable)
    return "\n".join(
        [
            "[Unit]",
            f"Description=Sexton: the tick of {_specified(install.directory)}",
            "",
            "[Service]",
            "Type=oneshot",
            *user,
            f"WorkingDirectory={_specified(install.directory)}",
            *env,
            f"ExecStart={' '.join(_argument(word) for word in install.argv)}",
            "# 1: a task failed, which Sexton itself tells of; the timer goes on.",
            "SuccessExitStatus=1",
            "# A task's own timeout bounds it; what a stop cuts off, the next tick makes good.",
            "TimeoutStartSec=infinity",
            "TimeoutStopSec=90s",
            "KillMode=mixed",
            "UMask=0027",
            "# Take this line out where a task needs sudo, or the setgid sendmail of postfix.",
            "NoNewPrivileges=yes",
            "ProtectSystem=full",
            f"ReadWritePaths={writable}",
            "ProtectClock=yes",
            "ProtectHostname=yes",
            "ProtectKernelLogs=yes",
            "ProtectKernelTunables=yes",
            "ProtectKernelModules=yes",
            "ProtectControlGroups=yes",
            "RestrictSUIDSGID=yes",
            "RestrictRealtime=yes",
            "LockPersonality=yes",
            "SystemCallArchitectures=native",
            "",
        ]
    )


def _timer(install: Install) -> str:
    return "\n".join(
        [
            "[Unit]",
            f"Description=Sexton: every minute, the tick of {_specified(install.directory)}",
            "",
            "[Timer]",
            "OnCalendar=minutely",
            "AccuracySec=1s",
            "Persistent=yes",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )


def _path(install: Install) -> str:
    return "\n".join(
        [
            "[Unit]",
            f"Description=Sexton: a tick when a task is asked for in {_specified(install.wake)}",
            "",
            "[Path]",
            f"PathModified={_specified(install.wake)}",
            "",
            "[Install]",
            "WantedBy=paths.target",
            "",
        ]
    )


def _specified(text: str) -> str:
    """A value that systemd takes as it is, but for its specifiers. Source: systemd.unit(5)."""
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    """One word of a list. Source: systemd.syntax(7)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_specified(escaped)}"'


def _argument(text: str) -> str:
    """One word of a command line, in which $ names a variable. Source: systemd.service(5)."""
    return _quoted(text.replace("$", "$$"))
