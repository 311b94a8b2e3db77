"""Mistakes as edits of a textbook line: what an edited text makes, and that its line is found from the numbers."""

import ast
import itertools
import json
import random
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import edited
import plaingrad as pg
from diseased import MODERN, networks, places, played
from often import counts, some
from plaingrad.checking import check_answer, make_case, read_case
from plaingrad.checking.answers.answer import read_answer
from plaingrad.checking.edits import factors, one_statement
from plaingrad.checking.edits.directions import Turned
from plaingrad.checking.edits.edited_line import ADVICE, MOST_TOLD, EditedLine
from plaingrad.checking.edits.layouts import Flat, Order
from plaingrad.checking.edits.lines import at
from plaingrad.checking.edits.making import making
from plaingrad.checking.edits.pieces import copy_of
from plaingrad.checking.edits.sampling import lanes_of, sampled
from plaingrad.checking.edits.search import MOST_STEPS, STEPS, evidence, new_lines, old_and_new
from plaingrad.checking.edits.stepped import codes, every_at_once, run, stepped
from plaingrad.checking.edits.winners import can_be_chosen, choosing
from plaingrad.checking.search.passes import Estimate, exact
from plaingrad.checking.search.precision import Precision, estimated
from plaingrad.checking.verdict.verdict import MISTAKE
from students import Student
from students import told as told_as

CASES = Path(__file__).resolve().parent.parent.parent / "shared" / "field" / "cases"
PASSES = [
    (network, place) for network in networks() for place in places(network) if place[1] in ("y", "dx", "dw", "db")
]


FUNCTIONS = {"exp", "log", "normal_cdf", "sqrt", "tanh"}


def whole_numbers(known: dict[str, object], rng: np.random.Generator) -> dict[str, object]:
    """The same arrays with small whole numbers in them: sums of their products are exact in any order."""
    return {
        name: rng.integers(-4, 5, each.shape).astype(float)
        if isinstance(each, np.ndarray) and each.dtype == float
        else each
        for name, each in known.items()
    }


def agree_on(network: str, place: tuple[str, str], count: int, seed: int) -> int:
    """Run random edits of a pass all at once and step by step on whole numbers; how many could be run both ways."""
    how = making(edited.context_of(network, place))
    assert how is not None
    part, rng = how.parts[0], np.random.default_rng(seed)
    known = whole_numbers(part.known, rng)
    if any(getattr(each, "id", "") in FUNCTIONS for each in ast.walk(how.lines.tree)):
        # Small ones: where a function is next to its bound, what is divided by the rest is known to few digits.
        known = {name: each / 8 if isinstance(each, np.ndarray) else each for name, each in known.items()}
    done = 0
    for edit in random.Random(seed).sample(how.edits(), min(count, len(how.edits()))):
        tree = edit.tree(how.lines.tree)
        found = every_at_once(how.lines.text, tree, how.lines.wanted, known, wraps=True)
        for name, made in (found or {}).items():
            exact = stepped(how.lines.text, tree, name, known, {})
            if exact is None:  # an index beyond its array
                continue
            # Quotients and functions are rounded, and may cancel: some hundred of them, none beyond 64, are off by less
            # than 1e-12.
            rounds = (isinstance(each, ast.Div) or getattr(each, "id", "") in FUNCTIONS for each in ast.walk(tree))
            room = 1e-12 if any(rounds) else 0
            same = np.array_equal(made, exact, equal_nan=True) or np.allclose(
                made, exact, rtol=1e-12, atol=room, equal_nan=True
            )
            assert same, (network, place, name, new_lines(how.lines, edit))
            done += 1
    return done


@pytest.mark.parametrize("seed", some(range(3), lambda place: place == 0))
def test_an_edited_expression_that_is_called_makes_what_the_whole_edited_text_makes(seed):
    rng, called = random.Random(seed), 0
    for network, place in rng.sample(PASSES, 8):
        how = making(edited.context_of(network, place))
        assert how is not None
        given, lines = how.parts[0].known, how.lines
        for edit in rng.sample(how.edits(), min(12, len(how.edits()))):
            tree, changed = edit.tree(lines.tree), (lines.tree, edit.changes)
            called += bool(codes(tree, changed)[1])
            made = stepped(lines.text, tree, lines.wanted, given, {}, changed)
            whole = stepped(lines.text, tree, lines.wanted, given, {})
            assert (made is None) == (whole is None), (network, place, new_lines(lines, edit))
            assert made is None or np.array_equal(made, whole, equal_nan=True), new_lines(lines, edit)
    assert called > 40


@pytest.mark.parametrize("network", some(networks(), lambda place: [*networks()][place] in ("simple", "grouped")))
def test_an_edited_statement_among_those_of_the_text_makes_what_the_whole_edited_text_makes(network):
    """To the last bit, on all of the array and on a part of it."""
    rng, done = random.Random(5), 0
    for place in [each for one, each in PASSES if one == network]:
        how = making(edited.context_of(network, place))
        assert how is not None
        lines, lanes = how.lines, lanes_of(how.lines, how.parts[0].known)
        known, kept = how.parts[0].known, how.parts[0].kept
        for edit in rng.sample(how.edits(), min(40, len(how.edits()))):
            if edit.layout or edit.keeps:
                continue
            tree, parts = edit.tree(lines.tree), [{}]
            if not how.mean and len(how.shape) == known[lines.wanted].ndim:
                parts.append(sampled(how, edit, tuple(size - 1 for size in how.shape), lanes, 0)[0])
            for only in parts:
                made = one_statement.made_with(lines, tree, edit, known, only, kept)
                if made is not None:
                    whole = run(lines.text, tree, lines.wanted, known, only, edit.wraps, lines.fills)
                    assert whole is not None
                    assert np.array_equal(made, whole, equal_nan=True), (network, place, new_lines(lines, edit))
                    done += 1
    assert done > 50


@pytest.mark.parametrize("seed", some(range(3), lambda place: place == 0))
def test_loops_all_at_once_make_the_numbers_of_loops_one_after_the_other(seed):
    rng = random.Random(seed)
    done = sum(agree_on(*rng.choice(PASSES), 6, rng.randrange(10**6)) for _ in range(20))
    assert done > 40


@pytest.mark.exhaustive
@pytest.mark.parametrize("network", networks())
def test_so_they_do_in_every_pass(network):
    for each, place in PASSES:
        if each == network:
            agree_on(network, place, 60, 7)


@pytest.mark.parametrize(("network", "place"), some(random.Random(1).sample(PASSES, 12), lambda place: place % 3 == 0))
def test_an_edit_of_nothing_makes_the_right_array_and_every_other_says_something_else(network, place):
    context = edited.context_of(network, place)
    how = making(context)
    assert how is not None
    np.testing.assert_allclose(how.made(None), context.expected, rtol=1e-12, atol=1e-12)
    for edit in how.edits():
        old, new = old_and_new(how.lines, edit)
        assert edit.words or old != new
        assert edit.kind in ADVICE


POOLS = [(network, place) for network, place in PASSES if place[0].startswith("maxpool") and place[1] == "dx"]


@pytest.mark.parametrize(("network", "place"), POOLS)
def test_what_another_choice_of_a_pool_makes_is_never_ruled_out_beforehand_and_other_numbers_are(network, place):
    context = edited.context_of(network, place)
    how = making(context)
    assert how is not None
    chosen, rng = choosing(context, how), random.Random(0)
    assert chosen is not None
    size, done = float(np.abs(context.dy).max()), 0
    for edit in rng.sample(chosen.edits(), 60):
        made = chosen.made(edit)
        if made is not None:
            done += 1
            # Sums of at most six errors of at most this size, in two orders: 6 · 2 · 2⁻⁵³ · 6 of it is less than 1e-13.
            assert can_be_chosen(context, -3 * made, -3.0, 1e-13 * size), new_lines(how.lines, edit)
    assert done > 30
    noise = np.random.default_rng(0).normal(size=context.expected.shape)
    assert not can_be_chosen(context, context.expected + 1e-3 * size * noise, 1.0, 1e-6 * size)


@counts(1, 25)
def test_a_part_of_an_array_is_made_alone_as_it_is_made_with_the_rest(count):
    """By every edit, of every pass: what is tried on a part first must not be ruled out there by what is not done."""
    rng, done, tried = random.Random(count), 0, PASSES if count > 1 else PASSES[::10]
    for network, place in tried:
        how = making(edited.context_of(network, place))
        assert how is not None
        if how.mean:
            continue
        how = replace(how, shape=how.parts[0].known[how.lines.wanted].shape) if len(how.parts) == 1 else how
        lanes = lanes_of(how.lines, how.parts[0].known)
        for edit in rng.sample(how.edits(), min(count, len(how.edits()))):
            only, part, _ = sampled(how, edit, tuple(rng.randrange(size) for size in how.shape), lanes, 0)
            whole = how.made(edit) if only else None
            if whole is None or not np.isfinite(whole).all():
                continue
            alone = how.made(edit, only)
            # Sums of less than a thousand terms each, in two orders, of which the largest number is of the same size.
            room = 1e-12 * float(np.abs(whole).max(initial=0))
            assert alone is not None
            np.testing.assert_allclose(alone[part], whole[part], rtol=1e-12, atol=room)
            done += 1
    assert done > count * len(tried) / 4


@pytest.mark.parametrize(("network", "place"), some(PASSES, lambda place: place % 12 == 0))
def test_every_edit_of_a_pass_is_tried(network, place):
    """In networks of this size what all of them take together is no more than is tried."""
    how = making(edited.context_of(network, place))
    assert how is not None
    if how.mean or how.lines.is_sum:
        return
    how = replace(how, shape=how.parts[0].known[how.lines.wanted].shape) if len(how.parts) == 1 else how
    lanes, first = lanes_of(how.lines, how.parts[0].known), (0,) * len(how.shape)
    assert sum(sampled(how, edit, first, lanes, STEPS)[2] for edit in how.edits()) <= MOST_STEPS


def test_what_stays_0_tells_as_much_as_any_other_wrong_number():
    rng = np.random.default_rng(0)
    for size in (2, 4, 40):
        right = rng.uniform(0.5, 2, size)
        expected = Estimate(right, 2.0**-52 * right)
        for digits in (None, 6):
            given, bits = np.round(right, 5) if digits else right.copy(), []
            for wrong in (0.0, 3 * right[0]):
                given[0] = wrong
                bits.append(evidence(expected, given, Precision(digits, None, 2.0**-53)))
            assert abs(bits[0] - bits[1]) <= 5  # printing is up to 10 times as coarse for a number 3 times as large
            assert bits[0] > 15


def test_a_list_of_edits_is_the_same_each_time_and_says_nothing_twice():
    for network, place in random.Random(2).sample(PASSES, 6):
        how = making(edited.context_of(network, place))
        assert how is not None
        said = [
            (edit.wraps, edit.keeps, edit.layout, *(str(change) for change in edit.changes)) for edit in how.edits()
        ]
        assert len(said) == len(set(said))


@pytest.mark.parametrize("network", some(networks(), lambda place: [*networks()][place] == "simple"))
def test_what_a_line_says_does_not_depend_on_the_step(network):
    """A program runs the same line in each: what reads the arrays of its own step is named so in all of them."""
    if len(networks()[network].batches) < 2:
        pytest.skip("the case has one step")
    places = [each for one, each in PASSES if one == network]
    for place in random.Random(4).sample(places, min(8, len(places))):
        first, second = (making(edited.context_of(network, place, step)) for step in (1, 2))
        if first is None or second is None:
            assert first is second is None
            continue
        said = [{new_lines(how.lines, each) for each in how.edits()} for how in (first, second)]
        assert said[0] <= said[1], sorted(said[0] - said[1])[:3]


def judged(count: int, seed: int, among: tuple[str, ...] = ()) -> list[edited.Told]:
    """Random slips, printed in turn in three ways, and what is said of those that show."""
    prints = ("f64", "f32", "6 digits")
    tried = (edited.tried(slip, prints[number % 3]) for number, slip in enumerate(edited.slips(count, seed, among)))
    return [each for each in tried if each is not None]


def held(found: list[edited.Told]) -> None:
    """The bars: no other line is told, nor another place; and the line is among those told wherever it can be."""
    assert not [str(each.slip) for each in found if each.how == "another"]
    assert not [str(each.slip) for each in found if each.wrong_place]
    missed = [str(each.slip) for each in found if each.how == "missed"]
    assert len(missed) <= max(1, 0.1 * len(found)), missed


def test_of_more_lines_than_are_shown_the_others_are_counted():
    """Where there is one image, and one filter of one channel, nearly every letter in place of a 0 is one."""
    network, place = "simple", ("conv1", "dx")
    how = making(edited.context_of(network, place))
    assert how is not None
    old, new = "w[k, c, u, v]", "w[k, c, 0, v]"
    slips = [
        edited.Slip(network, place, each, new_lines(how.lines, each))
        for each in how.edits()
        if new_lines(how.lines, each) == tuple(line.replace(old, new) for line in old_and_new(how.lines, each)[0])
    ]
    told = edited.tried(slips[0])
    assert told is not None
    assert told.how == "among"
    arrays, _ = played(networks()[network], {place: lambda context: making(context).made(slips[0].edit)})
    verdict = check_answer(networks()[network], told_as(arrays))
    line = json.loads(json.dumps(verdict.to_json()))["mistakes"][0]["line"]
    (finding, *_) = verdict.search.findings
    assert len(finding.fits) == 1 + len(line["or"]) + line["more"] > MOST_TOLD
    assert f"or by:  one of {line['more']} more lines" in verdict.text()


@pytest.mark.parametrize("seed", some(range(2), lambda place: place == 0))
def test_a_random_slip_is_told_by_its_line(seed):
    held(judged(4, seed))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2))
def test_no_other_line_is_told_in_modern_networks(seed):
    held(judged(24, seed, MODERN))


@pytest.mark.long
def test_a_slip_that_looks_like_a_known_mistake_in_one_step_is_told_by_its_line():
    """In a network of few numbers, most of them 0, where much looks alike."""
    held(judged(40, 911, ("simple",)))


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_random_slips_are_told_by_their_lines(seed):
    found = judged(60, seed)
    held(found)
    alone = sum(each.how in ("alone", "catalogue") for each in found)
    # The others are told among lines that the case cannot tell apart: about one of five in these networks, of which
    # some are made to show little. Of 50 to 60 slips twice as many are so by chance once in some thousand seeds.
    assert alone >= 0.6 * len(found)


@pytest.mark.parametrize("network", some(["thorough", "smooth"], lambda place: place == 0))
def test_numbers_that_no_edit_makes_are_given_no_line(network):
    rng = np.random.default_rng(3)
    arrays = Student(networks()[network]).arrays()
    for key in [each for each in arrays if each[0] == 1 and each[2] in ("dx", "dw")][:3]:
        given = dict(arrays)
        given[key] = given[key] + rng.normal(size=given[key].shape)
        verdict = check_answer(networks()[network], told_as(given))
        lines = [fit for each in verdict.search.findings for fit in each.fits if isinstance(fit.mistake, EditedLine)]
        assert not lines


@pytest.mark.parametrize(("network", "place"), some(PASSES, lambda place: place % 5 == 0))
def test_a_line_with_a_factor_is_a_line(network, place):
    """Up to where it says what its numbers are, and when it is done."""
    context = edited.context_of(network, place)
    how = making(context)
    assert how is not None
    if not context.expected.any():
        return
    expected, given = exact(context.expected), 100 * context.expected
    told = [line for line, _ in factors.found(context, how.lines, expected, given, estimated([[given]]))]
    assert told
    for line in told:
        for each in line.edited:
            code = each.removesuffix(", once all is added").partition("  (")[0]
            assert len(ast.parse(code).body) == 1
            assert code.count(" = ") + code.count(" += ") + code.count(" -= ") == 1


FIELD = {
    "K02-stride-and-dilation-exchanged": ("conv1.dw", "row = i * dilation[0] + u * stride[0] - padding[0]"),
    "K04-width-bounded-by-height": ("conv2.dw", "if 0 <= row < image[0] and 0 <= column < image[0]:"),
    "K05b-same-with-2x3-windows": ("meanpool1.y", "6 / (2 + 3)"),
    "K12-leaky-on-the-wrong-side-forward": ("leakyrelu1.y", "0 if x[n, c, i, j] <= 0 else slope * x[n, c, i, j]"),
}


@pytest.mark.skipif(not CASES.is_dir(), reason=f"no cases in {CASES}")
@pytest.mark.parametrize("name", some(FIELD, lambda place: place % 2 == 0))
def test_mistakes_that_people_made_are_told_by_their_line(name):
    where, line = FIELD[name]
    verdict = check_answer(read_case(str(CASES / name / "case.json")), read_answer(str(CASES / name / "answer.json")))
    first = json.loads(json.dumps(verdict.to_json()))["mistakes"][0]
    assert where in first["where"]
    assert any(line in each for said in (first["line"]["makes_yours"], *first["line"]["or"]) for each in said)
    assert line in verdict.text()


def test_a_right_text_is_exact_on_fractions_too():
    """The texts that are edited are the library's own."""
    net = pg.Network(pg.Conv(2, size=2), input=(1, 3, 3), dtype=object)
    for array in net.arrays.values():
        array[...] = Fraction(1, 3)
    x = np.full((1, 1, 3, 3), Fraction(1, 2), object)
    assert net.run(x)["conv1"].y[0, 0, 0, 0] == 4 * Fraction(1, 6) + Fraction(1, 3)


@pytest.mark.parametrize(("network", "place"), some(PASSES, lambda place: place % 12 == 0))
def test_an_index_that_slips_in_one_direction_of_the_image_can_slip_in_both(network, place):
    how = making(edited.context_of(network, place))
    assert how is not None
    cells = {
        ast.unparse(new): ast.unparse(at(how.lines.tree, path))
        for edit in how.edits()
        for path, new in edit.changes
        if isinstance(new, ast.Subscript) and isinstance(new.slice, ast.Tuple) and len(new.slice.elts) == 4
    }
    for new, old in cells.items():
        if (array := new.split("[")[0]) != old.split("[")[0]:
            continue
        own, right = (ast.parse(each, mode="eval").body.slice.elts for each in (new, old))
        letters = [ast.unparse(each) for each in right[2:]]
        changed = [axis for axis in range(4) if ast.dump(own[axis]) != ast.dump(right[axis])]
        if changed == [2] and letters in (["i", "j"], ["u", "v"], ["row", "column"]):
            both = [*right[:2], own[2], Turned().visit(copy_of(own[2]))]
            assert f"{array}[{', '.join(ast.unparse(each) for each in both)}]" in cells, new


FUNCTIONS = {
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
}


@pytest.mark.parametrize("name", some(list(FUNCTIONS), lambda place: place == 0))
def test_a_loss_of_a_function_of_the_outputs_is_told(name):
    """Its gradient too, which is not passed back through the function."""
    case = make_case()
    arrays = Student(case).arrays()
    for t, batch in enumerate(case.batches, 1):
        x = FUNCTIONS[name](arrays[t, list(case.net.steps)[-1], "y"])
        p = FUNCTIONS["softmax"](x)
        arrays[t, "loss", "y"] = -(batch.target * np.log(p)).sum(1).mean()
        arrays[t, "loss", "dx"] = (p - batch.target) / len(p)
    verdict = check_answer(case, told_as({key: each for key, each in arrays.items() if key[1] == "loss"}))
    assert verdict.verdict == MISTAKE
    assert f"of {name}(x) in place of x" in verdict.text()


def read_otherwise(layout, context):
    """What a convolution makes going forward, with one of its arrays in another order of axes."""
    if layout.array == "y":
        return next(layout.written(context.expected))
    if layout.array == "x":
        return context.sum(context.terms, x=layout.of(context.x))
    return context.sum(context.terms, w=context.weights | {"w": layout.of(context.weights["w"])})


@pytest.mark.parametrize(
    ("array", "how"),
    some(list(itertools.product("xwy", ("transpose", "reshape", "flat"))), lambda place: place % 4 == 1),
)
def test_an_array_that_is_read_in_another_order_of_axes_is_told(array, how):
    """A file of weights in another framework's order, say, that was reshaped where it had to be transposed."""
    case = make_case()
    step = case.net.steps["conv2"]
    *_, rows, columns = {"x": step.x, "w": step.arrays["w"].shape, "y": step.y}[array]
    smaller = 3 if rows < columns else 2
    layout = Flat(array, smaller, 5 - smaller) if how == "flat" else Order(array, (0, 2, 1, 3), how == "reshape")
    arrays, changed = played(case, {("conv2", "y"): lambda context: read_otherwise(layout, context)})
    assert changed
    verdict = check_answer(case, told_as(arrays))
    assert verdict.verdict == MISTAKE
    assert f"{array} at the flat index" if how == "flat" else f"{array}.{how}(" in verdict.text()
