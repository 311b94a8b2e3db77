"""Mistakes in skips and in Dropout: which errors are added, and which numbers are left out."""

from collections.abc import Iterator

import numpy as np

from plaingrad.checking.catalogue.entry import Kind, enter, mistake
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array


def ways_back(context: Context) -> tuple[Array, Array]:
    """Both errors of an output that went two ways: what the next layer sends back, and what the skip does."""
    one, other = (context.env[need].value for need in context.program.needs(context.key))
    return one, other


enter(
    "error-of-the-skip-left-out",
    "*.dy",
    "the error that comes back along the skip is not added, or is overwritten: = instead of +=",
    "An output that two layers read gets an error from each of them: add both (+=) before going further back.",
    lambda context: ways_back(context)[0],
    kind=Kind.SUM,
)

enter(
    "error-of-the-branch-left-out",
    "*.dy",
    "only the error along the skip goes back: that of the layers between is left out, or overwritten: = instead of +=",
    "An output that two layers read gets an error from each of them: add both (+=) before going further back.",
    lambda context: ways_back(context)[1],
    kind=Kind.SUM,
)

enter(
    "errors-averaged-at-the-skip",
    "*.dy",
    "the mean of the two errors goes back, or their difference, not their sum",
    "An output that two layers read gets the sum of their errors.",
    lambda context: context.expected / 2,
    lambda context: ways_back(context)[0] - ways_back(context)[1],
    lambda context: ways_back(context)[1] - ways_back(context)[0],
    kind=Kind.FACTOR,
)

enter(
    "skip-error-counted-twice",
    "*.dy",
    "one of the two errors is added twice, in place of the other or beside it",
    "An output that two layers read gets an error from each of them, once.",
    lambda context: context.expected + ways_back(context)[1],
    lambda context: context.expected + ways_back(context)[0],
    lambda context: 2 * ways_back(context)[0],
    lambda context: 2 * ways_back(context)[1],
    kind=Kind.SUM,
)


@mistake(
    "error-masked-at-the-skip",
    "*.dy",
    "one of the two errors, or their sum, is masked as by a ReLU where none stands",
    "A sum passes the whole error on both ways; a ReLU masks only the error that goes back through itself, by its own "
    "output. Add both errors first, and go back through the layer before the skip's beginning afterwards.",
    kind=Kind.COMPARISON,
)
def masked(context: Context) -> Iterator[Array]:
    of_branch, of_skip = ways_back(context)
    _, (step, add, _) = context.program.needs(context.key)
    summed = (step, add, "y")
    for key in ((step, context.name, "y"), summed, context.program.x_key(summed)):
        passes = context.env[key].value > 0
        if passes.shape != of_branch.shape:  # the skip brings every second row and column
            continue
        yield of_branch + of_skip * passes
        yield of_branch * passes + of_skip
        yield (of_branch + of_skip) * passes


@mistake(
    "skip-of-another-layer",
    "Add.y",
    "the skip brings the output of another layer",
    "y = x + the output of the layer that the skip begins at: keep that one, behind its activation or before it.",
    kind=Kind.ARRAY,
)
def of_another_layer(context: Context) -> Iterator[Array]:
    names = context.program.names
    for name in ("input", *names[: names.index(context.name)]):
        other = context.env[context.step, name, "y"].value
        if other.shape == context.x.shape:
            yield context.x + other


enter(
    "skip-left-out",
    "Add.y",
    "the output that the skip brings is not added",
    "y = x + the output of the layer that the skip begins at.",
    lambda context: context.x,
    kind=Kind.OMISSION,
)

enter(
    "branch-left-out",
    "Add.y",
    "the output is what the skip brings alone: the layer's input is overwritten",
    "y = x + the output of the layer that the skip begins at.",
    lambda context: context.expected - context.x,
    kind=Kind.SUM,
)

enter(
    "sum-halved",
    "Add.y Add.dx Add.dskip",
    "half of what it should be: a mean of the two, not their sum",
    "y = x + skip: each of the two gets the whole error.",
    lambda context: context.expected / 2,
    kind=Kind.FACTOR,
)

enter(
    "skip-sends-nothing-back",
    "Add.dx Add.dskip",
    "nothing goes back one of the two ways",
    "y = x + skip: each of the two gets the error, unchanged.",
    lambda context: np.zeros_like(context.expected),
    plain=True,
    kind=Kind.OMISSION,
)


# Dropout


def mask(context: Context) -> Array:
    """The mask of this step, or of the last."""
    step = min(context.step, context.program.last)
    return context.env[step, context.name, "mask"].value


def scale(context: Context) -> float:
    """By what is multiplied what stays."""
    return 1 / float(1 - context.owner.rate)


def passed(context: Context) -> Array:
    """What goes in: the input, or the error."""
    return context.x if context.quantity == "y" else context.dy


enter(
    "scale-of-dropout-left-out",
    "Dropout.y Dropout.dx",
    "what stays is not divided by 1 - rate",
    "y = x · mask / (1 - rate), and dx = dy · mask / (1 - rate): the expected value then stays the same, and the "
    "trained network needs no factor.",
    lambda context: passed(context) * mask(context),
    when=lambda context: not context.is_trained,
    kind=Kind.FACTOR,
)

enter(
    "dropout-not-applied",
    "Dropout.y Dropout.dx",
    "nothing is left out: the layer passes everything on, with or without the factor",
    "In training multiply by the mask on the way forward, and by the same mask on the way back.",
    lambda context: passed(context),
    lambda context: passed(context) * scale(context),
    when=lambda context: not context.is_trained,
    kind=Kind.OMISSION,
)

enter(
    "dropout-once-trained",
    "Dropout.y",
    "numbers are left out, or scaled, in the trained network too",
    "Once trained, a network leaves nothing out: y = x, for the factor 1 / (1 - rate) was taken in training.",
    lambda context: context.x * mask(context) * scale(context),
    lambda context: context.x * mask(context),
    lambda context: context.x * scale(context),
    lambda context: context.x / scale(context),
    when=lambda context: context.is_trained,
    kind=Kind.ARRAY,
)

enter(
    "mask-of-dropout-inverted",
    "Dropout.y Dropout.dx",
    "what should be left out stays, and the reverse",
    "The mask is 1 for what stays.",
    lambda context: passed(context) * (1 - mask(context)) * scale(context),
    lambda context: passed(context) * (1 - mask(context)),
    when=lambda context: not context.is_trained,
    kind=Kind.COMPARISON,
)

enter(
    "scale-of-dropout-otherwise",
    "Dropout.y Dropout.dx",
    "what stays is divided by the rate, or multiplied by what it should be divided by",
    "y = x · mask / (1 - rate): rate is the share that is left out.",
    lambda context: passed(context) * mask(context) / context.owner.rate,
    lambda context: passed(context) * mask(context) / scale(context),
    lambda context: passed(context) * mask(context) * context.owner.rate,
    lambda context: passed(context) * mask(context) * scale(context) ** 2,
    when=lambda context: not context.is_trained and context.owner.rate > 0,
    kind=Kind.FACTOR,
)


def drawn_anew(context: Context) -> Array | None:
    """The error with another mask, which the answer itself tells: of each number either nothing or all stays."""
    if context.given is None or not mask(context).any():
        return None
    whole = passed(context) * scale(context)
    stays = np.abs(context.given) > np.abs(whole) / 2
    kept = np.mean(stays[whole != 0])
    shown, masked = whole != 0, mask(context) > 0
    is_drawn = (stays & ~masked & shown).any() and (~stays & masked & shown).any() and 0 < kept < 1
    return np.where(stays, whole, 0) if is_drawn else None


enter(
    "mask-drawn-anew",
    "Dropout.y Dropout.dx",
    "another mask than that of the case: it is drawn anew, or that of another step",
    "Take the mask that the step tells, on the way forward; keep it, and take the same one on the way back.",
    drawn_anew,
    when=lambda context: not context.is_trained,
    late=True,
    loose=True,
    kind=Kind.ARRAY,
)
