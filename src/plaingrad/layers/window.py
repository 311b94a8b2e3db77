"""Where windows fit: the one place that counts output rows and columns."""

from plaingrad.errors import ShapeError
from plaingrad.layer import Shape

Pair = tuple[int, int]
AXES = ("rows", "columns")


def window_output(x: Shape, size: Pair, stride: Pair, margins: tuple[Pair, Pair], dilation: Pair = (1, 1)) -> Shape:
    """How many windows fit along rows and columns. A remainder that no window reaches is left out."""
    if len(x) != 3:
        raise ShapeError("it takes images of three axes (channel, row, column)")
    counts = []
    for axis in range(2):
        reach, room = (size[axis] - 1) * dilation[axis] + 1, x[1 + axis] + sum(margins[axis])
        if reach > room:
            more = f" (with {sum(margins[axis])} of padding it has {room})" if sum(margins[axis]) else ""
            spread = f" spread to {reach}" if reach > size[axis] else ""
            raise ShapeError(
                f"a {size[0]}×{size[1]} window{spread} needs at least {reach} {AXES[axis]}{more}; "
                "make the window smaller, add padding, or pool less before it"
            )
        counts.append((room - reach) // stride[axis] + 1)
    return tuple(counts)
