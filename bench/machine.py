"""What the figures were measured on, and how calm it was."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

import apsw

from sexton.store.store import file_system_of

PEERS = ("apscheduler", "cronsim", "django", "huey")
CALM_SHARE_MAX = 0.05  # of the processors, used by others: above it, the table says so


@dataclass(frozen=True)
class Machine:
    """Date, hardware and versions, in words."""

    date: str
    processor: str
    cores: int
    system: str
    python: str
    sqlite: str
    file_system: str
    peers: dict[str, str]


def look(directory: str) -> Machine:
    """This machine, and the file system that the stores lie on."""
    kernel = platform.release().partition("-")[0]
    return Machine(
        date=datetime.now(UTC).date().isoformat(),
        processor=_field("/proc/cpuinfo", "model name", ":") or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        system=f"{_field('/etc/os-release', 'PRETTY_NAME', '=')}, Linux {kernel}",
        python=platform.python_version(),
        sqlite=apsw.sqlite_lib_version(),
        file_system=file_system_of(os.path.realpath(directory), "/proc/self/mounts"),
        peers={name: version(name) for name in PEERS},
    )


def _field(path: str, name: str, separator: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.partition(separator) for line in file]
    except OSError:
        return ""
    return next((value.strip().strip('"') for key, _, value in lines if key.strip() == name), "")


@dataclass
class Calm:
    """How much of the processors others used meanwhile: 0.0 to 1.0."""

    others_share: float = field(default=0.0)

    @property
    def words(self) -> str:
        share = f"others used {self.others_share:.0%} of the processors meanwhile"
        return share if self.others_share <= CALM_SHARE_MAX else f"NOT CALM: {share}"


@contextmanager
def watched() -> Iterator[Calm]:
    """Measure what of the machine's work was not ours, nor our ended children's."""
    calm = Calm()
    busy_s, ours_s, begun_s = _busy_s(), _ours_s(), os.times().elapsed
    yield calm
    others_s = (_busy_s() - busy_s) - (_ours_s() - ours_s)
    whole_s = (os.times().elapsed - begun_s) * (os.cpu_count() or 1)
    calm.others_share = max(0.0, others_s / whole_s)


def _busy_s() -> float:
    """Processor time of everybody since the boot: user, nice, system, irq, softirq, steal."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(word) for word in file.readline().split()[1:]]
    return sum(ticks[at] for at in (0, 1, 2, 5, 6, 7)) / os.sysconf("SC_CLK_TCK")


def _ours_s() -> float:
    return sum(os.times()[:4])
