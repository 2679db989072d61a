"""`init`, `sync`, `migrate`, `backup`, `prune`, `check`: a store from its first day on."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import apsw
import pytest

from sexton.store import open_store
from tests.cli.conftest import Type
from tests.cli.shop import Shop, open_shop


def test_init_makes_what_a_first_tick_needs_and_twice_is_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "tasks")
    first = shop.json("init")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.suffix != ".db"}
    second = shop.json("init")

    made = [str(tmp_path / name) for name in ("sexton.toml", "sexton.db", "tasks.py")]
    assert first == {"made": made, "found": []}
    assert second == {"made": [], "found": made}
    assert before == {path.name: path.read_bytes() for path in map(tmp_path.joinpath, before)}
    assert shop.type("sync").stdout == "new: hello\n1 kind is registered.\n"
    assert shop.type("tick").returncode == 0


def test_init_without_an_example_says_what_is_still_to_be_written(tmp_path: Path) -> None:
    told = Shop(tmp_path, "tasks").type("init", "--no-example")

    assert not (tmp_path / "tasks.py").exists()
    assert "Write your tasks into tasks.py, with app = Sexton()" in told.stdout
    (tmp_path / "tasks.py").touch()
    assert "Write your tasks" not in Shop(tmp_path, "tasks").type("init", "--no-example").stdout


def test_init_makes_only_the_store_that_the_environment_names(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "tasks")
    told = shop.type("init", env={"SEXTON_STORE": "sqlite:///other.db"})

    assert told.returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.db", "other.db.made"]


def test_sync_says_what_is_new_changed_and_gone(shop: Shop) -> None:
    file = shop.directory / f"{shop.module}.py"
    text = file.read_text().replace("30 2 * * *", "40 2 * * *").replace("def publish", "def share")
    file.write_text(text)

    assert shop.json("sync") == {
        "added": ["share"], "changed": ["nightly"], "gone": ["publish"], "count": 5,
    }  # fmt: skip
    assert shop.type("sync", "--quiet").stdout == ""
    assert "publish" not in shop.type("kinds", "--names").stdout
    assert "publish" in shop.type("kinds", "--names", "--all").stdout


def test_migrate_makes_no_store_and_leaves_one_that_is_up_to_date(tmp_path: Path) -> None:
    shop = open_shop(tmp_path)
    assert shop.type("migrate").stdout == "the store is up to date\n"
    assert shop.json("migrate") == {"applied": []}

    file = shop.directory / "sexton.db"
    file.write_bytes(b"")
    emptied = shop.type("migrate")
    (shop.directory / "sexton.db.made").unlink()
    new = shop.type("migrate")

    assert (emptied.returncode, new.returncode) == (78, 78)
    assert "was made before and has been emptied" in emptied.stderr
    assert "there is no store at" in new.stderr
    assert "Run `sexton init` once." in shop.type("tick").stderr
    assert file.read_bytes() == b""


DAMAGE = {
    "UPDATE kind SET definition = '{' WHERE name = 'resize'": "kind resize in the store cannot",
    "UPDATE kv SET value = '{'": "the key k has a value that is no JSON",
    "UPDATE task SET owner = '{'": "task 1 has a owner that is no JSON",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_that_sqlite_cannot_see_is_named_and_nothing_falls_over_it(
    tmp_path: Path, damage: str
) -> None:
    shop = open_shop(tmp_path)
    shop.type("sync")
    shop.type("kv", "set", "k", "1")
    shop.type("enqueue", "resize", "image=a.png")
    raw = apsw.Connection(str(shop.directory / "sexton.db"))
    raw.execute(damage)
    raw.close()

    checked = shop.type("check")
    told = [shop.type(*words.split()) for words in EVERYTHING]

    assert checked.returncode == 1
    assert DAMAGE[damage] in checked.stdout
    assert [one.stderr for one in told if "Traceback" in one.stderr] == []
    assert shop.type("sync").returncode == 0
    if "kind" in damage:
        assert shop.type("check").returncode == 0


def test_a_damaged_kind_of_once_keeps_its_promise_after_a_sync(tmp_path: Path) -> None:
    shop = open_shop(tmp_path)
    shop.type("sync")
    once = ("once", "--name", "job", "--min-gap", "20h", "--", "true")
    first = shop.type(*once)
    raw = apsw.Connection(str(shop.directory / "sexton.db"))
    raw.execute("UPDATE kind SET definition = '{bad' WHERE name = 'job'")
    raw.close()
    shop.type("sync")

    assert first.stdout.startswith("done: ")
    assert shop.type(*once).stdout.startswith("skipped: ")


@pytest.mark.parametrize("damage", ["{bad", '{"name":5}'])
def test_one_damaged_kind_keeps_no_other_from_running(tmp_path: Path, damage: str) -> None:
    shop = open_shop(tmp_path)
    shop.type("sync")
    shop.type("enqueue", "resize", "image=a.png")
    shop.type("enqueue", "publish", "image=a.png")
    raw = apsw.Connection(str(shop.directory / "sexton.db"))
    raw.execute("UPDATE kind SET definition = ? WHERE name = 'resize'", (damage,))
    raw.close()
    shop.type("tick")

    store = shop.store()
    ends = {task.kind: task.status for task in store.tasks.newest()}
    store.close()
    assert ends["publish"] == "Complete"
    assert ends["resize"] in {"Pending", "Aborted"}


def test_a_damaged_kind_that_is_gone_is_in_nobodys_way(tmp_path: Path) -> None:
    shop = open_shop(tmp_path)
    shop.type("sync")
    source = shop.directory / f"{shop.module}.py"
    source.write_text(source.read_text().replace("def resize", "def make_small"))
    raw = apsw.Connection(str(shop.directory / "sexton.db"))
    raw.execute("""UPDATE kind SET definition = '{"name":5}' WHERE name = 'resize'""")
    raw.close()

    first, second = shop.type("sync"), shop.type("sync")

    assert "gone: resize" in first.stdout
    assert "gone" not in second.stdout
    assert shop.type("check").returncode == 0
    assert shop.type("kinds").returncode == 0


EVERYTHING = [
    "tick", "kinds", "why resize", "items resize", "next nightly", "lint", "doctor", "show 1",
    "tasks --json", "kv get k --json", "kv get k", "kv list --json",
]  # fmt: skip


def test_migrate_leaves_the_database_of_another_program_alone(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "tasks")
    with sqlite3.connect(tmp_path / "sexton.db") as theirs:
        theirs.execute("CREATE TABLE customer (id)")
    theirs.close()
    before = (tmp_path / "sexton.db").read_bytes()
    told = shop.type("migrate")

    assert told.returncode == 78
    assert "another program" in told.stderr
    assert (tmp_path / "sexton.db").read_bytes() == before


def test_a_backup_is_a_whole_store_and_overwrites_nothing(typed: Type, shop: Shop) -> None:
    typed("enqueue", "resize", "image=a")
    told = json.loads(typed("backup", "copy.db", "--json").out)
    again = typed("backup", "copy.db")

    copy = shop.directory / "copy.db"
    assert told == {"file": str(copy), "bytes": os.path.getsize(copy)}
    assert (again.code, "is there already" in again.err) == (78, True)
    restored = open_store(f"sqlite:///{copy}")
    assert restored.tasks.get(1).kind == "resize"
    restored.close()


def test_prune_forgets_what_is_long_over_and_keeps_the_rest(typed: Type, shop: Shop) -> None:
    for name in ("a", "b"):
        typed("enqueue", "resize", f"image={name}")
    typed("abort", "1")
    store = shop.store()
    store.db.set_clock(f"frozen:{store.now() + 91 * 86_400_000_000}")
    pruned = json.loads(typed("prune", "--keep-days", "90", "--json").out)

    assert pruned["keep_days"] == 90
    assert pruned["pruned"]["tasks"] == 1
    assert "resize" in typed("show", "2").out
    assert typed("show", "1").code == 2
    assert typed("prune").out == "nothing ended before 400 days ago\n"


def test_check_names_each_broken_invariant_and_fails(typed: Type, shop: Shop) -> None:
    assert typed("check").out == "every invariant holds\n"
    path = shop.directory / "sexton.db"
    broken = shop.directory / "broken.db"
    typed("backup", str(broken))
    with apsw.Connection(str(broken)) as raw:
        raw.execute("DROP INDEX task_one_runs")
    raw.close()
    told = shop.type("check", env={"SEXTON_STORE": f"sqlite:///{broken}"})

    assert path.exists()
    assert told.returncode == 1
    assert "task_one_runs" in told.stdout
    assert "restore a backup" in told.stderr
