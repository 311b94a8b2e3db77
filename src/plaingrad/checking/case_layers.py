"""The layers of cases: settings that are unlike each other, so that mistakes change the numbers."""

from typing import Any

from plaingrad.errors import SettingError, nearest
from plaingrad.network.outline import names_of
from plaingrad.textbook.layer import Layer, Shape
from plaingrad.textbook.layers import (
    ELU,
    GELU,
    Add,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalMeanPool,
    GroupNorm,
    L2Pool,
    LeakyReLU,
    MaxPool,
    MeanPool,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    TanhGELU,
)

INPUT: Shape = (2, 7, 4)  # (channel, row, column) of a default image for even seeds; odd ones exchange rows and columns
LARGE_INPUT: Shape = (2, 11, 9)  # the same for layers that are asked for: several pools shall fit
FILTERS, UNITS = (4, 5, 8), (7, 9, 10)  # one after the other, by the layers of the kind before
EVEN_FILTERS = (4, 6, 8)  # where channels go in two groups
CONVS = (  # size, stride, padding and dilation differ in rows and columns, or do so in the other one
    Conv(4, size=(2, 3), stride=(2, 1), padding=(0, 2)),
    Conv(4, size=(2, 3), stride=(1, 2), padding=(2, 2), dilation=(2, 3)),
)
BY_WORD: dict[str, Layer] = {
    "conv": CONVS[0],
    "relu": ReLU(),
    "leakyrelu": LeakyReLU(0.125),
    "sigmoid": Sigmoid(),
    "tanh": Tanh(),
    "maxpool": MaxPool((3, 2), stride=(2, 1), padding=(1, 0)),
    "meanpool": MeanPool((2, 3), stride=(1, 2), padding=(0, 1)),
    "l2pool": L2Pool((3, 2), stride=(2, 1), padding=(1, 0)),
    "flatten": Flatten(),
    "dense": Dense(7),
    "softmax": Softmax(),
    "elu": ELU(0.75),
    "silu": SiLU(),
    "gelu": GELU(),
    "tanhgelu": TanhGELU(),
    "globalmeanpool": GlobalMeanPool(),
    "batchnorm": BatchNorm(epsilon=0.125, momentum=0.375),
    "groupnorm": GroupNorm(2, epsilon=0.125),
    "dropout": Dropout(0.375),
}
SKIP = "add"  # add:relu1 adds the output of relu1


def turned_input(seed: int, input: Shape = INPUT) -> Shape:
    """A shape (channel, row, column): as it is for even seeds, rows and columns exchanged for odd ones."""
    channels, rows, columns = input
    return (channels, columns, rows) if seed % 2 else input


def is_wide(input: object) -> bool:
    """Whether images of this shape are wider than high; what is no shape is not, and is refused with the layers."""
    if not isinstance(input, tuple | list) or len(input) != 3 or not all(isinstance(size, int) for size in input):
        return False
    return bool(input[2] > input[1])


def turned(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers with rows and columns exchanged in every setting."""
    return tuple(
        layer.replace(**{name: value[::-1] for name, value in _pairs(layer)}) if hasattr(layer, "window") else layer
        for layer in layers
    )


def _pairs(layer: Layer) -> list[tuple[str, tuple[int, int]]]:
    """The settings of a window that are for rows and columns."""
    named = [(name, getattr(layer, name, None)) for name in ("size", "stride", "padding", "dilation")]
    return [(name, value) for name, value in named if isinstance(value, tuple)]


def without_dilation(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers without dilation, and pools without padding: as most programs have them that are written by hand."""
    made = []
    for layer in layers:
        if isinstance(layer, Conv):
            layer = layer.replace(dilation=(1, 1))
        elif isinstance(layer, MaxPool | MeanPool | L2Pool):
            layer = layer.replace(padding=(0, 0))
        made.append(layer)
    return tuple(made)


def of_words(words: str, input: Shape) -> tuple[Layer, ...]:
    """The layers of `conv,relu,maxpool`: each with settings that make mistakes visible. `add:relu1` is a skip.

    The convolution before a skip keeps the size, and has as many filters as the output that is added.
    Where the `input` (channel, row, column) is wider than high, rows and columns are exchanged in all of them.
    """
    chosen = [word.strip().lower() for word in words.split(",")]
    for word in chosen:
        if word not in BY_WORD and not _is_skip(word):
            raise SettingError(f"--layers knows no layer {word!r}; {nearest(word, [*BY_WORD, f'{SKIP}:LAYER'])}")
    layers: list[Layer] = []
    filters = EVEN_FILTERS if "groupnorm" in chosen else FILTERS
    for word in chosen:  # each with another number of filters or units than the one before
        if _is_skip(word):
            layers.append(Add(word.partition(":")[2]))
            continue
        layer, before = BY_WORD[word], sum(word == each for each in chosen[: len(layers)])
        if isinstance(layer, Conv):
            layer = CONVS[before % 2].replace(filters=filters[before % 3])
        elif isinstance(layer, Dense):
            layer = layer.replace(units=UNITS[before % 3])
        layers.append(layer)
    return with_skips(turned(tuple(layers)) if is_wide(input) else tuple(layers))


def _is_skip(word: str) -> bool:
    return word.startswith(f"{SKIP}:")


def with_skips(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers, of which those before a skip make what it can be added to.

    The last convolution before it keeps rows and columns, and has as many filters as the one whose output is added;
    a dense layer as many units.
    """
    names, made = names_of(layers), list(layers)
    for place, layer in enumerate(layers):
        if not isinstance(layer, Add) or layer.layer not in names[:place]:
            continue
        begin = names.index(layer.layer)
        for kind, setting in ((Conv, "filters"), (Dense, "units")):
            before, after = (
                [each for each in range(*ends) if isinstance(layers[each], kind)]
                for ends in ((0, begin + 1), (begin + 1, place))
            )
            if before and after:
                around: dict[str, Any] = {"padding": "same", "stride": 1, "dilation": 1} if kind is Conv else {}
                made[after[-1]] = made[after[-1]].replace(**around, **{setting: getattr(made[before[-1]], setting)})
    return tuple(made)


THOROUGH: tuple[Layer, ...] = (
    CONVS[0],
    BY_WORD["maxpool"],  # before the ReLU, so that it is given negative numbers too
    ReLU(),
    CONVS[1].replace(filters=5),
    ReLU(),
    Flatten(),
    Dense(7),
)
SIMPLE: tuple[Layer, ...] = (Conv(1, size=3), ReLU(), MaxPool(2), Flatten(), Dense(2))
