"""A run as a program of JavaScript: the texts of its layers, and the calls of them on one row of numbers.

The row holds every array of the run where its twin counts its cells, so a number has one name in Python and on a page.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.errors import SettingError
from plaingrad.explaining.javascript import Script, script
from plaingrad.explaining.twin import INPUT, Twin
from plaingrad.network.loading import count_hits
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.schedule.calls import shares
from plaingrad.schedule.open import axes_of, opened
from plaingrad.schedule.tree import fills
from plaingrad.textbook.layer import shares_of
from plaingrad.textbook.layers import Softmax
from plaingrad.textbook.losses import CrossEntropy, SoftmaxCrossEntropy
from plaingrad.textbook.optimisers import SGD
from plaingrad.textbook.text import Text

MOST_PRODUCTS = 1_000_000  # of one image's forward pass: LeNet's 416,520 take some 7 ms, there and back
RATE = "rate"  # stands for the learning rate, which the page's reader sets


@dataclass(frozen=True)
class Call:
    """A script on its arguments: numbers, and views of the row as {start, shape, strides}, a stride for each axis.

    `layer` and `way` tell whose text it is, and `fills` which of its arguments it fills.
    """

    script: int
    layer: str
    way: str
    given: tuple[Any, ...]
    fills: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """`cells` as the run left them; `scripts`, each once; and the `calls` of each way, in order.

    Those cells from `own` on are constants, and what no reader sees; from `probabilities` on lies what the network
    gives each class, where it has a loss. Ways are "forward", with the loss, "backward", and
    "update", one step of gradient descent.
    """

    cells: Array
    own: int
    scripts: list[Script]
    calls: dict[str, list[Call]]
    probabilities: int | None

    def source(self) -> str:
        """The scripts as JavaScript: a list of pairs, the text and the text that tells."""
        return "[\n" + ",\n".join(f"[{each.plain},\n{each.told}]" for each in self.scripts) + "\n]"

    def to_json(self) -> dict[str, Any]:
        """The calls, how many numbers there are, and those from `own` on that are not 0, each with its place."""
        calls = {
            way: [[each.script, each.layer, list(each.given), list(each.fills)] for each in found]
            for way, found in self.calls.items()
        }
        more = [[int(place) + self.own, value] for place, value in enumerate(self.cells[self.own :].tolist()) if value]
        return {"calls": calls, "size": self.cells.size, "own": self.own, "more": more}


def program(twin: Twin) -> Program:
    """The program of a run's twin; SettingError where it is too large, or a text cannot be written as JavaScript."""
    products = sum(step.layer.multiplications(step.x) for step in twin.net.steps.values())
    if products > MOST_PRODUCTS:
        name, most = twin.net.name, f"{MOST_PRODUCTS:,}"
        raise SettingError(f"{name} adds up {products:,} products for one image, and a page computes up to {most}")
    return Lowering(twin).program()


def told_of_program(twin: Twin, made: Program) -> dict[str, Any]:
    """What a page needs to run it: the program, the arrays that one may change, each with the array of its derivatives,

    and where the targets, the loss and the probabilities lie.
    """
    pairs = {name: name.replace(".", ".d") for name in twin.net.arrays}
    pairs[INPUT] = twin.names[f"{next(iter(twin.net.steps))}.dx"] if twin.twin.has_gradients else ""
    told = {
        "program": made.to_json(),
        "given": {name: pairs[name] if twin.twin.has_gradients else None for name in pairs},
    }
    if not twin.twin.has_gradients or twin.run.loss is None:
        return told | {"loss": None, "target": None, "probabilities": None}
    return told | {"loss": "loss.y", "target": "loss.target", "probabilities": made.probabilities}


class Lowering:
    """Finds where the arrays of a run lie in the row: in a second run each array holds the numbers of its own cells."""

    def __init__(self, twin: Twin) -> None:
        self.twin, self.scripts = twin, dict[Script, int]()
        self.size, self.more = twin.size, dict[int, Array]()  # what is laid behind the run's own cells, by its start
        net = Network(*twin.net.layers, input=twin.net.input, dtype="float64", name=twin.net.name)
        run = twin.twin
        self.run = Run(net, twin.count, run.loss, True, run.has_gradients, lambda work: True, training=run.training)
        self.probabilities: int | None = None
        self._number()

    def _number(self) -> None:
        """Each array holds its cells; those that a reader does not see are laid behind."""
        known = set[int]()
        for layer, record in self.run.records.items():
            for quantity, array in record.items():
                if id(array) in known:
                    continue
                known.add(id(array))
                seen, shown = self.run.seen(layer, quantity), self.twin.names.get(f"{layer}.{quantity}")
                start = self.twin.sheets[shown].start if shown else self._lay(self.twin.twin.seen(layer, quantity))
                seen[...] = np.arange(start, start + seen.size).reshape(seen.shape)

    def _lay(self, values: Array) -> int:
        """Room behind all else, with these numbers in it: where it begins."""
        start = self.size
        self.more[start] = np.asarray(values, float).reshape(-1)
        self.size += self.more[start].size
        return start

    def program(self) -> Program:
        """The calls of every way; the cells last, since calls lay their constants."""
        run, names = self.run, list(self.run.net.steps)
        calls = {"forward": [call for name in names for call in self._calls(name, run.way)]}
        back = reversed(names)
        if self.twin.twin.has_gradients:
            if run.loss is not None:
                calls["forward"] += [*self._calls("loss", "forward"), self._hits(), *self._softmax()]
            first = self._calls("loss", "backward") if run.loss is not None else ()
            calls["backward"] = [*first, *(call for name in back for call in self._calls(name, "backward"))]
            calls["update"] = [*self._updates()]
        cells = np.zeros(self.size)
        for sheet in self.twin.in_order:
            cells[sheet.start : sheet.stop] = sheet.values()
        for start, values in self.more.items():
            cells[start : start + values.size] = values
        return Program(cells, self.twin.size, list(self.scripts), calls, self.probabilities)

    def _calls(self, layer: str, way: str) -> Iterator[Call]:
        for each, task in zip(self.run.passes(layer, way), self.run.tasks(layer, way), strict=True):
            held = self.run.records[layer]
            constants = {
                argument: self._constant(value)
                for argument, value in task.seen.items()
                if isinstance(value, np.ndarray) and each.quantity(argument) not in held
            }
            laid = replace(task, seen={**task.seen, **constants})
            for share in shares(laid, shares_of(each.owner)):
                yield self._call(share.text, layer, way, share.seen)

    def _constant(self, values: Array) -> Array:
        start = self._lay(values)
        return np.arange(start, start + values.size, dtype=float).reshape(values.shape)

    def _call(self, text: Text, layer: str, way: str, seen: Mapping[str, Any]) -> Call:
        arrays = {name: each for name, each in seen.items() if isinstance(each, np.ndarray)}
        axes, kinds = axes_of(arrays), {name: each.dtype for name, each in arrays.items()}
        for name, kind in kinds.items():
            if kind != np.float64 and kind.kind != "i":
                raise SettingError(f"{text.__name__} has {kind} numbers in {name}, and a page computes with float64")
        whole = frozenset(name for name, kind in kinds.items() if kind.kind == "i")
        whole |= {name for name, value in seen.items() if type(value) is int and value >= 0}
        made = script(text, axes, whole)
        given = opened(text, axes).given(seen)
        number = self.scripts.setdefault(made, len(self.scripts))
        filled = tuple(place for place, name in enumerate(made.arguments) if name in fills(text))
        return Call(number, layer, way, tuple(argument(text, name, given[name]) for name in made.arguments), filled)

    def _hits(self) -> Call:
        """Whether the class that was meant is named: a nest of the run's own, on arrays as they lie there."""
        record = self.run.records["loss"]
        return self._call(
            Text(count_hits.plain), "loss", "forward", {name: record[name] for name in count_hits.arguments}
        )

    def _softmax(self) -> Iterator[Call]:
        """The outputs as probabilities, where they are none and the loss makes none."""
        outputs, loss = self.run.seen("loss", "x"), self.run.loss
        if isinstance(loss, CrossEntropy):
            self.probabilities = int(outputs.flat[0])
        elif isinstance(loss, SoftmaxCrossEntropy):
            self.probabilities = int(self.run.seen("loss", "probability").flat[0])
        else:
            y = self._constant(np.zeros(outputs.shape))
            self.probabilities = int(y.flat[0])
            text: Any = Softmax.forward
            yield self._call(text, "loss", "forward", {"x": outputs, "y": y})

    def _updates(self) -> Iterator[Call]:
        """One step of plain gradient descent for each array of weights."""
        optimiser = SGD(momentum=0.0)
        for name, step in self.run.net.steps.items():
            for weights in step.arrays:
                record = self.run.records[name]
                w, dw = record[weights].reshape(-1), record["d" + weights].reshape(-1)
                known = {"w": w, "dw": dw, "velocity": self._constant(np.zeros(w.size)), **optimiser.settings()}
                yield self._call(optimiser.update, name, "update", {**known, "rate": RATE})


def argument(text: Text, name: str, value: Any) -> Any:
    """An argument as a page reads it: a number, or a view of the row."""
    if isinstance(value, np.ndarray):
        return view(value)
    if value is RATE:
        return value
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        return value.item() if isinstance(value, np.generic) else value
    raise SettingError(f"{text.__name__} asks for {name}={value!r}, and a page gives a text numbers and arrays")


def view(cells: Array) -> dict[str, Any]:
    """Where an array lies that holds the numbers of its own cells."""
    if not cells.size:
        return {"start": 0, "shape": list(cells.shape), "strides": [0] * cells.ndim}
    start = int(cells.flat[0])
    strides = [int(cells.take(1, axis).flat[0]) - start if size > 1 else 0 for axis, size in enumerate(cells.shape)]
    expected = np.full(cells.shape, float(start))
    every: Any = np.indices(cells.shape, sparse=True)
    for stride, places in zip(strides, every, strict=True):
        expected += stride * places
    assert np.array_equal(expected, cells)
    return {"start": start, "shape": list(cells.shape), "strides": strides}
