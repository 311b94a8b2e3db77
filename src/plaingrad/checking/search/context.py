"""One pass with the arrays it was given: what a mistake of the catalogue is told, to say what it would have made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plaingrad.checking.search.passes import Estimate, Key, stepped
from plaingrad.checking.search.products import Terms
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array

Pair = tuple[int, int]


@dataclass
class Context:
    """A pass: `expected` is what it should have made of its arrays, `given` what the program made.

    `step` counts from 1. `name` is the layer's, or "loss"; `owner` is the layer, or the loss, and `kind` what kind it
    is of. `quantity` is what the pass makes: y, dx, dw, db, or a weight after the update; `way` is the same but
    "update" for such a weight, and `weight` the trained array that a gradient or an update is about. `leak` is how much
    a rectifier lets pass below zero; `begin` is the margin that a window has above and left of the image.
    """

    program: Program
    key: Key
    env: Mapping[Key, Estimate]
    expected: Array
    given: Array | None = None

    def __post_init__(self) -> None:
        self.step, self.name, self.quantity = self.key
        self.owner: Any = self.program.case.loss if self.name == "loss" else self.program.steps[self.name].layer
        self.kind = type(self.owner).__name__
        self.kept = () if self.name == "loss" else tuple(self.program.steps[self.name].state)
        is_update = self.program.is_update(self.key)
        self.way, self.weight = ("update", self.quantity) if is_update else (self.quantity, self.quantity[1:])
        self.images, self.rate = self.program.case.images, self.program.rate(self.key)
        self.leak: Any = getattr(self.owner, "slope", 0)
        self.window: Any = getattr(self.owner, "window", None)
        self.begin: Pair = self.window.padding if self.window else (0, 0)

    @property
    def is_trained(self) -> bool:
        """Whether the layer does what it does once it is trained, which is not what it did before."""
        return self.program.is_trained(self.key)

    @property
    def x(self) -> Array:
        """The layer's input (image, …)."""
        return self.env[self.program.x_key(self.key)].value

    @property
    def dy(self) -> Array:
        """The gradient with respect to the layer's output (image, …)."""
        return self.env[self.program.dy_key(self.key)].value

    @property
    def y(self) -> Array:
        """The layer's output, from its input."""
        key = (self.step, self.name, "y")
        return self.env[key].value if key in self.env else self.program.value(key, self.env)

    @property
    def target(self) -> Array:
        """What the outputs should be (image, output)."""
        return self.program.case.batches[self.step - 1].target

    @property
    def weights(self) -> dict[str, Array]:
        """The layer's weights before the step."""
        return {name: self.env[key].value for name, key in self.program.weight_keys(self.key).items()}

    @property
    def read(self) -> dict[str, Array]:
        """What the layer reads besides its input, by name: its weights, a mask, another layer's output."""
        return self.program.read(self.key, self.env)

    @property
    def slope(self) -> Array:
        """For an update: the gradient it was to use."""
        return self.env[self.step, self.name, "d" + self.quantity].value

    @property
    def before(self) -> Array | None:
        """The same array in the step before; None in the first."""
        key = (self.step - 1, *self.key[1:])
        return self.env[key].value if self.step > 1 and key in self.env else None

    def updated(self) -> dict[str, Array]:
        """The weights as they will be after this step."""
        after = {}
        for name, w in self.weights.items():
            key = (self.step, self.name, "d" + name)
            slope = self.env[key].value if key in self.env else self.program.value(key, self.env)
            after[name] = stepped(w, slope, self.program.rate((self.step, self.name, name)))
        return after

    @property
    def terms(self) -> Terms:
        """The products this pass adds up."""
        terms = self.program.terms(self.name)
        assert terms is not None
        return terms.of(self.weight) if self.way in ("dw", "db") else terms

    def letters(self, terms: Terms | None = None) -> dict[str, Array]:
        """For each product its letters: filter k, output row i and column j, window row u and column v, channel c."""
        terms = terms or self.terms
        k, i, j = terms.place("out")
        c, row, column = terms.place("inner")
        (row_stride, column_stride), (row_dilation, column_dilation), (top, left) = (
            self.window.stride,
            self.window.dilation,
            self.begin,
        )
        u, v = (row - i * row_stride + top) // row_dilation, (column - j * column_stride + left) // column_dilation
        return {"k": k, "i": i, "j": j, "c": c, "u": u, "v": v, "row": row, "column": column}

    def placed(self, row: Callable[..., Array], column: Callable[..., Array]) -> Terms:
        """The products with every window laid elsewhere: its pixel (u, v) at row(i, j, u, v), column(i, j, u, v).

        Those that fell on the padding are there too: elsewhere they may fall on the image.
        """
        terms, window = self.terms, self.window
        size = (terms.y[1], terms.y[2], *window.size)
        k, c, one, factor = terms.pairs
        area = window.size[0] * window.size[1]
        starts = np.where(one >= 0, one // area * area, -1)  # a kernel lies row by row
        i, j, u, v = (grid.reshape(1, -1) for grid in np.indices(size))
        out = (k[:, None] * size[0] + i) * size[1] + j
        weights = np.where(starts[:, None] >= 0, starts[:, None] + u * size[3] + v, -1)
        rows, columns = (np.broadcast_to(f(i, j, u, v), i.shape) for f in (row, column))
        inside = (rows >= 0) & (rows < terms.x[1]) & (columns >= 0) & (columns < terms.x[2])
        inner = np.where(inside, (c[:, None] * terms.x[1] + rows) * terms.x[2] + columns, 0)
        kept, shape = np.broadcast_to(inside, out.shape).reshape(-1), out.shape
        others = terms.only(terms.inner < 0)

        def joined(own: Array, all_of_it: Array) -> Array:
            return np.append(own, np.broadcast_to(all_of_it, shape).reshape(-1)[kept])

        return replace(
            terms,
            out=joined(others.out, out),
            weight=joined(others.weight, weights),
            inner=joined(others.inner, inner),
            factor=joined(others.factor, np.full(shape, factor)),
        )

    def sum(
        self, terms: Terms, dy: Array | None = None, x: Array | None = None, w: dict[str, Array] | None = None
    ) -> Array:
        """What this pass makes of other products, or of other arrays."""
        if self.quantity == "y":
            return terms.forward(self.x if x is None else x, w or self.weights)
        dy = self.dy if dy is None else dy
        if self.quantity == "dx":
            return terms.error(dy, w or self.weights)
        return terms.slope(self.weight, dy, self.x if x is None else x)

    def of_error(self, dy: Array) -> Array:
        """What this pass makes of other errors: of its products, or by its text where it adds up more than products."""
        if self.program.terms(self.name) is not None:
            return self.sum(self.terms, dy)
        return self.program.loop(self.name, self.quantity, self.x, self.read, dy)

    def with_weights(self, w: dict[str, Array]) -> Array:
        """dx of other weights."""
        if self.program.terms(self.name) is not None:
            return self.sum(self.terms, w=w)
        return self.program.loop(self.name, "dx", self.x, self.read | w, self.dy)

    def edited(self, *changes: tuple[str, str]) -> Array:
        """dx with pieces of the layer's backward text replaced."""
        single = self.program.single_layer(self.name)
        single.run_on(self.x, self.read)
        single.put(dy=self.dy)
        single.backward(*changes)
        return single.get("dx")

    def only_images(self, images: Any) -> Array:
        """dy with the errors of all other images gone."""
        kept = np.zeros_like(self.dy)
        kept[images] = self.dy[images]
        return kept
