"""The pages hang together: every link leads somewhere, every page is in the contents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.page import DOCS, ROOT, blocks, name_of, pages

ALL = [pytest.param(page, id=name_of(page)) for page in pages()]
_LINK = re.compile(r"\]\(([^)\s]+)\)", re.DOTALL)


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^(`{3,})[^\n]*\n.*?^\1$", "", page.read_text("utf-8"), flags=re.M | re.S)


@pytest.mark.parametrize("page", ALL)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in _LINK.findall(prose(page)):
        place, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / place).resolve() if place else page
        assert target.is_file(), f"{name_of(page)}: {link}"
        assert not anchor or anchor in anchors(target), f"{name_of(page)}: {link}"


def anchors(page: Path) -> set[str]:
    """The names of a page's headings as links write them, and those that it gives itself."""
    text = prose(page)
    headings = re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return {*plain, *re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE)}


def test_every_page_is_in_the_contents() -> None:
    listed: set[Path] = set()
    for page in sorted(DOCS.rglob("*.md")):
        for block in blocks(page):
            if block.language == "{toctree}":
                lines = [line for line in block.text.splitlines() if line and line[0] != ":"]
                for line in lines:
                    listed |= set(page.parent.glob(f"{line}.md")) - {page}

    assert listed | {DOCS / "index.md"} == set(DOCS.rglob("*.md"))


@pytest.mark.parametrize("room", ["how-to", "reference", "explanation", "decisions"])
def test_an_index_links_to_every_page_of_its_room(room: str) -> None:
    index = DOCS / room / "index.md"

    others = {page.name for page in (DOCS / room).glob("*.md")} - {"index.md"}
    assert others == set(_LINK.findall(prose(index)))


@pytest.mark.parametrize("page", ALL)
def test_a_page_begins_with_its_one_title(page: Path) -> None:
    titles = re.findall(r"^# .+$", prose(page), re.MULTILINE)

    assert len(titles) == 1
    assert page.read_text("utf-8").startswith(titles[0])


@pytest.mark.parametrize("page", ALL)
def test_a_reader_is_told_of_every_file_that_a_page_writes(page: Path) -> None:
    for block in blocks(page):
        for order, told in block.orders:
            if order == "file":
                assert f"`{told}`" in block.above, f"{name_of(page)}:{block.line}: {told}"


@pytest.mark.parametrize("page", ALL)
def test_a_reader_is_told_of_every_command_that_a_page_runs_first(page: Path) -> None:
    shown = re.sub(r"<!--.*?-->", "", page.read_text("utf-8"))
    for block in blocks(page):
        for order, told in block.orders:
            if order == "first" and told.startswith("sexton "):
                command = " ".join(told.split()[:2])
                assert command in shown, f"{name_of(page)}:{block.line}: {told}"


def test_decisions_are_numbered_without_a_gap_and_short() -> None:
    records = sorted((DOCS / "decisions").glob("0*.md"))

    for number, record in enumerate(records, 1):
        text = record.read_text("utf-8")
        assert record.name.startswith(f"{number:04}-")
        assert text.startswith(f"# {number}. ")
        assert len(text.splitlines()) <= 25, record.name


def test_the_picture_is_readable_on_light_and_on_dark_paper() -> None:
    picture = (DOCS / "picture" / "way-of-a-task.svg").read_text("utf-8")
    light, _, dark = picture.partition("prefers-color-scheme: dark")

    classes = set(re.findall(r"\.(\w+) \{ (?:fill|stroke): #", light))
    assert classes == set(re.findall(r"\.(\w+) \{ (?:fill|stroke): #", dark))
    assert "<title" in picture
    assert "<desc" in picture


def test_the_readme_and_the_contents_show_the_same_picture() -> None:
    readme, contents = (ROOT / "README.md"), (DOCS / "index.md")

    assert "](docs/picture/way-of-a-task.svg)" in readme.read_text("utf-8")
    assert "](picture/way-of-a-task.svg)" in contents.read_text("utf-8")
