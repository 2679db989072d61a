"""Who is dead: on this host, in this boot, in this pid namespace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sexton.work import host
from sexton.work.host import look, parse
from sexton.work.owner import Owner, judge
from tests.work.process_kit import line_from

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

ROOT = Path(__file__).parents[2]
HERE = Owner.here()


def owner_of(pid: int) -> Owner:
    found = look(pid)
    assert found is not None
    return Owner.of(HERE.host, HERE.boot_id, HERE.pid_ns, pid, found.start)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A real process that waits, and is no zombie unless a test makes it one."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def run_python(*prefix: str, code: str, arguments: tuple[object, ...] = ()) -> list[str]:
    """Run code in another Python, under a prefix such as `unshare`; return what it prints."""
    done = subprocess.run(
        [*prefix, sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def unshared(*flags: str) -> tuple[str, ...]:
    """New namespaces: root makes them at once, others through a user namespace of their own.

    Skips the test, in the words of unshare, where the machine makes none: a container without
    CAP_SYS_ADMIN, or a bare chroot, whose root is no mount point.
    """
    line = ("unshare", *flags, *([] if os.getuid() == 0 else ["--user", "--map-root-user"]))
    tried = subprocess.run([*line, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no namespaces here: {tried.stderr.strip()}")
    return line


def test_here_is_this_process() -> None:
    assert HERE.pid == os.getpid()
    assert HERE.host_name == os.uname().nodename
    assert HERE.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert HERE.pid_ns == os.readlink("/proc/self/ns/pid")[5:-1]
    assert HERE.start == int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    assert Owner.of(*HERE) == HERE
    assert str(HERE) == f"process {os.getpid()} on {os.uname().nodename}"


def test_the_host_has_the_start_of_its_machine_id_and_not_the_whole() -> None:
    machine = Path(host.MACHINE_ID)
    whole = machine.read_text().strip() if machine.exists() else ""

    assert HERE.host == (f"{HERE.host_name}/{whole[:8]}" if whole else HERE.host_name)


def test_a_forked_child_is_another_owner() -> None:
    answer, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        mine = Owner.here()
        told = f"{mine.pid == os.getpid()} {mine == HERE} {judge(HERE, mine)}\n"
        os.write(write_end, told.encode())
        os._exit(0)
    os.close(write_end)
    told = line_from(answer)
    os.close(answer)
    os.waitpid(pid, 0)

    assert told == "True False alive"


def test_who_runs_is_alive(child: subprocess.Popen[bytes]) -> None:
    assert judge(HERE, HERE) == "alive"
    assert judge(owner_of(child.pid), HERE) == "alive"
    assert judge(owner_of(os.getppid()), HERE) == "alive"


def test_who_was_killed_is_dead_before_and_after_it_is_reaped(
    child: subprocess.Popen[bytes],
) -> None:
    owner = owner_of(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    zombie = look(child.pid)
    unreaped = judge(owner, HERE)
    child.wait()

    assert zombie is not None
    assert zombie.state == "Z"
    assert unreaped == "dead"
    assert judge(owner, HERE) == "dead"


def test_who_is_stopped_is_alive(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)

    found = look(child.pid)
    assert found is not None
    assert found.state == "T"
    assert judge(owner_of(child.pid), HERE) == "alive"


def test_a_pid_with_another_start_is_a_dead_owner(child: subprocess.Popen[bytes]) -> None:
    owner = owner_of(child.pid)

    assert judge(Owner.of(*owner[:4], owner.start - 1), HERE) == "dead"
    assert judge(Owner.of(*owner[:4], owner.start + 1), HERE) == "dead"


def test_a_process_whose_first_thread_ended_is_alive() -> None:
    code = (
        "import ctypes, sys, threading\n"
        "threading.Thread(target=sys.stdin.read).start()\n"
        "ctypes.CDLL(None).syscall(60 if sys.argv[1] == 'x86_64' else 93, 0)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, os.uname().machine], stdin=subprocess.PIPE
    ) as process:
        owner = owner_of(process.pid)
        while (found := look(process.pid)) is None or found.state != "Z":
            os.sched_yield()

        assert judge(owner, HERE) == "alive"
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert judge(owner, HERE) == "dead"


@pytest.mark.parametrize("name", ["a) R 1 (b", ") (", "((", "x y", ")", "\n) Z 1 1"])
def test_a_name_with_parentheses_and_spaces_confuses_nobody(name: str) -> None:
    code = (
        "import ctypes, sys; ctypes.CDLL(None).prctl(15, sys.argv[1].encode(), 0, 0, 0)\n"
        "print('named', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        line_from(process.stdout.fileno())
        stat = Path(f"/proc/{process.pid}/stat").read_bytes()
        found = look(process.pid)
        process.kill()

    assert f"({name})".encode() in stat
    assert found is not None
    assert (found.pid, found.parent, found.session) == (process.pid, os.getpid(), os.getsid(0))
    assert found.state in "RS"


@pytest.mark.parametrize("line", [b"", b"1", b"1 (init", b"1 (init) S 0", b") 1 ("])
def test_half_a_line_of_proc_is_none(line: bytes) -> None:
    assert parse(line) is None


JUDGE = (
    "import sys\n"
    "from sexton.work.owner import Owner, judge\n"
    "row = sys.argv[1:6]\n"
    "print(judge(Owner.of(*row[:3], int(row[3]), int(row[4])), Owner.here()))\n"
)


def judged_after(
    boot: str, owner: Owner, *, flags: tuple[str, ...] = (), and_then: str = "true"
) -> str:
    """Judge an owner on a machine that has another boot id: a file is mounted over it."""
    shell = f"mount --bind '{boot}' {host.BOOT_ID} && {and_then} && exec \"$@\""
    prefix = (*unshared("--mount", *flags), "sh", "-c", shell, "sh")
    (verdict,) = run_python(*prefix, code=JUDGE, arguments=owner)
    return verdict


@pytest.fixture
def next_boot(tmp_path: Path) -> str:
    path = tmp_path / "boot_id"
    path.write_text("00000000-1111-2222-3333-444444444444\n")
    return str(path)


@pytest.fixture
def on_a_machine() -> Owner:
    """An owner as a machine with a machine id and without containers has it."""
    first = host.FIRST_PID_NAMESPACE
    return Owner.of(HERE.host, HERE.boot_id, first, HERE.pid, HERE.start)


def test_all_of_the_last_boot_of_this_machine_are_dead(next_boot: str, on_a_machine: Owner) -> None:
    # Only where these tests run on a machine that knows itself: in a container it is unknown.
    knows_itself = "/" in HERE.host and HERE.pid_ns == host.FIRST_PID_NAMESPACE

    assert judged_after(next_boot, on_a_machine) == ("dead" if knows_itself else "unknown")


def test_another_machine_of_the_same_name_is_not_judged(
    next_boot: str, on_a_machine: Owner
) -> None:
    other = Owner.of(f"{HERE.host_name}/ffffffff", *on_a_machine[1:])
    nameless = Owner.of(HERE.host_name, *on_a_machine[1:])

    assert judged_after(next_boot, other) == "unknown"
    assert judged_after(next_boot, nameless) == "unknown"
    # Two machines without a machine id, as are made from one image, are equal in all but the boot.
    empty = f"{{ [ ! -e {host.MACHINE_ID} ] || mount --bind /dev/null {host.MACHINE_ID}; }}"
    assert judged_after(next_boot, nameless, and_then=empty) == "unknown"


def test_the_last_boot_of_a_container_is_not_judged(next_boot: str, on_a_machine: Owner) -> None:
    # A pod may have moved to this node, and its old self still run on another.
    contained = Owner.of(*on_a_machine[:2], "4026532999", *on_a_machine[3:])

    assert judged_after(next_boot, contained) == "unknown"
    in_one = judged_after(next_boot, on_a_machine, flags=("--pid", "--fork", "--mount-proc"))
    assert in_one == "unknown"


def test_another_host_is_not_judged() -> None:
    other = Owner.of("elsewhere/12345678", "another-boot", HERE.pid_ns, 1, 1)

    assert judge(other, HERE) == "unknown"


def test_another_pid_namespace_of_this_boot_is_not_judged() -> None:
    prefix = unshared("--pid", "--fork", "--mount-proc")
    code = JUDGE + "print(*Owner.here())\n"
    verdict, *row = run_python(*prefix, code=code, arguments=HERE)
    inside = Owner.of(row[0], row[1], row[2], int(row[3]), int(row[4]))

    assert verdict == "unknown"
    assert inside.boot_id == HERE.boot_id
    assert inside.pid_ns != HERE.pid_ns
    # Its pid is 1, and so is that of our init, which lives: its death is not for us to see.
    assert inside.pid == 1
    assert judge(inside, HERE) == "unknown"


def test_a_proc_of_another_namespace_is_not_believed() -> None:
    # A new pid namespace over the old /proc: its pids are not those that we have.
    prefix = unshared("--pid", "--fork")
    verdict, namespace, start = run_python(
        *prefix,
        code=JUDGE + "me = Owner.here(); print(repr(me.pid_ns), me.start)\n",
        arguments=HERE,
    )

    assert (verdict, namespace, start) == ("unknown", "''", "0")


def test_a_pid_that_the_kernel_gave_away_again_is_a_dead_owner() -> None:
    code = (
        "import os, time\n"
        "from sexton.work.host import look\n"
        "from sexton.work.owner import Owner, judge\n"
        "def child():\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        os.read(hold, 1)\n"
        "        os._exit(0)\n"
        "    return pid\n"
        "hold, keep = os.pipe()\n"
        "here = Owner.here()\n"
        "first = child()\n"
        "owner = Owner.of(*here[:3], first, look(first).start)\n"
        "print(judge(owner, here))\n"
        "os.kill(first, 9); os.waitpid(first, 0)\n"
        "while look(probe := child()).start == owner.start:\n"
        "    os.kill(probe, 9); os.waitpid(probe, 0)\n"
        "open('/proc/sys/kernel/ns_last_pid', 'w').write(str(first - 1))\n"
        "second = child()\n"
        "print(first == second, look(second).start > owner.start, judge(owner, here))\n"
    )
    words = run_python(*unshared("--pid", "--fork", "--mount-proc", "--kill-child"), code=code)

    assert words == ["alive", "True", "True", "dead"]


# hidepid=2: an ordinary user does not see the processes of others at all. Who is not root cannot
# become somebody else in a namespace of his own: for him, all of /proc is covered.
HIDE = "os.setgroups([]); os.setresgid(*[65534] * 3); os.setresuid(*[65534] * 3)"
COVER = "subprocess.run(['mount', '-t', 'tmpfs', 'none', '/proc'], check=True)"


def test_where_proc_hides_others_their_absence_is_no_death() -> None:
    code = (
        "import os, subprocess, sys\n"
        "from sexton.work.host import look\n"
        "from sexton.work.owner import Owner, judge\n"
        "here = Owner.here()\n"
        f"{HIDE if os.getuid() == 0 else COVER}\n"
        "other = Owner.of(*here[:3], os.getppid(), 1)\n"
        "print(look(other.pid), judge(other, here))\n"
        "gone = os.fork()\n"
        "if gone == 0: os._exit(0)\n"
        "os.waitpid(gone, 0)\n"
        "print(judge(Owner.of(*here[:3], gone, 1), here))\n"
    )
    mount = 'mount -t proc -o hidepid=2 proc /proc && "$@"; exit $?'
    prefix = (*unshared("--mount", "--pid", "--fork"), "sh", "-c", mount, "sh")
    words = run_python(*prefix, code=code)

    assert words == ["None", "unknown", "dead"]


@pytest.mark.parametrize("missing", range(5))
def test_without_proc_nobody_is_judged(missing: int) -> None:
    # As on macOS: no boot id, no namespace, no start. Even the pid of nobody is then not dead.
    fields = list(Owner.of(HERE.host, HERE.boot_id, HERE.pid_ns, 2**22 + 1, 1))
    assert judge(Owner.of(*fields), HERE) == "dead"  # type: ignore[arg-type]
    fields[missing] = type(fields[missing])()

    owner = Owner.of(*fields)  # type: ignore[arg-type]
    assert judge(owner, HERE) == "unknown"
    assert judge(HERE, owner) == "unknown"


def test_judging_loads_nothing_that_an_idle_tick_would_not() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "from sexton.work.owner import Owner, judge\n"
        "judge(Owner.here(), Owner.here()); Owner.of(*Owner.here())\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )

    assert run_python(code=code) == [
        "__future__",
        "sexton",
        "sexton.work",
        "sexton.work.host",
        "sexton.work.owner",
    ]
