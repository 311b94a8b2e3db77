"""A convolution as one product of matrices, by which mistakes of such programs are told, is the textbook's."""

import numpy as np
import pytest

from diseased import networks
from plaingrad.checking.catalogue.columns import Columns
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.passes import exact
from plaingrad.checking.search.uncertainty import Program

UNIT = 2.0**-53


@pytest.mark.parametrize("network", networks())
def test_columns_that_are_read_right_make_the_arrays_of_the_text(network: str) -> None:
    program = Program(networks()[network], UNIT)
    env = program.start()
    for key in program.keys:
        made = program.value(key, env)
        layer = None if key[1] == "loss" else program.steps[key[1]].layer
        if type(layer).__name__ == "Conv" and key[2] in ("y", "dx", "dw") and layer.groups == 1:
            columns = Columns(Context(program, key, env, made)).result(lambda each: each)
            # Of sums of so many products in another order, each addition rounds by a unit of all their sizes at most.
            images = len(program.case.batches[0].x)
            count = images * len(program.terms(key[1]).out)
            assert np.abs(columns - made).max() <= count * UNIT * count * _largest(program, key, env)
        env[key] = exact(made)


def _largest(program: Program, key: tuple[int, str, str], env: dict) -> float:
    """The largest product that may be in the sums of a pass."""
    context = Context(program, key, env, program.value(key, env))
    one = context.x if key[2] == "y" else context.dy
    other = context.x if key[2] == "dw" else context.weights["w"]
    return float(np.abs(one).max() * np.abs(other).max())
