"""The way forward of a max pool, told by the errors that its way back hands on: who won, and whether anybody could."""

import numpy as np

from plaingrad.checking.catalogue.maxpool import given_error
from plaingrad.checking.edits.making import Making, parts_of
from plaingrad.checking.search.context import Context
from plaingrad.compiler.loops import Array

MOST_WINDOWS = 6  # over one pixel, of whose errors every sum is tried


def choosing(context: Context, how: Making) -> Making | None:
    """For the way back of a pool that chooses: the text that chose, on the way forward."""
    if context.kind != "MaxPool" or context.quantity != "dx":
        return None
    parts = tuple(parts_of(context.program.single_layer(context.name), "forward", "winner", {}, None))
    return Making(parts, how.shape, then=how)


def given_to(winners: Array, context: Context) -> Array:
    """dx where each error goes to the pixel that won: its place in the map, row by row; to nobody below 0."""
    place, columns = winners.astype(int), context.x.shape[3]
    return given_error(context, place // columns, place % columns)


def can_be_chosen(context: Context, given: Array, factor: float, room: float) -> bool:
    """Whether every number of a max pool's dx is `factor` times a sum of errors of windows over it, up to `room`.

    The way back adds nothing else, whoever won: what is no such sum was not made by an edit of the way forward.
    """
    window = context.window.over(context.x.shape[1:])
    count = np.zeros(context.x.shape[2:], int)  # of the windows over each pixel
    errors: list[Array] = []  # of the first window over each pixel, of the second, and so on
    for i, j in np.ndindex(*context.dy.shape[2:]):
        for _, _, row, column in window(i, j):
            if count[row, column] == len(errors):
                errors.append(np.zeros(context.x.shape))
            errors[count[row, column]][:, :, row, column] = context.dy[:, :, i, j]
            count[row, column] += 1
    if len(errors) > MOST_WINDOWS:
        return True
    sums = np.zeros((1, *context.x.shape))
    for each in errors:
        sums = np.concatenate([sums, sums + factor * each])
    return bool((np.abs(given - sums).min(axis=0) <= room).all())
