"""The rules of the layout and of the style that a machine can hold.

Each rule takes a module and yields its breaches; each breach says where it is and what to do.
What import-linter, ruff and mypy hold is not said here again.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from tests.house.source import Module

FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 450
TEST_NAME_WORDS_MIN = 3

# These speak to a store before its named queries can be asked: is it one, and of which version?
SQL_SPEAKERS = ("sexton/store/migrate.py", "sexton/store/sqlite.py")
# One reads callers' outboxes, the other looks at connections that a caller made, and opens none.
SQLITE3_READERS = ("sexton/store/outbox.py", "sexton/store/shared.py")
ENVIRONMENT_READERS = ("sexton/app/", "sexton/cli/", "sexton/testing/")

DATABASE_LIBRARIES = {"apsw", "psycopg", "psycopg_pool", "sqlalchemy"}
UNSAFE_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
UNSAFE_CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen",
    "subprocess.getoutput", "subprocess.getstatusoutput",
}  # fmt: skip
CLOCKS_AND_DICE = {
    "datetime.now", "datetime.utcnow", "datetime.today", "datetime.datetime.now", "date.today",
    "datetime.date.today", "uuid1", "uuid4", "uuid.uuid1", "uuid.uuid4", "open", "print", "input",
}  # fmt: skip
EMPTY_NAMES = re.compile(r"(^|_)(managers?|helpers?|utils?|utilities|misc|common|stuff)$", re.I)
EMPTY_CLASS_NAMES = re.compile(r"(Manager|Helper|Utils?)$")
SQL_TEXT = re.compile(
    r"\s*(SELECT\s.+\sFROM\s|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s"
    r"|CREATE\s+(TABLE|INDEX|UNIQUE|TRIGGER|VIEW)\s)",
    re.DOTALL,
)
SLEEPS = {"time.sleep", "sleep", "asyncio.sleep"}
# Written in two parts, so that this file does not break its own rules.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
SOMEBODYS_PATH = re.compile(r"(?<![\w.])/(home|Users|root|work|opt)/\w")

Rule = Callable[[Module], Iterator[str]]


# --- the rooms ----------------------------------------------------------------------------------


def databases_are_opened_by_the_store_alone(module: Module) -> Iterator[str]:
    """Only the store knows a database library; stdlib sqlite3 is for callers' own databases."""
    for name, line in imports(module):
        if name in DATABASE_LIBRARIES and not module.under("sexton/store/"):
            yield at(module, line, f"imports {name}: ask a method of the store instead")
        if name == "sqlite3" and not module.under(*SQLITE3_READERS):
            yield at(
                module, line, "imports sqlite3: two SQLite libraries on one file corrupt it; use"
                " apsw in the store (for a type alone: import it under TYPE_CHECKING)",
            )  # fmt: skip


def sql_lives_in_files(module: Module) -> Iterator[str]:
    """No statement is written in Python, so none is built from strings."""
    if module.under(*SQL_SPEAKERS):
        return
    for node in ast.walk(module.tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and SQL_TEXT.match(text):
            yield at(module, line_of(node), "holds SQL: move it to a named query in a .sql file")


def the_environment_is_read_at_the_edge(module: Module) -> Iterator[str]:
    """Only app and cli read the environment; the rest is told."""
    if module.under(*ENVIRONMENT_READERS):
        return
    for node in ast.walk(module.tree):
        if dotted(node) in {"os.environ", "os.environb", "os.getenv", "os.putenv"}:
            yield at(module, line_of(node), "reads the environment: take it as an argument")
    for name, line in imported_names(module, "os"):
        if name in {"environ", "environb", "getenv"}:
            yield at(module, line, "reads the environment: take it as an argument")


def the_core_is_told_the_time(module: Module) -> Iterator[str]:
    """The core has no clock, no dice, no files and no terminal."""
    if not module.under("sexton/core/"):
        return
    for call in calls(module):
        if dotted(call.func) in CLOCKS_AND_DICE:
            name = dotted(call.func)
            yield at(module, call.lineno, f"calls {name}(): let the caller bring its answer")


# --- safety -------------------------------------------------------------------------------------


def nothing_is_executed_from_text(module: Module) -> Iterator[str]:
    """No eval, no pickle, no shell."""
    for name, line in imports(module):
        if name in UNSAFE_MODULES:
            yield at(module, line, f"imports {name}: keep JSON, which cannot run anything")
    for call in calls(module):
        if dotted(call.func) in UNSAFE_CALLS:
            yield at(module, call.lineno, f"calls {dotted(call.func)}(): use a table, or an argv")
        for keyword in call.keywords:
            is_off = isinstance(keyword.value, ast.Constant) and not keyword.value.value
            if keyword.arg == "shell" and not is_off:
                yield at(module, call.lineno, "starts a shell: pass a fixed argv")


def a_broad_except_says_why(module: Module) -> Iterator[str]:
    """What catches everything raises it again, or has a comment that says whose code runs."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ExceptHandler) or not _is_broad(node):
            continue
        around = module.lines[max(node.lineno - 2, 0) : node.lineno + 1]
        if not _raises_again(node) and not any("#" in line for line in around):
            yield at(
                module, node.lineno, "catches everything without a word: name the exceptions, or"
                " say in a comment whose code runs here",
            )  # fmt: skip


def _is_broad(handler: ast.ExceptHandler) -> bool:
    caught = handler.type
    named = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(one is None or dotted(one) in {"Exception", "BaseException"} for one in named)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and (last.exc is None or dotted(last.exc) == handler.name)


# --- style --------------------------------------------------------------------------------------


def a_module_says_what_it_promises(module: Module) -> Iterator[str]:
    """Every module opens with a docstring."""
    if module.text.strip() and not ast.get_docstring(module.tree):
        yield at(module, 1, "has no docstring: open with what the module promises, and why")


def modules_and_functions_stay_small(module: Module) -> Iterator[str]:
    """A module is read in one sitting, a function at one glance."""
    if len(module.lines) > MODULE_LINES_MAX:
        most = f"{len(module.lines)} lines are more than {MODULE_LINES_MAX}"
        yield at(module, 1, f"{most}: find the second noun, and give it a module")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                most = f"{node.name}() has {length} lines, more than {FUNCTION_LINES_MAX}"
                yield at(module, node.lineno, f"{most}: branch in the parent, work in children")


def nothing_is_left_for_later(module: Module) -> Iterator[str]:
    """No note to oneself is shipped."""
    for number, line in enumerate(module.lines, 1):
        if UNFINISHED.search(line):
            yield at(module, number, "leaves something for later: do it, or open an issue")


def names_mean_something(module: Module) -> Iterator[str]:
    """A module and a class are named for a noun of the project."""
    stem = module.path.rpartition("/")[2].removesuffix(".py")
    if EMPTY_NAMES.search(stem):
        yield at(module, 1, f"{stem} names no noun: name the file for what it holds")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef) and EMPTY_CLASS_NAMES.search(node.name):
            yield at(module, node.lineno, f"{node.name} names no noun: say what it is")


def no_path_of_somebodys_machine(module: Module) -> Iterator[str]:
    """A path of the machine that something was written on is no use anywhere else."""
    for number, line in enumerate(module.lines, 1):
        if SOMEBODYS_PATH.search(line):
            yield at(module, number, "names a path of somebody's machine: make it an argument")


# --- tests --------------------------------------------------------------------------------------


def tests_do_not_sleep(module: Module) -> Iterator[str]:
    """Time travels in tests; what really has to happen is waited for, with a bound."""
    for call in calls(module):
        if dotted(call.func) in SLEEPS:
            yield at(
                module, call.lineno, "sleeps: let the clock travel, or wait for the event itself"
                " (a pipe, a pidfd, an exit) with a bound",
            )  # fmt: skip


def tests_neither_mock_nor_expect_failure(module: Module) -> Iterator[str]:
    """The real store, the real server; and what is expected to fail is mended instead."""
    for name, line in imports(module, whole=True):
        if name in {"mock", "unittest.mock", "pytest_mock"}:
            yield at(module, line, "imports a mock: use the real thing")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr == "xfail":
            yield at(module, node.lineno, "expects a failure: mend it, or take the test out")


def a_tests_name_is_a_sentence(module: Module) -> Iterator[str]:
    """The list of test names reads as the list of promises."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        words = node.name.split("_")
        if words[0] == "test" and len(words) <= TEST_NAME_WORDS_MIN:
            yield at(module, node.lineno, f"{node.name} is no sentence: say what holds, and when")


# --- reading the tree ---------------------------------------------------------------------------


def imports(module: Module, *, whole: bool = False) -> Iterator[tuple[str, int]]:
    """List what is imported for use, with its line; types alone (TYPE_CHECKING) do not count.

    The first part of each name, or all of it if `whole`.
    """
    skipped = {id(node) for block in _type_blocks(module) for node in ast.walk(block)}
    for node in ast.walk(module.tree):
        if id(node) in skipped:
            continue
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names if whole else dict.fromkeys(one.partition(".")[0] for one in names):
            yield name, line_of(node)


def imported_names(module: Module, source: str) -> Iterator[tuple[str, int]]:
    """List the names taken by `from source import …`, with their line."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module == source:
            yield from ((alias.name, node.lineno) for alias in node.names)


def calls(module: Module) -> Iterator[ast.Call]:
    """List every call."""
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.Call))


def dotted(node: ast.AST | None) -> str:
    """Write a name as it is written: `os.environ`; '' for anything that is not a plain name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def at(module: Module, line: int, what: str) -> str:
    """Write one breach: where it is, and what to do."""
    return f"{module.path}:{line} {what}"


def line_of(node: ast.AST) -> int:
    """The line that a node begins on."""
    return int(getattr(node, "lineno", 1))


def _type_blocks(module: Module) -> Iterator[ast.If]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.If) and dotted(node.test).endswith("TYPE_CHECKING"):
            yield node
