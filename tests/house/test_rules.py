"""Holds the project's own source to the rules of the house, and each rule to its purpose.

A rule that catches nothing holds nothing: every one is first shown a breach that it must see, and
the nearest thing that it must let pass.
"""

from __future__ import annotations

import pytest

from tests.house import rules
from tests.house.source import Module, files, modules

PACKAGE = ("sexton",)
SHIPPED = ("sexton", "examples", "dev.py")
ALL = ("sexton", "examples", "tests", "dev.py")

RULES: dict[rules.Rule, tuple[str, ...]] = {
    rules.databases_are_opened_by_the_store_alone: PACKAGE,
    rules.sql_lives_in_files: PACKAGE,
    rules.the_environment_is_read_at_the_edge: PACKAGE,
    rules.the_core_is_told_the_time: PACKAGE,
    rules.nothing_is_executed_from_text: SHIPPED,
    rules.a_broad_except_says_why: SHIPPED,
    rules.a_module_says_what_it_promises: ALL,
    rules.modules_and_functions_stay_small: PACKAGE,
    rules.nothing_is_left_for_later: ALL,
    rules.names_mean_something: ALL,
    rules.no_path_of_somebodys_machine: SHIPPED,
    rules.tests_do_not_sleep: ("tests",),
    rules.tests_neither_mock_nor_expect_failure: ("tests",),
    rules.a_tests_name_is_a_sentence: ("tests",),
}

LONG_FUNCTION = "def f():\n" + "    pass\n" * rules.FUNCTION_LINES_MAX
LATER = "# TO" + "DO: tomorrow"

# rule, where the text lies, what it must catch, what it must let pass
SAMPLES = [
    (
        rules.databases_are_opened_by_the_store_alone,
        "sexton/app.py",
        "import apsw",
        "from sexton.store import open",
    ),
    (
        rules.databases_are_opened_by_the_store_alone,
        "sexton/store/sqlite.py",
        "from sqlite3 import connect",
        "import apsw",
    ),
    (
        rules.databases_are_opened_by_the_store_alone,
        "sexton/app.py",
        "def f():\n    import sqlite3",
        "if TYPE_CHECKING:\n    import sqlite3",
    ),
    (
        rules.sql_lives_in_files,
        "sexton/store/tasks.py",
        "db.execute('SELECT id FROM task WHERE id = 1')",
        "print('Select a task FROM the list')",
    ),
    (
        rules.sql_lives_in_files,
        "sexton/store/tasks.py",
        "db.execute(f'''\n  UPDATE task SET status = {status}''')",
        "db.execute('PRAGMA user_version')",
    ),
    (
        rules.the_environment_is_read_at_the_edge,
        "sexton/work/guard.py",
        "import os\nos.environ.get('HOME')",
        "import os\nos.getpid()",
    ),
    (
        rules.the_environment_is_read_at_the_edge,
        "sexton/store/sqlite.py",
        "from os import getenv",
        "from os import getpid",
    ),
    (
        rules.the_core_is_told_the_time,
        "sexton/core/guard.py",
        "datetime.now(UTC)",
        "datetime.fromtimestamp(0, UTC)",
    ),
    (
        rules.the_core_is_told_the_time,
        "sexton/core/guard.py",
        "open('settings')",
        "ledger.open('settings')",
    ),
    (
        rules.nothing_is_executed_from_text,
        "sexton/work/process.py",
        "Popen(line, shell=True)",
        "Popen(line, shell=False)",
    ),
    (
        rules.nothing_is_executed_from_text,
        "sexton/core/value.py",
        "from pickle import loads",
        "from msgspec.json import decode",
    ),
    (
        rules.nothing_is_executed_from_text,
        "sexton/cli/kv.py",
        "eval(text)",
        "literal_eval(text)",
    ),
    (
        rules.a_broad_except_says_why,
        "sexton/work/run.py",
        "try:\n    f()\nexcept Exception:\n    pass",
        "try:\n    f()\nexcept Exception:  # The user's function may raise anything.\n    pass",
    ),
    (
        rules.a_broad_except_says_why,
        "sexton/work/run.py",
        "try:\n    f()\nexcept (OSError, BaseException) as e:\n    raise OSError from e",
        "try:\n    f()\nexcept BaseException:\n    close()\n    raise",
    ),
    (
        rules.a_module_says_what_it_promises,
        "sexton/app.py",
        "import sys",
        '"""Introduces work to store."""',
    ),
    (
        rules.modules_and_functions_stay_small,
        "sexton/app.py",
        LONG_FUNCTION,
        "def f():\n    pass",
    ),
    (
        rules.modules_and_functions_stay_small,
        "sexton/app.py",
        "x = 1\n" * (rules.MODULE_LINES_MAX + 1),
        "x = 1\n" * rules.MODULE_LINES_MAX,
    ),
    (rules.nothing_is_left_for_later, "sexton/app.py", LATER, "# Done already."),
    (rules.names_mean_something, "sexton/app.py", "class TaskManager: ...", "class Executor: ..."),
    (
        rules.no_path_of_somebodys_machine,
        "sexton/app.py",
        "PATH = '/ho" + "me/ann/sexton.db'",
        "PATH = '/var/lib/sexton/sexton.db'",
    ),
    (
        rules.tests_do_not_sleep,
        "tests/test_x.py",
        "import time\ntime.sleep(1)",
        "python('import time; time.sleep(600)')",
    ),
    (
        rules.tests_neither_mock_nor_expect_failure,
        "tests/test_x.py",
        "from unittest import mock",
        "from unittest import TestCase",
    ),
    (
        rules.tests_neither_mock_nor_expect_failure,
        "tests/test_x.py",
        "@pytest.mark.xfail\ndef test(): ...",
        "@pytest.mark.needs('strace')\ndef test(): ...",
    ),
    (
        rules.a_tests_name_is_a_sentence,
        "tests/test_x.py",
        "def test_claim(): ...",
        "def test_a_claim_is_exclusive(): ...",
    ),
]


def name(value: object) -> str | None:
    return getattr(value, "__name__", None) or ""


@pytest.mark.parametrize("rule", RULES, ids=name)
def test_the_source_keeps_the_rule(rule: rules.Rule) -> None:
    breaches = [breach for module in modules(*RULES[rule]) for breach in rule(module)]

    assert not breaches, "\n" + "\n".join(breaches)


@pytest.mark.parametrize(("rule", "path", "caught", "passed"), SAMPLES, ids=name)
def test_the_rule_catches_its_breach_and_nothing_beside_it(
    rule: rules.Rule, path: str, caught: str, passed: str
) -> None:
    assert list(rule(Module(path, caught)))
    assert not list(rule(Module(path, passed)))


def test_a_file_is_named_for_a_noun() -> None:
    assert list(rules.names_mean_something(Module("sexton/work/task_utils.py", "")))
    assert not list(rules.names_mean_something(Module("sexton/work/executor.py", "")))


def test_every_rule_has_been_shown_a_breach() -> None:
    assert {rule for rule, *_ in SAMPLES} == set(RULES)


def test_sql_files_lie_in_the_store_alone() -> None:
    found = files("sexton", "*.sql")

    assert found, "no .sql file was found at all: is this test looking in the right place?"
    outside = [path for path in found if not path.startswith("sexton/store/")]
    assert not outside, f"move these into sexton/store: {outside}"


def test_every_room_of_the_package_has_its_init_file() -> None:
    homes = {module.path.rpartition("/")[0] for module in modules("sexton")}
    inits = {path.rpartition("/")[0] for path in files("sexton", "__init__.py")}

    assert homes == inits, f"without an __init__.py these are not found once installed: {homes}"
