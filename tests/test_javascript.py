"""Texts written out as JavaScript: its numbers are Python's, what cannot be said is refused, and it tells each term."""

import contextlib
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from in_javascript import (
    COMPUTED,
    NODE,
    TooCloseError,
    between,
    bounds_of_the_table,
    computed,
    in_node,
    layer_run,
    made_cells,
    random_run,
    run_of,
    table,
)
from often import counts
from plaingrad.compiler.loops import Array, exp, sqrt
from plaingrad.errors import SettingError
from plaingrad.explaining import javascript, javascript_values
from plaingrad.explaining.alive import Program, program
from plaingrad.explaining.javascript import script
from plaingrad.explaining.twin import Twin
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import Conv, Dense, Flatten, MaxPool, ReLU
from plaingrad.textbook.losses import HalfSquaredError, SoftmaxCrossEntropy
from plaingrad.textbook.optimisers import Adam
from plaingrad.textbook.text import Text, places

pytestmark = pytest.mark.skipif(not NODE, reason="written JavaScript is run in node, which is not here")


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """These networks are small: running their texts as Python takes less time than compiling them."""
    monkeypatch.setattr("plaingrad.compiler.loops.has_numba", lambda: False)


def wrong(found: Array, bounds: tuple[Array, Array]) -> int:
    """How many cells are not what the texts may give in Python; cells that JavaScript did not fill are NaN."""
    return int(np.count_nonzero(~((bounds[0] <= found) & (found <= bounds[1]))))


def test_every_layer_loss_and_setting_of_the_table() -> None:
    programs, bounds, exact = {name: program(twin) for name, twin in table().items()}, bounds_of_the_table(), 0
    for (name, made), found in zip(programs.items(), computed([*programs.values()]), strict=True):
        assert wrong(found, bounds[name]) == 0, name
        low, high = (each[: made.own] for each in bounds[name])
        assert wrong(made.cells[: made.own], (low, high)) == 0, f"Python's own numbers: {name}"
        if not re.search(r"Math\.(exp|log|tanh)|normal[CP]df", made.source()):  # the same number everywhere
            assert np.array_equal(low, high), name
            assert np.array_equal(found[: made.own], made.cells[: made.own]), name
            exact += 1
    assert exact > len(programs) / 2


@counts(5, 300)
def test_random_networks(count: int) -> None:
    programs = [program(Twin(random_run(seed))) for seed in range(count)]
    compared = 0
    for seed, (made, found) in enumerate(zip(programs, computed(programs), strict=True)):
        with contextlib.suppress(TooCloseError):
            assert wrong(found, between(made)) == 0, seed
            compared += 1
    assert compared > 0.8 * count


def test_a_step_is_the_optimiser_s() -> None:
    layers = Conv(2, size=2), MaxPool(2), Flatten(), Dense(3, bias=False)
    made = program(Twin(run_of(*layers, input=(2, 5, 5), loss=HalfSquaredError(), seed=1)))
    (found,) = in_node([(made, "net.compute(); net.run('update', 0.125); results.push(Array.from(net.cells, text));")])
    after = np.array([float(each) for each in found])
    assert made.calls["update"]
    for call in made.calls["update"]:
        w, dw = (slice(each["start"], each["start"] + each["shape"][0]) for each in call.given[:2])
        assert np.array_equal(after[w], made.cells[w] - 0.125 * made.cells[dw])
        assert not np.array_equal(after[w], made.cells[w])


def test_changed_numbers_give_what_a_new_run_gives_and_reset_gives_the_old_ones_back() -> None:
    layers, loss = (Conv(2, size=2), Flatten(), Dense(3)), SoftmaxCrossEntropy()
    one, other = (program(Twin(run_of(*layers, input=(1, 4, 4), loss=loss, seed=seed))) for seed in (1, 3))
    given = {int(cell): other.cells[cell] for cell in np.flatnonzero(~made_cells(one))}
    change = f"for (const [cell, value] of {json.dumps([*given.items()])}) net.cells[cell] = value;"
    back = f"net.reset(); {COMPUTED}"
    changed, again = in_node([(one, f"{change} {COMPUTED} {back}")])
    assert wrong(np.array([float(each) for each in changed]), between(other)) == 0
    assert wrong(np.array([float(each) for each in again]), between(one)) == 0


# What is refused


def squares(x, y):
    for place in places(y):
        y[place] = x[place] ** 2


def floors(x, y):
    for place in places(y):
        y[place] = x[place] // 2


def whole_array(x, y):
    y[:] = x * 2


def whole_row(x, y):
    for n in range(y.shape[0]):
        y[n] = x[n]


def part(x, y):
    for n in range(y.shape[0]):
        y[n, 1:] = 0


def last(x, y):
    for n, k in places(y):
        y[n, k] = x[n, -1]


def before(x, y):
    for n, k in places(y):
        y[n, k] = x[n, k - 1]


def before_by_name(x, y):
    for n, k in places(y):
        left = k - 1
        y[n, k] = x[n, left]


def moved_within_its_guard(x, y):
    for n, k in places(y):
        left = k - 1
        if 0 <= left < x.shape[1]:
            left = left - 1
            y[n, k] = x[n, left]


def by_a_cell(x, y):
    for n, k in places(y):
        y[n, k] = x[n, x[n, 0]]


def waits(x, y):
    n = 0
    while n < 3:
        n += 1


def leaves(x, y):
    for _n in range(y.shape[0]):
        break


def steps(x, y):
    for n in range(0, y.shape[0], 2):
        y[n, 0] = x[n, 0]


def truth(x, y):
    for place in places(y):
        y[place] = 1 if x[place] else 0


def either(x, y):
    for place in places(y):
        y[place] = x[place] or 1


def stranger(x, y):
    for place in places(y):
        y[place] = print(x[place])  # noqa: T201


def nowhere(x, y):
    for place in places(y):
        y[place] = x[place] * missing  # noqa: F821


def loop_letter_changed(x, y):
    for n in range(y.shape[0]):
        n = n + 1
        y[n, 0] = x[n, 0]


def same_letter(x, y):
    for n in range(y.shape[0]):
        for n in range(y.shape[1]):
            y[n, 0] = x[n, 0]


def after_its_loop(x, y):
    for n in range(y.shape[0]):
        y[n, 0] = x[n, 0]
    y[n, 0] = 0


def sum_in_place(x, y):
    for n, k in places(y):
        y[n, k] = sum(x[n, c] for c in places(x[n]))


def two_words(value):
    value = value + 1
    return value


def calls_two_words(x, y):
    for place in places(y):
        y[place] = two_words(x[place])


def truth_is_no_number(x, y):
    for place in places(y):
        y[place] = True


def huge(x, y):
    for place in places(y):
        y[place] = x[place] + 9007199254740993


REFUSED: list[tuple[Callable[..., None], str]] = [
    (squares, "x[place_0, place_1] ** 2"),
    (floors, "x[place_0, place_1] // 2"),
    (whole_array, "x is a whole array"),
    (whole_row, "y has 2 axes"),
    (part, "names its place on each"),
    (last, "never negative"),
    (before, "never negative"),
    (before_by_name, "never negative"),
    (moved_within_its_guard, "never negative"),
    (by_a_cell, "never negative"),
    (waits, "it takes loops"),
    (leaves, "it takes loops"),
    (steps, "it takes loops"),
    (truth, "a test compares numbers"),
    (either, "it takes numbers, cells"),
    (stranger, "and not print"),
    (nowhere, "missing is no number"),
    (loop_letter_changed, "gets another value here"),
    (same_letter, "the letter of a loop around it"),
    (after_its_loop, "never negative"),
    (sum_in_place, "and not sum"),
    (calls_two_words, "two_words is to return one expression"),
    (truth_is_no_number, "it takes numbers, cells"),
    (huge, "it takes numbers, cells"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "why"), REFUSED, ids=lambda each: getattr(each, "__name__", ""))
def test_what_cannot_be_said_is_refused_by_its_line(text: Callable[..., None], why: str) -> None:
    with pytest.raises(SettingError) as refused:
        script(Text(text), (("x", 2), ("y", 2)))
    message = str(refused.value)
    assert message.startswith("line ")
    assert text.__name__ in message
    assert why in message


def test_a_power_in_an_optimiser_is_refused() -> None:
    with pytest.raises(SettingError, match=r"line 6 of adam_update says .* cannot be written as JavaScript"):
        script(Adam().update, (("w", 1), ("dw", 1), ("m", 1), ("v", 1)))


def test_whole_numbers_stay_whole() -> None:
    with pytest.raises(SettingError, match="y holds whole numbers"):
        script(Text(halved), (("x", 2), ("y", 2)), frozenset({"y"}))


def halved(x, y):
    for place in places(y):
        y[place] = x[place] / 2


def test_a_network_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    twin = Twin(run_of(Conv(3, size=2), Flatten(), Dense(2), input=(1, 3, 3), loss=SoftmaxCrossEntropy(), seed=1))
    monkeypatch.setattr("plaingrad.explaining.alive.MOST_PRODUCTS", 72)
    assert program(twin).cells.size
    monkeypatch.setattr("plaingrad.explaining.alive.MOST_PRODUCTS", 71)
    with pytest.raises(SettingError, match=r"adds up 72 products for one image, and a page computes up to 71"):
        program(twin)


# Names of every kind, and layers of one's own


def new_forward(x, y, new, await_):
    for n, k in places(y):
        var = new * x[n, k]
        function = sharp(var, await_)
        y[n, k] = function if not (function <= let_ or function != function) else -let_ / 4 + 1e-300


def new_backward(dy, x, dx, new, await_):
    for n, k in places(dx):
        dx[n, k] = dy[n, k] * new * slope_of(x[n, k] * new, await_)


def sharp(new, in_):
    return sqrt(abs(new)) + exp(-new * new) * in_


def slope_of(x, y):
    return y if is_small(x) else x


def is_small(dy):
    return dy < let_


let_ = 0.5


class Odd(Layer):
    """Names that mean something in JavaScript, and functions of the module that call others."""

    new: float = 1.5
    await_: float = -0.75
    forward, backward = new_forward, new_backward


@pytest.mark.filterwarnings("ignore:.* is compiled as it stands:UserWarning")
def test_names_that_are_javascript_s_own_words() -> None:
    made = program(Twin(layer_run(Odd(), (6,), 1)))
    (found,) = computed([made])
    assert wrong(found, between(made)) == 0


# Mistakes of the writer


def mutations() -> dict[str, Callable[[pytest.MonkeyPatch], None]]:
    """Changes of the writer, each of which is to be seen in some number."""
    import ast

    def sign(table: dict[Any, str], key: Any, other: str) -> Callable[[pytest.MonkeyPatch], None]:
        return lambda patch: patch.setitem(table, key, other)

    def edit(old: str, new: str) -> Callable[[pytest.MonkeyPatch], None]:
        """Written functions with a piece replaced, wherever it stands."""

        def apply(patch: pytest.MonkeyPatch) -> None:
            function = javascript.Writer.function

            def edited(self: Any) -> str:
                return function(self).replace(old, new)

            patch.setattr(javascript.Writer, "function", edited)

        return apply

    tables = javascript_values.OPERATORS, javascript_values.COMPARISONS
    signs = [
        (tables[0], ast.Add, "-"),
        (tables[0], ast.Sub, "+"),
        (tables[0], ast.Mult, "+"),
        (tables[0], ast.Div, "*"),
    ]
    signs += [
        (tables[1], ast.Lt, "<="),
        (tables[1], ast.LtE, "<"),
        (tables[1], ast.Gt, "<"),
        (tables[1], ast.Eq, "!=="),
    ]  # type: ignore[list-item]
    found = {f"{key.__name__} as {other}": sign(table, key, other) for table, key, other in signs}
    pieces = [
        ("Math.exp", "Math.sinh"), ("Math.log", "Math.log2"), ("Math.tanh", "Math.sin"), ("Math.sqrt", "Math.cbrt"),
        (" && ", " || "), (" ? ", " ? - "), ("] += ", "] = "), ("] -= ", "] += "), (" = 0, ", " = 1, "),
        ("strides[1]", "strides[0]"), ("strides[2]", "strides[3]"), (".shape[1]", ".shape[0]"),
        ("window_stride_0", "window_stride_1"),
        ("window_padding_1", "window_padding_0"), ("window_dilation_0", "window_dilation_1"), ("(-1)", "0"),
    ]  # fmt: skip
    return found | {f"{old} as {new}": edit(old, new) for old, new in pieces}


@pytest.mark.parametrize("name", mutations())
@pytest.mark.often(4)
def test_a_writer_s_mistake_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = bounds_of_the_table()
    javascript._script.cache_clear()
    try:
        mutations()[name](monkeypatch)
        programs = {each: program(twin) for each, twin in table().items()}
        found = computed([*programs.values()])
        assert any(wrong(numbers, bounds[each]) for each, numbers in zip(programs, found, strict=True))
    finally:
        javascript._script.cache_clear()


# What the texts tell


@counts(3, 60)
def test_what_is_told_is_what_python_explains(count: int) -> None:
    rng = np.random.default_rng(7)
    asked: list[tuple[Any, Program, list[int]]] = []
    for seed in range(1, 2 * count, 2):  # of one image each
        run = random_run(seed)
        twin = Twin(run)
        made = program(twin)
        every = np.flatnonzero(made_cells(made)[: made.own])
        named = [cell for cell in every.tolist() if twin.sheet_of(cell).quantity not in ("winner", "hit")]
        asked.append((run, made, rng.choice(named, min(60, len(named)), replace=False).tolist()))
    told = in_node(
        [
            (made, f"net.compute(); results.push({json.dumps(cells)}.map((cell) => net.explain(cell)));")
            for _, made, cells in asked
        ]
    )
    for (run, made, cells), explained in zip(asked, told, strict=True):
        twin = Twin(run)
        try:
            low, high = between(made)
        except TooCloseError:
            continue
        for cell, found in zip(cells, explained, strict=True):
            explanation = run.explain(twin.name(cell))
            terms, wanted = [each["value"] for each in found["terms"]], [term.product for term in explanation.terms]
            assert low[cell] <= sum(terms) <= high[cell], explanation.quantity
            if np.array_equal(low, high):
                assert terms == wanted, explanation.quantity
            else:
                np.testing.assert_allclose(terms, wanted, rtol=1e-12, err_msg=explanation.quantity)


def test_it_tells_the_line_its_letters_and_its_factors() -> None:
    layers = Conv(2, size=2, padding=1), ReLU(), MaxPool(2), Flatten(), Dense(3)
    net_run = run_of(*layers, input=(2, 4, 4), loss=SoftmaxCrossEntropy(), seed=1)
    twin = Twin(net_run)
    made = program(twin)
    names = ["conv1.dw[1,0,0,1]", "maxpool1.y[0,1,1]", "conv1.w[0,0,0,0]", "dense1.db[2]"]
    cells = [twin.cell(name) for name in names]
    weight, pooled, given, bias = in_node(
        [(made, f"net.compute(); results.push({cells}.map((cell) => net.explain(cell)));")]
    )[0]
    lines = Conv.backward.source.splitlines()
    assert weight["layer"] == "conv1"
    assert weight["name"] == "conv_backward"
    explanation = net_run.explain(names[0])
    assert len(weight["terms"]) == len(explanation.terms)
    for told, term in zip(weight["terms"], explanation.terms, strict=True):
        assert lines[told["line"] - 1].strip() == "dw[k, c, u, v] += dy[n, k, i, j] * x[n, c, row, column]"
        assert [twin.name(cell) for cell in told["cells"]] == [factor.name for factor in term.factors]
        letters = told["letters"]
        assert [letters[each] for each in "nkcuv"] == [0, 1, 0, 0, 1]
        assert twin.name(told["cells"][0]) == f"conv1.dy[1,{letters['i']},{letters['j']}]"
        assert twin.name(told["cells"][1]) == f"input[0,{letters['row']},{letters['column']}]"
    (winner,) = pooled["terms"]
    assert winner["sign"] == "="
    assert twin.value(winner["cells"][0]) == twin.value(cells[1])
    assert {twin.name(cell).partition("[")[0] for cell in winner["because"]} >= {"relu1.y"}
    assert given is None
    assert [twin.name(cell) for term in bias["terms"] for cell in term["cells"]] == ["dense1.dy[2]"]
