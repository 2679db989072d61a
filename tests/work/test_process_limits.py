"""Programs that crash, or want more than they may have."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sexton.work.ended import signal_words
from sexton.work.group import members
from sexton.work.host import Seen, everyone
from sexton.work.launch import Limits, User
from sexton.work.process import Process
from tests.conftest import NOT_SEEN
from tests.work.process_kit import launch, python, run, said, shell

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

MYSELF = os.getuid()
CGROUPS = Path("/sys/fs/cgroup")
IS_UNIFIED = (CGROUPS / "cgroup.controllers").exists()
TIGHT_BYTES = 32 << 20
# In Perl, which every Debian has: another user may be unable to read our Python.
FORK_BOMB = """
$| = 1;
$SIG{TERM} = "IGNORE";
while (1) { print "full\\n" if !defined(fork) && !$told++; }
"""


def test_a_real_segmentation_fault_is_named() -> None:
    ended, _ = run(python("import ctypes; ctypes.string_at(0)"))

    assert (ended.exit_code, ended.signal) == (None, signal.SIGSEGV)
    assert ended.words() == "killed by SIGSEGV (segmentation fault)"
    assert not ended.ok


def test_a_program_gets_no_more_memory_than_its_limit() -> None:
    code = "b = b'x' * (512 << 20)\nprint('got it')"
    ended, process = run(python(code, limits=Limits(memory_bytes=256 << 20)))

    assert ended.exit_code == 1
    assert "MemoryError" in process.output.text()
    free, process = run(python(code))
    assert free.ok
    assert process.output.text() == "got it\n"


class Tight:
    """A memory cgroup, of the first or the second version, that is soon full."""

    def __init__(self, directory: Path, *, limits: dict[str, str], told: str) -> None:
        self._directory = directory
        self._told = directory / told
        for name, text in limits.items():
            (directory / name).write_text(text)

    @property
    def script(self) -> str:
        """Shell words that want far more than there is."""
        return f"echo 0 > {self._directory}/cgroup.procs && exec perl -e '$x = \"x\" x 900_000_000'"

    def kills(self) -> int:
        """How many processes the kernel has killed in it."""
        words = dict(line.split() for line in self._told.read_text().splitlines())
        return int(words["oom_kill"])


class Alone:
    """Where no memory cgroup can be made, as in some containers: a kill like the kernel's own."""

    script = "kill -9 $$"

    def kills(self) -> int:
        return 1


@pytest.fixture
def tight_memory(record_property: Callable[[str, object], None]) -> Iterator[Tight | Alone]:
    """A cgroup in which the kernel itself kills, wherever this user may make one."""
    with ExitStack() as undone:
        made: Tight | Alone
        try:
            made = _second_version(undone) if IS_UNIFIED else _first_version(undone)
        except OSError as error:
            why = f"no memory cgroup can be made here: {error.strerror}"
            record_property(NOT_SEEN, f"a kill by the kernel itself: {why}")
            made = Alone()
        yield made


def _first_version(undone: ExitStack) -> Tight:
    directory = _made(CGROUPS / "memory", undone)
    return Tight(
        directory, limits={"memory.limit_in_bytes": str(TIGHT_BYTES)}, told="memory.oom_control"
    )


def _second_version(undone: ExitStack) -> Tight:
    given = CGROUPS / "cgroup.subtree_control"
    if "memory" not in given.read_text().split():
        given.write_text("+memory")
        undone.callback(given.write_text, "-memory")
    directory = _made(CGROUPS, undone)
    limits = {"memory.max": str(TIGHT_BYTES)}
    if (directory / "memory.swap.max").exists():  # else it would only grow slow
        limits["memory.swap.max"] = "0"
    return Tight(directory, limits=limits, told="memory.events")


def _made(parent: Path, undone: ExitStack) -> Path:
    directory = parent / f"sexton-test-{os.getpid()}"
    directory.mkdir()
    undone.callback(directory.rmdir)
    return directory


def test_a_kill_for_want_of_memory_is_told_as_such(tight_memory: Tight | Alone) -> None:
    ended, process = run(shell(tight_memory.script))

    assert ended.signal == signal.SIGKILL, process.output.text()
    assert ended.words() == "ended by signal 9; the kernel may have been out of memory"
    assert tight_memory.kills() == 1


@pytest.mark.parametrize(
    ("number", "grace_s", "prefix"),
    [(0, 0.0, ()), (1, 0.2, ()), (2, 0.0, ("setsid", "--wait"))],
    ids=["at once", "with grace", "in a session of its own"],
)
def test_nothing_is_left_of_a_fork_bomb(
    number: int, grace_s: float, prefix: tuple[str, ...]
) -> None:
    # Root is exempt from a limit on processes; any number will do as another user.
    uid = 50_000 + os.getpid() % 3_000 + number * 3_000 if MYSELF == 0 else MYSELF
    before = processes_of(uid)
    user = User(uid, uid) if MYSELF == 0 else None
    limits = Limits(processes=sum(seen.threads for seen in before) + 60)
    bomb = launch(*prefix, "perl", "-e", FORK_BOMB, user=user, limits=limits)
    with Process(bomb) as process:
        said(process, "full")
        assert len(members(process.pid, process.start, process.cookie)) > 30

        ended = process.end(grace_s)

    assert ended.left == ()
    assert ended.signal in {signal.SIGKILL, signal.SIGTERM}
    assert members(process.pid, process.start, process.cookie) == []
    assert [
        one
        for one in processes_of(uid)
        if not one.is_dead and one.pid not in {was.pid for was in before}
    ] == []


def processes_of(uid: int) -> list[Seen]:
    """List a user's processes, also those that nobody has reaped: they count for the limit."""
    return [seen for pid, seen in everyone().items() if uid_of(pid) == uid]


def uid_of(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def test_processor_time_is_limited() -> None:
    ended, _ = run(python("while True: pass", limits=Limits(cpu_s=1)))

    assert ended.signal == signal.SIGXCPU
    assert ended.words() == "killed by SIGXCPU (it used up its processor time)"
    assert ended.user_s + ended.sys_s > 0.2


def test_a_file_grows_no_further_than_its_limit(tmp_path: Path) -> None:
    limits = Limits(file_bytes=4096)
    ended, _ = run(shell("head -c 100000 /dev/zero > big", cwd=str(tmp_path), limits=limits))

    assert ended.exit_code == 128 + signal.SIGXFSZ
    assert (tmp_path / "big").stat().st_size == 4096


def test_limits_are_set_soft_and_hard_and_there_is_no_core_file() -> None:
    limits = Limits(memory_bytes=1 << 30, processes=50, cpu_s=7, file_bytes=1 << 20, open_files=64)
    _, process = run(launch("cat", "/proc/self/limits", limits=limits))

    rows = {line[:26].strip(): line[26:].split()[:2] for line in process.output.text().splitlines()}
    assert rows["Max core file size"] == ["0", "0"]
    assert rows["Max address space"] == [str(1 << 30)] * 2
    assert rows["Max processes"] == ["50", "50"]
    assert rows["Max cpu time"] == ["7", "12"]
    assert rows["Max file size"] == [str(1 << 20)] * 2
    assert rows["Max open files"] == ["64", "64"]


def test_a_limit_above_our_own_is_our_own() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    _, process = run(shell("ulimit -Hn; ulimit -Sn", limits=Limits(open_files=most + 1000)))

    assert process.output.text().split() == [str(most), str(most)]


@pytest.mark.parametrize(
    ("number", "is_stopped", "words"),
    [
        (signal.SIGKILL, False, "ended by signal 9; the kernel may have been out of memory"),
        (signal.SIGKILL, True, "killed by SIGKILL (killed)"),
        (signal.SIGTERM, True, "killed by SIGTERM (terminated)"),
        (signal.SIGBUS, False, "killed by SIGBUS (bus error)"),
        (63, False, "killed by signal 63"),
    ],
)
def test_signals_have_words(number: int, is_stopped: bool, words: str) -> None:
    assert signal_words(number, is_stopped=is_stopped) == words
