"""What all commands share: help, errors in words, exit codes, and output that is safe to read."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sexton import __version__
from sexton.cli.frame import COMMANDS, EXIT_CODES, overview, parser_of
from tests.cli.conftest import Type
from tests.cli.shop import WAIT_S, Shop

CODES = ("0", "1", "2", "75", "78")


def test_without_words_it_shows_all_commands_in_groups(typed: Type) -> None:
    told = typed()

    assert told.code == 0
    assert told.out == typed("--help").out == overview() + "\n"
    assert all(f"  {name} " in told.out for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_help_teaches_by_an_example_and_names_the_exit_codes(name: str) -> None:
    text = parser_of(name).format_help()

    assert re.search(rf"^    .*sexton {name}\b", text, re.MULTILINE), "no example"
    assert all(re.search(rf"^  {code} ", text, re.MULTILINE) for code in CODES)


@pytest.mark.parametrize("words", [["help", "next"], ["next", "--help"], ["next", "-h"]])
def test_help_can_be_asked_for_in_three_ways(typed: Type, words: list[str]) -> None:
    told = typed(*words)

    assert (told.code, told.err) == (0, "")
    assert "usage: sexton next" in told.out
    assert EXIT_CODES in told.out


def test_the_version_is_told(typed: Type) -> None:
    assert typed("--version").out == f"sexton {__version__}\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["tsk"], 2, "there is no command 'tsk'"),
        (["taks"], 2, "Did you mean sexton tasks?"),
        (["inti"], 2, "Did you mean sexton init?"),
        (["itmes"], 2, "Did you mean sexton items?"),
        (["--loud"], 2, "there is no command '--loud'"),
        (["tasks", "--limt", "3"], 2, "Did you mean --limit?"),
        (["tasks", "--lim", "3"], 2, "unrecognized arguments"),
        (["tasks", "--limit", "-3"], 2, "'-3' is not a whole number from 1 to 10000"),
        (["tasks", "--limit", "1_0"], 2, "'1_0' is not a whole number"),
        (["tasks", "--limit", "²"], 2, "'²' is not a whole number"),
        (["tasks", "--status", "Done"], 2, "invalid choice: 'Done'"),
        (["tasks", "--kind", "resiz"], 2, "Did you mean resize?"),
        (["tasks", "--kind=--"], 2, "'--'"),
        (["tasks", "--status=--"], 2, "invalid choice: '--'"),
        (["tick", "--for=--"], 2, "'--'"),
        (["once", "--name=--", "--", "true"], 2, "a kind's name begins with a letter"),
        (["show", "-5"], 2, "'-5' is not the id of a task"),
        (["show", "0"], 2, "'0' is not the id of a task"),
        (["show", "9" * 30], 2, "is not the id of a task"),
        (["show", "999999999999"], 2, "no task has the id 999999999999"),
        (["show"], 2, "the following arguments are required: ID"),
        (["run"], 2, "the following arguments are required: KIND\n"),
        (["install"], 2, "the following arguments are required: cron|systemd\n"),
        (["item", "x", "y"], 2, "argument begin|done|failed: invalid choice: 'x'"),
        (["items", "remind", "--key", "-x"], 2, "is written behind a '=', as --key=-x"),
        (["abort", "one"], 2, "'one' is not the id of a task"),
        (["why", "nihgtly"], 2, "Did you mean nightly?"),
        (["items", "nothing"], 2, "the store knows no kind 'nothing'"),
        (["run", "resiz", "image=a"], 2, "Did you mean resize?"),
        (["run", "resize"], 2, "image"),
        (["run", "resize", "image=a", "width=wide"], 2, "width"),
        (["run", "resize", "image"], 2, "Write image=VALUE."),
        (["enqueue", "resize", "a.png"], 2, "Write NAME=VALUE."),
        (["run", "resize", "hue=1"], 2, "resize takes image, width; 'hue=1' does not fit"),
        (["run", "dump", "--plan"], 2, "it has no payload and no plan"),
        (["run", "resize", "image=a", "--plan"], 2, "resize is no plan"),
        (["run", "nightly", "--force", " "], 2, "force needs a reason"),
        (["enqueue", "nightly"], 2, "--force 'REASON'"),
        (["enqueue", "resize", "image=a", "--at", "tomorrow"], 2, "'tomorrow' is not a moment"),
        (["enqueue", "resize", "image=a", "--at", "2026-11-22T07:30"], 2, "has no offset"),
        (["enqueue", "resize", "image=a", "--start-before", "2026-01-01T00:00Z"], 2, "only expire"),
        (["enqueue", "resize", "image=a", "--at", "2h", "--start-before", "1h"], 2, "only expire"),
        (["settle", "remind"], 2, "name one item and its verdict"),
        (["settle", "remind", "7", "done"], 2, "no item '7' of remind is in doubt"),
        (["settle", "remind", "7", "lost"], 2, "invalid choice: 'lost'"),
        (["settle", "remind", "7", "done", "--all", "done"], 2, "name one item and its verdict"),
        (["item", "begin", "a"], 2, "SEXTON_TASK is not set"),
        (["kv", "get"], 2, "kv get needs a key"),
        (["kv", "set", "a"], 2, "kv set needs one value"),
        (["kv", "get", "a", "1"], 2, "kv get takes no value"),
        (["kv", "set", "a", '{"a":{"b":1,"b":2}}'], 2, "an object names a key twice, among b"),
        (["backup", "nowhere/copy.db"], 78, "Make it: mkdir -p "),
        (["kv", "set", "a", "{"], 2, "is not JSON"),
        (["kv", "set", "a", "NaN"], 2, "NaN"),
        (["kv", "set", "a", "[" * 50_000], 2, "is not JSON"),
        (["kv", "set", "a" * 501, "1"], 2, "1 to 500 characters"),
        (["kv", "get", "c"], 1, "no key is named 'c'"),
        (["next"], 2, "name a kind, or give --schedule or --every"),
        (["next", "resize"], 2, "resize has no schedule"),
        (["next", "nightly", "--tz", "UTC"], 2, "name a kind or a schedule, and not both"),
        (["next", "--schedule", "@daily", "--tz", ""], 2, "--tz: '' names no time zone"),
        (["lint", "--schedule", "@daily", "--tz", "localtime"], 2, "Write its IANA name"),
        (["once", "--name", "x", "--tz", "", "--", "true"], 2, "--tz: '' names no time zone"),
        (["next", "nightly", "-n", "0"], 2, "'0' is not a whole number from 1"),
        (["once", "--name", "x"], 2, "no program is named"),
        (["once", "--name", "nightly", "--", "true"], 2, "nightly is a kind of the application"),
        (["once", "--name", "a b", "--", "true"], 2, "a kind's name begins with a letter"),
        (["once", "--name", "", "--", "true"], 2, "sexton: a kind's name begins with a letter"),
        (["once", "--name", "x", "--early", "3h", "--", "true"], 2, "sexton: --early needs a sch"),
        (
            ["once", "--name", "x", "--every", "3h", "--min-gap", "1h", "--", "true"],
            2,
            "sexton: --schedule and --min-gap are both given\n"
            "  A schedule already means once a period; use --early for calls before the moment.",
        ),
        (["once", "--name", "x", "--retry", "often", "--", "true"], 2, "retry='often'"),
        (["once", "--name", "x", "--timeout", "-3h", "--", "true"], 2, "--timeout"),
        (["prune", "--keep-days", "0"], 2, "from 1 to 36500"),
        (["tick", "--for", "55"], 2, "has a number without a unit"),
        (["tick", "now"], 2, "unrecognized arguments: now"),
        (["completion", "tcsh"], 2, "invalid choice: 'tcsh'"),
        (["install", "upstart"], 2, "invalid choice: 'upstart'"),
        (["install", "cron", "--name", "a.b"], 2, "--name has small letters"),
        (["show", "\udcff"], 2, "is not valid UTF-8"),
        (["kv", "get", "a\0b"], 2, "NUL"),
    ],
)
def test_words_that_are_not_understood_are_answered_in_words(
    typed: Type, words: list[str], code: int, said: str
) -> None:
    told = typed(*words)

    assert told.code == code
    assert said in told.err
    assert told.err.startswith("sexton: ")
    assert "Traceback" not in told.err
    assert told.out == ""


def test_a_directory_without_a_store_is_a_matter_of_configuration(
    shop: Shop, tmp_path: Path
) -> None:
    (tmp_path / "sexton.db").unlink()
    (tmp_path / "sexton.db.made").unlink()
    told = shop.type("tasks")

    assert told.returncode == 78
    assert "Run `sexton init` once" in told.stderr
    (tmp_path / "sexton.db").touch()


def test_a_store_that_cannot_be_opened_says_try_again(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    told = shop.type("tasks", env={"SEXTON_STORE": "sqlite:///elsewhere"})

    assert told.returncode == 75
    assert "cannot be opened for writing" in told.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:secret@db.example.org/x", "'postgresql://me:…@db.example.org/x'"),
        ("sqlite:///sexton.db?mode=ro", "it is a file, and takes no options"),
        ("sqlite:///:memory:", "it is a file, and takes no options"),
    ],
)
def test_a_store_that_is_no_file_is_refused_and_no_password_is_shown(
    shop: Shop, url: str, said: str
) -> None:
    before = sorted(path.name for path in shop.directory.iterdir())
    for words in (["init"], ["tick"]):
        told = shop.type(*words, env={"SEXTON_STORE": url})

        assert told.returncode == 78
        assert said in told.stderr
        assert "secret" not in told.stderr
    assert before == sorted(path.name for path in shop.directory.iterdir())


@pytest.mark.parametrize("words", [["init"], ["tick"], ["tasks"]])
def test_a_settings_file_that_is_a_directory_is_refused(shop: Shop, words: list[str]) -> None:
    below = shop.directory / "below"
    (below / "sexton.toml").mkdir(parents=True)
    told = Shop(below, "tasks").type(*words)

    assert told.returncode == 78
    assert f"{below}/sexton.toml cannot be read: Is a directory" in told.stderr


def test_an_application_that_cannot_be_imported_is_told_with_its_place(shop: Shop) -> None:
    (shop.directory / f"{shop.module}.py").write_text("import nowhere_to_be_found\n")
    told = shop.type("run", "nightly")

    assert told.returncode == 78
    assert "nowhere_to_be_found" in told.stderr
    assert f"{shop.module}.py:1" in told.stderr


def test_a_reader_that_goes_away_is_no_error(shop: Shop) -> None:
    store = shop.store()
    with store.db.transaction():
        for number in range(3000):
            store.db.run(
                "INSERT INTO kv (key, value, version, changed_at) VALUES (:key, '1', 1, 0)",
                {"key": f"a-long-enough-key-{number}"},
            )
    store.close()
    both = subprocess.run(
        ["sh", "-c", '"$@" | head -n 1; exit', "sh", *shop.line("kv", "list")],
        cwd=shop.directory,
        env=shop.environment(),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )

    assert both.stdout.startswith("KEY")
    assert both.stderr == ""


@pytest.mark.parametrize("words", [["kinds"], ["--help"], ["tick", "--help"], ["--version"]])
def test_output_that_cannot_be_written_is_said_in_a_line(shop: Shop, words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        told = subprocess.run(
            shop.line(*words),
            cwd=shop.directory,
            env=shop.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    assert told.returncode == 1
    assert told.stderr == "sexton: the output cannot be written: No space left on device\n"


NO_STDERR = ['exec "$@" 2>/dev/full', 'exec "$@" 2>&-']


@pytest.mark.parametrize("shell", NO_STDERR)
@pytest.mark.parametrize(
    ("words", "code"), [(["nope"], 2), (["run", "resize", "image=bad"], 1), (["tasks"], 0)]
)
def test_an_error_that_cannot_be_said_keeps_its_exit_code(
    shop: Shop, shell: str, words: list[str], code: int
) -> None:
    told = subprocess.run(
        ["sh", "-c", shell, "sh", *shop.line(*words)],
        cwd=shop.directory,
        env=shop.environment(),
        timeout=WAIT_S,
        check=False,
    )

    assert told.returncode == code


LOUD = """
import os, subprocess, sys
print("printed at import")
sys.__stdout__.write("printed past the redirection")
subprocess.run(["echo", "written by a child"])
os.write(1, b"written to the descriptor")

from sexton import Sexton

app = Sexton()


@app.task
def loud() -> None:
    print("printed by the task")
    subprocess.run(["echo", "written by its child"])


@app.task(isolation="inline")
def near() -> None:
    print("printed beside the tick")


@app.plan(scope="ever")
def everybody() -> list[int]:
    print("printed by the plan")
    return [1]


@everybody.each(key=lambda number: number)
def each(number: int) -> None: ...
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_json_is_all_that_stands_on_stdout_however_loud_the_application_is(
    shop: Shop, unbuffered: str
) -> None:
    (shop.directory / f"{shop.module}.py").write_text(LOUD)
    env = {"PYTHONUNBUFFERED": unbuffered}

    for words in (["sync"], ["lint"], ["enqueue", "near"], ["tick"], ["run", "loud"],
                  ["run", "everybody", "--plan"]):  # fmt: skip
        told = shop.type(*words, "--json", env=env)
        assert told.returncode == 0, told.stderr
        assert json.loads(told.stdout)
        assert told.stdout.count("\n") == 1
        assert words == ["tick"] or "written by a child" in told.stderr


def test_a_command_without_any_stdout_still_does_its_work(shop: Shop) -> None:
    line = ["sh", "-c", 'exec "$@" >&-', "sh", *shop.line("kv", "set", "a", "1", "--json")]
    told = subprocess.run(
        line, cwd=shop.directory, env=shop.environment(), timeout=WAIT_S, check=False
    )

    assert told.returncode == 0
    assert shop.store().kv.get("a")[0] == "1"  # type: ignore[index]


def test_words_of_other_encodings_are_refused_and_not_guessed(shop: Shop) -> None:
    told = subprocess.run(
        [*shop.line("why"), b"n\xe4chtlich"],
        cwd=shop.directory,
        env=shop.environment(),
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )

    assert told.returncode == 2
    assert b"is not valid UTF-8" in told.stderr


@pytest.mark.parametrize("words", [["tick"], ["tasks"], ["init"]])
def test_a_directory_that_was_removed_is_told_in_words(shop: Shop, words: list[str]) -> None:
    gone = shop.directory / "gone"
    gone.mkdir()
    told = subprocess.run(
        ["sh", "-c", 'rmdir ../gone; exec "$@"', "sh", *shop.line(*words)],
        cwd=gone,
        env=shop.environment(),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )

    assert told.returncode == 78
    assert told.stderr.startswith("sexton: the current directory cannot be used: ")


def test_a_directory_whose_name_is_no_text_is_refused_in_words(tmp_path: Path) -> None:
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/n\xff"))
    strange.mkdir()
    told = Shop(strange, "tasks").type("init")

    assert told.returncode == 78
    assert "is not valid UTF-8" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_terminal_of_another_encoding_gets_escapes(shop: Shop) -> None:
    shop.store().kv.put("größe", '"日本"')
    told = shop.type("kv", "list", env={"PYTHONIOENCODING": "ascii"})

    assert told.returncode == 0
    assert "gr\\xf6\\xdfe" in told.stdout


def on_a_terminal(shop: Shop, *words: str, **env: str) -> str:
    """What a command writes where stdout and stderr are a terminal of 80 columns."""
    try:
        ours, theirs = pty.openpty()
    except OSError as error:
        pytest.skip(f"no terminal can be opened here: {error}; is /dev/pts mounted?")
    os.set_inheritable(theirs, True)
    env = {"TERM": "xterm", "COLUMNS": "80", "LINES": "24", **env}
    with subprocess.Popen(
        shop.line(*words),
        cwd=shop.directory,
        env=shop.environment(**env),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as child:
        os.close(theirs)
        said = bytearray()
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the terminal's other side was closed
                break
            if not piece:
                break
            said += piece
        child.wait(WAIT_S)
    os.close(ours)
    return said.decode()


def test_colours_are_for_terminals_that_want_them(shop: Shop) -> None:
    shop.type("enqueue", "resize", "image=bad")
    shop.type("tick")

    assert "\033[31mAborted/failed" in on_a_terminal(shop, "tasks")
    assert "\033" not in on_a_terminal(shop, "tasks", NO_COLOR="1")
    assert "\033" not in on_a_terminal(shop, "tasks", TERM="dumb")
    assert "\033" not in shop.type("tasks").stdout


def test_nothing_in_a_row_acts_on_the_terminal(shop: Shop) -> None:
    evil = "a\033]0;owned\007\x9b31m\r\u202eb"
    shop.type("enqueue", "resize", f"image={evil}")
    shop.type("enqueue", "resize", "image=bad")
    shop.type("tick")

    for words in (("show", "1"), ("show", "1", "--json"), ("show", "1", "--output"), ("show", "2")):
        said = on_a_terminal(shop, *words, NO_COLOR="1").replace("\r\n", "\n")
        assert [sign for sign in said if not sign.isprintable() and sign != "\n"] == []
    assert json.loads(shop.type("show", "1", "--json").stdout)["task"]["payload"]["image"] == evil


def test_a_table_on_a_terminal_keeps_to_its_width(shop: Shop) -> None:
    shop.store().kv.put("long", f'"{"x" * 500}"')
    lines = on_a_terminal(shop, "kv", "list", NO_COLOR="1").splitlines()

    assert max(map(len, lines)) == 80
    assert lines[1].endswith("…")
    assert "x" * 500 in shop.type("kv", "list").stdout


INTERRUPTED_AT_IMPORT = """
import os, signal, sys

class Interrupts:
    def find_spec(self, name, path, target=None):
        if name == "sexton.cli.frame":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupts())
from sexton.cli import main
sys.exit(main(["tasks"]))
"""


def test_an_interrupt_while_it_is_still_being_loaded_is_quiet() -> None:
    told = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AT_IMPORT],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )

    assert (told.returncode, told.stdout, told.stderr) == (130, "", "")


def test_every_column_of_a_table_is_cut_where_the_terminal_is_narrow(shop: Shop) -> None:
    name = "an-image-with-a-name-of-some-length.png"
    shop.type("enqueue", "publish", f"image={name}")
    shop.type("abort", "1", "--reason", "a reason of some length, too")
    for words in (["tasks"], ["kinds"]):
        assert max(map(len, on_a_terminal(shop, *words, NO_COLOR="1").splitlines())) <= 80
    told = on_a_terminal(shop, "tasks", NO_COLOR="1").splitlines()[1]

    assert told.startswith("1   publish  an-image-")
    assert told.count("…") == 3
    assert name in shop.type("tasks").stdout
    assert name in on_a_terminal(shop, "tasks", COLUMNS="200")


def test_help_is_printed_without_importing_the_store() -> None:
    code = "import sys; from sexton.cli import main; main(['--help']); print('apsw' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT_S, check=False
    )

    assert told.stdout.splitlines()[-1] == "False"


def test_json_is_json_whatever_the_terminal_can_show(shop: Shop) -> None:
    shop.type("kv", "set", "e", '"Þ😀"', env={"PYTHONIOENCODING": "utf-8"})
    for narrow in ("ascii", "iso8859-9"):
        env = {"PYTHONIOENCODING": narrow}
        for words in (["kv", "get", "e"], ["kv", "get", "e", "--json"]):
            told = json.loads(shop.type(*words, env=env).stdout)
            assert (told if isinstance(told, str) else told["value"]) == "Þ😀"
