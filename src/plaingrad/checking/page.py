"""The verdict as one self-contained page, the wrong cells marked on maps of the arrays."""

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

from plaingrad.checking.evidence import cells, nearest, patterns
from plaingrad.checking.findings import Finding
from plaingrad.checking.formulas import formula_of
from plaingrad.checking.names import name_of
from plaingrad.checking.page_maps import LEVELS, in_words, pictures
from plaingrad.checking.telling import RULED_OUT, place_of, right_loop, source_of, trains
from plaingrad.checking.verdict import CONVENTION, MISTAKE, RIGHT, UNCLEAR, Named, Verdict
from plaingrad.checkpoint import write_safely
from plaingrad.errors import MissingError, SettingError

MOST_CELLS = 14_000  # on the page, in all maps: some 100 bytes each keep it below 2 MB
LARGEST, SMALLEST = 2_400, 64  # cells of one finding
SIGNS = {RIGHT: "✓", CONVENTION: "≈", MISTAKE: "✗", UNCLEAR: "?"}
STATUS_SIGNS = {"agrees": "✓", "follows": "↓", "another convention": "≈", "wrong": "✗", "not judged": "–"}


def save_page(verdict: Verdict, path: str | Path) -> None:
    """Write the verdict as a page, whole or not at all.

    MissingError without Jinja2; SettingError where something other than a file is in its place; CheckpointError where
    it cannot be written.
    """
    place = Path(path)
    if not place.name or (place.exists() and not place.is_file()):
        raise SettingError(f"cannot write a page to {str(path)!r}, which is no file; name one, verdict.html say")
    write_safely(place, page_html(verdict).encode("utf-8", "replace"))


def page_html(verdict: Verdict) -> str:
    """The page as one file: style and script in it, every name escaped."""
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise MissingError("the verdict's page", "jinja2", "report") from None
    here = files("plaingrad.checking")
    page, style, script = ((here / name).read_text("utf-8") for name in ("page.html", "page.css", "page_reading.js"))
    environment = Environment(autoescape=False, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    script = f"\n{script}"
    # The policy lets this one script run and no other, so that text from a file can never become one.
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = environment.from_string(page)
    return template.render(contents(verdict), style=style, shades=shades(), script=script, allowed=allowed)


def shades() -> list[dict[str, Any]]:
    """For each shade of a colour: how much of which two colours it is mixed of."""
    half = LEVELS // 2
    return [
        {
            "level": level,
            "share": 100 * (level if level <= half else level - half) // half,
            "colour": "half" if level <= half else "full",
            "ground": "zero" if level <= half else "half",
        }
        for level in range(1, LEVELS + 1)
    ]


# What the page says


def contents(verdict: Verdict) -> dict[str, Any]:
    """Everything the page shows, section by section."""
    from plaingrad import __version__

    every = [finding for each in (*verdict.mistakes, *verdict.conventions) for finding in each.findings]
    every += verdict.unclear
    most = share_of([finding.given.size for finding in every])
    mistakes = [_named(verdict, each, f"mistake-{number}", most) for number, each in enumerate(verdict.mistakes, 1)]
    unclear = [_unclear(verdict, each, f"unclear-{number}", most) for number, each in enumerate(verdict.unclear, 1)]
    conventions = [
        _named(verdict, each, f"convention-{number}", most) for number, each in enumerate(verdict.conventions, 1)
    ]
    return {
        "version": __version__,
        "case": verdict.search.program.case.net.name,
        "headline": headline(verdict),
        "notes": verdict.notes,
        "mistakes": mistakes,
        "unclear": unclear,
        "conventions": conventions,
        "quantities": _quantities(verdict),
    }


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
    count, first = len(verdict.rows), verdict.first_wrong
    many = len(verdict.mistakes)
    titles = {
        RIGHT: ("right", "Right", "Every number agrees."),
        CONVENTION: (
            "convention",
            "Right, with another convention",
            "Nothing is wrong: where the answer differs from the case, it goes another right way.",
        ),
        MISTAKE: (
            "mistake",
            "A mistake" if many == 1 else f"{many} mistakes",
            f"The first quantity that is wrong is {first}.",
        ),
        UNCLEAR: ("unclear", "Unclear", f"{first} is wrong, and no known mistake gives its numbers."),
    }
    kind, title, sentence = titles[verdict.verdict]
    compared = f"{count} quantit{'y' if count == 1 else 'ies'} compared, to {verdict.search.precision}"
    return {
        "kind": kind,
        "sign": SIGNS[verdict.verdict],
        "title": title,
        "sentence": sentence,
        "compared": f"{compared}.",
    }


def _named(verdict: Verdict, named: Named, anchor: str, most: int) -> dict[str, Any]:
    same = (fit.mistake for finding in named.findings[:1] for fit in finding.fits)
    return {
        "anchor": anchor,
        "id": named.id,
        "title": named.title,
        "where": named.where,
        "advice": named.advice,
        "trains": trains(named.id),
        "findings": [_evidence(verdict, finding, most) for finding in named.findings],
        "loop": _loop(verdict, named.findings[0]) if named.findings else None,
        "same": list(dict.fromkeys(each.title for each in same if each.id != named.id)),
    }


def _unclear(verdict: Verdict, finding: Finding, anchor: str, most: int) -> dict[str, Any]:
    return {
        "anchor": anchor,
        "where": name_of(finding.key),
        "finding": _evidence(verdict, finding, most),
        "between": [name_of(key) for key in finding.suspects],
        "tried": len({mistake.id for mistake, _ in finding.tried}),
        "loop": _loop(verdict, finding),
    }


def _evidence(verdict: Verdict, finding: Finding, most: int) -> dict[str, Any]:
    """Where the wrong numbers lie, the ones that tell most, the maps, and what was ruled out."""
    program, name, best = verdict.search.program, name_of(finding.key), finding.best
    shown = cells(finding)
    return {
        "name": name,
        "sentences": patterns(finding, program),
        "source": name_of(best.key) if best and best.key != finding.key else None,
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


def _loop(verdict: Verdict, finding: Finding) -> dict[str, str] | None:
    program = verdict.search.program
    nest, formula = right_loop(program, finding.where), formula_of(program, finding.where)
    if nest is None:
        return None
    return {"place": place_of(nest), "source": "\n".join(source_of(nest)), "formula": formula or ""}


def _quantities(verdict: Verdict) -> list[dict[str, Any]]:
    """Every quantity that was compared, in the order of computing, and the section that is about it."""
    sections = {
        id(finding): f"{kind}-{number}"
        for kind, groups in (("mistake", verdict.mistakes), ("convention", verdict.conventions))
        for number, each in enumerate(groups, 1)
        for finding in each.findings
    }
    sections |= {id(finding): f"unclear-{number}" for number, finding in enumerate(verdict.unclear, 1)}
    place = verdict.search.program.place
    rows = []
    for row in sorted(verdict.rows, key=lambda row: place[row.key]):
        section = sections.get(id(row.finding))
        # What is wrong alone may be part of a convention that goes through all layers.
        is_settled = row.status == "wrong" and not (section or "").startswith(("mistake", "unclear"))
        status = "another convention" if is_settled else row.status
        told = {"status": status, "kind": status.replace(" ", "-"), "sign": STATUS_SIGNS[status], "section": section}
        rows.append({"name": row.name, "error": f"{row.error:.1e}", **told})
    return rows
