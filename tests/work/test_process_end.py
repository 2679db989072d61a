"""Nothing is left running: how everything that a program started is found and ended."""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from sexton.work.ended import Ended
from sexton.work.group import COOKIE, end_group, members
from sexton.work.host import Seen, look
from sexton.work.launch import Channel
from sexton.work.process import KILL_LOOK_S, Process
from tests.work.process_kit import (
    BOUND_S,
    NOBODY,
    await_end,
    cookie,
    finish,
    is_running,
    is_running_pid,
    line_from,
    python,
    run,
    said,
    seen,
    shell,
    until,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

ROOT = Path(__file__).parents[2]
NO_PID = 2**22 + 1  # no Linux gives out so high a one

# Leaves the session, is adopted by init, and keeps nothing but its environment.
DAEMON = """
import os, time
here, there = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("daemon", os.getpid(), flush=True)
        os.closerange(0, there + 1)
        time.sleep(600)
    os._exit(0)
os.wait()
os.close(there)
os.read(here, 1)
"""

# Leaves the session and keeps the output's pipe.
HOLDER = """
import os, time
here, there = os.pipe()
if os.fork() == 0:
    os.setsid()
    print("holder", os.getpid(), flush=True)
    os.write(there, b"x")
    time.sleep(600)
os.read(here, 1)
"""

# A tick that is killed: it starts one program, says which, and waits.
TICK = """
import sys, time
from tests.work.process_kit import BOUND_S, launch, said
from sexton.work.launch import User
from sexton.work.process import Process
user = User(int(sys.argv[3]), int(sys.argv[3])) if len(sys.argv) > 3 else None
process = Process(launch("sh", "-c", sys.argv[1], cookie=sys.argv[2], user=user))
said(process, "ready")
print(process.pid, process.start, process.output.text().replace("\\n", " "), flush=True)
while True:
    process.wait(BOUND_S)
"""


@pytest.fixture
def stranger() -> Iterator[Seen]:
    """A process that is none of ours, leader of its own session."""
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield seen(child.pid)
    child.kill()
    child.wait()


def pid_after(process: Process, word: str) -> Seen:
    """Read a pid from the output: the number after `word`."""
    until(process, lambda: len(process.output.text().partition(word)[2].split("\n")) > 1)
    return seen(int(process.output.text().partition(word)[2].split()[0]))


def test_a_program_that_is_asked_to_end_may_finish_its_work() -> None:
    code = (
        "import signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
        "print('ready', flush=True); signal.sigwait({signal.SIGTERM})\n"
        "print('tidied'); sys.exit(4)"
    )
    with Process(python(code)) as process:
        said(process, "ready")
        process.stop(BOUND_S, time.monotonic())
        ended = finish(process)

    assert (ended.exit_code, ended.is_stopped, ended.orphans) == (4, True, 0)
    assert process.output.text() == "ready\ntidied\n"


def test_a_program_that_ignores_the_request_is_killed_after_its_grace() -> None:
    with Process(shell("trap '' TERM; echo ready; while :; do sleep 600; done")) as process:
        said(process, "ready")
        now_s = time.monotonic()
        process.stop(1000.0, now_s)

        assert process.poll(now_s + 999.0) is None
        assert is_running(seen(process.pid))
        assert process.poll(now_s + 1000.0) is None
        ended = finish_at(process, now_s + 1000.0)

    assert (ended.exit_code, ended.signal) == (None, signal.SIGKILL)
    assert ended.words() == "killed by SIGKILL (killed)"


def finish_at(process: Process, now_s: float) -> Ended:
    """Go on from a moment of a clock that travels, in steps that do not wait."""
    steps = count()
    until(process, lambda: process.poll(now_s + next(steps) * KILL_LOOK_S) is not None)
    ended = process.poll(now_s)
    assert ended is not None
    return ended


def test_a_program_that_is_stopped_is_given_nothing_any_more() -> None:
    code = (
        "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "print('got', len(open(int(sys.argv[1]), 'rb').read()))"
    )
    with Process(python(code, Channel.GIVE, give=b"x" * 1_000_000)) as process:
        # Nobody has called read(), so nothing is given yet; the pipe tells that it is ready.
        ready, _, _ = select.select([process.readers()[0]], [], [], BOUND_S)
        assert ready
        process.stop(BOUND_S, time.monotonic())
        ended = finish(process)

    assert ended.ok
    assert process.output.text() == "ready\ngot 0\n"


def test_a_second_stop_only_brings_the_end_forward() -> None:
    with Process(shell("trap '' TERM; echo ready; while :; do sleep 600; done")) as process:
        said(process, "ready")
        now_s = time.monotonic()
        process.stop(10.0, now_s)
        process.stop(5.0, now_s)
        process.stop(1000.0, now_s)

        assert process.poll(now_s + 4.9) is None
        assert is_running(seen(process.pid))
        ended = finish_at(process, now_s + 5.0)

    assert ended.signal == signal.SIGKILL


def test_a_stopped_program_is_ended_and_may_still_tidy_up() -> None:
    with Process(shell("trap 'echo tidied; exit 0' TERM; echo ready; kill -STOP $$")) as process:
        said(process, "ready")
        until(process, lambda: seen(process.pid).state == "T")
        process.stop(BOUND_S, time.monotonic())
        ended = finish(process)

    assert ended.ok
    assert process.output.text() == "ready\ntidied\n"


def test_a_stopped_program_that_ignores_the_request_is_killed() -> None:
    code = (
        "import os, signal; signal.signal(15, signal.SIG_IGN); print('ready', flush=True)\n"
        "while True: os.kill(os.getpid(), signal.SIGSTOP)"
    )
    with Process(python(code)) as process:
        said(process, "ready")
        ended = process.end(0.1)

    assert ended.signal == signal.SIGKILL
    assert look(process.pid) is None


def test_what_still_runs_in_the_group_is_ended_with_its_leader() -> None:
    ended, process = run(shell("sleep 600 & sleep 600 & echo done; exit 0"))

    assert (ended.exit_code, ended.orphans, ended.left) == (0, 2, ())
    assert not ended.is_stopped
    assert ended.words() == "ended with exit code 0; 2 of its processes still ran and were ended"
    assert members(process.pid, process.start, process.cookie) == []


def test_a_grandchild_in_a_session_of_its_own_that_keeps_the_pipe_open_holds_nobody_up() -> None:
    ended, process = run(python(HOLDER))

    assert ended.ok
    assert ended.orphans == 1
    assert members(process.pid, process.start, process.cookie) == []
    assert not is_running_pid(int(process.output.text().split()[1]))


def test_the_loop_rests_while_an_orphan_has_its_grace() -> None:
    code = "import signal; signal.signal(15, signal.SIG_IGN)" + HOLDER
    with Process(python(code)) as process:
        said(process, "holder")
        until(process, lambda: process.wake_in_s(time.monotonic()) is not None or poll(process))
        process.read()
        ready, _, _ = select.select(process.readers(), [], [], 0)
        holder = pid_after(process, "holder")

        assert ready == []
        assert is_running(holder)
    assert not is_running(holder)


def poll(process: Process) -> bool:
    assert process.poll(time.monotonic()) is None
    return False


def test_a_daemon_that_left_the_session_is_found_by_its_cookie() -> None:
    ended, process = run(python(DAEMON))
    daemon = int(process.output.text().split()[1])

    assert ended.ok
    assert ended.orphans == 1
    assert not is_running_pid(daemon)


def test_a_daemon_is_ended_when_its_leader_is_stopped() -> None:
    with Process(python(DAEMON + "time.sleep(600)")) as process:
        daemon = pid_after(process, "daemon")
        assert daemon.session != process.pid
        ended = process.end(BOUND_S)

    assert ended.signal == signal.SIGTERM
    assert not is_running(daemon)


def test_a_grandchild_that_wiped_its_environment_is_found_by_its_parent() -> None:
    script = "setsid sh -c 'env -i sleep 600 & echo pid $!; exec sleep 600' & wait"
    with Process(shell(script)) as process:
        wiped = pid_after(process, "pid")
        process.end(BOUND_S)

    assert not is_running(wiped)


@pytest.mark.parametrize("user", [[], [str(NOBODY)]], ids=["same user", "another user"])
def test_a_program_dies_with_its_tick_and_the_sweep_finds_its_grandchildren(
    user: list[str],
) -> None:
    name = cookie()
    script = "setsid sleep 600 & echo $!; sleep 600 & echo $!; echo ready; exec sleep 600"
    with subprocess.Popen(
        [sys.executable, "-c", TICK, script, name, *(user if os.getuid() == 0 else [])],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as tick:
        assert tick.stdout is not None
        words = line_from(tick.stdout.fileno()).split()
        leader, escaped, beside = (seen(int(words[n])) for n in (0, 2, 3))
        assert len(members(leader.pid, leader.start, name)) == 3
        tick.kill()
        tick.wait(BOUND_S)
    await_end(leader)

    assert {one.pid for one in members(leader.pid, leader.start, name)} == {escaped.pid, beside.pid}
    assert end_group(leader.pid, leader.start, name, BOUND_S) == []
    assert not is_running(escaped)
    assert not is_running(beside)


def test_a_program_whose_tick_died_before_the_tie_was_made_never_runs(tmp_path: Path) -> None:
    # The tick is killed by its child between fork and exec, at the first call that it makes there.
    code = (
        "import os, signal, sys\n"
        "from sexton.work.process import Process\n"
        "from tests.work.process_kit import shell\n"
        "parent = os.getpid()\n"
        "usual = os.listdir\n"
        "def late(path):\n"
        "    with open(sys.argv[2], 'w') as file: file.write(str(os.getpid()))\n"
        "    os.kill(parent, signal.SIGKILL)\n"
        "    while os.getppid() == parent: pass\n"
        "    return usual(path)\n"
        "os.listdir = late\n"
        "print(parent, flush=True)\n"
        "Process(shell('echo ran > ' + sys.argv[1]))\n"
    )
    mark, pid = tmp_path / "ran", tmp_path / "pid"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(mark), str(pid)], cwd=ROOT, stdout=subprocess.PIPE
    ) as tick:
        assert tick.stdout is not None
        assert tick.stdout.read().strip() == str(tick.pid).encode()
        assert tick.wait(BOUND_S) == -signal.SIGKILL
    child = look(int(pid.read_text()))
    if child is not None:
        await_end(child)

    assert not mark.exists()


def test_a_group_number_that_was_used_again_is_not_ours(stranger: Seen) -> None:
    # The row says: a leader of this pid, of an earlier start.
    assert members(stranger.pid, stranger.start - 1, cookie()) == []
    assert end_group(stranger.pid, stranger.start - 1, cookie(), 0.0) == []
    assert is_running(stranger)


def test_a_group_whose_leader_is_gone_needs_a_cookie_to_be_ours() -> None:
    # Two leaders end and leave one process each; only one of them has our cookie.
    ours = cookie()
    script = "sleep 600 >/dev/null & echo $!"
    for name, expected in ((ours, True), (cookie(), False)):
        leader = subprocess.Popen(
            ["sh", "-c", script],
            start_new_session=True,
            stdout=subprocess.PIPE,
            env={COOKIE: name, "PATH": os.environ["PATH"]},
        )
        start = seen(leader.pid).start
        left = seen(int(leader.communicate()[0]))

        assert bool(members(leader.pid, start, ours)) is expected
        assert end_group(leader.pid, start, ours, 0.0) == []
        assert is_running(left) is not expected
        end_group(leader.pid, start, name, 0.0)
        assert not is_running(left)


def test_one_bearer_proves_that_the_whole_group_is_ours() -> None:
    ours = cookie()
    script = "sleep 600 >/dev/null & echo $!; exec env -i sh -c 'sleep 600 >/dev/null & echo $!'"
    leader = subprocess.Popen(
        ["sh", "-c", script],
        start_new_session=True,
        stdout=subprocess.PIPE,
        env={COOKIE: ours, "PATH": os.environ["PATH"]},
    )
    start = seen(leader.pid).start
    left = [seen(int(word)) for word in leader.communicate()[0].split()]

    assert end_group(leader.pid, start, ours, 0.0) == []
    assert [one for one in left if is_running(one)] == []


def test_a_cookie_that_only_begins_alike_is_another() -> None:
    ours = cookie()
    other = subprocess.Popen(["sleep", "600"], env={COOKIE: ours + "0"}, start_new_session=True)
    try:
        assert members(NO_PID, 1, ours) == []
        assert [one.pid for one in members(NO_PID, 1, ours + "0")] == [other.pid]
        assert members(NO_PID, seen(other.pid).start + 1, ours + "0") == []
    finally:
        other.kill()
        other.wait()


def test_who_ends_a_group_from_inside_spares_itself_and_its_ancestors() -> None:
    code = (
        "import os, sys\n"
        "from sexton.work.group import end_group\n"
        "from sexton.work.host import look\n"
        "leader = look(os.getppid())\n"
        "print('left', end_group(leader.pid, leader.start, os.environ['SEXTON_CLAIM'], 0.0))\n"
    )
    script = f'sleep 600 & {shlex.quote(sys.executable)} -c "{code}"; wait; echo survived'
    ended, process = run(shell(script, cwd=str(ROOT)))

    assert process.output.text() == "left []\nsurvived\n"
    assert (ended.exit_code, ended.orphans) == (0, 0)


def test_what_cannot_be_killed_is_named(stranger: Seen) -> None:
    # An ordinary user may not kill the processes of another.
    victim = stranger if os.getuid() == 0 else seen(1)
    answer, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        if os.getuid() == 0:
            os.setuid(NOBODY)
        left = end_group(victim.pid, victim.start, "x", 0.0)
        os.write(write_end, f"{victim.key in {one.key for one in left}}\n".encode())
        os._exit(0)
    os.close(write_end)
    said_so = line_from(answer)
    os.close(answer)
    os.waitpid(child, 0)

    assert said_so == "True"
    assert is_running(victim)


def test_leaving_the_block_by_an_exception_ends_everything() -> None:
    daemons = []

    def work() -> None:
        with Process(python(DAEMON + "time.sleep(600)")) as process:
            daemons.extend([pid_after(process, "daemon"), seen(process.pid)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()

    assert [is_running(one) for one in daemons] == [False, False]


def test_an_exit_code_that_somebody_else_took_is_not_invented() -> None:
    with Process(shell("exit 3")) as process:
        os.waitpid(process.pid, 0)
        ended = finish(process)

    assert (ended.exit_code, ended.signal, ended.ok) == (None, None, False)
    assert ended.words() == "ended, and somebody else took its exit code"
