"""What is taken back once all passes were judged: names that do not hold in every step, suspects that are cleared."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from plaingrad.checking.catalogue import CATALOGUE, Kind, Mistake
from plaingrad.checking.catalogue.entry import nothing
from plaingrad.checking.edits.edited_line import EditedLine
from plaingrad.checking.edits.search import evidence
from plaingrad.checking.search.findings import Finding, Fit, form_of
from plaingrad.checking.search.passes import Estimate, Key, exact
from plaingrad.checking.search.rounding import FAR, alike, is_made, relative
from plaingrad.checking.search.state import State
from plaingrad.compiler.loops import Array
from plaingrad.textbook.text import Text


def keep_consistent(state: State, findings: list[Finding]) -> None:
    """Leave, where a line was named, only what makes the numbers of its pass in every step: it runs in all.

    A line has to be borne out by what is wrong in all steps together. A known mistake in a value that is kept from step
    to step was not made either if it would have changed one that is right.
    """
    steps = state.program.steps
    for each in [each for each in findings if each.key[1] != "loss" and each.key[2] in steps[each.key[1]].state]:
        right = [key for key, row in state.rows.items() if key[1:] == each.key[1:] and row.status == "agrees"]
        each.fits = [
            fit for fit in each.fits if not _is_known(fit, each) or all(_is_silent(state, fit, key) for key in right)
        ]
    losses = [each for each in findings if each.key[1:] == ("loss", "y")]
    common = set.intersection(*({fit.mistake.id for fit in each.fits} for each in losses)) if losses else set()
    for each in losses:  # one number may be that of a mistake by chance, and two are not
        each.fits = [fit for fit in each.fits if fit.mistake.id in common or isinstance(fit.mistake, EditedLine)]
    edited = [each for each in findings if any(isinstance(fit.mistake, EditedLine) for fit in each.fits)]
    for place in {each.key[1:] for each in edited}:
        there = [each for each in findings if each.key[1:] == place]
        lines = {fit.mistake.id: fit for each in there for fit in each.fits if isinstance(fit.mistake, EditedLine)}
        for each in there:  # one step may look like another mistake, which the next one rules out
            known = {fit.mistake.id for fit in each.fits}
            each.fits += [fit for id, line in lines.items() if id not in known and (fit := fit_of(state, line, each))]
        kept = set.intersection(*({fit.mistake.id for fit in each.fits} for each in there))
        told = sum(evidence(Estimate(each.expected, each.uncertainty), each.given, state.precision) for each in there)
        agreeing = [key for key, row in state.rows.items() if key[1:] == place and row.status == "agrees"]
        for fit in [each for each in there[0].fits if each.mistake.id in kept]:
            asks = fit.mistake.asks if isinstance(fit.mistake, EditedLine) else 0.0
            if told < asks or not all(changes_nothing(state, fit, key) for key in agreeing):
                kept.discard(fit.mistake.id)
        for each in there:
            each.fits = _beside_each_other([fit for fit in each.fits if fit.mistake.id in kept])


OVERWRITTEN = Mistake(
    "overwritten-after-use",
    (),
    "what was made of it is right: it was overwritten after it was used, or printed otherwise",
    "Look for an operation in place (+=, out=, an array that two names share), and copy what you keep, or print it at "
    "once. If nothing overwrites it, see how you print it, and when: weights after the step.",
    nothing,
    kind=Kind.ARRAY,
)

LATE = Mistake(
    "printed-before-the-update",
    (),
    "the weights are printed before they are updated: one step late; what was made of them is right",
    "Print the weights after the update of their step.",
    nothing,
    kind=Kind.ARRAY,
)


def tell_overwritten(
    state: State, findings: list[Finding], untouched: set[Key], is_true: Callable[[Key, Array, bool], bool]
) -> None:
    """Name wrong arrays of which right ones were made: they were right when these were.

    One of these may be what was written into it. No line makes such an array, but for one that copies another; of a
    known mistake it may be the result, and what was made of it is not. Both are told beside it: of weights after a step
    last, for a program that made them otherwise would go on with them. Those that were printed before it are named so.
    """
    program = state.program
    for each in findings if OVERWRITTEN.id not in state.left_out else []:
        if any(fit.mistake.convention for fit in each.fits):
            continue
        step = each.key[0] + program.is_update(each.key)  # in which it is read
        rest = {each.key}  # on the wrong numbers
        for key in program.keys:
            if key[0] == step and key not in untouched and not rest.isdisjoint(program.needs(key)):
                rest.add(key)
        is_used = any(not rest.isdisjoint(program.needs(key)) for key in untouched if key[0] == step)
        readers = [key for key in state.arrays if not rest.isdisjoint(program.needs(key))]
        row = each.given.reshape(-1)  # two names for one memory may have two shapes
        same = [key for key in readers if row.any() and np.array_equal(state.likeliest(key).array.reshape(-1), row)]
        is_right = is_used or any(is_true(key, state.likeliest(key).array, True) for key in same)
        if is_right and not is_true(each.key, each.given, False):
            known = [fit for fit in each.fits if not isinstance(fit.mistake, EditedLine)]
            copies = [fit for fit in each.fits if isinstance(fit.mistake, EditedLine) and fit.mistake.is_copy]
            told = Fit(OVERWRITTEN, each.key, each.given)
            each.fits = [told, *known, *copies] if program.is_update(each.key) else [*known, told, *copies]
    for place in {each.key[1:] for each in findings if each.best and each.best.mistake is OVERWRITTEN}:
        there = [each for each in findings if each.key[1:] == place and program.is_update(each.key)]
        if there and all(is_true((each.key[0] - 1, *place), each.given, True) for each in there):
            for each in there:
                each.fits = [Fit(LATE, each.key, each.given)]


def prefer_common(state: State, findings: list[Finding]) -> None:
    """Of several layers whose arrays are wrong, made by one text, tell what makes all of them, if anything does.

    A program has one piece of code for them. Where some stay without a name, or lines are found that differ, this is
    told with each name: it may be another mistake that makes the same numbers there.
    """
    groups: dict[tuple[int, str, Text], list[Finding]] = {}
    for each in findings:
        text = _text_of(state, each)
        if text is not None:
            groups.setdefault((each.key[0], each.key[2], text), []).append(each)
    for there in groups.values():
        if len(there) == 1:
            continue
        lines = {fit.mistake.id: fit for each in there for fit in each.fits if isinstance(fit.mistake, EditedLine)}
        added = []
        for each in there:
            known = {fit.mistake.id for fit in each.fits}
            more = [fit for id, line in lines.items() if id not in known and (fit := fit_of(state, line, each))]
            added.append([*each.fits, *more])
        common = set.intersection(*({fit.mistake.id for fit in fits} for fits in added))
        for each, fits_ in zip(there, added, strict=True):
            if common:
                each.fits = _beside_each_other([fit for fit in fits_ if fit.mistake.id in common])
            elif each.fits:
                each.not_made = tuple(other.key for other in there if other is not each and _contradicts(other, each))


def _contradicts(other: Finding, named: Finding) -> bool:
    """Whether an array speaks against the name of another that the same text makes: it has none, or another line's."""
    is_line = all(isinstance(fit.mistake, EditedLine) for each in (other, named) for fit in each.fits)
    said = [
        {fit.mistake.of_any_layer if isinstance(fit.mistake, EditedLine) else () for fit in each.fits}
        for each in (other, named)
    ]
    return not other.fits or (is_line and said[0].isdisjoint(said[1]))


def _text_of(state: State, finding: Finding) -> Text | None:
    """The text that makes an array, if it is that of a layer, and blamed itself."""
    _, name, quantity = finding.key
    if name == "loss" or quantity not in ("y", "dx", "dw", "db") or finding.where != finding.key:
        return None
    layer = state.program.steps[name].layer
    text: Text | None = layer.forward if quantity == "y" else layer.backward
    return text


FUSED = CATALOGUE["fused-with-softmax"]
TWICE = replace(
    CATALOGUE["softmax-applied-twice"],
    advice="Your loss.dx is p - target, the gradient with respect to the scores: the derivative of softmax is in it. "
    "Let the softmax layer pass it on unchanged; or let the loss hand back -target / p.",
)


def tell_softmax_twice(state: State, findings: list[Finding]) -> None:
    """A gradient of the loss that holds that of the softmax is right if the softmax passes it on.

    A program that does so was taken for one of another way before; here what was made of it by the softmax's own
    derivative agrees.
    """
    program = state.program
    for each in findings:
        if each.best is not None and each.best.mistake.id == FUSED.id:
            rest = {(each.key[0], program.names[-1], "dx")}
            for key in program.keys:
                if not rest.isdisjoint(program.needs(key)):
                    rest.add(key)
            if any(key in rest and row.status == "agrees" for key, row in state.rows.items()):
                each.fits = [replace(each.best, mistake=TWICE)]
                each.tried = [(mistake, made) for mistake, made in each.tried if mistake.id != FUSED.id]
                state.rows[each.key].status = "wrong"


def fit_of(state: State, fit: Fit, finding: Finding) -> Fit | None:
    """A mistake that was found in another step, if it makes the numbers of this one too."""
    key, expected = finding.key, Estimate(finding.expected, finding.uncertainty)
    made = form_of(fit, state.program, key, state.env, expected.value)
    precision = replace(state.precision, unit=state.program.unit)
    return replace(fit, key=key, made=made) if is_made(expected, made, finding.given, precision) else None


def _is_known(fit: Fit, finding: Finding) -> bool:
    """Whether a mistake is one of the catalogue that was made in the very pass, and no other right way."""
    is_own = fit.key == finding.key and fit.terms is None
    return is_own and not isinstance(fit.mistake, EditedLine) and not fit.mistake.convention


def _is_silent(state: State, fit: Fit, key: Key) -> bool:
    """Whether a mistake changes nothing in another step, in which a layer may do something else."""
    program = state.program
    if program.is_update(key) or not program.is_same_code(fit.key, key):
        return True
    return changes_nothing(state, fit, key)


def _beside_each_other(fits: list[Fit]) -> list[Fit]:
    """The same, each line told the others that are left."""
    lines = [fit.mistake for fit in fits if isinstance(fit.mistake, EditedLine)]
    return [
        replace(fit, mistake=fit.mistake.among([each for each in lines if each is not fit.mistake]))
        if isinstance(fit.mistake, EditedLine)
        else fit
        for fit in fits
    ]


def changes_nothing(state: State, fit: Fit, key: Key) -> bool:
    """Whether a mistake, made in a pass whose numbers are right, gives them too."""
    made = form_of(fit, state.program, key, state.env, state.program.value(key, state.env))
    return state.agrees(alike(state.expected[key], made, state.program.unit), state.likeliest(key).array)


def narrow(state: State, findings: list[Finding]) -> None:
    """Of the passes without an answer that a finding may rest on leave out those that agreeing answers rest on too.

    A wrong array would have made these wrong. A bias gradient is a sum, which is the same when its terms change
    places, and an array of zeros says nothing: neither rules anything out. Where nothing is left all stay.
    """
    cleared: set[Key] = set()
    for key, row in state.rows.items():
        if row.status == "agrees" and key[2] not in ("b", "db") and state.expected[key].value.any():
            waiting = list(state.program.needs(key))
            while waiting:
                need = waiting.pop()
                if need in state.unanswered and need not in cleared and need[2] not in ("b", "db"):
                    cleared.add(need)
                    waiting += state.program.needs(need)
    for finding in findings:
        finding.suspects = tuple(each for each in finding.suspects if each not in cleared) or finding.suspects


def tell_followers(state: State) -> None:
    """Tell what is right from what only follows: right by itself, and wrong because of a pass before it."""
    program = state.program
    values, estimates = program.start(), program.start()

    def estimate(key: Key) -> Estimate:
        if key not in estimates:
            for need in program.needs(key):
                estimate(need)
            estimates[key] = program.evaluate(key, estimates)
        return estimates[key]

    for key in program.keys:
        made = program.value(key, values)
        values[key] = exact(made)
        row = state.rows.get(key)
        if not row or row.status != "agrees":
            continue
        array = state.likeliest(key).array
        # What the answer's own numbers leave open is quick to tell; how far true ones may be off is asked between.
        if state.agrees(Estimate(made, state.expected[key].uncertainty), array):
            continue
        is_far = not np.abs(made - array).max(initial=0) <= FAR * np.abs(array).max(initial=0)
        if is_far or not state.agrees(estimate(key), array):
            row.status, row.error = "follows", relative(array, made)
