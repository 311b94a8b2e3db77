"""How much of a verdict is told: where something is wrong, what kind of slip it is, the line, or all.

What a hint tells is gathered here anew, and never what is left of the whole verdict: so nothing that is added there is
told by a hint unasked. Of a right answer a hint holds nothing back.
"""

from typing import Any

from plaingrad.checking.edits.edited_line import EditedLine
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import Key
from plaingrad.checking.verdict.as_json import verdict_json
from plaingrad.checking.verdict.text import (
    done_right,
    headline_text,
    in_order,
    right_lines,
    some,
    table_lines,
    verdict_text,
)
from plaingrad.checking.verdict.verdict import RIGHT, Named, Verdict
from plaingrad.errors import SettingError, nearest, visible

PLACE, KIND, LINE, ALL = HINTS = ("place", "kind", "line", "all")
"""From the least to the most: each tells what those before it tell."""
MORE = {
    PLACE: "--hint kind tells what kind of slip it is, --hint line shows the correct loop",
    KIND: "--hint line shows the correct loop; without --hint all is told",
    LINE: "without --hint all is told",
}


def require_hint(hint: object) -> None:
    """SettingError for what is no hint."""
    if hint not in HINTS:
        raise SettingError(f"hint={hint!r} is none; {nearest(hint, HINTS)}")


def tells(hint: str, part: str) -> bool:
    """Whether a hint tells a part, itself one of `HINTS`."""
    return HINTS.index(hint) >= HINTS.index(part)


def tells_all(verdict: Verdict, hint: str) -> bool:
    """Whether nothing of a verdict is held back. SettingError for what is no hint."""
    require_hint(hint)
    return hint == ALL or verdict.verdict == RIGHT


def sequel(hint: str) -> str:
    """What more can be asked for."""
    return f"this is a hint ({hint}): {MORE[hint]}"


def told_text(verdict: Verdict, every: bool = False, hint: str = ALL) -> str:
    """The verdict as `plaingrad check` prints it, or as much of it as a `hint` tells: place, kind, line or all.

    `every`: the table has a line for every quantity. SettingError for a hint that is none.
    """
    return verdict_text(verdict, every) if tells_all(verdict, hint) else hint_text(verdict, every, hint)


def told_json(verdict: Verdict, hint: str = ALL) -> dict[str, Any]:
    """The verdict as an object, or as much of it as a `hint` tells. SettingError for a hint that is none."""
    return verdict_json(verdict) if tells_all(verdict, hint) else hint_json(verdict, hint)


def hint_text(verdict: Verdict, every: bool, hint: str) -> str:
    """A verdict with a hint in words."""
    lines = [headline_text(verdict), *(f"  note: {visible(note)}" for note in verdict.reading)]
    lines += [f"  {sequel(hint)}"]
    for named in verdict.mistakes:
        kinds = f": {'; or '.join(kinds_of(named))}" if tells(hint, KIND) else ""
        lines += ["", f"wrong: {', '.join(named.where)}{kinds}"]
        first = named.findings[0] if named.findings else None
        if first is not None and first.where != first.key:
            lines.append(f"  your answer does not contain {name_of(first.where)}: it shows in {name_of(first.key)}")
        lines += _right(verdict, named.keys[0], hint, named)
    for finding in verdict.unclear:
        lines += ["", f"wrong: {name_of(finding.key)}", *_right(verdict, finding.where, hint)]
        if finding.suspects:
            names = some([name_of(key) for key in finding.suspects])
            lines.append(f"  it is computed from {names}, which your answer does not contain: add the first of them")
    for other in verdict.uncompared:
        kind = f": {other.kind}" if tells(hint, KIND) else ""
        lines += ["", f"wrong: {name_of(other.key)}{kind}"]
    if verdict.conventions:
        lines.append("")
    for named in verdict.conventions:
        lines.append(f"  another convention in {some(named.where) or 'the layout of the answer'}: it is no mistake")
    return "\n".join([*lines, "", *(line.rstrip() for line in table_lines(verdict, every, with_error=False))])


def _right(verdict: Verdict, key: Key, hint: str, named: Named | None = None) -> list[str]:
    if not tells(hint, LINE):
        return []
    best = named.findings[0].best if named is not None and named.findings else None
    if best is not None and isinstance(best.mistake, EditedLine):
        return [f"  the line to look at: {best.mistake.right[0]}", *(f"    {each}" for each in best.mistake.right[1:])]
    return [f"  {line}" for line in right_lines(verdict.search.program, key)]


def hint_json(verdict: Verdict, hint: str) -> dict[str, Any]:
    """A verdict with a hint as an object."""
    return {
        "verdict": verdict.verdict,
        "hint": hint,
        "first_wrong": verdict.first_wrong,
        "precision": str(verdict.search.precision),
        "mistakes": [
            {"where": each.where} | _more(verdict, each.keys[0], kinds_of(each), hint) for each in verdict.mistakes
        ],
        "unclear": [
            {"where": name_of(each.key), "between": [name_of(key) for key in each.suspects]}
            | _more(verdict, each.where, [], hint)
            for each in verdict.unclear
        ],
        "uncompared": [
            {"where": name_of(each.key)} | ({"kinds": [str(each.kind)]} if tells(hint, KIND) else {})
            for each in verdict.uncompared
        ],
        "conventions": [{"where": each.where} for each in verdict.conventions],
        "quantities": [{"name": row.name, "status": row.status} for row in in_order(verdict)],
        "notes": verdict.reading,
    }


def _more(verdict: Verdict, key: Key, kinds: list[str], hint: str) -> dict[str, Any]:
    """The kind of a slip, and how the array is made, as far as they are told."""
    told: dict[str, Any] = {"kinds": kinds} if tells(hint, KIND) else {}
    return told | ({"right": done_right(verdict.search.program, key)} if tells(hint, LINE) else {})


def kinds_of(named: Named) -> list[str]:
    """What kind of slip a mistake is; of several that give the same numbers each kind, that of the one named first."""
    first = [each.best.mistake.kind for each in named.findings[:1] if each.best]
    kinds = [*first, *(each.kind for each in named.besides), *(each.kind for each in named.uncompared)]
    kinds += [named.kind] if named.kind else []
    return list(dict.fromkeys(map(str, kinds)))


Verdict.text, Verdict.to_json = told_text, told_json
