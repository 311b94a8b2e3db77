"""A convolution or a mean pool as the matrix of a fully connected layer: made of recorded terms, and checked."""

from dataclasses import dataclass

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.errors import SettingError
from plaingrad.explaining.notation import number_text
from plaingrad.explaining.terms import product, summands
from plaingrad.explaining.traced_numbers import CELL, Traced
from plaingrad.explaining.tracing import Tracer
from plaingrad.explaining.twin import Sheet

MOST_ENTRIES = 10_000_000


@dataclass(frozen=True)
class AsDense:
    """`matrix @ input + bias` is what the layer's loops give, before an activation.

    `cells`: for each entry the weight used there, counted as in `conv1.w.reshape(-1)`; -1 where there is none.
    """

    matrix: Array
    bias: Array
    cells: Array
    difference: float

    @property
    def zeros(self) -> int:
        """Entries that no weight stands in: connections that a fully connected layer would have besides."""
        return int((self.cells == -1).sum())

    @property
    def distinct(self) -> int:
        """How many different weights fill the others."""
        return len(np.unique(self.cells[self.cells != -1]))

    @property
    def check(self) -> str:
        """What multiplying the matrix out again found."""
        rows, columns = self.matrix.shape
        numbers = "number fills" if self.distinct == 1 else "different numbers fill"
        return (
            f"{rows:,} × {columns:,} entries: {self.zeros:,} are empty, and {self.distinct:,} {numbers} the other "
            f"{self.matrix.size - self.zeros:,}. Matrix times input, plus bias, gives the layer's own sums: the "
            f"largest difference is {number_text(self.difference, 1)}"
        )


def as_dense(tracer: Tracer, layer: str, made: Array | None = None) -> AsDense:
    """A layer whose outputs are sums of inputs, each times a number, as a matrix. `made`: its traced outputs."""
    twin = tracer.twin
    x, y = twin.sheets[twin.names[f"{layer}.x"]], twin.sheets[sums_of(tracer, layer)]
    if x.size * y.size > MOST_ENTRIES:
        raise SettingError(f"{layer} as a dense layer has {y.size:,} × {x.size:,} weights; that is too many to lay out")
    nodes = (tracer.whole(y) if made is None else made).reshape(-1)
    matrix, bias, cells = np.zeros((y.size, x.size)), np.zeros(y.size), np.full((y.size, x.size), -1)
    for row, node in enumerate(nodes):
        if any(each.left.op is CELL and each.right.op is CELL for each in node.why):
            raise SettingError(f"{layer} chooses by comparing its inputs: which matrix it is depends on the image")
        for term, _ in summands(node):
            column, size, cell = _entry(tracer, term, x, layer)
            if column is None:
                bias[row] += term.value
            else:
                matrix[row, column], cells[row, column] = size, cell
    sums = np.array([node.value for node in nodes])
    with np.errstate(all="ignore"):  # what is not finite shows in the difference
        difference = float(np.abs(matrix @ x.values() + bias - sums).max(initial=0.0))
    return AsDense(matrix, bias, cells, difference)


def sums_of(tracer: Tracer, layer: str) -> str:
    """The array of a layer's own sums: z where an activation comes after them, else y; nothing of a loss."""
    names = tracer.twin.names
    return "" if layer not in tracer.twin.net.steps else names.get(f"{layer}.z") or names[f"{layer}.y"]


def _entry(tracer: Tracer, term: Traced, x: Sheet, layer: str) -> tuple[int | None, float, int]:
    """Where a term stands in the matrix: the input it takes, what it is multiplied by, and which weight that is."""
    column, size, cell = None, 1.0, 0
    for factor, below in product(term):
        if factor.op is CELL and x.start <= factor.left < x.stop:
            if column is not None:
                break
            column = factor.left - x.start
        else:
            size = size / factor.value if below else size * factor.value
            cell = factor.left - tracer.twin.sheet_of(factor.left).start if factor.op is CELL else cell
    else:
        return column, size, cell
    raise SettingError(
        f"{layer} is not a sum of its inputs, each times a number: it cannot be written as a dense layer"
    )
