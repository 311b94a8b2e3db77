"""Where windows fit: the one place that counts output rows and columns, for convolutions and pools alike."""

from dataclasses import dataclass

from plaingrad.errors import ShapeError
from plaingrad.layer import Shape

Pair = tuple[int, int]
AXES = ("rows", "columns")


@dataclass(frozen=True)
class Window:
    """Windows of `size` that move by `stride`; each pair is (rows, columns), each margin (before, after) the image."""

    size: Pair
    stride: Pair
    margins: tuple[Pair, Pair]
    dilation: Pair = (1, 1)

    def output(self, x: Shape) -> Shape:
        """How many windows fit along rows and columns. A remainder that no window reaches is left out."""
        if len(x) != 3:
            raise ShapeError("it takes images of three axes (channel, row, column)")
        counts = []
        for axis in range(2):
            padding, size = sum(self.margins[axis]), self.size[axis]
            reach, room = (size - 1) * self.dilation[axis] + 1, x[1 + axis] + padding
            if reach > room:
                spread = f" spread to {reach}" if reach > size else ""
                more = f" (with {padding} of padding it has {room})" if padding else ""
                raise ShapeError(
                    f"a {self.size[0]}×{self.size[1]} window{spread} needs at least {reach} {AXES[axis]}{more}; "
                    "make the window smaller, add padding, or pool less before it"
                )
            counts.append((room - reach) // self.stride[axis] + 1)
        return tuple(counts)

    def constants(self) -> dict[str, int]:
        """The numbers by their names in the nests."""
        names = (("height", "width"), ("down", "step"), ("apart", "gap"))
        pairs = (self.size, self.stride, self.dilation)
        named = {
            name: value for two, pair in zip(names, pairs, strict=True) for name, value in zip(two, pair, strict=True)
        }
        return named | {"top": self.margins[0][0], "left": self.margins[1][0]}
