"""Quantities that no number can be held against: wrong shapes, nan and infinity, no arrays. The others are judged."""

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plaingrad as pg
from diseased import PLAIN, UNIT, Wrong, networks, played
from often import some
from plaingrad.checking import Verdict, check_answer, make_case, read_case
from plaingrad.checking.answers.answer import parse_answer, read_answer
from plaingrad.checking.case import Batch, Case
from plaingrad.checking.classroom.row import seen
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import exact
from plaingrad.checking.search.uncertainty import Program
from plaingrad.checking.verdict.hint import HINTS
from plaingrad.checking.verdict.page import page_html
from plaingrad.checking.verdict.verdict import MISTAKE, RIGHT, UNCLEAR
from plaingrad.compiler.loops import Array
from plaingrad.textbook.record import json_text
from strange import STRANGE
from students import Student, told

CASES = Path(__file__).parents[2] / "shared" / "field" / "cases"
HERE = CASES.is_dir()
needs_cases = pytest.mark.skipif(not HERE, reason=f"{CASES} is not there")
ANSWERS = sorted(each for each in CASES.glob("*/answer*.json") if (each.parent / "case.json").exists()) if HERE else []
DEFAULT = make_case(PLAIN, (2, 11, 9), images=4)


def said(case: Case, answer: dict[str, Any], in_all_forms: bool = False) -> Verdict:
    """The verdict: no warning is raised, and what it prints holds together; a page takes its time."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        verdict = check_answer(case, answer)
        if in_all_forms:
            held_together(verdict)
        assert verdict.first_wrong in {None, *(row.name for row in verdict.rows)}
        assert bool(verdict.sections) == (not verdict.is_right)
    return verdict


def held_together(verdict: Verdict) -> None:
    """Text, page and JSON say the same, the header names what is told first, and a class's row and hints tell of it."""
    text, page, as_json = verdict.text(), page_html(verdict), json.loads(json_text(verdict.to_json()))
    assert bool(as_json["mistakes"] or as_json["unclear"]) == (not verdict.is_right)
    assert verdict.first_wrong in (None, *(row.name for row in verdict.rows)) or verdict.mistakes
    sections = text.split("\n\n")[1:-1]
    if verdict.first_wrong:  # the header names what is told first
        assert verdict.first_wrong in text.splitlines()[0]
        assert sections[0].startswith(verdict.first_wrong), sections[0]
    for each in (*(other for named in verdict.mistakes for other in named.uncompared), *verdict.uncompared):
        assert all(line in text for line in each.told)
        assert each.advice in text
        assert each.advice.replace("'", "&#39;") in page
    assert all(line.isprintable() for line in text.splitlines())
    for hint in HINTS:
        assert len(seen(verdict, hint)["mistakes"]) == len(verdict.mistakes)
        assert verdict.text(hint=hint).startswith(text.splitlines()[0].partition(":")[0])


def right(case: Case) -> dict[str, Any]:
    return dict(told(Student(case).arrays()))


def only(case: Case, name: str, given: Any) -> Verdict:
    """The verdict where one quantity is given otherwise; all others are judged, and agree."""
    verdict = said(case, right(case) | {name: given})
    others = {row.name: row.status for row in verdict.rows if row.name != name}
    assert set(others.values()) == {"agrees"}, others
    assert len(others) == len(right(case)) - 1
    return verdict


def with_one(array: Array, value: float) -> Array:
    """The array with one number, the second if it has two, made another."""
    array = np.array(array, float)
    array.reshape(-1)[min(1, array.size - 1)] = value
    return array


def ids(verdict: Verdict) -> list[str]:
    return [each.id for each in verdict.mistakes]


def told_of(verdict: Verdict) -> str:
    every = [*(each for named in verdict.mistakes for each in named.uncompared), *verdict.uncompared]
    return "\n".join(line for each in every for line in each.told)


# The cases that were found


@needs_cases
@pytest.mark.parametrize(
    "file",
    some(ANSWERS, lambda place: place % 5 == 0, lambda file: f"{file.parent.name}/{file.stem}", pytest.mark.exhaustive),
)
@pytest.mark.often(1)
def test_no_warning_comes_out_of_any_case_that_was_found(file: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        held_together(check_answer(read_case(str(file.parent / "case.json")), read_answer(file)))


def found(name: str, answer: str = "answer") -> Verdict:
    return check_answer(read_case(str(CASES / name / "case.json")), read_answer(CASES / name / f"{answer}.json"))


@needs_cases
def test_a_gradient_of_the_size_of_the_kernel_is_read() -> None:
    verdict = found("K08-kernel-sized-dx")
    assert (verdict.verdict, verdict.first_wrong, ids(verdict)) == (MISTAKE, "conv2.dx", ["kernel-sized"])
    assert "4×5×3×3 in place of 4×3×5×4: this is images × filters × kernel" in told_of(verdict)
    assert {row.status for row in verdict.rows if row.name != "conv2.dx"} == {"agrees"}


@needs_cases
def test_padding_that_was_left_on_is_read_and_what_is_within_is_compared() -> None:
    verdict = found("K08b-padding-left-on-dx")
    assert (verdict.verdict, verdict.first_wrong, ids(verdict)) == (MISTAKE, "conv1.dx", ["padding-left-on"])
    assert "13×11 is 11×9 with the padding of 1 on each side: cut it off" in told_of(verdict)
    assert "its numbers are right" in told_of(verdict)
    assert {row.status for row in verdict.rows if row.name != "conv1.dx"} == {"agrees"}


@needs_cases
def test_the_cause_of_a_loss_that_is_nan_is_found() -> None:
    verdict = found("K10-loss-is-nan", "answer-0-log-0")
    assert (verdict.verdict, verdict.first_wrong, ids(verdict)) == (MISTAKE, "loss", ["zero-times-log-zero"])
    assert {row.status for row in verdict.rows if row.name != "loss"} == {"agrees"}
    assert len(verdict.rows) == 28


@needs_cases
def test_rounding_allows_no_silly_number() -> None:
    assert "(rounding allows 8e-15)" in found("K16-silly-number").text()


@needs_cases
def test_the_header_names_what_is_told_first() -> None:
    held_together(found("K07-labels-from-one"))


@needs_cases
def test_what_overflows_because_of_a_mistake_before_only_follows() -> None:
    verdict = found("R-warn_dilated")
    assert ids(verdict) == ["softmax-part", "divided-by-probability-zero"]  # 0/0 where it should be 0
    assert verdict.first_wrong == "softmax1.dx"
    assert {row.name: row.status for row in verdict.rows}["step2.loss"] == "follows"


# Shapes


def contexts_of(case: Case) -> Iterator[Context]:
    """Every pass of a right program, from the arrays that it answers."""
    program, arrays = Program(case, UNIT), Student(case).arrays()
    env = program.start()
    for key in program.keys:
        yield Context(program, key, env, program.value(key, env))
        env[key] = exact(np.asarray(arrays[key]))


def each_image(context: Context) -> Array:
    """A gradient of weights for each image by itself, summed over the positions."""
    return np.stack([context.of_error(context.only_images(n)) for n in range(context.images)])


def misshapen(context: Context) -> Iterator[tuple[str, Array]]:
    """Arrays of a wrong shape as programs make them, and what they are called."""
    right, window = context.expected, context.window
    if context.quantity == "dx" and window is not None:
        margins = window.margins
        if any(map(any, margins)):
            yield "padding-left-on", np.pad(right, ((0, 0), (0, 0), *margins), constant_values=0.25)
        reach = [
            min(size, (n - 1) * stride + (k - 1) * d + 1 - before)
            for size, n, stride, k, d, (before, _) in zip(
                right.shape[2:], context.dy.shape[2:], window.stride, window.size, window.dilation, margins, strict=True
            )
        ]
        if tuple(reach) != right.shape[2:] and min(reach) > 1:
            yield "too-small", right[:, :, : reach[0], : reach[1]]
        if margins[0] == (0, 0):
            yield "empty-array", right[:, :, 0:-0]
    if context.way in ("dw", "db") and context.images > 1:
        yield "not-summed-over-images", each_image(context)
        if context.way == "db" and context.dy.ndim == 4:
            yield "not-summed-over-images-and-rows-and-columns", context.dy
    if context.way in ("y", "dx") and context.images > 1 and right.ndim > 1 and context.kind != "Flatten":
        yield "no-axis-of-images", right.sum(axis=0)
        if right.ndim == 4:
            yield "other-axes", right.reshape(-1, *right.shape[2:])
    if context.way == "dw" and right.ndim == 2 and "b" in context.weights:
        bias = np.atleast_1d(context.dy.sum(axis=0))
        yield "bias-appended", np.column_stack([right, bias])
        yield "bias-appended", np.column_stack([bias, right])
    if context.quantity == "y" and right.ndim == 4 and min(right.shape[2:]) > 2:
        yield "too-small", right[:, :, 1:-1, 1:-1]


@pytest.mark.parametrize("network", networks())
@pytest.mark.often(2)
def test_wrong_shapes_are_read_and_all_else_is_judged(network: str) -> None:
    case, seen = networks()[network], set[tuple[str, str]]()
    for context in contexts_of(case):
        for id, array in misshapen(context):
            kind = (context.quantity, id)
            if kind in seen or context.step > 1 or array.shape == context.expected.shape or not array.any():
                continue
            if array.size != 0 and np.count_nonzero(array) < 3:
                continue  # one or two numbers may be chance
            seen.add(kind)
            verdict = only(case, name_of(context.key), array)
            assert (verdict.verdict, ids(verdict)) == (MISTAKE, [id]), (kind, array.shape, verdict.text())
            assert verdict.first_wrong == name_of(context.key)


def test_every_reading_of_a_shape_occurs() -> None:
    assert {id for case in networks().values() for context in contexts_of(case) for id, _ in misshapen(context)} == {
        "padding-left-on", "too-small", "empty-array", "not-summed-over-images", "no-axis-of-images", "other-axes",
        "not-summed-over-images-and-rows-and-columns", "bias-appended",
    }  # fmt: skip


@pytest.mark.parametrize("network", some(networks(), lambda place: place in (2, 5), rarely=pytest.mark.exhaustive))
@pytest.mark.often(1)
def test_noise_of_a_wrong_shape_has_no_name(network: str) -> None:
    """Whatever the shape, also one that a mistake makes: numbers that are not those have no certain reading."""
    case, rng = networks()[network], np.random.default_rng(3)
    arrays = Student(case).arrays()
    for key in rng.permutation(list(arrays))[:3]:
        key = (int(key[0]), str(key[1]), str(key[2]))
        given = np.asarray(arrays[key])
        shapes = {tuple(size + 1 for size in given.shape), (case.images, *given.shape), given.shape[1:], (3, 4)}
        for shape in shapes:
            noise = rng.normal(size=shape)
            if noise.size == given.size or (noise.ndim > 1 and noise.squeeze().shape == given.squeeze().shape):
                continue
            if key[1:] == ("loss", "y") and noise.shape == (case.images,):
                continue  # the loss of each image
            verdict = only(case, name_of(key), noise)
            assert (verdict.verdict, ids(verdict)) == (UNCLEAR, []), (key, shape, verdict.text())


def test_shapes_with_the_channels_last_are_read_too() -> None:
    case = make_case(PLAIN, (2, 11, 9), images=4, seed=8)
    order = {"maps": (0, 2, 3, 1)}
    answer = {
        name: np.transpose(array, order["maps"]) if array.ndim == 4 and name.endswith((".y", ".dx")) else array
        for name, array in right(case).items()
    }
    given = np.pad(answer["conv1.dx"], ((0, 0), (1, 1), (1, 1), (0, 0)))
    verdict = said(case, answer | {"conv1.dx": given})
    assert ids(verdict) == ["padding-left-on"]
    assert {row.status for row in verdict.rows if row.name != "conv1.dx"} <= {"agrees"}


@pytest.mark.parametrize("digits", [6, 9, None])
@pytest.mark.often(1)
def test_a_gradient_for_each_image_that_was_printed_is_read(digits: int | None) -> None:
    for context in contexts_of(DEFAULT):
        if context.way in ("dw", "db") and context.step == 1:
            answer = right(DEFAULT) | {name_of(context.key): each_image(context)}
            if digits:
                answer = {
                    name: np.array([float(f"{each:.{digits}g}") for each in array.ravel()]).reshape(array.shape)
                    for name, array in answer.items()
                }
            verdict = said(DEFAULT, answer)
            assert ids(verdict) == ["not-summed-over-images"], verdict.text()
            assert "sum over the images" in told_of(verdict)


def test_what_is_wrong_within_the_padding_is_named_too() -> None:
    arrays, _ = played(DEFAULT, {("conv1", "dx"): lambda context: -context.expected})
    answer = dict(told(arrays))
    verdict = said(DEFAULT, answer | {"conv1.dx": np.pad(answer["conv1.dx"], ((0, 0), (0, 0), (1, 1), (1, 1)))})
    assert verdict.verdict == MISTAKE
    assert "padding-left-on" in ids(verdict)
    assert len(ids(verdict)) == 2


def test_what_is_wrong_within_the_padding_without_a_name_is_unclear_and_what_follows_follows() -> None:
    layers = (pg.Conv(2, size=3, padding=1), pg.ReLU(), pg.Conv(3, size=3, padding=1), pg.Flatten(), pg.Dense(4))
    case = make_case(layers, (1, 6, 5), images=2, steps=1)
    arrays, _ = played(case, {("conv2", "dx"): STRANGE["noise"]})
    answer = dict(told(arrays))
    verdict = said(case, answer | {"conv2.dx": np.pad(answer["conv2.dx"], ((0, 0), (0, 0), (1, 1), (1, 1)))})
    assert (verdict.verdict, verdict.first_wrong) == (UNCLEAR, "conv2.dx")
    assert "padding" in told_of(verdict)
    assert {row.name for row in verdict.rows if row.status == "wrong"} == {"conv2.dx"}
    assert {row.name for row in verdict.rows if row.status == "follows"} >= {"relu1.dx", "conv1.dw"}


def test_an_output_of_a_window_with_other_settings_is_read() -> None:
    case = make_case((pg.Conv(3, size=3, stride=2, padding=1), pg.Tanh(), pg.Flatten(), pg.Dense(4)), (2, 9, 8))
    other = make_case(
        (pg.Conv(3, size=3, stride=1, padding=1), pg.Tanh(), pg.Flatten(), pg.Dense(4)), (2, 9, 8), images=case.images
    )
    for name in ("conv1.w", "conv1.b"):
        other.net.arrays[name][...] = case.net.arrays[name]
    other = replace(other, batches=tuple(replace(batch, x=own.x) for batch, own in zip(other.batches, case.batches)))  # noqa: B905
    verdict = only(case, "conv1.y", right(other)["conv1.y"])
    assert ids(verdict) == ["other-window"]
    assert "an output with a stride of 1" in told_of(verdict)


def test_another_array_under_a_name_is_recognised() -> None:
    answer = right(DEFAULT)
    for name, other in (("conv2.dx", "conv2.y"), ("conv1.dw", "conv2.dw"), ("relu1.dx", "conv1.dx")):
        verdict = only(DEFAULT, name, answer[other])
        assert ids(verdict) == ["another-array"]
        assert f"it is {other}" in told_of(verdict)


def test_a_loss_in_parts_and_the_true_class_alone_are_read() -> None:
    answer = right(DEFAULT)
    target, scores = DEFAULT.batches[0].target, answer["dense1.y"]
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    verdict = only(DEFAULT, "loss", -target * np.log(p))
    assert ids(verdict) == ["loss-in-parts"]
    verdict = only(DEFAULT, "loss.dx", answer["loss.dx"][np.arange(DEFAULT.images), target.argmax(axis=1)])
    assert ids(verdict) == ["true-class-alone"]


# No arrays


UNREAD = [
    ('[[1, 2], [3]]', "conv1.dw[1] has 1 entry and conv1.dw[0] has 2"),
    ('"nothing"', "conv1.dw is the text 'nothing'"),
    ('[1, "0.5"]', "conv1.dw[1] is the text '0.5'"),
    ("[true]", "conv1.dw[0] is true"),
    ("[[1, 2], [[1], [2]]]", "conv1.dw[1,0] is a list and conv1.dw[0,0] is a number"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "words"), UNREAD)
def test_what_is_no_array_has_a_row_and_the_others_are_judged(given: str, words: str) -> None:
    answer = right(DEFAULT)
    text = json.dumps({name: array.tolist() for name, array in answer.items() if name != "conv1.dw"})
    verdict = check_answer(DEFAULT, parse_answer(f'{text[:-1]}, "conv1.dw": {given}}}', "it"))
    held_together(verdict)
    assert (verdict.verdict, verdict.first_wrong) == (UNCLEAR, "conv1.dw")
    assert words in verdict.text()
    statuses = dict.fromkeys(answer, "agrees") | {"conv1.dw": "not judged"}
    assert {row.name: row.status for row in verdict.rows} == statuses


@pytest.mark.parametrize("given", [1j, np.array([1j]), "text", [[1, 2], [3]], object(), {1, 2}, np.array(["x"]), True])
def test_values_of_python_that_are_no_arrays_have_a_row(given: Any) -> None:
    verdict = only(DEFAULT, "conv2.dw", given)
    assert (verdict.verdict, verdict.first_wrong) == (UNCLEAR, "conv2.dw")


def test_first_weights_that_are_no_arrays_are_noted() -> None:
    """The case gives them: they are not compared."""
    verdict = said(DEFAULT, right(DEFAULT) | {"conv1.w": "text", "conv2.w": np.ones((2, 2))})
    assert verdict.verdict == RIGHT
    assert any("conv1.w is the text" in note for note in verdict.notes)
    assert any("conv2.w got the shape 2×2" in note for note in verdict.notes)


def test_tables_and_archives_that_are_no_arrays_have_a_row(tmp_path: Path) -> None:
    np.savez(tmp_path / "answer.npz", **(right(DEFAULT) | {"conv2.dw": np.array([1j])}))
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "loss.csv").write_text(repr(float(right(DEFAULT)["loss"])))
    (folder / "conv2.dw.csv").write_text("1,x\n")
    for path in (tmp_path / "answer.npz", folder):
        verdict = check_answer(DEFAULT, read_answer(path))
        held_together(verdict)
        assert {row.status for row in verdict.rows if row.name != "conv2.dw"} == {"agrees"}
        assert (verdict.verdict, verdict.first_wrong) == (UNCLEAR, "conv2.dw")


# Numbers that are not finite


def bright(case: Case, factor: float = 4096.0, image: int = 1) -> Case:
    """The same case with one image so bright that scores are large."""
    batches = []
    for batch in case.batches:
        x = batch.x.copy()
        x[image] *= factor
        batches.append(Batch(x, batch.target))
    return replace(case, batches=tuple(batches))


def probabilities(x: Array, largest: Any) -> Array:
    e = np.exp(x - largest)
    p: Array = e / e.sum(axis=1, keepdims=True)
    return p


def stable(context: Context) -> Array:
    return probabilities(context.x, context.x.max(axis=1, keepdims=True))


def cross_entropy(p: Array, target: Array) -> Array:
    return np.array(np.mean(-(target * np.log(p)).sum(axis=1)))


def with_softmax(largest: Callable[[Array], Any]) -> dict[tuple[str, str], Wrong]:
    def p(context: Context) -> Array:
        return probabilities(context.x, largest(context.x))

    return {
        ("loss", "y"): lambda context: cross_entropy(p(context), context.target),
        ("loss", "dx"): lambda context: (p(context) - context.target) / context.images,
    }


SOFTMAX = {
    "zero-times-log-zero": {("loss", "y"): lambda context: cross_entropy(stable(context), context.target)},
    "exp-overflow": with_softmax(lambda x: 0),
    "maximum-of-the-batch": with_softmax(np.max),
}


@pytest.mark.parametrize("id", SOFTMAX)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("single", [False, True])
def test_the_cause_of_nan_in_a_softmax_loss_is_named(id: str, seed: int, single: bool) -> None:
    case = bright(make_case(seed=seed, steps=1))
    arrays, _ = played(case, SOFTMAX[id], single=single)
    broken = {name_of(key) for key, array in arrays.items() if not np.isfinite(array).all()}
    assert broken
    verdict = said(case, dict(told(arrays)))
    assert ids(verdict) == [id], verdict.text()
    assert set(verdict.mistakes[0].where) <= {"loss", "loss.dx"}
    status = {row.name: row.status for row in verdict.rows}
    assert {name for name, each in status.items() if each == "wrong"} == set(verdict.mistakes[0].where)
    assert {status[name] for name in broken - set(verdict.mistakes[0].where)} <= {"follows"}
    assert all(each == "agrees" for name, each in status.items() if name.endswith(".y"))


def test_a_loss_that_is_nan_for_one_of_several_reasons_says_all_of_them() -> None:
    case = bright(make_case(steps=1))
    arrays, _ = played(case, SOFTMAX["exp-overflow"])
    answer = {name: array for name, array in told(arrays).items() if name.endswith(".y") or name == "loss"}
    verdict = said(case, answer)
    assert (verdict.verdict, verdict.first_wrong, ids(verdict)) == (UNCLEAR, "loss", [])
    assert "it may come from one of these" in told_of(verdict)
    assert "0 × log 0" in told_of(verdict)
    assert "exp of a large score overflows" in told_of(verdict)


def test_a_nan_that_nothing_explains_is_not_guessed_at() -> None:
    """Scores are small here: no exponential overflows."""
    for name in list(right(DEFAULT))[::9]:
        answer = right(DEFAULT)
        answer[name] = with_one(answer[name], np.nan)
        verdict = said(DEFAULT, answer)
        assert (verdict.verdict, verdict.first_wrong, ids(verdict)) == (UNCLEAR, name, [])
        assert {row.name for row in verdict.rows if row.status == "wrong"} == {name}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.often(1)
def test_what_comes_before_a_nan_is_judged(value: float) -> None:
    arrays, _ = played(DEFAULT, {("relu1", "y"): lambda context: np.maximum(context.x, 0) * 2})
    answer = dict(told(arrays))
    answer["loss.dx"] = answer["loss.dx"].copy()
    answer["loss.dx"][0, 0] = value
    verdict = said(DEFAULT, answer)
    assert verdict.first_wrong == "relu1.y"
    assert verdict.rows


def whiten(case: Case) -> Case:
    """The same case with a corner of zeros in each image, and no bias: windows of zeros."""
    batches = []
    for batch in case.batches:
        x = batch.x.copy()
        x[:, :, :6, :6] = 0
        batches.append(Batch(x, batch.target))
    for name, array in case.net.arrays.items():
        if name.endswith(".b"):
            array[...] = 0
    return replace(case, batches=tuple(batches))


def pooled(pool: Any) -> Case:
    layers = (pg.Conv(3, size=3, padding=1), pg.ReLU(), pool, pg.Conv(2, size=2), pg.Flatten(), pg.Dense(3))
    return whiten(make_case(layers, (2, 9, 8), steps=1))


def test_zero_over_zero_in_a_pool_of_norms_is_named() -> None:
    case = pooled(pg.L2Pool(2))

    def unguarded(context: Context) -> Array:
        made = np.zeros_like(context.x)
        window = context.window.over(context.x.shape[1:])
        for i, j in np.ndindex(*context.y.shape[2:]):
            for _, _, row, column in window(i, j):
                made[:, :, row, column] += context.dy[:, :, i, j] * context.x[:, :, row, column] / context.y[:, :, i, j]
        return made

    arrays, _ = played(case, {("l2pool1", "dx"): unguarded})
    verdict = said(case, dict(told(arrays)))
    assert (ids(verdict), verdict.first_wrong) == (["zero-over-zero"], "l2pool1.dx")


def test_a_division_by_a_count_of_zero_is_named() -> None:
    case = pooled(pg.MeanPool(2))

    def counted(context: Context) -> Array:
        window = context.window.over(context.x.shape[1:])
        made = np.zeros_like(context.expected)
        for i, j in np.ndindex(*made.shape[2:]):
            places = list(window(i, j))
            pixels = np.stack([context.x[:, :, row, column] for _, _, row, column in places])
            made[:, :, i, j] = pixels.sum(axis=0) / (pixels > 0).sum(axis=0)
        return made

    arrays, _ = played(case, {("meanpool1", "y"): counted})
    verdict = said(case, dict(told(arrays)))
    assert (ids(verdict), verdict.first_wrong) == (["division-by-a-count-of-zero"], "meanpool1.y")


def test_an_exponential_that_overflows_in_a_sigmoid_is_named() -> None:
    case = bright(make_case((pg.Conv(3, size=3), pg.Sigmoid(), pg.Flatten(), pg.Dense(4)), (2, 6, 5), steps=1))
    arrays, _ = played(case, {("sigmoid1", "y"): lambda context: np.exp(context.x) / (1 + np.exp(context.x))})
    verdict = said(case, dict(told(arrays)))
    assert (ids(verdict), verdict.first_wrong) == (["exp-overflow-in-activation"], "sigmoid1.y")


def test_numbers_beyond_float32_are_told_so() -> None:
    case = bright(make_case(PLAIN, (2, 11, 9), images=4, steps=1), 1e38)
    arrays, _ = played(case, {}, single=True)
    first = next(name_of(key) for key, array in arrays.items() if not np.isfinite(array).all())
    verdict = said(case, dict(told(arrays)))
    assert (ids(verdict), verdict.first_wrong) == (["too-large"], first)


@pytest.mark.parametrize("name", some(["conv1.y", "loss", "step2.conv2.w", "maxpool1.dx"], lambda place: place < 3))
@pytest.mark.parametrize("value", [-1e300, pytest.param(1e160, marks=pytest.mark.exhaustive)])
@pytest.mark.often(1)
def test_a_silly_number_overflows_nothing(name: str, value: float) -> None:
    answer = right(DEFAULT)
    answer[name] = with_one(answer[name], value)
    verdict = said(DEFAULT, answer)
    assert verdict.verdict != RIGHT
    assert verdict.first_wrong == name, verdict.text()


# What an unclear array rests on

KEPT = ("loss", "dense1.dw", "conv2.dw", "conv1.dw")


@pytest.mark.long
def test_passes_that_agreeing_answers_rest_on_are_not_suspected() -> None:
    """The outputs and the gradient of the last layer's weights agree: nothing before the wrong array is at fault."""
    arrays, _ = played(DEFAULT, {("conv1", "dx"): STRANGE["noise"]})
    answer = {name: array for name, array in told(arrays).items() if name in ("loss", "conv1.dw", "conv1.dx")}
    (finding,) = said(DEFAULT, answer).unclear
    assert name_of(finding.key) == "conv1.dx"
    assert "relu1.dx" in [name_of(key) for key in finding.suspects]  # nothing else is left to suspect
    arrays, _ = played(DEFAULT, {("conv2", "dx"): STRANGE["noise"]})
    answer = {name: array for name, array in told(arrays).items() if name in KEPT}
    (finding,) = said(DEFAULT, answer).unclear
    assert {name_of(key) for key in finding.suspects} == {"relu1.dx", "maxpool1.dx", "conv2.dx"}
