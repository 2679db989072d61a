"""What every test may count on: seeded examples, the mark `needs`, and no silent skip.

A test that needs a program which not every machine has says so with `@pytest.mark.needs("strace")`
and is skipped, with that reason, where it is missing. What was skipped is counted at the end. Where
CI is set nothing may be skipped or expected to fail: the run then fails, however green the rest.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

# Seeded, and without a database of examples: the same commit gives the same answer everywhere.
# No deadline, since a busy machine must not fail a test.
settings.register_profile(
    "seeded",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
# For a long search by hand: HYPOTHESIS_PROFILE=search python3 dev.py test
settings.register_profile("search", deadline=None, max_examples=5_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "seeded"))

# Daemons lie in sbin, which is not on every user's path.
PROGRAM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])

NOT_RUN = ("skipped", "xfailed", "xpassed")
NOT_SEEN = "not seen"  # the property of a test that passed without a part of what it is about


def pytest_configure(config: pytest.Config) -> None:
    """Declare our marks."""
    config.addinivalue_line("markers", "needs(*programs): skipped where one of them is missing")
    # A shell starts what runs in the background with SIGINT ignored, and every child inherits that;
    # what the tests interrupt would then run on. A handler, unlike "ignore", is not inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with the reason, what needs a program that is not installed."""
    needed = [name for mark in item.iter_markers("needs") for name in mark.args]
    missing = [name for name in needed if shutil.which(name, path=PROGRAM_PATH) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where CI is set, fail the run if a test was not run or was expected to fail."""
    if _in_ci() and _not_run(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count what was not run, or seen only in part, by reason."""
    for reason, count in _not_seen(terminalreporter).most_common():
        terminalreporter.section(f"{count} not seen: {reason}")
    reasons = _not_run(terminalreporter.config)
    if not reasons:
        return
    word = "FORBIDDEN IN CI" if _in_ci() else "counted"
    terminalreporter.section(f"{reasons.total()} tests not run: {word}")
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count:5} {reason}")


def _not_seen(terminalreporter: pytest.TerminalReporter) -> Counter[object]:
    passed = terminalreporter.stats.get("passed", ())
    told = [property_ for report in passed for property_ in report.user_properties]
    return Counter(reason for name, reason in told if name == NOT_SEEN)


def _not_run(config: pytest.Config) -> Counter[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return Counter()
    return Counter(_reason(report) for kind in NOT_RUN for report in reporter.stats.get(kind, ()))


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    told = report.longrepr
    if isinstance(told, tuple):
        return str(told[2]).removeprefix("Skipped: ")
    return f"expected to fail: {report.nodeid}"


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in ("", "0", "false")
