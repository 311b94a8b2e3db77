"""A formula someone derived by hand, checked: `conv1.dw[0,0,0,0] = 2 * (flatten1.y[0] - target[0]) * …`.

It is worked out to fifty digits at the numbers of the run and at others near them. A formula that gives the true number
at all of them is right; one that does so only here has numbers typed into it, or is right by accident.
"""

import decimal
import itertools
from dataclasses import dataclass
from typing import Any

from plaingrad.checking.claims.names import BeyondError
from plaingrad.checking.claims.reasons import constant_factor, factor_in_words, from_one, other_readings, wrong_terms
from plaingrad.checking.claims.terms import Compared, compared
from plaingrad.checking.claims.text import parse_claim
from plaingrad.checking.claims.value import DIGITS, Evaluator, Purse
from plaingrad.checking.claims.weighing import Asked, Outcome, Scales
from plaingrad.errors import SettingError
from plaingrad.explaining.examples import EXAMPLES
from plaingrad.explaining.notation import number_text
from plaingrad.network.run import Run

MOST_TOLD = 6  # terms
RIGHT, HERE_ONLY, WRONG = "right", "right here only", "wrong"
NOTHING = Compared([], [], 0)


@dataclass(frozen=True)
class Claim:
    """What is to be said of a claim: `verdict` is "right", "right here only" (for these numbers alone) or "wrong".

    `claimed` and `true` are the two values of `quantity`, at the first wrong place where the claim is about several.
    `missing` are the true terms that the claim has not, `extra` its own that are no true ones, each with its value;
    both are empty where no term of the two is the same.
    """

    verdict: str
    quantity: str
    claimed: float
    true: float
    formula: str
    see: str
    why: tuple[str, ...] = ()
    missing: tuple[tuple[str, float], ...] = ()
    extra: tuple[tuple[str, float], ...] = ()

    @property
    def right(self) -> bool:
        """Whether the formula holds for any numbers, the comparisons falling out as they do."""
        return self.verdict == RIGHT

    @property
    def difference(self) -> float:
        """What is claimed minus what is true."""
        return self.claimed - self.true

    @property
    def ratio(self) -> float | None:
        """What is claimed divided by what is true; None where that is 0."""
        return self.claimed / self.true if self.true else None

    def __str__(self) -> str:
        return self.text()

    def to_json(self) -> dict[str, Any]:
        """All of it, for programs; terms are `{"term", "value"}`."""
        numbers = {"claimed": self.claimed, "true": self.true, "difference": self.difference, "ratio": self.ratio}
        missing, extra = ([{"term": t, "value": value} for t, value in each] for each in (self.missing, self.extra))
        told = {"missing": missing, "extra": extra, "formula": self.formula, "why": [*self.why], "see": self.see}
        return {"verdict": self.verdict, "quantity": self.quantity, **numbers, **told}

    def text(self) -> str:
        """What is printed."""
        lines = [f"{self.quantity}: {self.verdict}"]
        lines += [f"  yours    {number_text(self.claimed, 9)}", f"  correct  {number_text(self.true, 9)}"]
        if self.verdict == WRONG:
            times = f"; yours is {number_text(self.ratio, 4)} × the correct value" if self.ratio is not None else ""
            lines.append(f"  differ   by {number_text(self.difference, 4)}{times}")
        lines += [""] if self.why or self.missing or self.extra else []
        lines += [f"  {each}" for each in self.why]
        for rows, words in ((self.missing, "correct, but not in yours:"), (self.extra, "in yours, but not correct:")):
            shown = [f"    {term} = {number_text(value)}" for term, value in rows[:MOST_TOLD]]
            more = [f"    and {len(rows) - MOST_TOLD:,} more"] if len(rows) > MOST_TOLD else []
            lines += [f"  {words}", *shown, *more] if rows else []
        return "\n".join([*lines, "", f"  {self.formula}", f"  see: {self.see}"])


def claim(run: Run, text: str) -> Claim:
    """Whether `QUANTITY = FORMULA` is right of a run. SettingError, in one line, where the text cannot be read."""
    left, right = parse_claim(text)
    if not run.has_gradients or run.loss is None:
        raise SettingError("a claim got a run without labels, which has no gradients: net.run(images, labels)")
    with decimal.localcontext(prec=DIGITS, Emax=100_000, Emin=-100_000):
        return weighed(Scales(run, left, right))


def weighed(scales: Scales) -> Claim:
    """The claim held against the truth."""
    try:
        here = [scales.outcome(scales.here, asked) for asked in scales.places]
    except BeyondError as error:
        if scales.holds(scales.points, from_one()):
            raise SettingError(f"{error}; counted from 1 the claim would be right") from None
        raise
    here = [each if each.holds else scales.as_typed(each) for each in here]
    wrong = next((each for each in here if not each.holds), None)
    if wrong is not None:
        return of_a_wrong_one(scales, wrong, sum(each.holds for each in here))
    rounded = any(each.rounded for each in here)
    if scales.points and not rounded and scales.holds(scales.points):
        return told(RIGHT, scales, here[0], [])
    why = [why_here_only(scales, rounded)]
    if rounded or scales.names_nothing():
        return told(HERE_ONLY, scales, here[0], why)
    purse = Purse()
    why += likely_reading(scales, purse)
    return told(HERE_ONLY, scales, here[0], why, terms_of(scales, here[0].asked, purse))


def why_here_only(scales: Scales, rounded: bool) -> str:
    """Why a claim that gives the true number is not right all the same."""
    if rounded:
        return (
            "It agrees to the digits you typed. Write names in place of the numbers to check it for other values too."
        )
    if scales.names_nothing():
        return "It contains only typed numbers: it gives the same value for all weights and images."
    if not scales.points:
        return (
            "Nearby numbers would change which pixel is the maximum of a pooling window, so it was compared only here."
        )
    if scales.holds(scales.points_of_same_target):
        return "It holds for any weights and image, but only for this target: write target[…] in place of the number."
    for asked in scales.places:
        for found in scales.everywhere(asked):
            if not found.holds:
                yours, true = (number_text(float(each.value), 9) for each in (found.claimed, found.true))
                return f"With slightly different weights and image it gives {yours}, and the correct value is {true}."
    return "With slightly different weights and image it has no value."


def of_a_wrong_one(scales: Scales, outcome: Outcome, right: int) -> Claim:
    """What may be said of a wrong claim: by how much, and what would make it right."""
    why = []
    outcomes = scales.everywhere(outcome.asked)
    factor = constant_factor([each.claimed for each in outcomes], [each.true for each in outcomes])
    if factor is not None:
        what = "has the wrong sign" if factor == -1 else f"is {factor_in_words(factor)} the correct value"
        why.append(f"Your value {what}, with other weights and images too.")
    if len(scales.places) > 1:
        why.append(f"It is right at {right} of the {len(scales.places)} positions checked.")
    purse = Purse()
    terms = NOTHING if factor is not None else terms_of(scales, outcome.asked, purse)
    return told(WRONG, scales, outcome, [*why, *likely_reading(scales, purse), *wrong_terms(terms)], terms)


def likely_reading(scales: Scales, purse: Purse) -> list[str]:
    """What would make a claim right, where one change of its indices or names does."""
    found = (each.words for each in other_readings(scales) if scales.holds(scales.points, each, purse))
    return [f"{words}." for words in itertools.islice(found, 1)]


def terms_of(scales: Scales, asked: Asked, purse: Purse) -> Compared:
    """The claim's terms beside the true ones; none where they have nothing in common."""
    evaluators = [Evaluator(scales.names, point, purse) for point in (scales.here, *scales.points)]
    try:
        found = compared(asked.formula, evaluators, scales.explanation(asked))
    except (SettingError, ArithmeticError):  # at another point, or multiplied out, it has no value
        return NOTHING
    return found if found.shared else NOTHING


def told(verdict: str, scales: Scales, outcome: Outcome, why: list[str], terms: Compared = NOTHING) -> Claim:
    """The verdict with what belongs to it: how names were understood, the true formula, and where to look."""
    if scales.names.went_beyond:
        why.append("Terms of a sum with an index outside an array were left out.")
    if readings := scales.names.readings:
        why.append(f"Names read as: {', '.join(f'{name} = {whole}' for name, whole in readings.items())}.")
    if verdict != WRONG and scales.names_itself():
        why.append(
            "The right side contains the number on the left side, so it does not explain where that number comes from."
        )
    explanation, example = scales.explanation(outcome.asked), scales.twin.net.name
    quantity = explanation.quantity
    see = f'plaingrad explain --example {example} "{quantity}"' if example in EXAMPLES else f'run.explain("{quantity}")'
    if verdict != WRONG and len(scales.places) > 1:
        why.insert(0, f"It was checked at {len(scales.places):,} positions; the numbers shown are those of {quantity}.")
        quantity = scales.quantity
    rows = (
        tuple(sorted(((text, float(values[0].value)) for text, values in each), key=lambda row: -abs(row[1])))
        for each in (terms.missing, terms.extra)
    )
    numbers = float(outcome.claimed.value), float(outcome.true.value)
    return Claim(verdict, quantity, *numbers, explanation.formula, see, tuple(why), *rows)
