"""The laws a layer keeps, for anyone's layer: backward is the exact adjoint of forward, and compiled it is the same.

`check(layer, input)` is what the project's own tests call on every layer it has.
"""

import decimal
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.errors import LawError
from plaingrad.network.exact import Dual, Sized, decimals, fractions
from plaingrad.network.network import alone
from plaingrad.network.run import Run
from plaingrad.network.step import Step
from plaingrad.textbook.layer import Layer, Shape

BATCH, DIGITS = 2, 50
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]
dual = np.frompyfunc(Dual, 2, 1)
value_of = np.frompyfunc(lambda number: number.value if isinstance(number, Dual) else number, 1, 1)


def check(layer: Layer, input: Shape, seeds: int = 3, skip: Shape | None = None) -> None:
    """LawError where a layer breaks a law on inputs of this shape; it says which array and by how much.

    `skip` is the shape of the output that a layer such as Add reads besides: that of the input unless told. A layer
    whose loops leave their arrays is found out too, by an IndexError of the plain run.
    """
    for law in LAWS.values():
        law(layer, input, seeds, skip)


def _adjoint(layer: Layer, input: Shape, seeds: int, skip: Shape | None = None) -> None:
    for seed in range(seeds):
        check_adjoint(layer, input, np.random.default_rng(seed), skip)


def _compiled(layer: Layer, input: Shape, seeds: int, skip: Shape | None = None) -> None:
    for dtype in ("float32", "float64"):
        check_compiled(layer, input, dtype, np.random.default_rng(seeds), skip)


LAWS = {
    "backward is the exact derivative of forward": _adjoint,
    "compiled, each number is within rounding of its exact value": _compiled,
}


def single_layer_run(
    layer: Layer, input: Shape, dtype: Any, lanes: int = BATCH, skip: Shape | None = None
) -> tuple[Run, dict[str, Array]]:
    """A run of just this layer, and the record of its arrays; what stands before it in the network does nothing."""
    run = Run(alone(layer, input, dtype, skip), lanes, input_gradient=True)
    name = last(run).name
    run.forward_calls = run.infer_calls = run.calls(name, "forward")
    run.backward_calls = run.calls(name, "backward")
    return run, run.records[name]


def last(run: Run) -> Step:
    """The layer that a run of a single layer is of."""
    return next(reversed(run.net.steps.values()))


def points(run: Run) -> list[str]:
    """The arrays that the output of a layer by itself depends on."""
    step = last(run)
    return ["x", *(["skip"] if step.layer.skips() else []), *step.weights]


def run_through(run: Run, record: dict[str, Array], given: dict[str, Array], dy: Array) -> dict[str, Array]:
    """What a layer by itself makes of these arrays and this upstream error: its `y` and every gradient."""
    for name in record.keys() - {*points(run), "b"}:
        record[name][...] = 7  # what a text fills, it fills whatever was there
    for name in points(run):
        record[name][...] = given[name]
    run.forward()
    record["dy"][...] = dy
    run.backward()
    return {name: record[name].copy() for name in ["y", *("d" + name for name in points(run))]}


def check_adjoint(layer: Layer, input: Shape, rng: np.random.Generator, skip: Shape | None = None) -> None:
    """For any direction v and upstream error dy, dy · (J v) is (Jᵀ dy) · v: no step size; in fractions no tolerance.

    Where there are roots or exponentials, fractions do not stay fractions, and the law is checked to 50 digits.
    """
    state = rng.bit_generator.state
    try:
        _check_adjoint(layer, input, rng, fractions, skip)
    except _NotRational:
        rng.bit_generator.state = state
        _check_adjoint(layer, input, rng, decimals, skip)


class _NotRational(Exception):  # noqa: N818 (a signal, not an error)
    """A fraction was asked for its root, its exponential or the like."""


def _check_adjoint(layer: Layer, input: Shape, rng: np.random.Generator, draw: Draw, skip: Shape | None) -> None:
    run, record = single_layer_run(layer, input, object, skip=skip)
    given = {name: draw(rng, record[name].shape) for name in points(run)}
    directions = {name: draw(rng, record[name].shape) for name in points(run)}
    dy = draw(rng, record["y"].shape)

    def pushed(moving: list[str]) -> Any:
        """How dy · y changes as these arrays move along their directions."""
        for name in points(run):
            record[name][...] = dual(given[name], directions[name] if name in moving else 0)
        run.forward()
        return sum(seed * getattr(y, "slope", 0) for seed, y in zip(dy.flat, record["y"].flat, strict=True))

    with decimal.localcontext(prec=DIGITS):
        try:
            forward = pushed(points(run))
        except AttributeError as error:
            if isinstance(error.obj, Fraction):
                raise _NotRational from None
            raise
        still: dict[str, Any] = given
        upstream: Any = dy
        if draw is decimals:  # they meet fractions, the settings, which a number with a slope takes and a Decimal not
            still, upstream = {name: dual(array, 0) for name, array in given.items()}, dual(dy, 0)
        found = {name: value_of(array) for name, array in run_through(run, record, still, upstream).items()}
        pulled = {name: (found["d" + name] * directions[name]).sum() for name in points(run)}
        # A few thousand operations on numbers near 1, each right to the last of the digits.
        allowed = 0 if draw is fractions else Decimal(10) ** (10 - DIGITS)
        if abs(sum(pulled.values()) - forward) <= allowed:
            return
        name = next((name for name in points(run) if abs(pulled[name] - pushed([name])) > allowed), "x")
        raise LawError(
            f"{layer} on {input}: its backward is not the derivative of its forward. Along one direction of {name}, "
            f"forward changes dy · y by {pushed([name])}, and d{name} says {pulled[name]}"
        )


def check_compiled(layer: Layer, input: Shape, dtype: str, rng: np.random.Generator, skip: Shape | None = None) -> None:
    """Compiled, every number is within the rounding bound that the same loops compute of themselves."""
    compiled, arrays = single_layer_run(layer, input, dtype, skip=skip)
    exact, twins = single_layer_run(layer, input, object, skip=skip)
    given = {name: np.asarray(rng.normal(size=arrays[name].shape), dtype) for name in points(compiled)}
    dy = np.asarray(rng.normal(size=arrays["y"].shape), dtype)
    sized = np.frompyfunc(Sized.of, 1, 1)
    with decimal.localcontext(prec=DIGITS):
        found = run_through(compiled, arrays, given, dy)
        truth = run_through(exact, twins, {name: sized(array) for name, array in given.items()}, sized(dy))
        for name, array in found.items():
            for place, true in np.ndenumerate(truth[name]):
                bound = true if isinstance(true, Sized) else Sized.of(true)
                if not bound.contains(array[place]):
                    raise LawError(
                        f"{layer} on {input} in {dtype}: compiled, {name}{list(place)} is {array[place]}, further from "
                        f"its exact value {float(bound.value)!r} than rounding allows"
                    )
