"""That no test is left out in silence: what tests/conftest.py does with a skip."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT

SUITE = """
import pytest

def test_one_passes(): pass

@pytest.mark.needs("no-such-program")
def test_one_is_skipped(): raise AssertionError("it ran")
"""

EXPECTED_TO_FAIL = """
import pytest

@pytest.mark.xfail
def test_one_fails(): raise AssertionError
"""

SKIPPED_WHOLE = """
import pytest

pytest.skip("not here", allow_module_level=True)
"""


def run(folder: Path, suite: str, *words: str, ci: str = "") -> subprocess.CompletedProcess[str]:
    """Run a suite of its own below our conftest.py; return what pytest said."""
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_suite.py").write_text(suite)
    (folder / "test_green.py").write_text("def test_it_passes(): pass\n")
    line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:sexton", *words]
    env = {**os.environ, "CI": ci}
    return subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_a_skip_is_counted_with_its_reason(tmp_path: Path) -> None:
    told = run(tmp_path, SUITE)

    assert told.returncode == 0
    assert "1 tests not run: counted" in told.stdout
    assert "    1 not installed: no-such-program" in told.stdout


@pytest.mark.parametrize(
    "suite", [SUITE, EXPECTED_TO_FAIL, SKIPPED_WHOLE], ids=["skip", "xfail", "module"]
)
def test_nothing_is_left_out_in_ci(tmp_path: Path, suite: str) -> None:
    told = run(tmp_path, suite, ci="true")

    assert told.returncode == 1, told.stdout
    assert "1 tests not run: FORBIDDEN IN CI" in told.stdout


def test_nothing_is_left_out_in_ci_on_two_cores_either(tmp_path: Path) -> None:
    told = run(tmp_path, SUITE, "-n", "2", ci="true")

    assert told.returncode == 1, told.stdout
    assert "1 tests not run: FORBIDDEN IN CI" in told.stdout


def test_a_whole_run_passes_in_ci(tmp_path: Path) -> None:
    told = run(tmp_path, "def test_one_passes(): pass", ci="true")

    assert told.returncode == 0, told.stdout
    assert "not run" not in told.stdout
