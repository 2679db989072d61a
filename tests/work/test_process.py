"""What a program gets when it is started, and what comes back from it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sexton.work.group import members
from sexton.work.host import look
from sexton.work.launch import CHANNEL_BYTES_MAX, Channel, Limits, User
from sexton.work.process import NotStarted, Process
from tests.work.process_kit import (
    BOUND_S,
    NOBODY,
    OF_THE_C_LIBRARY,
    launch,
    python,
    run,
    shell,
    until,
)

# From 3.12 on, a fork beside threads warns; that of pytest-xdist holds no lock of ours.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

STATUS = "print(open('/proc/self/status').read())"


def status_of(text: str, name: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name}:")]
    return line.partition(":")[2].strip()


def test_the_environment_is_exactly_what_was_given_and_the_cookie(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_PARENT", "1")
    ended, process = run(launch("/usr/bin/env", env={"A": "b c"}, cookie="n0nce"))

    assert ended.ok
    assert sorted(process.output.head.splitlines()) == [b"A=b c", b"SEXTON_CLAIM=n0nce"]


def test_a_program_starts_in_a_clean_place(tmp_path: Path) -> None:
    code = (
        "import os, json; umask = os.umask(0)\n"
        "print(json.dumps([os.getcwd(), umask, os.getsid(0), os.getpgrp(), os.getpid(),"
        " os.readlink('/proc/self/fd/0'), os.environ.get('HOME')]))"
    )
    _, process = run(python(code, cwd=str(tmp_path)))

    cwd, umask, session, group, pid, stdin, home = json.loads(process.output.head)
    assert (cwd, umask, stdin, home) == (str(tmp_path), 0o027, "/dev/null", None)
    assert session == group == pid == process.pid


@pytest.mark.parametrize("limits", [Limits(), Limits(open_files=8)], ids=["free", "few files"])
def test_no_descriptor_is_inherited(limits: Limits) -> None:
    leaks = [os.dup(0) for _ in range(20)]
    try:
        for fd in leaks:
            os.set_inheritable(fd, True)
        _, process = run(python("import os; print(os.listdir('/proc/self/fd'))", limits=limits))
    finally:
        for fd in leaks:
            os.close(fd)

    # The fourth is the listing itself.
    assert process.output.text() == "['0', '1', '2', '3']\n"


def test_stdout_and_stderr_keep_their_order() -> None:
    _, process = run(shell("echo 1; echo 2 >&2; echo 3; echo 4 >&2"))

    assert process.output.text() == "1\n2\n3\n4\n"


def test_signals_are_as_a_fresh_program_expects_them() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    try:
        _, process = run(launch("cat", "/proc/self/status"))
    finally:
        signal.signal(signal.SIGHUP, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    text = process.output.text()
    assert int(status_of(text, "SigBlk"), 16) == 0
    assert int(status_of(text, "SigIgn"), 16) & ~OF_THE_C_LIBRARY == 0


def test_new_privileges_can_be_forbidden() -> None:
    _, process = run(python(STATUS, no_new_privs=True))
    _, free = run(python(STATUS))

    assert status_of(process.output.text(), "NoNewPrivs") == "1"
    assert status_of(free.output.text(), "NoNewPrivs") == "0"


def test_a_program_runs_as_the_user_that_was_named() -> None:
    me = User(os.getuid(), os.getgid(), tuple(os.getgroups()))
    user = User(NOBODY, NOBODY) if os.getuid() == 0 else me
    _, process = run(shell("id -u; id -g; id -G", user=user if os.getuid() == 0 else None))

    uid, gid, groups = process.output.text().splitlines()
    assert (int(uid), int(gid)) == (user.uid, user.gid)
    assert set(groups.split()) == {str(gid), *map(str, user.groups)}


def test_what_is_given_arrives_and_what_is_written_comes_back() -> None:
    code = (
        "import os, sys, json\n"
        "data = open(int(sys.argv[1]), 'rb').read()\n"
        "take = open(int(sys.argv[2]), 'w')\n"
        "print(json.dumps({'bytes': len(data)}), file=take, flush=True)\n"
        "print(json.dumps('x' * 200_000), file=take)\n"
    )
    data = os.urandom(CHANNEL_BYTES_MAX)
    ended, process = run(python(code, Channel.GIVE, Channel.TAKE, give=data, takes=True))

    first, second = process.results.taken()
    assert ended.ok
    assert json.loads(first) == {"bytes": len(data)}
    assert json.loads(second) == "x" * 200_000


def test_a_child_that_does_not_read_what_it_is_given_just_ends() -> None:
    ended, _ = run(shell("exit 5", give=b"x" * CHANNEL_BYTES_MAX))

    assert ended.exit_code == 5


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (launch("/nowhere/program"), "/nowhere/program"),
        (launch("true", cwd="/nowhere"), "/nowhere"),
        (launch("no-such-program-on-any-path"), "no-such-program"),
        (launch("/etc/passwd"), "Permission denied"),
        (launch("true", "nul\0byte"), "null"),
        (launch("cat", give=b"x" * (CHANNEL_BYTES_MAX + 1)), "1048577 bytes"),
        (launch(), "no program"),
    ],
    ids=["no file", "no directory", "not on the path", "no program", "nul", "too much", "empty"],
)
def test_what_cannot_be_started_is_said_and_leaks_nothing(what: object, words: str) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(NotStarted, match=words):
        Process(what)  # type: ignore[arg-type] # parametrize() knows no types

    assert os.listdir("/proc/self/fd") == before


def test_a_finished_process_leaves_no_descriptor_and_no_zombie() -> None:
    before = os.listdir("/proc/self/fd")
    _, process = run(shell("cat >/dev/null & wait", give=b"x", takes=True))

    assert os.listdir("/proc/self/fd") == before
    assert look(process.pid) is None


def test_the_end_wakes_the_loop_though_the_pipes_say_nothing(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    process = Process(python("import os, sys; os.closerange(1, 3); open(sys.argv[1])", str(gate)))
    until(process, lambda: len(process.readers()) == 1)
    os.close(os.open(gate, os.O_WRONLY))
    ready, _, _ = select.select(process.readers(), [], [], BOUND_S)

    assert ready
    ended = process.poll(time.monotonic())
    assert ended is not None
    assert ended.ok


def test_what_it_used_is_told() -> None:
    code = "b = b'x' * (96 << 20)\nimport time\nwhile time.process_time() < 0.1: pass"
    ended, _ = run(python(code))

    assert ended.user_s + ended.sys_s >= 0.1
    assert ended.max_rss_bytes >= 96 << 20


def test_a_gibibyte_of_output_costs_the_parent_almost_no_memory() -> None:
    code = (
        "import resource, sys, time\n"
        "from tests.work.process_kit import run, shell\n"
        "run(shell('echo warm'))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "ended, process = run(shell('echo first; head -c 1073741824 /dev/zero; echo; echo last'))\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "out = process.output\n"
        "print(ended.exit_code, after - before, out.seen_bytes, out.dropped_bytes,\n"
        "      out.head[:6], out.tail[-6:])\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )

    exit_code, grown_kib, seen_bytes, dropped_bytes, *ends = done.stdout.split(maxsplit=4)
    assert exit_code == "0"
    assert int(grown_kib) < 16 * 1024
    assert int(seen_bytes) == (1 << 30) + len(b"first\n\nlast\n")
    assert int(dropped_bytes) == int(seen_bytes) - (1 << 20)
    assert ends == [r"b'first\n' b'\nlast\n'" + "\n"]


def test_output_that_is_no_text_is_kept_as_it_is_and_shown_safely() -> None:
    data = bytes(range(256)) + "naïve\x1b[2J".encode()
    _, process = run(python(f"import sys; sys.stdout.buffer.write({data!r})"))

    assert process.output.head == data
    shown = process.output.text()
    assert "naïve\\x1b[2J" in shown
    assert "\\xff" in shown
    assert "\x1b" not in shown


def test_nothing_of_a_finished_claim_is_a_member() -> None:
    _, process = run(shell("sleep 600 & echo started"))

    assert members(process.pid, process.start, process.cookie) == []
