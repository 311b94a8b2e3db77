"""Hints: each tells its part, and nothing that only a later one tells, in any form the verdict takes."""

import json
from functools import cache
from html import escape
from typing import Any

import numpy as np
import pytest

from diseased import MODERN, Site, form_of, networks, played, sites
from often import some
from plaingrad.checking import ClassTable, Verdict, check_answer
from plaingrad.checking.catalogue import CATALOGUE, Kind
from plaingrad.checking.classroom.row import ClassRow, seen
from plaingrad.checking.search.names import name_of
from plaingrad.checking.verdict.hint import ALL, HINTS, KIND, LINE, PLACE, kinds_of
from plaingrad.checking.verdict.text import proof, right_text, source_of
from plaingrad.checking.verdict.verdict import RIGHT
from plaingrad.cli import check_commands
from plaingrad.errors import SettingError
from strange import STRANGE

BY_SIZE = ("simple", "dense", "single", "square", "norms", "smooth", "grouped", "thorough", *MODERN)
NEED_MORE = {  # conventions that show where numbers are equal or 0, or a probability is next to 0
    *("slope-at-zero", "ties-split-unequally", "small-number-in-the-logarithm"),
}
LESS = (PLACE, KIND, LINE)


@cache
def first_sites() -> dict[str, Site]:
    """For each entry of the catalogue a place where it changes the numbers, in the smallest network that has one."""
    found: dict[str, Site] = {}
    for network in reversed(BY_SIZE):
        found |= {site.id: site for site in reversed(sites(network))}
    return found


def verdict_on(network: str, wrong: dict[Any, Any]) -> Verdict:
    case = networks()[network]
    arrays, _ = played(case, wrong)
    return check_answer(case, {name_of(key): array for key, array in arrays.items()})


def forms(verdict: Verdict, hint: str) -> dict[str, str]:
    """All that is told of a verdict with a hint, in every form: of one answer, and of a class."""
    jinja = pytest.importorskip("jinja2", reason="the pages are made with Jinja2, which is not installed")
    assert jinja
    from plaingrad.checking.verdict.page import page_html

    table = ClassTable("case", hint, [ClassRow("somebody", "somebody.json", **seen(verdict, hint))])
    return {
        "text": verdict.text(hint=hint),
        "text, every quantity": verdict.text(True, hint),
        "json": json.dumps(verdict.to_json(hint), ensure_ascii=False),
        "page": page_html(verdict, hint),
        "class, text": table.text(),
        "class, json": json.dumps(table.to_json(), ensure_ascii=False),
        "class, csv": table.csv(),
        "class, page": table.html(),
    }


def has(told: str, words: str) -> bool:
    """Whether words are told, as they are or as a page or JSON writes them."""
    return any(each in told for each in (words, escape(words), escape(words, quote=False), json.dumps(words)[1:-1]))


def test_every_entry_of_the_catalogue_is_of_a_kind_and_every_kind_has_entries() -> None:
    of_shapes_and_nan = {Kind.SHAPE, Kind.NUMBER}  # found in arrays that are not compared
    assert {each.kind for each in CATALOGUE.values()} == set(Kind) - of_shapes_and_nan
    for each in CATALOGUE.values():
        assert isinstance(each.kind, Kind), each.id
        assert not any(has(kind, words) for kind in Kind for words in (each.id, each.title, each.advice)), each.id


def test_every_entry_has_a_place_where_its_hints_are_tried() -> None:
    assert set(CATALOGUE) - set(first_sites()) == NEED_MORE
    assert all(CATALOGUE[id].convention for id in NEED_MORE)


@pytest.mark.parametrize(
    "id", some(sorted(set(CATALOGUE) - NEED_MORE), lambda place: place % 24 == 0, rarely=pytest.mark.exhaustive)
)
@pytest.mark.often(2)
def test_a_hint_does_not_tell_what_a_later_one_tells(id: str) -> None:
    site = first_sites()[id]
    verdict = verdict_on(site.network, {site.place: form_of(site.id, site.form)})
    assert verdict.verdict != RIGHT
    findings = [finding for each in (*verdict.mistakes, *verdict.conventions) for finding in each.findings]
    sentences = [line for finding in findings + verdict.unclear for line in proof(verdict, finding)]
    loops = [
        line.strip()
        for finding in findings + verdict.unclear
        for line in source_of(right_text(verdict.search.program, finding.where))
    ]
    for hint in LESS:
        for form, told in forms(verdict, hint).items():
            for each in CATALOGUE.values():
                assert not any(has(told, words) for words in (each.id, each.title, each.advice)), (hint, form, each.id)
            for sentence in sentences:
                assert not has(told, sentence), (hint, form)
            if hint == PLACE:
                assert not any(has(told, kind) for kind in Kind), form
            if hint != LINE:
                assert not any(has(told, line) for line in loops), (hint, form)


@pytest.mark.parametrize("id", ["kernel-rotated", "one-image", "negated", "masked-twice", "never-updated"])
@pytest.mark.often(2)
def test_a_hint_tells_its_part(id: str) -> None:
    site = first_sites()[id]
    verdict = verdict_on(site.network, {site.place: form_of(site.id, site.form)})
    assert verdict.mistakes
    named = verdict.mistakes[0]
    first_line = source_of(right_text(verdict.search.program, named.findings[0].where))[0]
    for hint in HINTS:
        for form, told in forms(verdict, hint).items():
            is_row = form.startswith("class")
            assert verdict.first_wrong
            assert verdict.first_wrong in told, (hint, form)
            if hint in (KIND, LINE):
                assert all(has(told, kind) for kind in kinds_of(named)), (hint, form)
            if hint == LINE:
                assert has(told, first_line.split("(")[0].removeprefix("def ") if is_row else first_line), form
            if hint == ALL:
                assert has(told, named.title), form


def test_an_unclear_finding_is_told_by_its_place_alone() -> None:
    case = networks()["simple"]
    arrays, _ = played(case, {})
    answer = {name_of(key): array for key, array in arrays.items() if key[0] == 1 and key[2] not in ("w", "b")}
    name = next(name for name in answer if name.endswith(".dw"))
    answer[name] = answer[name] + np.random.default_rng(2).uniform(0.25, 0.5, answer[name].shape)
    verdict = check_answer(case, answer)
    assert verdict.unclear
    for hint in (PLACE, KIND):
        for form, told in forms(verdict, hint).items():
            assert name in told, form
            assert not any(has(told, line) for line in proof(verdict, verdict.unclear[0])), form
    assert seen(verdict, ALL)["hint"] == PLACE


def test_of_a_right_answer_nothing_is_held_back() -> None:
    verdict = verdict_on("simple", {})
    for hint in HINTS:
        assert verdict.text(hint=hint) == verdict.text()
        assert verdict.to_json(hint) == verdict.to_json()


def test_notes_on_mistakes_are_held_back_and_notes_on_names_are_told() -> None:
    case = networks()["simple"]
    arrays, _ = played(case, {("conv1", "dw"): STRANGE[next(iter(STRANGE))]})
    answer = {name_of(key): array for key, array in arrays.items()}
    answer["step2.conv1.dw"] = answer["conv1.dw"]
    answer["conv1.dww"] = answer["conv1.dw"]
    verdict = check_answer(case, answer)
    about = [note for note in verdict.notes if note not in verdict.reading]
    assert any("conv1.dww" in note for note in verdict.reading)
    assert any("the same numbers" in note for note in about)
    for form, told in forms(verdict, PLACE).items():
        assert not any(has(told, note) for note in about), form
    assert any("conv1.dww" in note for note in verdict.to_json(PLACE)["notes"])


def test_what_is_no_hint_is_refused() -> None:
    verdict = verdict_on("simple", {})
    for tell in (lambda: verdict.text(hint="knid"), lambda: verdict.to_json("")):
        with pytest.raises(SettingError, match="choose from all, kind, line, place"):
            tell()


def test_the_command_offers_what_there_is():
    """It names the hints itself, so that its help need not import the checker."""
    assert check_commands.HINTS == HINTS
