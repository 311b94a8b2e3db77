"""Mistakes of convolutions that are one product of matrices (im2col), and of those in groups."""

from collections.abc import Callable, Iterator
from math import prod

import numpy as np

from plaingrad.checking.catalogue.entry import Kind, has_several_images, mistake
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array


def bias(context: Context) -> Array:
    """What is added to each map; 0 where a layer has no bias."""
    b = context.weights.get("b", np.zeros(len(context.weights["w"])))
    return b[:, None, None]


class Columns:
    """A convolution's windows as columns (channel, window row, window column; image, output row, output column)."""

    def __init__(self, context: Context) -> None:
        self.context, self.w, terms = context, context.weights["w"], context.program.terms(context.name)
        assert terms is not None
        self.images, (self.filters, *self.maps) = context.images, terms.y
        self.area, self.count = self.w[0].size, self.images * prod(self.maps)
        first = terms.only((terms.place("out")[0] == 0) & (terms.inner >= 0))  # the windows of all filters are the same
        self.row, self.place, self.pixel = first.weight, first.out, first.inner

    def gathered(self) -> Array:
        """The columns: (channel · window row · window column, image · output row · output column)."""
        made = np.zeros((self.area, self.images, self.count // self.images))
        made[self.row, :, self.place] = self.context.x.reshape(self.images, -1)[:, self.pixel].T
        return made.reshape(self.area, self.count)

    def scattered(self, columns: Array) -> Array:
        """The image that columns of errors add up to."""
        made = np.zeros((self.context.x[0].size, self.images))
        np.add.at(made, self.pixel, columns.reshape(self.area, self.images, -1)[self.row, :, self.place])
        return made.T.reshape(self.context.x.shape)

    def result(self, misread: Callable[[Array], Array]) -> Array:
        """What a pass makes of columns that are misread."""
        w = self.w.reshape(self.filters, self.area)
        if self.context.quantity == "y":
            made = (w @ misread(self.gathered())).reshape(self.filters, self.images, *self.maps).swapaxes(0, 1)
            return np.asarray(made + bias(self.context))
        errors = self.context.dy.swapaxes(0, 1).reshape(self.filters, self.count)
        if self.context.quantity == "dx":
            return self.scattered(misread(w.T @ errors))
        return (errors @ misread(self.gathered()).T).reshape(self.w.shape)

    def readings(self) -> Iterator[Callable[[Array], Array]]:
        """The columns reshaped where they should be transposed: the images first, or the windows first."""
        images, area, each = self.images, self.area, self.count // self.images
        yield lambda made: made.reshape(area, images, each).swapaxes(0, 1).reshape(area, -1)
        yield lambda made: made.reshape(images, area, each).swapaxes(0, 1).reshape(area, -1)
        yield lambda made: made.T.reshape(area, -1)
        yield lambda made: made.reshape(-1, area).T


@mistake(
    "columns-reshaped",
    "Conv.y Conv.dx Conv.dw",
    "the columns of all windows (im2col) are reshaped where they should be transposed",
    "A matrix of (channel, row, column of the window) by (image, row, column of the output) has the images "
    "first after a transpose: a reshape gives the same shape, with the numbers in other places.",
    kind=Kind.INDEX,
)
def columns_reshaped(context: Context) -> Iterator[Array]:
    if has_several_images(context) and context.owner.groups == 1:
        columns = Columns(context)
        for reading in columns.readings():
            yield columns.result(reading)


@mistake(
    "outputs-reshaped",
    "Conv.y",
    "the outputs are reshaped where they should be transposed, and then the bias is added",
    "A product of matrices gives (filter, image · row · column), or (image · row · column, filter): transpose it to "
    "(image, filter, row, column).",
    kind=Kind.INDEX,
)
def outputs_reshaped(context: Context) -> Iterator[Array]:
    added = bias(context)
    for order in ((1, 0, 2, 3), (0, 2, 3, 1), (1, 2, 3, 0), (2, 3, 0, 1)):
        yield (context.expected - added).transpose(order).reshape(context.expected.shape) + added


@mistake(
    "groups-otherwise",
    "Conv.y Conv.dx Conv.dw",
    "the filters of a group read other channels than those of their group",
    "With so many filters and channels in each group, filter k belongs to group k // filters, which reads the channels "
    "from group · channels on: they follow one another, and do not take turns.",
    kind=Kind.INDEX,
)
def groups_otherwise(context: Context) -> Iterator[Array]:
    groups, terms = context.owner.groups, context.terms
    if groups == 1:
        return
    k, c = terms.place("out")[0], terms.place("weight")[1]
    inner, (channels, filters) = terms.place("inner")[1:], (terms.x[0] // groups, terms.y[0] // groups)
    for channel in (
        k % groups * channels + c,
        k // filters + c * groups,
        k % groups + c * groups,
        c,
        (k // filters * filters + c) % terms.x[0],
    ):
        yield context.sum(terms.at("inner", (channel, *inner)))
