"""That dev.py sets a project up, and survives what happens to people who type it.

Each test copies dev.py to a project of its own, whose build backend lies beside it and which needs
no package: so the real pip makes a real `.venv` without a network.
"""

from __future__ import annotations

import ast
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import dev
from tests.house.source import ROOT

WAIT_S = 120

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "small"
version = "1"

[dependency-groups]
bench = []
check = []
demo = []
test = []
"""

# A wheel is a zip file with three entries; an editable one points back here by a .pth file.
BACKEND = """
import os
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
METADATA = "Metadata-Version: 2.1\\nName: small\\nVersion: 1\\n"
WHEEL = "Wheel-Version: 1.0\\nGenerator: small\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"

def build_editable(folder, settings=None, metadata=None):
    if os.path.exists(os.path.join(HERE, "wait")):
        with open(os.path.join(HERE, "wait")) as pipe:
            pipe.read()
    if os.path.exists(os.path.join(HERE, "broken")):
        raise RuntimeError("the backend is broken")
    name = "small-1-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("small.pth", HERE)
        wheel.writestr("small-1.dist-info/METADATA", METADATA)
        wheel.writestr("small-1.dist-info/WHEEL", WHEEL)
        wheel.writestr("small-1.dist-info/RECORD", "")
    return name
"""

DEMO = "import small, sys; print('demo', *sys.argv[1:], sys.prefix)"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project with our dev.py, in a folder whose name has a space."""
    root = tmp_path / "my project"
    (root / "examples" / "daily_summary").mkdir(parents=True)
    (root / "dev.py").write_text((ROOT / "dev.py").read_text())
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "backend.py").write_text(BACKEND)
    (root / "small.py").write_text("")
    (root / "examples" / "daily_summary" / "demo.py").write_text(DEMO)
    return root


def line(project: Path, *words: str) -> list[str]:
    return [sys.executable, str(project / "dev.py"), *words]


def run(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Type `dev.py WORDS` in another folder, with no package index to be reached."""
    env = {**os.environ, "PIP_NO_INDEX": "1"}
    return subprocess.run(
        line(project, *words),
        cwd=project.parent,
        env=env,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def test_the_file_can_be_read_by_a_python_that_is_too_old() -> None:
    tree = ast.parse((ROOT / "dev.py").read_text(), feature_version=(3, 6))

    futures = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert "__future__" not in {node.module for node in futures}
    assert not any(isinstance(node, ast.NamedExpr | ast.Match) for node in ast.walk(tree))


def test_a_python_that_is_too_old_gets_a_sentence() -> None:
    pretend = "import runpy, sys; sys.version_info = (3, 6, 9); sys.version = '3.6.9 (old)'"
    code = f"{pretend}; runpy.run_path({str(ROOT / 'dev.py')!r}, run_name='__main__')"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert told.returncode == 1
    assert told.stderr.startswith("dev.py: Sexton needs Python 3.11 or newer, and this is 3.6.9.")


def test_it_is_made_once_and_quick_the_second_time(project: Path) -> None:
    first = run(project, "demo", "--loud")
    made = (project / ".venv" / "installed.json").stat().st_mtime_ns
    second = run(project, "demo")

    assert first.stdout.splitlines()[-1] == f"demo --loud {project / '.venv'}"
    assert "making .venv" in first.stdout
    assert second.stdout == f"demo {project / '.venv'}\n"
    assert json.loads((project / ".venv" / "installed.json").read_text())["groups"] == ["demo"]
    assert (project / ".venv" / "installed.json").stat().st_mtime_ns == made


def test_the_tests_that_words_select_are_named(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for binary in dev.TEST_PACKAGES.values():  # so that nothing is installed for them
        (project / binary).touch(0o755)
    monkeypatch.setenv("PATH", str(project), prepend=os.pathsep)

    assert "dev.py: pytest: every test, on 2 cores\n" in run(project, "test").stdout
    some = run(project, "test", "tests/docs", "-k", "a page")
    assert "dev.py: pytest: tests/docs -k 'a page', on 2 cores\n" in some.stdout


def test_a_change_of_the_declared_packages_makes_it_anew(project: Path) -> None:
    run(project, "demo")
    (project / ".venv" / "left-over").touch()
    (project / "pyproject.toml").write_text(PYPROJECT.replace('"1"', '"1"\nkeywords = ["new"]'))
    told = run(project, "demo")

    assert "making .venv" in told.stdout
    assert not (project / ".venv" / "left-over").exists()


def test_a_change_of_a_tools_settings_does_not(project: Path) -> None:
    run(project, "demo")
    (project / "pyproject.toml").write_text(PYPROJECT + "\n[tool.ruff]\nline-length = 100\n")

    assert "making .venv" not in run(project, "demo").stdout


def test_a_killed_run_holds_its_lock_until_pip_has_gone_and_is_remade(project: Path) -> None:
    os.mkfifo(project / "wait")
    first = subprocess.Popen(line(project, "demo"), stdout=subprocess.PIPE, text=True)
    with (project / "wait").open("w"):
        # Opening the pipe for writing has waited for pip's backend to read from it.
        first.kill()
        first.wait(WAIT_S)
        with (project / "dev.py").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (project / "wait").unlink()
        second = subprocess.Popen(line(project, "demo"), stdout=subprocess.PIPE, text=True)
        assert second.stdout is not None
        assert "waiting for it to finish" in second.stdout.readline()
    told, _ = second.communicate(timeout=WAIT_S)
    assert first.stdout is not None
    first.stdout.close()

    assert second.returncode == 0
    assert "making .venv" in told


def test_of_two_at_once_one_makes_it_and_the_other_uses_it(project: Path) -> None:
    os.mkfifo(project / "wait")
    first = subprocess.Popen(line(project, "demo"), stdout=subprocess.PIPE, text=True)
    with (project / "wait").open("w"):
        second = subprocess.Popen(line(project, "demo"), stdout=subprocess.PIPE, text=True)
        assert second.stdout is not None
        assert "waiting for it to finish" in second.stdout.readline()
        (project / "wait").unlink()
    made, _ = first.communicate(timeout=WAIT_S)
    used, _ = second.communicate(timeout=WAIT_S)

    assert (first.returncode, second.returncode) == (0, 0)
    assert "making .venv" in made
    assert used == f"demo {project / '.venv'}\n"


def test_a_further_group_is_added_to_what_is_there(project: Path) -> None:
    (project / "bench.py").write_text("print('bench')")
    run(project, "demo")
    added = run(project, "bench")
    again = run(project, "demo")

    assert added.stdout.splitlines()[-1] == "bench"
    assert "installing" in added.stdout
    assert "making .venv" not in added.stdout
    assert again.stdout == f"demo {project / '.venv'}\n"


def test_a_check_that_cannot_be_run_has_failed(project: Path) -> None:
    (project / ".venv").mkdir()
    code = "import sys, dev; sys.exit(dev.check([]))"
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False
    )

    assert told.returncode == 1
    assert told.stdout.count("FAILED") == len(dev.CHECKS)


def test_ctrl_c_ends_it_and_the_next_run_makes_it_whole(project: Path) -> None:
    os.mkfifo(project / "wait")
    first = subprocess.Popen(
        line(project, "demo"), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    with (project / "wait").open("w"):
        # As a terminal does: the signal goes to everyone in the group.
        os.killpg(first.pid, signal.SIGINT)
        _, said = first.communicate(timeout=WAIT_S)
    (project / "wait").unlink()

    assert (first.returncode, said) == (130, "\ndev.py: stopped.\n")
    assert "making .venv" in run(project, "demo").stdout


def test_a_venv_of_somebody_elses_is_put_aside(project: Path) -> None:
    (project / ".venv").mkdir()
    (project / ".venv" / "theirs").write_text("precious")
    told = run(project, "demo")

    assert "it is .venv.kept-1 now" in told.stdout
    assert (project / ".venv.kept-1" / "theirs").read_text() == "precious"
    assert told.returncode == 0


def test_a_venv_without_its_python_is_made_anew(project: Path) -> None:
    run(project, "demo")
    (project / ".venv" / "bin" / "python").unlink()

    assert run(project, "demo").returncode == 0


def test_what_pip_could_not_do_is_shown_and_leaves_no_stamp(project: Path) -> None:
    (project / "broken").touch()
    told = run(project, "demo")

    assert told.returncode == 1
    assert "dev.py: pip could not install" in told.stderr
    assert "the backend is broken" in told.stderr
    assert not (project / ".venv" / "installed.json").exists()


def test_a_place_that_cannot_be_written_is_named(project: Path) -> None:
    # A limit on the size of files, since root may write wherever it likes.
    words = ["sh", "-c", 'ulimit -f 0 && exec "$@"', "sh", *line(project, "demo")]
    told = subprocess.run(words, capture_output=True, text=True, timeout=WAIT_S, check=False)

    assert told.returncode == 1
    assert told.stderr.startswith(f"dev.py: cannot write in {project}: File too large.")


def test_the_exit_code_is_the_programs_own(project: Path) -> None:
    (project / "examples" / "daily_summary" / "demo.py").write_text("raise SystemExit(7)")

    assert run(project, "demo").returncode == 7


def test_clean_removes_what_was_made_and_nothing_else(project: Path) -> None:
    before = sorted(project.rglob("*"))
    run(project, "demo")
    run(project, "clean")

    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize(("words", "code"), [([], 2), (["dance"], 2), (["--help"], 0)])
def test_a_word_that_it_does_not_know_is_answered_with_those_it_does(
    project: Path, words: list[str], code: int
) -> None:
    told = run(project, *words)

    assert told.returncode == code
    assert (told.stdout + told.stderr).strip() == dev.usage()
    assert dev.usage().count("python3 dev.py") == len(dev.COMMANDS)


def test_words_that_a_command_would_ignore_are_refused() -> None:
    with pytest.raises(dev.Refusal, match="no further words, but got: fast"):
        dev.check(["fast"])


def test_a_group_includes_what_its_groups_include_once() -> None:
    table = {"all": [{"include-group": "one"}, "b", "a"], "one": ["a"]}

    assert dev.requirements({"dependency-groups": table}, ("all", "one")) == ["a", "b"]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({}, "no dependency group 'all'"),
        ({"all": [{"include-group": "all"}]}, "includes itself"),
    ],
)
def test_a_group_that_cannot_be_resolved_is_refused(table: dict[str, object], reason: str) -> None:
    with pytest.raises(dev.Refusal, match=reason):
        dev.requirements({"dependency-groups": table}, ("all",))


def test_every_command_names_groups_that_exist() -> None:
    told = dev.project()

    for command in dev.COMMANDS.values():
        assert dev.requirements(told, command.groups) or not command.groups


def test_a_machine_runs_the_same_command_as_a_person() -> None:
    words = (ROOT / ".ci" / "run").read_text().split()

    assert words[-4:] == ["exec", "python3", "dev.py", "test"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
