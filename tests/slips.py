"""Slips in normalisations, smooth activations, skips and Dropout as people make them, in plain NumPy, and their names.

A slip replaces passes of one layer in every step; what follows is right by the wrong numbers. Nothing of the catalogue
is used: names are found for these numbers, not for an entry's own.

Over 300 lines, since all slips stand in one table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import modern
from functions import USUAL
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array

Wrong = Callable[[Context], Array | None]


@dataclass(frozen=True)
class Slip:
    """What is made of which quantities of a kind of layer, and the names that tell it.

    A name `LINE` is an edit of the text's line. `trained`: in the trained network alone, else in training alone.
    """

    name: str
    kinds: tuple[str, ...]
    wrong: dict[str, Wrong]
    names: frozenset[str]
    trained: bool = False


SLIPS: list[Slip] = []
LINE = "line"
NORMS = ("BatchNorm", "GroupNorm")


def slip(name: str, kinds: str | tuple[str, ...], names: str, trained: bool = False, **wrong: Wrong) -> None:
    """Enter a slip."""
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    SLIPS.append(Slip(name, kinds, wrong, frozenset(names.split()), trained))


class Norm:
    """A normalisation written step by step, as in most programs; each step can be another one."""

    def __init__(self, context: Context, axes: Any = None, ddof: int = 0, groups: int = 0) -> None:
        self.context, self.layer, self.x = context, context.owner, context.x
        self.w, self.b = (modern.beside(context.weights[name], self.x) for name in ("w", "b"))
        self.epsilon, self.axes = self.layer.epsilon, axes
        self.shape = self.x.shape
        if axes is None and context.kind == "GroupNorm":
            self.rows = self.x.reshape(len(self.x), groups or self.layer.groups, -1)
            self.over: Any = (2,)
        else:
            self.rows = self.x
            self.over = axes or (0, *range(2, self.x.ndim))
        self.mean = self.rows.mean(self.over, keepdims=True)
        self.variance = self.rows.var(self.over, keepdims=True, ddof=ddof)
        self.count = int(np.prod([self.rows.shape[axis] for axis in self.over]))
        self.spread = np.sqrt(self.variance + self.epsilon)

    def wide(self, found: Array) -> Array:
        """An array beside the numbers of x."""
        return np.broadcast_to(found, self.rows.shape).reshape(self.shape)

    @property
    def normal(self) -> Array:
        return ((self.rows - self.mean) / self.spread).reshape(self.shape)

    def total(self, numbers: Array) -> Array:
        """The sum over the numbers normalised together, beside each."""
        return self.wide(numbers.reshape(self.rows.shape).sum(self.over, keepdims=True))

    @property
    def y(self) -> Array:
        return self.w * self.normal + self.b

    @property
    def error(self) -> Array:
        return self.w * self.context.dy

    def dx(self, mean: float = 1, variance: float = 1, error: Array | None = None, first: Any = None) -> Array:
        """Through the number itself, the mean, and the variance."""
        error = self.error if error is None else error
        normal = self.normal
        found = error if first is None else first
        found = found - mean * self.total(error) / self.count
        found = found - variance * normal * self.total(error * normal) / self.count
        return found / self.wide(self.spread)

    def by_power(self, power: float, variance: Array | None = None) -> Array:
        """dx by way of the gradient of the variance, of which another power is taken than -3/2."""
        moved, error = (self.rows - self.mean).reshape(self.shape), self.error
        taken = self.wide(self.variance + self.epsilon if variance is None else variance)
        of_variance = -0.5 * self.total(error * moved) * taken**power
        of_mean = -self.total(error) / self.wide(self.spread)
        return error / self.wide(self.spread) + (of_variance * 2 * moved + of_mean) / self.count

    def channels(self, numbers: Array) -> Array:
        return numbers.sum((0, *range(2, self.x.ndim)))

    @property
    def dw(self) -> Array:
        return self.channels(self.context.dy * self.normal)


def both_ways(name: str, kinds: Any, names: str, make: Callable[[Context], "Norm | None"], **ways: float) -> None:
    """A slip of the way forward, with which the way back goes on."""

    def of(quantity: str) -> Wrong:
        def wrong(context: Context) -> Array | None:
            norm = make(context)
            if norm is None:
                return None
            return norm.dx(**ways) if quantity == "dx" else getattr(norm, quantity)

        return wrong

    slip(name, kinds, names, y=of("y"), dx=of("dx"), dw=of("dw"))


def over(*axes: int) -> Callable[[Context], Norm | None]:
    """Statistics over other axes, of maps."""
    return lambda context: Norm(context, axes) if context.x.ndim == 4 else None


def spread_of(make: Callable[[Norm], Any]) -> Callable[[Context], Norm]:
    """Another number to divide by."""

    def made(context: Context) -> Norm:
        norm = Norm(context)
        norm.spread = np.broadcast_to(make(norm), norm.variance.shape)
        return norm

    return made


def running(context: Context) -> Norm:
    """By the running values."""
    norm = Norm(context)
    kept = (context.env[context.step - 1, context.name, f"running_{each}"].value for each in ("mean", "variance"))
    norm.mean, norm.variance = (modern.beside(each, norm.x) for each in kept)
    norm.spread = np.sqrt(norm.variance + norm.epsilon)
    return norm


def without_mean(context: Context) -> Norm:
    norm = Norm(context)
    norm.mean = norm.mean * 0
    return norm


AXIS = "normalised-over-another-axis"
both_ways("running values in training", "BatchNorm", "running-values-in-training", running, mean=0, variance=0)
both_ways("variance divided by one less", NORMS, "variance-unbiased", lambda context: Norm(context, ddof=1))
both_ways("of each map", NORMS, AXIS, over(2, 3))
both_ways("over the batch alone", "BatchNorm", AXIS, over(0))
both_ways("of each place", "BatchNorm", AXIS, over(0, 1))
both_ways("over all channels", "BatchNorm", AXIS, over(0, 1, 2, 3))
both_ways("of each image", NORMS, AXIS, over(1, 2, 3))
both_ways("over the channels", NORMS, AXIS, over(1))
both_ways("over the batch too", "GroupNorm", AXIS, over(0, 2, 3))
both_ways(
    "groups for channels of a group",
    "GroupNorm",
    AXIS,
    lambda context: Norm(context, groups=context.x.shape[1] // context.owner.groups),
)
both_ways(
    "epsilon outside the root",
    NORMS,
    "epsilon-outside-the-root",
    spread_of(lambda norm: np.sqrt(norm.variance) + norm.epsilon),
)
both_ways("no epsilon", NORMS, "epsilon-left-out", spread_of(lambda norm: np.sqrt(norm.variance)))
for _epsilon in (1e-3, 1e-5):
    both_ways(
        f"epsilon {_epsilon:g}",
        NORMS,
        "another-epsilon epsilon-left-out",  # 6 digits do not tell a small one from none
        spread_of(lambda norm, epsilon=_epsilon: np.sqrt(norm.variance + epsilon)),
    )
both_ways("no root", NORMS, "divided-by-the-variance", spread_of(lambda norm: norm.variance + norm.epsilon))
both_ways("not divided", NORMS, "deviation-left-out", spread_of(lambda norm: 1.0))
both_ways("mean not subtracted", NORMS, "mean-left-out", without_mean)
slip("no scale", NORMS, "scale-left-out", y=lambda context: Norm(context).normal + Norm(context).b)
slip("no shift", NORMS, "shift-left-out", y=lambda context: Norm(context).normal * Norm(context).w)


def back(name: str, names: str, dx: Callable[[Norm], Any], kinds: Any = NORMS) -> None:
    """A slip of dx alone."""
    slip(name, kinds, names, dx=lambda context: dx(Norm(context)))


back("as constants", "statistics-taken-as-constants", lambda norm: norm.dx(0, 0))
back("no way through the mean", "way-through-the-mean-left-out", lambda norm: norm.dx(0, 1))
back("no way through the variance", "way-through-the-variance-left-out", lambda norm: norm.dx(1, 0))
back("way through the mean added", "ways-with-the-wrong-sign", lambda norm: norm.dx(-1, 1))
back("way through the variance added", "ways-with-the-wrong-sign", lambda norm: norm.dx(1, -1))
back("no scale going back", "scale-left-out", lambda norm: norm.dx(error=norm.context.dy))
back("scale twice", "scale-counted-twice", lambda norm: norm.dx(error=norm.error * norm.w))
back(
    "scale in the first part alone",
    "scale-in-some-parts",
    lambda norm: norm.dx(error=norm.context.dy, first=norm.error),
)
back("no division going back", "deviation-left-out", lambda norm: norm.dx() * norm.wide(norm.spread))
back("divided twice", "divided-by-the-variance", lambda norm: norm.dx() / norm.wide(norm.spread))
back("sums not divided", "errors-divided-by-another-number", lambda norm: norm.dx(norm.count, norm.count))
back(
    "sums divided by the images alone",
    "errors-divided-by-another-number",
    lambda norm: norm.dx(*[norm.count / len(norm.x)] * 2) if norm.count != len(norm.x) else None,
)
OTHERWISE = "variance-differentiated-otherwise"
back("a 2 too much through the variance", f"{OTHERWISE} line", lambda norm: norm.dx(1, 2))
back("no 2 through the variance", f"{OTHERWISE} line", lambda norm: norm.dx(1, 0.5))
back("the variance's power not lowered by one", OTHERWISE, lambda norm: norm.by_power(-0.5))
back("the variance to the power of -2", OTHERWISE, lambda norm: norm.by_power(-2))
back("the variance without ε", OTHERWISE, lambda norm: norm.by_power(-1.5, norm.variance))
back(
    "x̂ for x less the mean",
    "normalised-in-place-of-the-input",
    lambda norm: norm.dx(1, 1 / norm.wide(norm.spread)),
)
back(
    "x for x̂",
    "input-in-place-of-the-normalised",
    lambda norm: (
        (norm.error - norm.total(norm.error) / norm.count - norm.x * norm.total(norm.error * norm.x) / norm.count)
        / norm.wide(norm.spread)
    ),
)
back(
    "running values going back", "running-values-in-training", lambda norm: running(norm.context).dx(0, 0), "BatchNorm"
)


def other_axes(*axes: int) -> Callable[[Norm], Array | None]:
    """Sums of errors over other axes than the statistics."""

    def made(norm: Norm) -> Array | None:
        if norm.x.ndim != 4:
            return None
        mean = norm.error.mean(axes, keepdims=True)
        product = (norm.error * norm.normal).mean(axes, keepdims=True)
        return (norm.error - mean - norm.normal * product) / norm.wide(norm.spread)

    return made


back("errors of each map", "errors-over-another-axis", other_axes(2, 3))
back("errors over the batch alone", "errors-over-another-axis", other_axes(0), "BatchNorm")
back("errors over all channels", "errors-over-another-axis", other_axes(0, 1, 2, 3), "BatchNorm")
back(
    "scale after the means",
    "scale-after-the-means",
    lambda norm: norm.w * norm.dx(error=norm.context.dy),
    "GroupNorm",
)

INPUT = "input-in-place-of-the-normalised"
dy: Callable[[Context], Array] = lambda context: context.dy  # noqa: E731 (read in the table below)
for _name, _names, _made in (
    ("gradient of the scale with x", INPUT, lambda norm: norm.channels(norm.context.dy * norm.x)),
    (
        "gradient of the scale with x less the mean",
        INPUT,
        lambda norm: norm.channels(norm.context.dy * norm.normal * norm.wide(norm.spread)),
    ),
    (
        "gradient of the scale with y",
        "output-in-place-of-the-normalised",
        lambda norm: norm.channels(norm.context.dy * norm.y),
    ),
    ("gradient of the scale with errors alone", "normalised-left-out", lambda norm: norm.channels(norm.context.dy)),
    (
        "gradient of the scale as a mean",
        "divided-by-positions divided-by-the-batch-again",
        lambda norm: norm.dw / (norm.x.size // norm.x.shape[1]),
    ),
    (
        "gradient of the scale over the batch",
        "divided-by-positions",
        lambda norm: norm.dw / norm.x[0, 0].size if norm.x[0, 0].size > 1 else None,
    ),
    (
        "gradient of the scale times the scale",
        "gradient-times-the-scale",
        lambda norm: norm.dw * norm.context.weights["w"],
    ),
):
    slip(_name, NORMS, _names, dw=lambda context, made=_made: made(Norm(context)))
slip(
    "gradient of the shift as a mean",
    NORMS,
    "divided-by-positions divided-by-the-batch-again",
    db=lambda context: context.expected / (context.x.size // context.x.shape[1]),
)
slip(
    "gradient of the shift at one place",
    NORMS,
    "one-place-alone",
    db=lambda context: context.dy[:, :, 0, 0].sum(0) if context.dy.ndim == 4 else None,
)
slip("gradient of the shift with x̂", NORMS, "normalised-in-the-shift-gradient", db=lambda context: Norm(context).dw)


def kept(
    made: Callable[[float, Array, Array], Array], ddof: int = 1, when: Callable[[int], bool] = lambda t: True
) -> dict[str, Wrong]:
    """Running values from momentum, the value before, and that of the batch; in some steps alone."""

    def wrong(context: Context, what: str) -> Array | None:
        if not when(context.step):
            return None
        norm = Norm(context, ddof=ddof)
        before = context.env[context.step - 1, context.name, f"running_{what}"].value
        return made(context.owner.momentum, before, getattr(norm, what).reshape(-1))

    return {f"running_{what}": lambda context, what=what: wrong(context, what) for what in ("mean", "variance")}


slip(
    "momentum the wrong way round",
    "BatchNorm",
    "momentum-the-wrong-way-round",
    **kept(lambda m, a, b: m * a + (1 - m) * b),
)
slip("running values not kept", "BatchNorm", "running-value-not-kept", **kept(lambda m, a, b: b))
slip("running values never moved", "BatchNorm", "running-value-never-moved", **kept(lambda m, a, b: a))
slip("running values added to", "BatchNorm", "running-value-added-to", **kept(lambda m, a, b: a + m * b))
slip(
    "running values moved in the first step alone",
    "BatchNorm",
    "running-value-moved-in-the-first-step-alone",
    **kept(lambda m, a, b: a, when=lambda t: t > 1),
)
slip(
    "running values begin at 0",
    "BatchNorm",
    "running-value-begins-at-0-or-1",
    **kept(lambda m, a, b: m * b, when=lambda t: t == 1),
)
slip(
    "running values begin at 1",
    "BatchNorm",
    "running-value-begins-at-0-or-1",
    **kept(lambda m, a, b: 1 - m + m * b, when=lambda t: t == 1),
)
slip(
    "running values begin with the first batch",
    "BatchNorm",
    "running-value-begins-with-the-first-batch running-value-not-kept",
    **kept(lambda m, a, b: b, when=lambda t: t == 1),
)
slip(
    "running variance biased",
    "BatchNorm",
    "running-variance-biased",
    running_variance=kept(lambda m, a, b: a + m * (b - a), ddof=0)["running_variance"],
)
slip(
    "batch's values once trained",
    "BatchNorm",
    "batch-values-once-trained",
    trained=True,
    y=lambda context: Norm(context).y,
)


# Dropout, skips, pools


def masked(context: Context) -> Array:
    step = min(context.step, context.program.last)
    return context.env[step, context.name, "mask"].value


def drawn(context: Context) -> Array:
    """A mask of one's own."""
    return (np.random.default_rng(context.step).random(context.x.shape) > context.owner.rate).astype(float)


def into(context: Context) -> Array:
    return context.x if context.quantity == "y" else context.dy


for _what in ("y", "dx"):
    slip(
        f"no factor, {_what}",
        "Dropout",
        "scale-of-dropout-left-out",
        **{_what: lambda context: into(context) * masked(context)},
    )
    slip(
        f"inverted, {_what}",
        "Dropout",
        "mask-of-dropout-inverted",
        **{_what: lambda context: into(context) * (1 - masked(context)) / (1 - context.owner.rate)},
    )
    slip(
        f"divided by the rate, {_what}",
        "Dropout",
        "scale-of-dropout-otherwise",
        **{_what: lambda context: into(context) * masked(context) / context.owner.rate},
    )
    slip(
        f"drawn anew, {_what}",
        "Dropout",
        "mask-drawn-anew",
        **{_what: lambda context: into(context) * drawn(context) / (1 - context.owner.rate)},
    )
slip("not going back", "Dropout", "dropout-not-applied", dx=into)
slip(
    "only the factor going back",
    "Dropout",
    "dropout-not-applied",
    dx=lambda context: into(context) / (1 - context.owner.rate),
)
slip(
    "once trained",
    "Dropout",
    "dropout-once-trained",
    trained=True,
    y=lambda context: context.x * masked(context) / (1 - context.owner.rate),
)
slip(
    "factor once trained",
    "Dropout",
    "dropout-once-trained",
    trained=True,
    y=lambda context: context.x * (1 - context.owner.rate),
)


def of_two(context: Context) -> tuple[Array, Array]:
    one, other = (context.env[need].value for need in context.program.needs(context.key))
    return one, other


slip("skip's error not added", "start", "error-of-the-skip-left-out", dy=lambda context: of_two(context)[0])
slip("branch's error overwritten", "start", "error-of-the-branch-left-out", dy=lambda context: of_two(context)[1])
slip("errors averaged", "start", "errors-averaged-at-the-skip", dy=lambda context: sum(of_two(context)) / 2)


def above_zero(context: Context) -> Array:
    """Where the output at which a skip begins is above 0."""
    passes: Array = context.y > 0
    return passes


def with_skip_masked(context: Context) -> Array:
    of_branch, of_skip = of_two(context)
    return of_branch + of_skip * above_zero(context)


def from_before(context: Context) -> Array:
    """The skip taken before the activation that it should begin behind."""
    names = context.program.names
    start = context.owner.layer
    return context.x + context.env[context.step, names[names.index(start) - 1], "y"].value


slip("skip's error masked", "start", "error-masked-at-the-skip", dy=with_skip_masked)
slip(
    "both errors masked",
    "start",
    "error-masked-at-the-skip",
    dy=lambda context: sum(of_two(context)) * above_zero(context),
)
slip("skip from before the activation", "Add", "skip-of-another-layer", y=from_before)
slip("branch twice", "Add", "skip-of-another-layer doubled-or-halved", y=lambda context: 2 * context.x)
slip("skip not added", "Add", "skip-left-out", y=lambda context: context.x)
slip("nothing along the skip", "Add", "skip-sends-nothing-back", dskip=lambda context: context.expected * 0)
slip(
    "pool's error not divided",
    "GlobalMeanPool",
    "not-divided",
    dx=lambda context: np.broadcast_to(context.dy[:, :, None, None], context.x.shape),
)
slip("pool's sum", "GlobalMeanPool", "sum-not-mean", y=lambda context: context.x.sum((2, 3)))


# Smooth activations


def slope(kind: str, name: str, names: str, made: Callable[[Array, Array, Context], Array]) -> None:
    """Another derivative, of x and y."""
    slip(
        f"{kind}: {name}",
        kind,
        names,
        dx=lambda context: context.dy * made(context.x, modern.forward(context.owner, context.x, {}, {}), context),
    )


def density(x: Array) -> Array:
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


S, A = USUAL.sigmoid, USUAL.area
TERM, OUTPUT, FACTOR = (
    "term-of-the-derivative-left-out",
    "derivative-at-the-output",
    "derivative-of-a-factor-incomplete",
)
for _kind in ("ELU", "SiLU", "GELU", "TanhGELU"):
    slope(_kind, "no derivative", "slope-left-out", lambda x, y, context: np.ones_like(x))
    slope(_kind, "times y", "error-times-the-value", lambda x, y, context: y)
    slip(
        f"{_kind}: derivative alone",
        _kind,
        "error-left-out",
        dx=lambda context: modern.backward(context.owner, context.x, np.ones_like(context.dy), {}, {})[0],
    )
    slip(
        f"{_kind}: at the output",
        _kind,
        OUTPUT,
        dx=lambda context: modern.backward(
            context.owner, modern.forward(context.owner, context.x, {}, {}), context.dy, {}, {}
        )[0],
    )
slope("ELU", "y for y + slope", "elu-derivative-otherwise", lambda x, y, context: np.where(x > 0, 1, y))
slope("ELU", "y + 1", "elu-derivative-otherwise", lambda x, y, context: np.where(x > 0, 1, y + 1))
slope("ELU", "no slope", "elu-derivative-otherwise line", lambda x, y, context: np.where(x > 0, 1, np.exp(x)))
slope("SiLU", "sigmoid alone", TERM, lambda x, y, context: S(x))
slope("SiLU", "second term alone", TERM, lambda x, y, context: x * S(x) * (1 - S(x)))
slope("SiLU", "y for x", OUTPUT, lambda x, y, context: S(x) * (1 + y * (1 - S(x))))
slope("SiLU", "minus", FACTOR, lambda x, y, context: S(x) * (1 - x * (1 - S(x))))
slope("GELU", "Φ alone", TERM, lambda x, y, context: A(x))
slope("GELU", "no x", FACTOR, lambda x, y, context: A(x) + density(x))
slope(
    "GELU",
    "by tanh",
    "gelu-of-the-other-kind",
    lambda x, y, context: (1 + modern.tangent(x, USUAL)[0] + x * modern.tangent(x, USUAL)[1]) / 2,
)
slope("TanhGELU", "exact", "gelu-of-the-other-kind", lambda x, y, context: A(x) + x * density(x))
slope("TanhGELU", "first term alone", TERM, lambda x, y, context: (1 + modern.tangent(x, USUAL)[0]) / 2)
slip(
    "GELU forward by tanh",
    "GELU",
    "gelu-of-the-other-kind",
    y=lambda context: context.x * (1 + modern.tangent(context.x, USUAL)[0]) / 2,
)
slip("TanhGELU forward exact", "TanhGELU", "gelu-of-the-other-kind", y=lambda context: context.x * A(context.x))
