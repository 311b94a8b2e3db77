"""Programs whose update is wrong: mistakes of every kind, of which half have no name, in random networks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import plaingrad as pg
from diseased import UNIT
from plaingrad.checking.case import Case
from plaingrad.checking.new_case import make_case
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import Key, exact
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array
from students import in_print

PARTS = ("weights of step 1", "weights", "gradients and weights", "all", "gradients of step 2")
PRINTS = ("f64", "f32", "6 digits")
Place = tuple[str, str]


@dataclass
class Now:
    """What an update may use: t from 1, the weight and its gradient, those of all, the rate, and what it keeps."""

    t: int
    place: Place
    w: Array
    g: Array
    all: dict[Place, Array]
    rate: float
    images: int
    kept: dict[Any, Any] = field(default_factory=dict)
    first: Array | None = None

    @property
    def norm(self) -> float:
        """Of all gradients together."""
        return float(np.sqrt(sum((g * g).sum() for g in self.all.values())))

    def keep(self, what: str, array: Array) -> Array:
        """Keep an array for the next step; what was kept before, 0 at first."""
        before = self.kept.get((what, self.place), np.zeros_like(array))
        self.kept[what, self.place] = array
        return before

    def average(self, what: str, share: float, array: Array, new: float | None = None) -> Array:
        """share · kept + new · array, which is kept."""
        made = (
            share * self.kept.get((what, self.place), np.zeros_like(array))
            + (1 - share if new is None else new) * array
        )
        self.kept[what, self.place] = made
        return made


Update = Callable[[Now], Array]


@dataclass(frozen=True)
class Slip:
    """A wrong update: the names that are true of it, whatever part is seen; none where it has none."""

    id: str
    update: Update
    true: frozenset[str]


SLIPS: dict[str, Slip] = {}


def slip(*true: str) -> Callable[[Update], Update]:
    """Enter an update under its function's name."""

    def entered(update: Update) -> Update:
        id = update.__name__.replace("_", "-").strip("-")
        SLIPS[id] = Slip(id, update, frozenset(true))
        return update

    return entered


def step(id: str, of: Callable[[Now], Array], *true: str) -> None:
    """Enter an update that subtracts the rate times something."""
    SLIPS[id] = Slip(id, lambda now: now.w - now.rate * of(now), frozenset(true))


def adam(now: Now, b1: float = 0.9, b2: float = 0.999, corrected: bool = True, eps: float = 1e-8) -> Array:
    """The direction of Adam."""
    m, v = now.average("m", b1, now.g), now.average("v", b2, now.g**2)
    if corrected:
        m, v = m / (1 - b1**now.t), v / (1 - b2**now.t)
    return m / (np.sqrt(v) + eps)


def upto(g: Array, limit: float) -> Array:
    """Scaled to a norm at most."""
    return g * min(1.0, limit / float(np.sqrt((g * g).sum())))


SCALED, SIZE, CHANGED = "step-scaled", "steps-of-one-size", "rate-changed"
CLIPPED, KEPT, SHRUNK = "gradient-clipped", "gradient-before-kept", "weights-shrunk"
# Those with a name
step("times 0.95", lambda now: 0.95 * now.g, SCALED)
step("times 0.1", lambda now: 0.1 * now.g, SCALED, "rate-squared")  # where the rate is 0.1 it is the same
step("times 1.2345", lambda now: 1.2345 * now.g, SCALED)
step("divided by n - 1", lambda now: now.g * now.images / max(now.images - 1, 2), SCALED)
step("sign", lambda now: np.sign(now.g), SIZE)
step("momentum 0.9", lambda now: now.average("v", 0.9, now.g, 1.0), "momentum-added")
step("momentum 0.37", lambda now: now.average("v", 0.37, now.g, 1.0), "momentum-added")
step("average 0.9", lambda now: now.average("v", 0.9, now.g), "exponential-average", SCALED)
step("corrected average 0.9", lambda now: now.average("v", 0.9, now.g) / (1 - 0.9**now.t), "exponential-average")
step("mean of all steps", lambda now: now.average("s", 1.0, now.g, 1.0) / now.t, "gradients-averaged")
step("not cleared", lambda now: now.average("v", 1.0, now.g, 1.0), "gradient-kept", "never-cleared")
step("nesterov", lambda now: now.g + 0.9 * now.average("v", 0.9, now.g, 1.0), "nesterov-momentum", SCALED)
step("adam", adam, "adam", SIZE)
step("adam without correction", lambda now: adam(now, corrected=False), "adam-without-correction", SIZE)
step("rmsprop", lambda now: now.g / (np.sqrt(now.average("v", 0.9, now.g**2)) + 1e-8), "rmsprop", SIZE)
step("adagrad", lambda now: now.g / (np.sqrt(now.average("v", 1.0, now.g**2, 1.0)) + 1e-8), "adagrad", SIZE)
step("adamw", lambda now: adam(now) + 0.01 * now.w, "adamw")
step("weight decay", lambda now: now.g + 0.01 * now.w, SHRUNK)
step("weight decay of weights", lambda now: now.g + 0.013 * now.w * (now.w.ndim > 1), SHRUNK)
step(
    "weight decay and momentum",
    lambda now: now.average("v", 0.9, now.g + 0.01 * now.w, 1.0),
    "momentum-and-more",
    SHRUNK,
)
step("L1", lambda now: now.g + 0.01 * np.sign(now.w), SHRUNK)
step("rate decays", lambda now: 0.7 ** (now.t - 1) * now.g, CHANGED)
step("rate by step", lambda now: now.g / (now.t + 1), CHANGED, SCALED)
step("clipped by value", lambda now: np.clip(now.g, -0.05, 0.05), CLIPPED)
step("clipped by norm", lambda now: now.g * min(1.0, 0.1 / now.norm), CLIPPED, SCALED)
step("clipped by norm of each", lambda now: upto(now.g, 0.05), CLIPPED)
step("mean of the gradient", lambda now: np.full_like(now.g, now.g.mean()), "one-number-for-all-weights")
step("sum of the gradient", lambda now: np.full_like(now.g, now.g.sum()), "one-number-for-all-weights")
step("absolute", lambda now: np.abs(now.g), "gradient-absolute")
step("squared", lambda now: now.g**2, "gradient-squared")
step("norm 1", lambda now: now.g / now.norm, "gradient-normalised", CHANGED, SCALED, CLIPPED)
step("norm of each 1", lambda now: now.g / np.sqrt((now.g**2).sum()), "gradient-normalised", CLIPPED)
step("mean over the last axis", lambda now: np.broadcast_to(now.g.mean(-1, keepdims=True), now.g.shape), "gradient-along-an-axis", "one-number-for-all-weights")  # fmt: skip  # noqa: E501


# Those whose name is a line of a usual optimiser
EDITED = "edited-update"


def adam_of(now: Now, mean: bool = True, square: bool = True, root: bool = True, power: int = 2) -> Array:
    """Adam with one piece left out: the correction of the mean or of the square, the root, or the square itself."""
    m, v = now.average("m", 0.9, now.g), now.average("v", 0.999, np.abs(now.g) ** power if power == 2 else now.g)
    m, v = m / (1 - 0.9**now.t) if mean else m, v / (1 - 0.999**now.t) if square else v
    return np.asarray(0.01 * m / ((np.sqrt(np.maximum(v, 0)) if root else v) + 1e-8))


def adam_late(now: Now) -> Array:
    """Adam whose steps are counted from 2."""
    m, v = now.average("m", 0.9, now.g), now.average("v", 0.999, now.g**2)
    return np.asarray(m / (1 - 0.9 ** (now.t + 1)) / (np.sqrt(v / (1 - 0.999 ** (now.t + 1))) + 1e-8))


def over(now: Now, v: Array) -> Array:
    """Adam's mean gradient over the root of something."""
    return np.asarray(now.average("m", 0.9, now.g) / (1 - 0.9**now.t) / (np.sqrt(v) + 1e-8))


step("adam without the correction of m", lambda now: adam_of(now, mean=False), EDITED, SIZE)
step("adam without the correction of v", lambda now: adam_of(now, square=False), EDITED, SIZE)
step("adam without the root", lambda now: adam_of(now, root=False), EDITED)
step("adam counted from 2", lambda now: 0.01 * adam_late(now), EDITED, SIZE)
step("adam with its numbers exchanged", lambda now: 0.01 * adam(now, 0.999, 0.9), EDITED, SIZE)
step("adam of sizes", lambda now: 0.1 * over(now, now.average("v", 0.999, np.abs(now.g)) / (1 - 0.999**now.t)), EDITED)
step("adagrad without the root", lambda now: 1e-5 * now.g / (now.average("v", 1.0, now.g**2, 1.0) + 1e-8), EDITED)
step("adagrad of sizes", lambda now: now.g / (np.sqrt(now.average("v", 1.0, np.abs(now.g), 1.0)) + 1e-8), EDITED)
step("rmsprop without the root", lambda now: 1e-5 * now.g / (now.average("v", 0.9, now.g**2) + 1e-8), EDITED)
step("rmsprop of sizes", lambda now: now.g / (np.sqrt(now.average("v", 0.99, np.abs(now.g))) + 1e-8), EDITED)
step("momentum of sizes", lambda now: now.g + 0.9 * now.keep("s", np.abs(now.g)), EDITED)  # in two steps the same
step("float16", lambda now: (now.w - np.float16(now.w - now.rate * now.g)) / now.rate, "weights-rounded")
step("velocity subtracted", lambda now: -now.average("v", -0.9, -now.g, 1.0), EDITED, KEPT)


@slip("rate-decays-by-layer", CHANGED, SCALED)
def rate_decays_by_layer(now: Now) -> Array:
    layers = list(dict.fromkeys(name for name, _ in now.all))
    turn = (now.t - 1) * len(layers) + layers.index(now.place[0])
    return now.w - now.rate * 0.9**turn * now.g


@slip("gradient-of-other-weights")
def gradients_of_the_next_alike(now: Now) -> Array:
    alike = [place for place, g in now.all.items() if g.shape == now.g.shape]
    return now.w - now.rate * now.all[alike[(alike.index(now.place) + 1) % len(alike)]]


@slip("last-not-updated", "only-first-updated", "never-updated")
def last_row_left(now: Now) -> Array:
    made = now.w - now.rate * now.g
    made[-1] = now.w[-1]
    return made


@slip("never-updated")
def biases_left(now: Now) -> Array:
    return now.w - now.rate * now.g * (now.w.ndim > 1)


@slip("weights-clipped")
def weights_clipped(now: Now) -> Array:
    return np.clip(now.w - now.rate * now.g, -0.3, 0.3)


@slip("earlier-gradient", "never-updated", "momentum-added")
def earlier_gradient(now: Now) -> Array:
    return now.w - now.rate * now.keep("g", now.g)


@slip("update-from-the-first-weights")
def from_the_first(now: Now) -> Array:
    assert now.first is not None
    return now.first - now.rate * now.g


# Those without
step("cube", lambda now: now.g**3 * 40)
step("root", lambda now: np.sign(now.g) * np.sqrt(np.abs(now.g)))
step("tanh", lambda now: np.tanh(8 * now.g))
step("soft sign", lambda now: now.g / (1 + 20 * np.abs(now.g)))
step("dead zone", lambda now: np.where(np.abs(now.g) > 0.02, now.g, 0))
step("soft threshold", lambda now: np.sign(now.g) * np.maximum(np.abs(now.g) - 0.01, 0))
step("rounded", lambda now: np.round(now.g, 2))
step("positive half", lambda now: np.where(now.g > 0, now.g, 0.5 * now.g))
step("random mask", lambda now: now.g * (np.random.default_rng(now.g.size).random(now.g.shape) > 0.5))
step("noise", lambda now: now.g + 0.01 * np.random.default_rng([now.t, now.g.size]).normal(size=now.g.shape))
step("factor by layer", lambda now: now.g * (1 + sum(map(ord, now.place[0])) % 7 / 10))
step("factor by size", lambda now: now.g / np.sqrt(now.g.size))
step("rows by number", lambda now: now.g * np.arange(1, len(now.g) + 1).reshape(-1, *[1] * (now.g.ndim - 1)))
step("turned", lambda now: now.g.reshape(-1)[::-1].reshape(now.g.shape))
step("shuffled", lambda now: np.random.default_rng(1).permutation(now.g.reshape(-1)).reshape(now.g.shape))
step("next row", lambda now: np.roll(now.g, 1, axis=0))
step("every second", lambda now: now.g * (np.arange(now.g.size) % 2 == 0).reshape(now.g.shape))
step("square of the weight", lambda now: now.g + 0.01 * now.w**2)
step("times the weight", lambda now: now.g * now.w)
step("times 1 + |w|", lambda now: now.g * (1 + np.abs(now.w)))
step("over the weight's norm", lambda now: now.g * np.sqrt((now.w**2).sum()))
step("adadelta", lambda now: now.g * 1e-3 / np.sqrt(now.average("v", 0.9, now.g**2) + 1e-3), SIZE)
step("adamax", lambda now: now.average("m", 0.7, now.g) / (np.abs(now.g) + 0.01), SIZE)
step("momentum of the sign", lambda now: now.average("v", 0.9, np.sign(now.g), 1.0), SIZE)
step("centred rows", lambda now: now.g - now.g.mean(0) if now.g.ndim > 1 else now.g)
step("offset", lambda now: now.g + 0.003)
step("first image's share", lambda now: now.g * 0.31 + 0.02 * np.cos(np.arange(now.g.size)).reshape(now.g.shape))
step("mixed layers", lambda now: now.g + 0.1 * sum(float(g.mean()) for g in now.all.values()))
step(
    "momentum with dampening",
    lambda now: now.average("v", 0.9, now.g, 1.0 if now.t == 1 else 0.25),
    "momentum-dampened",
    "momentum-added",
)
step("largest of each row", lambda now: now.g * (np.abs(now.g) == np.abs(now.g).max(-1, keepdims=True)))


@slip("weights-rounded")
def weights_rounded(now: Now) -> Array:
    return np.round(now.w - now.rate * now.g, 2)


@slip()
def averaged_weights(now: Now) -> Array:
    return np.asarray(0.5 * (now.w + now.w.mean()) - now.rate * now.g)


@slip()
def multiplied(now: Now) -> Array:
    return np.asarray(now.w * np.exp(-now.rate * now.g))


def network(seed: int) -> Case:
    """A random case: convolutions, pools, dense layers, activations, a loss, images, rate."""
    rng = np.random.default_rng(seed)
    activation = (pg.ReLU(), pg.Tanh(), pg.Sigmoid(), pg.LeakyReLU(0.25))
    layers: list[Any] = []

    def one(of: Any) -> Any:
        return of[int(rng.integers(len(of)))]

    for _ in range(rng.integers(0, 3)):
        layers += [pg.Conv(int(rng.integers(2, 5)), size=int(rng.integers(2, 4)), padding=1), one(activation)]
        layers += [one((pg.MaxPool(2), pg.MeanPool(2)))] if rng.random() < 0.6 else []
    layers += [pg.Flatten()]
    for _ in range(rng.integers(0 if len(layers) > 1 else 1, 3)):
        layers += [pg.Dense(int(rng.integers(4, 9))), one(activation)]
    layers += [pg.Dense(int(rng.integers(3, 7)))]
    loss = one((None, pg.MeanSquaredError(), pg.HalfSquaredError()))
    shape = (int(rng.integers(1, 3)), int(rng.integers(7, 10)), int(rng.integers(6, 9)))
    rate = one((0.125, 0.1, 0.0625, 0.25))
    return make_case(tuple(layers), shape, loss=loss, images=int(rng.integers(2, 7)), rate=rate, seed=seed)


def played(case: Case, slip: Slip) -> dict[Key, Array]:
    """All arrays of a program with such an update."""
    program = Program(case, UNIT)
    env, kept = program.start(), {}
    for key in program.keys:
        if not program.is_update(key):
            env[key] = exact(program.value(key, env))
            continue
        t, layer, weight = key
        gradients = {
            (name, each): env[t, name, "d" + each].value for name, one in program.steps.items() for each in one.weights
        }
        w, first = (env[s, layer, weight].value.copy() for s in (t - 1, 0))
        now = Now(t, (layer, weight), w, gradients[layer, weight], gradients, case.rate, case.images, kept, first)
        env[key] = exact(np.asarray(slip.update(now)))
    return {key: env[key].value for key in program.keys}


def part_of(arrays: dict[Key, Array], part: str, printed: str) -> dict[str, Array]:
    """The answer: a part of all, as it is read again."""

    def kept(key: Key) -> bool:
        is_gradient = key[2][0] == "d" and key[2] != "dx"
        is_weight = not is_gradient and key[2] not in ("y", "dx")
        return {
            "weights of step 1": is_weight and key[0] == 1,
            "weights": is_weight,
            "gradients and weights": is_weight or is_gradient,
            "all": True,
            "gradients of step 2": is_gradient and key[0] == 2,
        }[part]

    show = in_print(printed)
    return {name_of(key): show(array) for key, array in arrays.items() if kept(key)}
