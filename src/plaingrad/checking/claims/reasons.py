"""What may be wrong with a claim: its factor, its sign, its indices, an array taken for another."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction

from plaingrad.checking.claims.names import Place
from plaingrad.checking.claims.terms import Compared
from plaingrad.checking.claims.tree import letter_of
from plaingrad.checking.claims.value import Move, Reading, agree, sized
from plaingrad.checking.claims.weighing import Scales
from plaingrad.explaining.twin import Sheet
from plaingrad.network.exact import Sized

MOST_PARTS = 1000  # a factor that is told is a fraction whose denominator is no larger
SHIFTS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1))


def constant_factor(claimed: Sequence[Sized], true: Sequence[Sized]) -> Fraction | None:
    """How many times the true numbers are claimed, where that is one simple fraction at every point."""
    pairs = [(one, other) for one, other in zip(claimed, true, strict=True) if other.value or one.value]
    if not pairs or not all(other.value and one.value for one, other in pairs):
        return None
    found = Fraction(pairs[0][0].value / pairs[0][1].value).limit_denominator(MOST_PARTS)
    exact = sized(Decimal(found.numerator)) / sized(Decimal(found.denominator))
    return found if all(agree(one, exact * other) for one, other in pairs) else None


def factor_in_words(factor: Fraction) -> str:
    """`4.000 times`, `0.5 (1/2) times`, `−1 times`."""
    text = f"{float(factor):.4g}" if abs(factor) != int(abs(factor)) else f"{float(factor):.3f}"
    part = f" ({factor})" if factor.denominator > 1 else ""
    return f"{text}{part} times".replace("-", "−")


def wrong_terms(terms: Compared) -> list[str]:
    """Terms of a claim that are a true one but for a factor."""
    told, left = [], list(terms.missing)
    for text, values in terms.extra:
        for row in left:
            factor = constant_factor(values, row[1])
            if factor is not None:
                what = "has the wrong sign" if factor == -1 else f"is {factor_in_words(factor)} what it should be"
                told.append(f"The term {text} {what}.")
                left.remove(row)
                break
    return told


def from_one() -> Reading:
    """Every place counted from 1."""

    def lowered(sheet: Sheet, index: Place) -> Place:
        return tuple(each - 1 for each in index)

    return Reading("With indices that start at 1 it would be right; indices start at 0", lowered, lowered)


def other_readings(scales: Scales) -> Iterator[Reading]:
    """Ways in which a claim goes wrong, each with the words for it: they are for a claim that holds when read so."""
    twin, about = scales.twin, scales.sheet
    if not any(map(letter_of, scales.index)):
        yield from_one()
    names = dict.fromkeys(sheet.name for sheet in scales.names.known.values() if sheet.name != about.name)
    used = [twin.sheets[name] for name in names]
    for sheet in used:
        for what, move in moves(sheet):
            yield Reading(f"It would be right if {what}", moved=only_in(sheet, move))
    for what, move in moves(about):
        yield Reading(f"It is the number at another position; it would be right if {what}", left=only_in(about, move))
    for sheet in used:
        for other in twin.in_order:
            if other.shape == sheet.shape and other.name in scales.names.names.values():
                words = f"It would be right with {other.name} instead of {sheet.name}"
                if other.name not in (sheet.name, about.name):
                    yield Reading(words, replaced={sheet.name: other.name})


def moves(sheet: Sheet) -> Iterator[tuple[str, Move]]:
    """The places of an array turned, swapped and shifted, each with its words."""
    name = sheet.name
    if len(sheet.shape) < 2:
        return
    swapped = "rows and columns were swapped" if len(sheet.shape) > 2 else "the two indices were swapped"
    yield f"{swapped} in {name}", lambda sheet, index: (*index[:-2], *index[:-3:-1])
    if len(sheet.shape) < 3:
        return
    yield f"the indices of {name} were rotated by 180°", turned
    if len(sheet.shape) == 4:
        yield f"filter and channel were swapped in {name}", lambda sheet, index: (*index[1::-1], *index[2:])
    for rows, columns in SHIFTS:
        where = " and ".join(
            f"{'row' if along == 'row' else 'column'} {'+' if step > 0 else '−'} 1"
            for along, step in (("row", rows), ("column", columns))
            if step
        )
        yield f"each index of {name} were shifted: {where}", shifted(rows, columns)


def turned(sheet: Sheet, index: Place) -> Place:
    rows, columns = sheet.shape[-2:]
    return (*index[:-2], rows - 1 - index[-2], columns - 1 - index[-1])


def shifted(rows: int, columns: int) -> Move:
    return lambda sheet, index: (*index[:-2], index[-2] + rows, index[-1] + columns)


def only_in(wanted: Sheet, move: Move) -> Move:
    """A move for one array; places that leave out too much stay as they are."""
    return lambda sheet, index: move(sheet, index) if sheet.name == wanted.name and len(index) > 1 else index
