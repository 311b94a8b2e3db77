"""Why a number of dropout, a normalisation or a skip is what it is: no comparison of a loop says it."""

from collections.abc import Iterator
from math import prod

from plaingrad.explaining.notation import number_text
from plaingrad.explaining.reason import Reason, reason
from plaingrad.explaining.traced_numbers import Traced
from plaingrad.explaining.tracing import Tracer
from plaingrad.explaining.twin import Making, Sheet
from plaingrad.textbook.layers import Add, BatchNorm, Dropout, GroupNorm
from plaingrad.textbook.layers.skip import BOTH_ERRORS
from plaingrad.textbook.phrases import counted

ALONE = (
    "the run is one image, a batch of its own: mean and variance are those of its pixels alone; in training they are "
    "those of all images of a shard, and a trained network takes the running values"
)
ORDINALS = {1: "", 2: "second ", 3: "third "}


def of_layers(tracer: Tracer, sheet: Sheet, node: Traced) -> Iterator[Reason]:
    """What a layer does with a number by its nature: which ways it took, what was drawn for it, who ran with it."""
    making = tracer.making(sheet)
    if making is None:
        return
    if making.task.text == BOTH_ERRORS:
        yield of_two_ways(tracer, making, node)
    elif isinstance(making.task.owner, Dropout):
        yield from of_dropout(tracer, making, node)
    elif isinstance(making.task.owner, BatchNorm | GroupNorm):
        yield from of_normalisation(tracer, making, node)
    elif isinstance(making.task.owner, Add):
        yield from of_skip(tracer, making, node)


def of_two_ways(tracer: Tracer, making: Making, node: Traced) -> Reason:
    """The error of an output that went into the next layer, and over a skip."""
    names = list(tracer.twin.net.steps)
    following, end = names[names.index(making.layer) + 1], tracer.twin.twin.starts[making.layer]
    told = (
        f"the output of {making.layer} went two ways: into {following}, which hands back {{0}}, and over the skip into "
        f"{end}, which hands back {{1}}; the loss depends on it both ways, so the two errors are added"
    )
    return reason(tracer, "note", told, *node.cells())


def of_dropout(tracer: Tracer, making: Making, node: Traced) -> Iterator[Reason]:
    """Whether a number was drawn to stay."""
    masks = [cell for cell in node.cells() if tracer.twin.sheet_of(cell).quantity == "mask"]
    if not masks:
        yield reason(tracer, "note", "the run does what a trained network does: nothing is dropped, and nothing scaled")
        return
    kept, is_back = tracer.twin.value(masks[0]) > 0, making.argument == "dx"
    stays = number_text(1 - making.task.owner.rate)
    drawn = "{0} was drawn: "
    if kept and is_back:
        told = f"the number was kept and divided by 1 − rate = {stays}, so its error is divided by {stays} too"
    elif kept:
        told = (
            f"the number is kept, and divided by 1 − rate = {stays}, the share that stays, so that sums of many stay "
        )
        told += "about as large as without dropout"
    elif is_back:
        told = "the number was dropped, so it does not affect the loss: its error is 0"
    else:
        told = "the number is dropped"
    yield reason(tracer, "note", drawn + told, masks[0])


def of_normalisation(tracer: Tracer, making: Making, node: Traced) -> Iterator[Reason]:
    """Whose mean and variance were taken; and the three ways from a number to the loss."""
    is_batch = isinstance(making.task.owner, BatchNorm)
    is_trained = "running_mean" in making.task.seen
    mean, product = ("db", "dw") if is_batch else ("mean_error", "mean_product")
    by_name = {tracer.twin.sheet_of(cell).quantity: cell for cell in node.cells()}
    if making.argument == "dx" and {mean, product} <= by_name.keys():
        spread = "variance" if is_batch else "deviation"
        told = (
            "three ways lead from this number to the loss, and each gives a term: through its own output; through the "
            f"mean, which is taken off every number of its {'channel' if is_batch else 'group'} (the term with {{0}}); "
            f"and through the {spread}, by which every number is divided (the term with {{1}})"
        )
        yield reason(tracer, "note", told, by_name[mean], by_name[product])
    if making.argument in ("mean", "variance") and is_batch:
        count, x = tracer.twin.count, tracer.twin.net.steps[making.layer].x
        numbers = counted(count * prod(x[1:]), "number")
        told = f"taken over the {counted(count, 'image')} of this run: {numbers} of each channel"
        yield reason(tracer, "note", told)
    if is_batch and is_trained:
        told = (
            "the run does what a trained network does: it takes the running mean and variance, not those of its images"
        )
        yield reason(tracer, "note", told)
    elif is_batch and tracer.twin.count == 1:
        yield reason(tracer, "note", ALONE)


def of_skip(tracer: Tracer, making: Making, node: Traced) -> Iterator[Reason]:
    """Where a skip brought nothing: a channel that is not there, a row or column that is not taken."""
    start = making.task.owner.layer
    met = node.cells()
    if making.argument == "y" and len(met) == 1:
        channels = tracer.twin.net.steps[start].y[0]
        told = f"{start} has only {counted(channels, 'channel')}, so the skip adds nothing to this one"
        yield reason(tracer, "note", told)
    elif making.argument == "dskip" and not met:
        rows, columns = (making.task.seen[name] for name in ("stride_0", "stride_1"))
        told = (
            f"the skip takes every {ordinal(rows)}row and every {ordinal(columns)}column of {start}, and this number "
        )
        yield reason(tracer, "note", told + "is not among them: it brings no error back here")


def ordinal(stride: int) -> str:
    """`second ` in “every second row”."""
    return ORDINALS.get(stride, f"{stride}th ")
