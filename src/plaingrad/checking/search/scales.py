"""How programs add up their loss, and where they divide: every way that somebody has, in two tables.

A loss is a coefficient times Σ over images and outputs, and its gradient has the same coefficient. A `Scale` says which
one, and whose it is; a `Division` says where the number of images is divided by, if not in the loss's gradient. What
is in neither table is nobody's way, and so a mistake: a gradient that is not that of the loss, a division by the number
of classes instead of images.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from plaingrad.textbook.losses import CrossEntropy, HalfSquaredError, Loss, MeanSquaredError, SoftmaxCrossEntropy

SQUARES, LOGARITHMS, ANY = "squared error", "cross-entropy", "another loss"


@dataclass(frozen=True)
class Scale:
    """A loss of a kind as somebody adds it up: Σ times images, outputs and 2, each to the power told."""

    title: str
    who: str
    of: str
    images: int = 0
    outputs: int = 0
    two: int = 0

    def coefficient(self, images: int, outputs: int) -> float:
        """What the sum over images and outputs is multiplied by."""
        return float(images) ** self.images * float(outputs) ** self.outputs * 2.0**self.two


SCALES = (
    Scale("the mean over the images", "PyTorch, Keras, scikit-learn", LOGARITHMS, images=-1),
    Scale("the sum over the images", 'PyTorch and Keras with reduction="sum"', LOGARITHMS),
    Scale(
        "the mean over images and classes",
        'np.mean over the whole array, PyTorch\'s kl_div with reduction="mean"',
        LOGARITHMS,
        images=-1,
        outputs=-1,
    ),
    Scale("half the sum of squares, the mean over the images", "Nielsen, MATLAB", SQUARES, images=-1, two=-1),
    Scale("the sum of squares, the mean over the images", "many programs in NumPy", SQUARES, images=-1),
    Scale("the mean square over images and outputs", "PyTorch, Keras", SQUARES, images=-1, outputs=-1),
    Scale("half the mean square over images and outputs", "scikit-learn", SQUARES, images=-1, outputs=-1, two=-1),
    Scale("the sum of all squares", 'PyTorch with reduction="sum"', SQUARES),
    Scale("half the sum of all squares", "Rumelhart, Bishop", SQUARES, two=-1),
    Scale(
        "the mean square over the outputs, summed over the images", 'Keras with reduction="sum"', SQUARES, outputs=-1
    ),
    Scale("the mean over the images", "most programs", ANY, images=-1),
    Scale("the sum over the images", "some programs", ANY),
)
KINDS: dict[type[Loss], tuple[str, Scale]] = {
    SoftmaxCrossEntropy: (LOGARITHMS, SCALES[0]),
    CrossEntropy: (LOGARITHMS, SCALES[0]),
    HalfSquaredError: (SQUARES, SCALES[3]),
    MeanSquaredError: (SQUARES, SCALES[5]),
}


@dataclass(frozen=True)
class Division:
    """Where a program whose loss is a mean divides by the number of images: powers of it, in each place.

    `error` is that of the loss's gradient, and so of all errors; `slope` that of the weights' gradients beside these;
    `rate` that of an update beside them. `hidden`: the loss and its gradient differ on purpose, and it takes the
    gradients of weights, or where `rate` is told the weights, to see it.
    """

    title: str
    who: str
    error: int = 0
    slope: int = 0
    rate: int = 0
    hidden: bool = False


DIVISIONS = (
    Division("", "automatic differentiation"),
    Division(
        "errors are gradients of the loss of each image, and the gradients of weights are means over the images",
        "Ng's course",
        error=1,
        slope=-1,
        hidden=True,
    ),
    Division(
        "gradients are sums over the images, and the update divides by their number",
        "Nielsen's book",
        error=1,
        rate=-1,
        hidden=True,
    ),
)


@dataclass(frozen=True)
class Scaled:
    """A whole program by the tables: by what its loss, errors, gradients of weights and steps are larger than the case.

    `slope` and `rate` come on top of what is before them: a gradient of weights is error · slope times the case's, the
    step of an update error · slope · rate times. `hidden` as in `Division`. `ids` are entries of the catalogue.
    """

    ids: tuple[str, ...]
    title: str
    loss: float
    error: float
    slope: float
    rate: float
    hidden: str = ""

    @property
    def step(self) -> float:
        """By what a step of an update is larger."""
        return self.error * self.slope * self.rate


SUMMED, OUTPUTS, TWICE, NEGATED = "summed-over-the-batch", "averaged-over-outputs", "doubled-or-halved", "negated"
EACH = "each-image-by-itself"


def scaled(loss: Loss, images: int, outputs: int) -> Iterator[Scaled]:
    """Every program of the tables other than the case's, with gradients of either sign; the plainest first."""
    kind, own = KINDS.get(type(loss), (ANY, SCALES[-2]))
    size = own.coefficient(images, outputs)
    seen = {(1.0, 1.0, 1.0, 1.0)}
    every = [
        (sign, division, scale, made_up)
        for sign in (1, -1)
        for division in DIVISIONS
        for scale in sorted((each for each in SCALES if each.of == kind), key=lambda each: each != own)
        for made_up in (False, True)
    ]
    for sign, division, scale, made_up in every:
        if division.error and scale.images != -1:
            continue
        factor = scale.coefficient(images, outputs) / size
        many = float(images)
        rate = many**division.rate * sign / (factor if made_up else 1)
        numbers = (factor, sign * factor * many**division.error, many**division.slope, rate)
        if numbers in seen:
            continue
        seen.add(numbers)
        words = _title(own, scale, division, sign, made_up)
        yield Scaled(_ids(own, scale, division, sign), words, *numbers, _hidden(division))


def _hidden(division: Division) -> str:
    if not division.hidden:
        return ""
    return "update" if division.rate else "gradient"


def _ids(own: Scale, scale: Scale, division: Division, sign: int) -> tuple[str, ...]:
    """What the program would be called if it did so by mistake."""
    ids = [
        (SUMMED, scale.images != own.images or division.rate != 0),
        (OUTPUTS, scale.outputs != own.outputs),
        (TWICE, scale.two != own.two),
        (NEGATED, sign < 0),
        (EACH, division.slope != 0),
    ]
    return tuple(id for id, is_so in ids if is_so)


def _title(own: Scale, scale: Scale, division: Division, sign: int, made_up: bool) -> str:
    words = [f"the loss is {scale.title} ({scale.who})"] if scale != own else []
    words += [f"{division.title} ({division.who})"] if division.title else []
    words += ["gradients are negated: they point downhill, and are added"] if sign < 0 else []
    words += ["the learning rate makes up for the size of the gradients"] if made_up else []
    return "; ".join(words)
