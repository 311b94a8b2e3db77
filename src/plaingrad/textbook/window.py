"""Where windows lie: the one place that says what size, stride, padding and dilation mean, for layers of all kinds."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from plaingrad.errors import ShapeError
from plaingrad.textbook.layer import Shape

Pair = tuple[int, int]
AXES = ("rows", "columns")


@dataclass(frozen=True)
class Window:
    """A window of `size` weights that moves over an image; each pair is (rows, columns).

    `margins` are (before, after) the image's rows and columns. `image`, its real rows and columns, is there once the
    window lies `over` an image. In `ceil_mode` a last window may hang over the end, if it begins before it.
    """

    size: Pair
    stride: Pair
    margins: tuple[Pair, Pair] = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)
    image: Pair = (0, 0)
    ceil_mode: bool = False

    def __call__(self, i: int, j: int) -> Iterator[tuple[int, int, int, int]]:
        """Window (i, j): each weight (u, v), and the pixel (row, column) it lies on; beyond the image is nothing."""
        for u in range(self.size[0]):
            for v in range(self.size[1]):
                row = i * self.stride[0] + u * self.dilation[0] - self.padding[0]
                column = j * self.stride[1] + v * self.dilation[1] - self.padding[1]
                if 0 <= row < self.image[0] and 0 <= column < self.image[1]:
                    yield u, v, row, column

    @property
    def padding(self) -> Pair:
        """How many rows and columns beyond the edge the first window begins."""
        return self.margins[0][0], self.margins[1][0]

    @property
    def reach(self) -> Pair:
        """How many rows and columns it spreads over, with those that its dilation leaves out."""
        rows, columns = ((size - 1) * spacing + 1 for size, spacing in zip(self.size, self.dilation, strict=True))
        return rows, columns

    @property
    def may_overhang(self) -> bool:
        """Whether some window may lie partly beyond the edge of the image."""
        return self.ceil_mode or any(map(any, self.margins))

    @property
    def is_tiling(self) -> bool:
        """Whether each pixel of the image lies in one window, and each window within the image."""
        whole = all(image % size == 0 for image, size in zip(self.image, self.size, strict=True))
        return whole and self.reach == self.size == self.stride and not any(map(any, self.margins))

    def over(self, x: Shape) -> "Window":
        """The window over images of this shape (channel, row, column)."""
        return replace(self, image=(x[1], x[2]))

    def output(self, x: Shape) -> Shape:
        """How many windows fit along rows and columns. A remainder that no window fits into is left out.

        In `ceil_mode` one more window takes it, rounded up as in PyTorch: where it begins in the image or before it.
        """
        if len(x) != 3:
            raise ShapeError("it takes images of three axes (channel, row, column)")
        counts = []
        for axis in range(2):
            padding, size, stride = sum(self.margins[axis]), self.size[axis], self.stride[axis]
            reach, room = self.reach[axis], x[1 + axis] + padding
            count = (room - reach + (stride - 1 if self.ceil_mode else 0)) // stride + 1
            if count < 1:
                spread = f" spread to {reach}" if reach > size else ""
                more = f" (with {padding} of padding it has {room})" if padding else ""
                raise ShapeError(
                    f"a {self.size[0]}×{self.size[1]} window{spread} needs at least {reach} {AXES[axis]}{more}; "
                    "make the window smaller, add padding, or pool less before it"
                )
            begins_beyond = (count - 1) * stride >= x[1 + axis] + self.margins[axis][0]
            counts.append(count - 1 if self.ceil_mode and begins_beyond else count)
        return tuple(counts)

    def pixels(self, count_padding: bool, rows: int, columns: int) -> list[list[int]]:
        """For each of rows × columns windows how many pixels it holds: real ones, or padding too where told."""
        if count_padding:  # then padding is as good as the image; what hangs over it still does not count
            (down, across), image = self.margins, self.image
            padded = image[0] + sum(down), image[1] + sum(across)
            return replace(self, margins=((0, 0), (0, 0)), image=padded).pixels(False, rows, columns)
        # Which rows a window holds does not depend on its column: a thin window each way counts them.
        above = replace(self, size=(self.size[0], 1), margins=(self.margins[0], (0, 0)), image=(self.image[0], 1))
        beside = replace(self, size=(1, self.size[1]), margins=((0, 0), self.margins[1]), image=(1, self.image[1]))
        counts = [sum(1 for _ in beside(0, j)) for j in range(columns)]
        return [[sum(1 for _ in above(i, 0)) * count for count in counts] for i in range(rows)]
