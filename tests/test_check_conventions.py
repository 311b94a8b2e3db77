"""Conventions: each that is somebody's is right, whole and in part; what is nobody's is a mistake, and is told."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from math import prod
from pathlib import Path

import numpy as np
import pytest

import plaingrad as pg
from bars import chosen, sampled
from diseased import form_of, networks, played, sites
from functions import USUAL
from often import counts, some
from plaingrad.checking.answers.answer import read_answer
from plaingrad.checking.case import Case
from plaingrad.checking.case_file import read_case
from plaingrad.checking.catalogue import CATALOGUE
from plaingrad.checking.check import check_answer
from plaingrad.checking.new_case import make_case
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import Key
from plaingrad.checking.search.products import Terms
from plaingrad.checking.search.scales import scaled
from plaingrad.checking.verdict.verdict import CONVENTION, MISTAKE, RIGHT, Verdict
from plaingrad.compiler.loops import Array
from rights import PRINTS, Right, case_of, mixed, wronged
from students import FLATTENED, ORDERS, WAYS, Student, Ways, flattened, in_print, is_done, told

CASES = Path(__file__).parents[2] / "shared" / "field" / "cases"
PARTS = ("all", "gradients", "weights", "outputs and gradients", "errors", "second step")


LAYERS = (pg.Flatten(), pg.Dense(3))
LOSSES = {  # images, outputs and 2 have no factor in common
    "softmax": make_case(LAYERS, (1, 2, 4), images=5, seed=1),
    "probabilities": make_case((*LAYERS, pg.Softmax()), (1, 2, 4), images=5, seed=2),
    "mean square": make_case(LAYERS, (1, 2, 4), loss=pg.MeanSquaredError(), images=5, seed=3),
    "half square": make_case(LAYERS, (1, 2, 4), loss=pg.HalfSquaredError(), images=5, seed=4),
}


def verdict_on(case: Case, arrays: dict[Key, Array], part: str = "all") -> Verdict:
    """The verdict on a part of what a program made."""
    return check_answer(case, told(chosen(arrays, part, 0)))


def of_network(network: str, arrays: dict[Key, Array], part: str = "all") -> Verdict:
    """The same of a network by its name."""
    return verdict_on(networks()[network], arrays, part)


@cache
def made(network: str, way: str) -> dict[Key, Array]:
    """All that a right program makes in such a way."""
    return Student(networks()[network], ways=WAYS[way]).arrays()


class Factored(Student):
    """A program that multiplies its loss, the loss's gradient, and the gradients of weights by factors."""

    def __init__(self, case: Case, loss: float, gradient: float) -> None:
        super().__init__(case)
        self.loss_factor, self.gradient_factor = loss, gradient

    def _loss(self, x: Array, target: Array) -> tuple[Array, Array]:
        loss, dy = super()._loss(x, target)
        return loss * self.loss_factor, dy * self.gradient_factor


def factors(case: Case) -> dict[str, float]:
    """What may be lost or be too much in a loss: products of images, outputs and 2."""
    images, outputs = case.images, prod(case.net.output)
    powers = itertools.product((-1, 0, 1), (-1, 0, 1), (-1, 0, 1))
    return {str(each): float(images) ** each[0] * float(outputs) ** each[1] * 2.0 ** each[2] for each in powers}


@counts(4, 27, pytest.mark.exhaustive)
@pytest.mark.parametrize("case", LOSSES.values(), ids=list(LOSSES))
@pytest.mark.often(2)
def test_a_product_of_factors_in_no_table_is_a_mistake_however_consistent(case, count):
    known = {1.0} | {each.loss for each in scaled(case.loss, case.images, prod(case.net.output))}
    for words, factor in sampled(factors(case).items(), count):
        verdict = verdict_on(case, in_the_first_step(Factored(case, factor, factor).arrays(), "with gradients"))
        is_known = min(abs(factor / each - 1) for each in known) < 1e-9
        assert verdict.is_right == is_known, (words, factor)
        assert is_known or verdict.verdict == MISTAKE


def in_the_first_step(arrays: dict[Key, Array], part: str) -> dict[Key, Array]:
    """Of a first step all but the outputs of layers, or the loss and the errors."""
    return {
        key: array
        for key, array in arrays.items()
        if key[0] == 1 and (key[1] == "loss" or key[2] == "dx" or (part == "with gradients" and key[2] != "y"))
    }


@counts(2, 100, pytest.mark.exhaustive)
@pytest.mark.parametrize("case", LOSSES.values(), ids=list(LOSSES))
@pytest.mark.often(1)
def test_a_loss_and_a_gradient_that_do_not_belong_together_are_told_with_the_factor_between(case, count):
    known = dict.fromkeys([1.0, *(each.loss for each in scaled(case.loss, case.images, prod(case.net.output)))])
    for loss, gradient in sampled(list(itertools.permutations(known, 2)), count):
        arrays = Factored(case, loss, gradient).arrays()
        for part in ("with gradients", "errors"):
            verdict = verdict_on(case, in_the_first_step(arrays, part))
            assert verdict.verdict == MISTAKE, (part, loss, gradient)
            (note,) = [each for each in verdict.notes if "do not belong together" in each]
            between = gradient / loss
            is_share = between < 1 and abs(round(1 / between) * between - 1) < 1e-9
            assert f"your loss.dx is {f'1/{round(1 / between)}' if is_share else f'{between:.4g}'} ×" in note


@pytest.mark.parametrize("case", LOSSES.values(), ids=list(LOSSES))
@pytest.mark.often(1)
def test_a_loss_or_a_gradient_alone_is_right_at_every_scale_of_the_table(case):
    for each in scaled(case.loss, case.images, prod(case.net.output)):
        if each.error != each.loss or each.slope != 1:
            continue
        arrays = Factored(case, each.loss, each.error).arrays()
        loss = {key: array for key, array in arrays.items() if key == (1, "loss", "y")}
        errors = {key: array for key, array in arrays.items() if key[0] == 1 and key[2] == "dx"}
        assert [verdict_on(case, part).verdict for part in (loss, errors)] == [CONVENTION] * 2


@pytest.mark.parametrize("way", ["errors of each image", "errors of each image, divided in the update"])
def test_who_divides_later_is_right_where_the_answer_shows_it_and_asked_to_show_it_where_not(way):
    arrays = made("thorough", way)
    assert of_network("thorough", arrays).verdict == CONVENTION
    hidden = {key: array for key, array in arrays.items() if key[0] == 1 and (key[1] == "loss" or key[2] == "dx")}
    verdict = of_network("thorough", hidden)
    assert verdict.verdict == MISTAKE
    assert any("include the weights" in note for note in verdict.notes)


@pytest.mark.parametrize("network", ["thorough", "dense", "normalised"])
@pytest.mark.parametrize("printed", ["f64", "6 digits"])
@pytest.mark.often(2)
def test_directions_of_the_step_are_right_where_the_weights_after_it_are_told(network, printed):
    """Without these they are gradients of the wrong sign."""
    case = networks()[network]
    places = {(name, "d" + weight) for name, step in case.net.steps.items() for weight in step.weights}
    arrays = {key: -array if key[1:] in places else array for key, array in Student(case).arrays().items()}
    parts = [
        arrays,
        {key: array for key, array in arrays.items() if key[1:] in places or key[2] in ("w", "b")},
        {key: array for key, array in arrays.items() if key[0] == 1 and key[2] not in ("w", "b")},
    ]
    for part, right in zip(parts, (True, True, False), strict=True):
        verdict = check_answer(case, told(part, printed=in_print(printed)))
        assert verdict.verdict == (CONVENTION if right else MISTAKE), verdict.text()
        assert {each.id for each in (*verdict.conventions, *verdict.mistakes)} == {"negated"}


@pytest.mark.parametrize("which", ["w", "b"])
def test_directions_of_some_arrays_alone_are_no_convention(which):
    case = networks()["thorough"]
    arrays = {key: -array if key[2] == "d" + which else array for key, array in Student(case).arrays().items()}
    assert check_answer(case, told(arrays)).verdict == MISTAKE


def test_divided_by_the_classes_instead_of_the_images_is_named_so_even_where_that_is_twice():
    twice = make_case(LAYERS, (1, 2, 4), images=6, seed=5)
    for case in (LOSSES["softmax"], twice):
        factor = case.images / 3
        verdict = verdict_on(case, Factored(case, factor, factor).arrays())
        assert {each.id for each in verdict.mistakes} == {"divided-by-outputs-instead-of-images"}


@pytest.mark.parametrize(
    ("part", "order"),
    some(
        itertools.product(PARTS, list(FLATTENED)[1:]),
        lambda place: place in (0, 6, 13, 24),
        rarely=pytest.mark.exhaustive,
    ),
)
def test_weights_behind_a_flattening_may_be_in_its_order(part, order):
    for network in ("thorough",):
        arrays = flattened(networks()[network], made(network, "as the case"), FLATTENED[order])
        verdict = of_network(network, arrays, part)
        assert verdict.is_right
        shown = any(
            not np.array_equal(array, made(network, "as the case")[key])
            for key, array in chosen(arrays, part, 0).items()
        )
        assert (verdict.verdict == CONVENTION) == shown
        assert not shown or f"flattened as ({order})" in " ".join(each.title for each in verdict.conventions)


def test_half_permuted_weights_are_no_convention():
    """The gradient is in the order of the flattening, the weights are not: the program does not hold together."""
    arrays = flattened(networks()["thorough"], made("thorough", "as the case"), FLATTENED["row, column, channel"])
    for key in arrays:
        if key[1:] in (("dense1", "w"), ("dense1", "dx")):
            arrays[key] = made("thorough", "as the case")[key]
    assert not of_network("thorough", arrays).is_right


@pytest.mark.parametrize(
    ("network", "which", "part"),
    some(
        itertools.product(["thorough", "square"], ["first", "last"], PARTS),
        lambda place: place in (1, 5, 8, 10),
        rarely=pytest.mark.exhaustive,
    ),
)
def test_any_layers_may_turn_their_kernels_in_every_step(network, which, part):
    case = networks()[network]
    assert of_network(network, Student(case, ways=Ways(turned=which)).arrays(), part).verdict == CONVENTION
    if part in ("all", "gradients", "weights"):
        assert of_network(network, Student(case, ways=Ways(stored_turned=which)).arrays(), part).verdict == CONVENTION


@pytest.mark.parametrize("part", ["gradients", pytest.param("all", marks=pytest.mark.exhaustive)])
@pytest.mark.long
def test_a_turned_gradient_of_weights_that_are_not_is_a_mistake(part):
    wrong = {("conv1", "dw"): form_of("gradient-rotated", 0)}
    arrays, _ = played(networks()["thorough"], wrong)
    assert [each.id for each in of_network("thorough", arrays, part).mistakes] == ["gradient-rotated"]


def test_kernels_kept_turned_are_told_by_what_was_made_with_them_after_a_step():
    """Were their gradient turned by mistake, the next step would have other kernels, and another gradient."""
    for which, name in (("first", "conv1"), ("last", "conv2")):
        arrays = Student(networks()["square"], ways=Ways(stored_turned=which)).arrays()
        answer = told({key: arrays[key] for key in ((2, name, "dw"), (2, "dense1", "dw"))})
        assert check_answer(networks()["square"], answer).verdict == CONVENTION


@pytest.mark.parametrize("order", some(ORDERS, lambda place: place == 6, rarely=pytest.mark.exhaustive))
def test_kernels_may_be_turned_in_any_order_of_axes_where_their_shape_tells_none(order):
    arrays = Student(networks()["square"], ways=Ways(stored_turned="all")).arrays()
    assert check_answer(networks()["square"], told(chosen(arrays, "second step", 0), order)).is_right


@pytest.mark.parametrize("printed", some(PRINTS, lambda place: place == 4, rarely=pytest.mark.exhaustive))
@pytest.mark.long
def test_a_sum_or_a_mean_of_printed_numbers_is_as_exact_as_these(printed):
    """The gradients of a bias for each position, and the loss of each image: more digits than any of them has."""
    case, arrays = networks()["thorough"], made("thorough", "a bias for each position")
    for part in ("gradients", "weights", "all"):
        assert check_answer(case, told(chosen(arrays, part, 0), printed=in_print(printed))).is_right
    case, arrays = LOSSES["softmax"], Student(LOSSES["softmax"]).arrays()
    answer = told(arrays, printed=in_print(printed))
    for t, batch in enumerate(case.batches, 1):
        losses = -(batch.target * np.log(USUAL.softmax(arrays[t, "dense1", "y"]))).sum(axis=1)
        answer[name_of((t, "loss", "y"))] = in_print(printed)(losses)
    assert check_answer(case, answer).verdict == RIGHT


@pytest.mark.parametrize("printed", ["3 digits", pytest.param("4 decimals", marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("case", LOSSES.values(), ids=list(LOSSES))
def test_weights_in_few_digits_show_a_scale_and_the_plainest_is_told(case, printed):
    """The step of an update, a difference of two such weights, has fewer digits than they."""
    for scale in (each for each in scaled(case.loss, case.images, prod(case.net.output)) if len(each.ids) == 1):
        if (scale.error, scale.slope, scale.rate) != (scale.loss, 1, 1):
            continue
        arrays = Factored(case, scale.loss, scale.error).arrays()
        verdict = check_answer(case, told(chosen(arrays, "weights", 0), printed=in_print(printed)))
        assert verdict.is_right
        assert all(each.title == scale.title for each in verdict.conventions)


@pytest.mark.parametrize(
    "way", ["a sum over the batch", pytest.param("errors of each image", marks=pytest.mark.exhaustive)]
)
def test_one_program_may_have_several_conventions(way):
    for other in (Ways(positions=True), Ways(turned="all")):
        changed = {name: value for name, value in vars(other).items() if value != getattr(Ways(), name)}
        arrays = Student(networks()["thorough"], ways=replace(WAYS[way], **changed)).arrays()
        assert of_network("thorough", arrays).verdict == CONVENTION, changed


@pytest.mark.parametrize(
    ("way", "flat", "part", "network", "seed"),
    [
        ("kernels stored turned", "channel, column, row", "weights", "square", 25),
        ("a bias for each position", "channel, column, row", "gradients", "single", 57),
        ("errors of each image, divided in the update", "row, column, channel", "most", "square", 22),
    ],
)
@pytest.mark.often(1)
def test_of_two_conventions_neither_hides_the_other(way, flat, part, network, seed):
    """One of them alone leaves what follows from the other wrong, or makes it agree by chance."""
    right = Right(network, 1, "student", "float32", way, "NHWC", "f32", part, seed, flat)
    assert wronged(right) is None


@pytest.mark.parametrize("part", ["all", "outputs and gradients", "gradients"])
@pytest.mark.parametrize("network", sorted(networks()))
@pytest.mark.often(5)
def test_a_true_convolution_may_be_laid_out_backwards(network, part):
    """In Julia's order maps with as many rows as columns look like maps turned over, and kernels like turned ones."""
    for ties in (None, 1):
        right = Right(network, ties, "student", "float32", "a true convolution", "Julia", "f32", part)
        assert not is_done(case_of(network, ties), right.way) or wronged(right) is None


WEIGHTED = make_case(
    LAYERS, (1, 2, 4), loss=pg.WeightedCrossEntropy(class_weights=(1, 2.25, 0.3), label_smoothing=0.1), images=5, seed=6
)
WEIGHTED = replace(  # its images weigh less in the second step
    WEIGHTED,
    batches=tuple(
        replace(each, target=each.target[[0, 1, 2, t + 1, t + 1]]) for t, each in enumerate(WEIGHTED.batches)
    ),
)
DIVIDED = {  # by what the mean is larger, of the weight of all targets of a step and the number of images
    "by the images": lambda weight, images: weight / images,
    "by nothing": lambda weight, images: weight,
    "by the images, and not by the weights": lambda weight, images: images,
    "by the weights again": lambda weight, images: 1 / weight,
    "by both": lambda weight, images: 1 / images,
}


@pytest.mark.parametrize("way", DIVIDED)
@pytest.mark.parametrize("part", ["all", *some(["gradients", "errors"], lambda place: False)])
def test_a_weighted_loss_may_be_divided_by_the_images_or_not_at_all(way, part):
    """As Keras does, and as whoever takes a sum; in both cases its gradient has to be."""
    case = WEIGHTED
    weights = [case.loss.count(batch.target) for batch in case.batches]

    def divided(context):
        step = min(context.step, len(weights))  # what the last step leads to is computed of its images once more
        return np.asarray(context.expected) * DIVIDED[way](weights[step - 1], case.images)

    arrays, _ = played(case, {("loss", "y"): divided, ("loss", "dx"): divided})
    verdict = verdict_on(case, arrays, part)
    assert verdict.verdict == (CONVENTION if way in ("by the images", "by nothing") else MISTAKE)
    alone, _ = played(case, {("loss", "y"): divided})
    verdict = verdict_on(case, alone)
    assert (verdict.verdict, {finding.key[1:] for each in verdict.mistakes for finding in each.findings}) == (
        MISTAKE, {("loss", "y")}
    )  # fmt: skip


def test_right_answers_in_mixed_conventions():
    answers = list(mixed(6, seed=20))
    assert not [(each, said) for each in answers if (said := wronged(each))]


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(30))
def test_three_thousand_right_answers_in_mixed_conventions(seed):
    assert not [(each, said) for each in mixed(100, seed) if (said := wronged(each))]


def test_the_table_of_ways_has_every_scale_of_the_losses():
    """Of those the checker accepts none is left untried."""
    for case in LOSSES.values():
        ways = {way: Student(case, ways=WAYS[way]).arrays()[1, "loss", "y"] for way in WAYS if is_done(case, way)}
        tried = {round(float(loss / ways["as the case"]), 9) for loss in ways.values()}
        assert {round(each.loss, 9) for each in scaled(case.loss, case.images, prod(case.net.output))} <= tried


@pytest.mark.parametrize(
    ("case", "verdict", "words"),
    [
        ("K14-loss-is-a-mean-gradient-a-sum", MISTAKE, "your loss.dx is 4 × the gradient of your loss"),
        ("K14b-loss-is-a-sum-gradient-a-mean", MISTAKE, "your loss.dx is 1/4 × the gradient of your loss"),
        ("R-called_right_S08_deep", MISTAKE, "divided by the number of outputs (classes) instead of"),
        ("R-wrong_flatten_nhwc_padmean", CONVENTION, "flattened as (row, column, channel)"),
        ("R-wrong_trueconv_first_layers2_gradients", CONVENTION, "a true convolution"),
    ],
)
@pytest.mark.often(2)
def test_answers_from_the_field(case, verdict, words):
    if not (CASES / case).is_dir():
        pytest.skip(f"{CASES} is not there")
    found = check_answer(read_case(str(CASES / case / "case.json")), read_answer(CASES / case / "answer.json"))
    assert found.verdict == verdict
    assert words in found.text()


def forward_alone(id: str, form: int) -> Callable[[Context], Array | None]:
    """A way that a program takes going forward; going back it takes the case's."""

    def wrong(context: Context) -> Array | None:
        made = form_of(id, form)(context)
        return context.sum(made) if isinstance(made, Terms) else made

    return wrong


@pytest.mark.parametrize("network", some(networks(), lambda place: place == 4))
def test_another_way_that_the_gradients_do_not_keep_to_is_one_mistake(network: str) -> None:
    """Of the forward pass, or of the one array that goes back otherwise; where nothing does it is no mistake."""
    case, told_as_mistakes = networks()[network], 0
    for site in sites(network):
        if site.place[1] != "y" or not CATALOGUE[site.id].convention or site.place[0] == "loss":
            continue
        arrays, changed = played(case, {site.place: forward_alone(site.id, site.form)})
        if changed:
            verdict = check_answer(case, told(arrays))
            named = {each.key[1:]: each.best for each in verdict.search.findings}
            assert all(named.values()), (site, verdict.text())
            wrong = {place for place, fit in named.items() if fit and not fit.mistake.convention}
            assert len(wrong) <= 1, (site, verdict.text())
            assert {layer for layer, _ in named} == {site.place[0]}, (site, verdict.text())
            told_as_mistakes += verdict.verdict == MISTAKE
    assert told_as_mistakes or not any(isinstance(step.layer, pg.Conv) for step in case.net.steps.values())


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.often(2)
def test_a_gradient_that_holds_that_of_the_softmax_is_a_mistake_if_it_is_sent_through_the_softmax(part: str) -> None:
    """It is right alone, and if the softmax passes it on; with nothing but errors behind it, too."""
    case = make_case((pg.Conv(2, size=2), pg.Flatten(), pg.Dense(4), pg.ReLU(), pg.Dense(3), pg.Softmax()), (1, 4, 3))
    fused = {("loss", "dx"): lambda context: (context.x - context.target) / context.images}
    passed_on = {("softmax1", "dx"): lambda context: context.dy}
    wrong, right = played(case, fused)[0], played(case, fused | passed_on)[0]
    verdict = check_answer(case, told(chosen(wrong, part, 0)))
    assert verdict.verdict == MISTAKE
    assert verdict.search.findings[0].best is not None
    assert check_answer(case, told(chosen(right, part, 0))).is_right
    before = {key: array for key, array in wrong.items() if key[0] == 1 and (key[1] == "loss" or key[2] == "y")}
    assert check_answer(case, told(before)).is_right


def test_few_arrays_that_are_less_exact_than_all_others_are_told() -> None:
    """A small number within a logarithm, say; where all arrays are in float32 there is nothing to tell."""
    case = make_case()
    arrays = Student(case).arrays()
    with_epsilon = {key: array * (1 + 1e-7) if key[1:] == ("loss", "y") else array for key, array in arrays.items()}
    verdict = check_answer(case, told(with_epsilon))
    assert verdict.is_right
    (note,) = [each for each in verdict.notes if "a small number added" in each]
    assert note.startswith("loss, step2.loss: off by 1.0e-07")
    for right in (told(arrays), told(Student(case, np.float32).arrays())):
        assert not any("a small number added" in each for each in check_answer(case, right).notes)


@pytest.mark.parametrize(("seed", "bias"), [(0, -0.8), (1, -0.5), (2, -1.2)])
@pytest.mark.often(2)
def test_zeros_are_no_sign_of_another_way(seed: int, bias: float) -> None:
    """Gradients that are 0 because all units before them are dead, in a step whose weights are not told."""
    layers = (pg.Conv(2, padding=1), pg.Sigmoid(), pg.Conv(2, padding=1), pg.ReLU(), pg.Flatten(), pg.Dense(4))
    case, rng = make_case(layers, (1, 4, 4), seed=seed), np.random.default_rng(0)
    case.net.arrays["conv2.b"][...] = bias  # some sums are above 0 as the case has it, and none in other ways
    answer = {}
    for name in ("conv1", "conv2"):
        for weight, array in case.net.steps[name].arrays.items():
            answer[f"step2.{name}.d{weight}"] = np.zeros(array.shape)
    answer["step2.dense1.db"] = rng.normal(size=4)
    verdict = check_answer(case, answer)
    assert verdict.unclear
    assert not verdict.conventions


def turned_gradients() -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Weights with two axes of one length, whose gradients can be turned by mistake and keep their shape."""
    for network in ("simple", "features", "square", "norms"):
        for name, step in networks()[network].net.steps.items():
            shape = step.arrays["w"].shape if "w" in step.weights else ()
            for axes in itertools.combinations(range(len(shape)), 2):
                if len(shape) > 1 and shape[axes[0]] == shape[axes[1]] > 1:
                    yield network, name, axes


@pytest.mark.parametrize("part", ["all", "gradients", "outputs and gradients"])
@counts(2, 100)
def test_a_gradient_that_is_turned_is_wrong_itself_and_leads_no_other_array(count: int, part: str) -> None:
    """It agrees in another order, which then is no order of the weights: these would be wrong in it, and more."""
    for network, name, axes in sampled(turned_gradients(), count):
        arrays, _ = played(
            networks()[network], {(name, "dw"): lambda context, axes=axes: context.expected.swapaxes(*axes)}
        )
        verdict = check_answer(networks()[network], told(chosen(arrays, part, 0)))
        assert (verdict.verdict, verdict.first_wrong) == ("mistake", f"{name}.dw"), (network, axes)


@pytest.mark.parametrize("off", [0.003, 0.0005])
@pytest.mark.parametrize("case", LOSSES.values(), ids=list(LOSSES))
def test_a_loss_that_is_nearly_a_usual_factor_off_is_not_said_to_be(case: Case, off: float) -> None:
    """Of exact numbers 3.007 is not 3: the loss is another function, which belongs to any gradient or none."""
    for usual in (case.images, 1 / case.images, 2.0):
        arrays, _ = played(case, {("loss", "y"): lambda context, usual=usual: context.expected * usual * (1 + off)})
        verdict = verdict_on(case, in_the_first_step(arrays, "with gradients"))
        assert not any("do not belong together" in each for each in verdict.notes), (usual, verdict.notes)
