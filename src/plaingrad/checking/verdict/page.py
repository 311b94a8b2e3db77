"""The verdict as one self-contained page, the wrong cells marked on maps of the arrays."""

import base64
import hashlib
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from plaingrad.checking.search.evidence import cells, nearest, patterns
from plaingrad.checking.search.findings import Finding, Row
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import Key
from plaingrad.checking.search.patterns import likenesses, share_added
from plaingrad.checking.search.uncompared import Uncompared
from plaingrad.checking.verdict.as_json import line_json
from plaingrad.checking.verdict.formulas import made_by
from plaingrad.checking.verdict.hint import ALL, hint_json, sequel, tells_all
from plaingrad.checking.verdict.maps import in_words, pictures, shades
from plaingrad.checking.verdict.question import question_of
from plaingrad.checking.verdict.text import (
    FEW_ROWS,
    NAMED_ROWS,
    RULED_OUT,
    done_right,
    edit_of,
    error_text,
    in_order,
)
from plaingrad.checking.verdict.trained import trains
from plaingrad.checking.verdict.verdict import CONVENTION, MISTAKE, RIGHT, UNCLEAR, Named, Verdict
from plaingrad.training.checkpoint import page_file, write_safely
from plaingrad.training.report.look import headed, pages_beside, styled
from plaingrad.training.report.page import template

MOST_CELLS = 14_000  # on the page, in all maps: some 100 bytes each keep it below 2 MB
LARGEST, SMALLEST = 2_400, 64  # cells of one finding
SIGNS = {RIGHT: "✓", CONVENTION: "≈", MISTAKE: "✗", UNCLEAR: "?"}
STATUS_SIGNS = {"agrees": "✓", "follows": "↓", "another convention": "≈", "wrong": "✗", "not judged": "–"}
FOLLOWS = "computed correctly, but from numbers that were already wrong"
Section = TypeVar("Section")


def save_page(verdict: Verdict, path: str | Path, hint: str = ALL) -> None:
    """Write the verdict, or as much of it as a `hint` tells, as a page, whole or not at all.

    MissingError without Jinja2; SettingError for a hint that is none.
    """
    page = page_html(verdict, hint, pages_beside(path))
    write_safely(page_file(path, "verdict.html"), page.encode("utf-8", "replace"))


def page_html(verdict: Verdict, hint: str = ALL, beside: Iterable[str] = ()) -> str:
    """The page as one file: style and script in it, every name escaped; it links to the pages `beside` it."""
    here = files("plaingrad.checking.verdict")
    page, style, script = ((here / name).read_text("utf-8") for name in ("page.html", "page.css", "page_reading.js"))
    script = f"\n{script}"
    # The policy lets this one script run and no other, so that text from a file can never become one.
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return template(page, "the verdict's page").render(
        contents(verdict) if tells_all(verdict, hint) else hinted(verdict, hint),
        style=styled(style),
        header=headed("verdict.html", beside),
        shades=shades(),
        script=script,
        allowed=allowed,
    )


# What the page says


def contents(verdict: Verdict) -> dict[str, Any]:
    """Everything the page shows, section by section."""
    from plaingrad import __version__

    doubtful = [each for each in verdict.sections if not isinstance(each, Named)]
    certain = [each for each in verdict.sections if isinstance(each, Named)]
    mistakes, unclear = anchored("mistake", certain), anchored("unclear", doubtful)
    conventions = anchored("convention", merged(verdict))
    named = mistakes | conventions
    every = [finding for each in named.values() for finding in each.findings] + verdict.unclear
    most = share_of([finding.given.size for finding in every])
    sections = {key: anchor for anchor, each in conventions.items() for key in each.passes}
    sections |= {finding.key: anchor for anchor, each in named.items() for finding in each.findings}
    sections |= {other.key: anchor for anchor, each in named.items() for other in each.uncompared}
    sections |= {finding.key: anchor for anchor, finding in unclear.items()}
    return {
        "version": __version__,
        "case": verdict.search.program.case.net.name,
        "headline": headline(verdict),
        "notes": [*verdict.notes, *(verdict.hidden.told if verdict.hidden else [])],
        "hints": [],
        "few": NAMED_ROWS,
        "mistakes": [_named(verdict, each, anchor, most) for anchor, each in mistakes.items()],
        "unclear": [_unclear(verdict, each, anchor, most) for anchor, each in unclear.items()],
        "conventions": [_named(verdict, each, anchor, most) for anchor, each in conventions.items()],
        "quantities": quantities(verdict, sections),
        "question": question_of(verdict),
    }


def hinted(verdict: Verdict, hint: str) -> dict[str, Any]:
    """What the page shows of a verdict with a hint: the same sections, without any number and any name of a mistake."""
    from plaingrad import __version__

    told = hint_json(verdict, hint)
    hints, sections = [], dict[Key, str]()
    groups: dict[str, list[tuple[dict[str, Any], list[Key]]]] = {
        "mistake": list(zip(told["mistakes"], map(keys_of, verdict.mistakes), strict=True)),
        "unclear": list(zip(told["unclear"], ([each.key] for each in verdict.unclear), strict=True)),
        "convention": list(zip(told["conventions"], map(keys_of, verdict.conventions), strict=True)),
    }
    for kind, each in groups.items():
        for anchor, (one, keys) in anchored(kind, each).items():
            where = [one["where"]] if kind == "unclear" else one["where"]
            usual: dict[str, Any] = {"of": kind, "anchor": anchor, "kinds": [], "between": [], "right": None}
            hints.append(usual | one | {"where": where})
            sections |= dict.fromkeys(keys, anchor)
    listed = quantities(verdict, sections)
    for row in [*listed["rows"], *(row for group in listed["folded"] for row in group["rows"])]:
        row["error"] = ""  # a number may tell the factor
    return {
        "version": __version__,
        "case": verdict.search.program.case.net.name,
        "headline": headline(verdict),
        "notes": [*verdict.reading, sequel(hint)],
        "few": NAMED_ROWS,
        "hints": hints,
        **dict.fromkeys(("mistakes", "unclear", "conventions"), ()),
        "quantities": listed,
        "question": None,  # it may tell the mistake
    }


def keys_of(named: Named) -> list[Key]:
    """The arrays that a mistake or a convention is about."""
    return [*(finding.key for finding in named.findings), *named.passes]


def anchored(kind: str, sections: list[Section]) -> dict[str, Section]:
    """Sections by the names that links to them use."""
    return {f"{kind}-{number}": each for number, each in enumerate(sections, 1)}


def merged(verdict: Verdict) -> list[Named]:
    """The conventions, those of one title as one: that of a loss and that of its gradient, say."""
    place, kept = verdict.search.program.place, dict[tuple[str, str], Named]()
    for each in verdict.conventions:
        one = kept.setdefault((each.id, each.title), Named(each.id, each.title, each.advice))
        one.findings += each.findings
        one.passes = sorted({*one.passes, *each.passes}, key=place.__getitem__)
    return list(kept.values())


def share_of(sizes: list[int]) -> int:
    """How many cells of each array are drawn at most: what small arrays do not need is left to the large ones."""
    left, share = MOST_CELLS, LARGEST
    for number, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - number)
        if size > share:
            break
        left -= size
    return max(min(share, LARGEST), SMALLEST)


def headline(verdict: Verdict) -> dict[str, str]:
    """The verdict in one word, in one sentence, and what it rests on."""
    count, first = verdict.compared, verdict.first_wrong
    many = len(verdict.mistakes)
    titles = {
        RIGHT: ("right", "Right", "Every number agrees."),
        CONVENTION: (
            "convention",
            "Right, with another convention",
            "Nothing is wrong: where the answer differs from the case, it follows another correct convention.",
        ),
        MISTAKE: (
            "mistake",
            "A mistake" if many == 1 else f"{many} mistakes",
            f"The first wrong quantity is {first}.",
        ),
        UNCLEAR: ("unclear", "Unclear", f"{first} {summary(verdict.sections[0])}." if first else ""),
    }
    kind, title, sentence = titles[verdict.verdict]
    compared = f"{count} quantit{'y' if count == 1 else 'ies'} compared at a precision of {verdict.search.precision}"
    return {
        "kind": kind,
        "sign": SIGNS[verdict.verdict],
        "title": title,
        "sentence": sentence,
        "compared": f"{compared}.",
    }


def summary(section: Named | Finding | Uncompared) -> str:
    """What is unclear, as a clause about the quantity."""
    return section.summary if isinstance(section, Uncompared) else "is wrong, and no known mistake gives its numbers"


def _named(verdict: Verdict, named: Named, anchor: str, most: int) -> dict[str, Any]:
    """A mistake or a convention; one that is a convention has no findings, and so no evidence."""
    edited = edit_of(named)
    is_shown = bool(named.keys) and (named.kind is not None or not named.passes)
    return {
        "anchor": anchor,
        "id": named.id.partition(":")[0],
        "title": named.title,
        "where": named.where,
        "advice": named.advice,
        "trains": trains(named.id, *(each.where for each in named.findings)),
        "findings": [_evidence(verdict, finding, most) for finding in named.findings],
        "told": [line for each in named.uncompared for line in each.told],
        "made_by": made_by(verdict.search, named.findings),
        "line": None if edited is None else line_json(edited),
        "right": done_right(verdict.search.program, named.keys[0]) if is_shown else None,
        "same": list(dict.fromkeys(each.title for each in named.besides)) if edited is None else [],
    }


def _unclear(verdict: Verdict, finding: Finding | Uncompared, anchor: str, most: int) -> dict[str, Any]:
    about: dict[str, Any] = {"anchor": anchor, "where": name_of(finding.key), "summary": summary(finding)}
    about |= {"told": (), "advice": "", "finding": None, "between": [], "tried": 0}
    if isinstance(finding, Uncompared):
        right = done_right(verdict.search.program, finding.key)
        return about | {"told": finding.told, "advice": finding.advice, "right": right}
    return about | {
        "finding": _evidence(verdict, finding, most),
        "between": [name_of(key) for key in finding.suspects],
        "absent": verdict.why_absent(finding.suspects[0]) if finding.suspects else "",
        "tried": len({mistake.id for mistake, _ in finding.tried}),
        "right": done_right(verdict.search.program, finding.where),
    }


def _evidence(verdict: Verdict, finding: Finding, most: int) -> dict[str, Any]:
    """Where the wrong numbers lie, the ones that tell most, the maps, and what was ruled out."""
    program, name, best = verdict.search.program, name_of(finding.key), finding.best
    shown = cells(finding)
    return {
        "name": name,
        "sentences": patterns(finding, program.steps)
        + (share_added(finding, verdict.search) if best else likenesses(finding, verdict.search)),
        "source": " and ".join(map(name_of, best.keys)) if best and best.key != finding.key else None,
        "absent": verdict.why_absent(best.key) if best else "",
        "cells": [
            {
                "place": f"[{','.join(map(str, cell.place))}]" if cell.place else name,
                "numbers": in_words(cell.given, cell.expected),
                "mistaken": None if cell.mistaken is None else f"{cell.mistaken:.6g}",
            }
            for cell in shown
        ],
        "has_mistaken": any(cell.mistaken is not None for cell in shown),
        "maps": pictures(finding, program, most),
        "ruled_out": [
            {"id": each.id, "title": each.title, "share": f"{each.share:.0%}", "distance": f"{each.distance:.2g}"}
            for each in nearest(finding, verdict.search)[:RULED_OUT]
        ],
    }


def quantities(verdict: Verdict, sections: dict[Key, str]) -> dict[str, Any]:
    """Every quantity that was compared, in the order of computing; those that are many and no news are folded."""
    rows = in_order(verdict)
    told = [told_row(row, sections.get(row.key, "")) for row in rows]
    alike = {status: [row for row in told if row["status"] == status] for status in ("follows", "agrees")}
    folded = {status: each for status, each in alike.items() if len(each) > FEW_ROWS}
    worst = max((row.error for row in rows if row.status == "agrees"), default=0.0)
    who = f"{'All' if len(alike['agrees']) == len(rows) else 'The other'} {len(alike['agrees'])}"
    titles = {
        "follows": f"{len(alike['follows'])} only follow: each is {FOLLOWS}",
        "agrees": f"{who} agree: largest difference / largest number is {worst:.1e} at most",
    }
    return {
        "rows": [row for row in told if row["status"] not in folded],
        "note": f"“follows”: {FOLLOWS}." if alike["follows"] and "follows" not in folded else "",
        "folded": [{"title": titles[status], "rows": each} for status, each in folded.items()],
    }


def told_row(row: Row, section: str) -> dict[str, str]:
    """A quantity, and the section that is about it."""
    status = row.status
    if section.startswith(("mistake", "unclear")):
        status = "wrong"
    elif section and status == "wrong":  # by itself; but it is part of a convention that goes through all layers
        status = "another convention"
    told = {"status": status, "kind": status.replace(" ", "-"), "sign": STATUS_SIGNS[status], "section": section}
    return {"name": row.name, "error": error_text(row), **told}
