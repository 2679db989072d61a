"""The reference is the code: names, defaults, bounds and codes are compared, both ways."""

from __future__ import annotations

import inspect
import json
import re
import types
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

import sexton
from sexton.app import Plan, Sexton, Task
from sexton.app.command import Command
from sexton.app.declare import Options
from sexton.app.kv import KV
from sexton.cli import frame, shapes
from sexton.core import errors
from sexton.core.item import Item
from sexton.core.kind import CATCH_UP_MAX, OUTPUT_BYTES_MAX, Limits
from sexton.core.ledger import ItemStatus
from sexton.core.notice import CommandTarget, HttpTarget, MailTarget, Notice
from sexton.core.outcome import Code, Outcome
from sexton.core.schedule import Finding
from sexton.core.settings import Settings
from sexton.core.task import MOVES, Reason, Status
from sexton.store import create_store
from sexton.store.migrate import steps
from sexton.testing import plugin
from tests.docs.page import DOCS, ROOT, pages
from tests.docs.shell import Shell
from tests.house.source import modules

API = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
PUBLIC = {"Sexton": Sexton, "Task": Task, "Plan": Plan, "Command": Command, "KV": KV,
          "Item": Item, "Outcome": Outcome, "Limits": Limits}  # fmt: skip
# What the rooms of Sexton itself use of these, and nobody else.
INNER = {
    "Sexton": {"ask", "declared", "here", "place", "store", "writable"},
    "Task": {"body", "key_of", "kind", "payload", "told"},
    "Plan": {"body", "effect", "kind", "stop"},
    "Command": {"argv", "force", "enqueue", "why", "status", "name", "kind"},
    "Item": {"of"},
    "Limits": {"memory_bytes", "processes", "cpu_s", "open_files", "file_bytes"},
}


def table(page: str, header: str, nth: int = 0) -> list[list[str]]:
    """The rows of a table that starts with this header cell, without the header, backquotes cut."""
    lines = (DOCS / "reference" / page).read_text(encoding="utf-8").splitlines()
    starts = [n for n, line in enumerate(lines) if line.startswith(f"| {header} |")]
    found = []
    for line in lines[starts[nth] + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip().strip("`") for cell in line.strip("|").split(" | ")])
    return found


def first_cells(page: str, header: str, nth: int = 0) -> list[str]:
    return [row[0] for row in table(page, header, nth)]


# --- the API ------------------------------------------------------------------------------------


def test_every_public_name_is_in_the_api_reference() -> None:
    documented = re.search(r"from sexton import (.+)", API)

    assert documented is not None
    assert set(documented[1].split(", ")) == set(sexton.__all__) - {"__version__"}


def headings() -> list[tuple[str, str, str | None]]:
    """Class, member ('' for the class itself) and the words between its parentheses, or None."""
    found = re.findall(r"^### `(\w+)(?:\.(\w+))?(?:\((.*)\))?`$", API, re.MULTILINE)
    lines = re.findall(r"^### `(.+)`$", API, re.MULTILINE)
    return [
        (cls, member, words if line.endswith(")") else None)
        for (cls, member, words), line in zip(found, lines, strict=True)
    ]


@pytest.mark.parametrize(("cls", "member", "words"), headings())
def test_a_documented_signature_is_the_codes_own(cls: str, member: str, words: str | None) -> None:
    one = PUBLIC[cls]
    function = getattr(one, member, None) if member else one
    if words is None:
        assert member in members(one)
        assert not inspect.isfunction(function)
        return
    if cls in {"Task", "Command"} and not member:
        function = inspect.getattr_static(one, "__call__")

    assert words == written(function)


def written(function: Any) -> str:
    """A signature without types and without self."""
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self"
    ]
    return str(inspect.Signature(parameters))[1:-1]


def members(cls: type) -> set[str]:
    """Public attributes: methods, properties, fields, and what instances are given."""
    names = {name for name in vars(cls) if not name.startswith("_")}
    names |= set(getattr(cls, "__annotations__", {}))
    source = inspect.getsource(vars(cls)["__init__"]) if _is_written_here(cls) else ""
    names |= set(re.findall(r"self\.([a-z]\w*)(?:: [^=\n]+)? = ", source))
    return names


def _is_written_here(cls: type) -> bool:
    init = vars(cls).get("__init__")
    return isinstance(init, types.FunctionType) and init.__code__.co_filename.endswith(".py")


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_member_is_in_the_api_reference(name: str) -> None:
    documented = {member for cls, member, _ in headings() if cls == name}

    missing = members(PUBLIC[name]) - documented - INNER.get(name, set())
    assert not missing


def test_the_options_are_those_of_the_decorators() -> None:
    assert set(first_cells("api.md", "option")) == set(Options.__annotations__)
    defaults = {row[0]: row[1] for row in table("api.md", "option")}
    assert defaults["catch_up_max"] == str(CATCH_UP_MAX)
    assert defaults["output_bytes_max"] == str(OUTPUT_BYTES_MAX)


def test_the_options_of_an_effect_are_those_of_each() -> None:
    parameters = set(inspect.signature(Plan.each).parameters) - {"self"}

    assert set(first_cells("api.md", "option", 1)) == parameters


def test_the_conditions_of_a_request_are_those_of_using() -> None:
    parameters = set(inspect.signature(Task.using).parameters) - {"self"}

    assert set(first_cells("api.md", "condition")) == parameters


def test_the_fixtures_are_those_of_the_plugin() -> None:
    fixtures = {name for name in vars(plugin) if name.startswith("sexton_")}

    assert set(first_cells("api.md", "fixture")) == fixtures


# --- settings -----------------------------------------------------------------------------------

SECTIONS = [(0, Settings), (1, CommandTarget), (2, HttpTarget), (3, MailTarget)]


@pytest.mark.parametrize(("nth", "struct"), SECTIONS)
def test_every_setting_is_documented_with_its_default_and_bounds(
    nth: int, struct: type[msgspec.Struct]
) -> None:
    rows = {row[0]: row for row in table("settings.md", "setting", nth)}
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    fields = {field.name: field for field in info.fields if field.name != "notify"}

    assert set(rows) == set(fields)
    for name, field in fields.items():
        default = "required" if field.required else msgspec.json.encode(field.default).decode()
        assert rows[name][1] == default, name
        for bound in bounds(field.type):
            assert bound in rows[name][2], (name, bound)


def bounds(kind: Any) -> list[str]:
    """How the bounds of a type are written in the reference."""
    words = []
    least, most = (getattr(kind, name, None) for name in ("ge", "le"))
    if least is not None and most is not None:
        words.append(f"{least} to {most}")
    if getattr(kind, "gt", None) is not None:
        words += [f"above {kind.gt}", f"at most {most}"]
    shortest, longest = (getattr(kind, name, None) for name in ("min_length", "max_length"))
    if longest is not None:
        words.append(f"{shortest} to {longest}" if shortest else f"at most {longest}")
    words += [f'"{value}"' for value in getattr(kind, "values", ())]
    item = getattr(kind, "item_type", None)
    return words + (bounds(item) if item is not None else [])


# --- states, codes, errors ----------------------------------------------------------------------


def test_the_moves_are_those_of_the_state_machine() -> None:
    shown = {(row[0], row[1]): row[2] for row in table("states.md", "from")}

    assert shown == MOVES
    assert {status for move in MOVES for status in move} == set(get_args(Status))


def test_the_reasons_are_those_of_the_state_machine() -> None:
    assert set(first_cells("states.md", "reason")) == set(get_args(Reason)) - {""}


def test_the_codes_of_outcomes_are_documented_with_what_they_mean() -> None:
    shown = {row[0]: (row[1] == "yes", row[2] == "yes") for row in table("states.md", "code")}

    outcomes = [Outcome[None](code, "") for code in get_args(Code)]
    assert shown == {one.code: (one.ran, one.ok) for one in outcomes}


def test_the_statuses_of_items_are_documented() -> None:
    assert set(first_cells("states.md", "status")) == set(get_args(ItemStatus))


def test_the_exit_codes_are_those_of_the_help() -> None:
    shown = first_cells("exit-codes.md", "exit code")

    assert shown == re.findall(r"^  (\d+) ", frame.EXIT_CODES, re.MULTILINE)


def test_every_error_is_documented_with_its_exit_code() -> None:
    shown = {row[0]: int(row[1]) for row in table("exit-codes.md", "class")}

    classes = [one for one in vars(errors).values() if inspect.isclass(one)]
    ours = [one for one in classes if issubclass(one, errors.SextonError)]
    assert shown == {one.__name__: one.exit_code for one in ours}


# --- the store, the environment, JSON ------------------------------------------------------------


def test_the_tables_are_those_of_the_schema() -> None:
    made = {name for _, _, sql in steps() for name in re.findall(r"CREATE TABLE (\w+)", sql)}

    assert set(first_cells("store.md", "table")) == made | {"migration"}


def test_the_promises_are_unique_indexes_of_the_schema() -> None:
    made = {n for _, _, sql in steps() for n in re.findall(r"CREATE UNIQUE INDEX (\w+)", sql)}

    assert set(first_cells("store.md", "index")) == made


def test_every_environment_variable_is_documented() -> None:
    page = (DOCS / "reference" / "environment.md").read_text(encoding="utf-8")
    in_code = {
        name for one in modules("sexton") for name in re.findall(r"SEXTON(?:_[A-Z]+)+\b", one.text)
    }
    notices = {f"SEXTON_NOTICE_{name.upper()}" for name in Notice.__struct_fields__}

    assert set(re.findall(r"`(SEXTON_\w+)`", page)) == in_code | notices


@pytest.mark.parametrize(
    ("heading", "shape"),
    [
        ("A task", shapes.task_shape),
        ("An item", shapes.entry_shape),
        ("A kind", shapes.kind_shape),
    ],
)
def test_a_json_shape_has_the_fields_that_are_documented(heading: str, shape: Any) -> None:
    fields = re.findall(r'^        "(\w+)":', inspect.getsource(shape), re.MULTILINE)

    assert json_fields(heading) == fields


def test_an_alert_has_the_fields_that_are_documented() -> None:
    assert json_fields("An alert") == list(Notice.__struct_fields__)


def json_fields(heading: str) -> list[str]:
    return list(json_types(heading))


def json_types(heading: str) -> dict[str, str]:
    """The fields of the first table below a heading of the page on JSON, with their types."""
    text = (DOCS / "reference" / "json.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n\n")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)` \| ([a-z ]+) \|", section, re.MULTILINE))


TASKS = """
from sexton import Sexton

app = Sexton()


@app.plan(min_gap="1h")
def remind() -> list[dict[str, str]]:
    return [{"email": "ana@example.org"}]


@remind.each(key="email")
def send(person: dict[str, str]) -> None:
    pass


@app.task(schedule="30 7 * * *", tz="Europe/London")
def hello() -> None:
    pass
"""


def test_what_commands_print_is_of_the_types_that_are_documented(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    shell = Shell(tmp_path, "json")
    shell.say("sexton init --no-example && sexton sync")

    outcome = json.loads(shell.say("sexton run remind --json"))
    [task] = json.loads(shell.say("sexton tasks --json"))["tasks"]
    [item] = json.loads(shell.say("sexton items remind --json"))["items"]
    kinds = json.loads(shell.say("sexton kinds --json"))["kinds"]

    assert_types("An outcome", outcome)
    assert list(outcome) == json_fields("An outcome")
    assert_types("A task", task)
    assert_types("An item", item)
    for kind in kinds:
        assert_types("A kind", kind)


def assert_types(heading: str, document: dict[str, Any]) -> None:
    words: dict[str, Any] = {
        "text": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "object": dict,
    }
    for name, told in json_types(heading).items():
        value = document[name]
        if value is None:
            assert told.endswith(" or null"), name
        elif told.removesuffix(" or null") == "instant":
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", value), name
        else:
            assert isinstance(value, words[told.removesuffix(" or null")]), name


def test_the_codes_of_findings_are_those_of_the_code() -> None:
    told = re.search(r"Codes: ([^.]+)\.", inspect.getdoc(Finding) or "")

    assert told is not None
    assert first_cells("json.md", "finding") == told[1].split(", ")


def test_what_prune_counts_is_documented(tmp_path: Path) -> None:
    store = create_store(f"sqlite:///{tmp_path / 'sexton.db'}")

    with closing(store):
        assert first_cells("json.md", "pruned") == list(store.upkeep.prune(1))


# --- commands -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [page for page in pages() if "decisions" not in page.parts])
def test_every_command_and_option_on_a_page_exists(page: Any) -> None:
    text = page.read_text(encoding="utf-8")
    code = re.findall(r"(?:^|[`$&|(] ?|/bin/)sexton ([a-z]+)([^`\n]*)", text, re.MULTILINE)

    for command, rest in code:
        assert command in frame.COMMANDS, f"{page.name}: sexton {command}"
        words = rest.partition(" -- ")[0]
        options = {option for action in frame.parser_of(command)._actions
                   for option in action.option_strings}  # fmt: skip
        for option in re.findall(r"(?<= )(--[a-z-]+)", words):
            assert option in options, f"{page.name}: sexton {command} {option}"


def test_the_readme_names_both_commands_of_the_project() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert "python3 dev.py demo" in readme
    assert "python3 dev.py test" in readme
