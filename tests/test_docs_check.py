"""The pages about `plaingrad check` are of today, and every link in the docs leads somewhere."""

import importlib.util
import json
import pathlib
import re
from typing import Any

import pytest

from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.verdict.verdict import CONVENTION

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "examples/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$", re.S | re.M)


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_mistakes_is_of_today() -> None:
    """It is written by `make docs`."""
    assert script("make_mistakes_page").page() == (ROOT / "docs/mistakes.md").read_text(encoding="utf-8")


def test_the_page_of_mistakes_has_every_entry_once() -> None:
    text = (ROOT / "docs/mistakes.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"<a id='(.+?)'>", text)) == sorted(CATALOGUE)


def test_what_was_measured_is_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = script("make_mistakes_page")
    id = next(iter(CATALOGUE))
    network = {"right": [0.9, 0.95], "untrained": [0.1, 0.12]}
    row = {"accuracy": 0.93, "right": 0.94, "pass": "conv1.dx", "network": "small", "everywhere": None}
    told = {"about": "8 steps", "networks": {"small": network}, "mistakes": {id: row}}
    monkeypatch.setattr(writer, "measured", lambda: told)
    (line,) = (line for line in writer.page().splitlines() if f"id='{id}'" in line)
    assert "93.0%" in line
    assert "(conv1.dx)" in line
    assert "every update: no" in line
    assert writer.page().count("not measured") == len(CATALOGUE) - 1
    monkeypatch.setattr(writer, "measured", dict)
    assert "train?" not in writer.page()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: pathlib.Path) -> None:
    for link in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        path, _, part = link.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), link
        if part:
            assert part in headings(place), link


def headings(page: pathlib.Path) -> set[str]:
    """What can be linked to, as GitHub names it: in small letters, without signs, spaces as hyphens."""
    lines = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def test_the_words_for_a_convention_are_those_of_the_verdict() -> None:
    assert f"`{CONVENTION.upper()}`" in (ROOT / "docs/check.md").read_text(encoding="utf-8")


def test_the_broken_programs_are_named_as_the_catalogue_names_them() -> None:
    broken = json.loads((ROOT / "examples/broken.json").read_text(encoding="utf-8"))
    assert {each["names"] for each in broken} <= CATALOGUE.keys()
