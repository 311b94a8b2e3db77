"""How a pass makes its array: the text, its loops, and all that it reads; and what it makes when a line is edited."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from plaingrad.checking.edits import one_statement
from plaingrad.checking.edits.grammar import edits
from plaingrad.checking.edits.lines import OWN, Lines, lines_of, settings_of
from plaingrad.checking.edits.pieces import INDEX, Around, Edit
from plaingrad.checking.edits.stepped import run
from plaingrad.checking.edits.uses import Kept
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.names import name_of
from plaingrad.checking.search.passes import Key
from plaingrad.checking.search.single_layer import SingleLayer
from plaingrad.compiler.loops import Array
from plaingrad.schedule.calls import shares
from plaingrad.schedule.open import axes_of
from plaingrad.schedule.tree import fills

Only = Mapping[str, list[int]]


@dataclass(frozen=True, eq=False)
class Part:
    """The text on one share of the channels: what it is given, and where in the pass's array its numbers lie."""

    lines: Lines
    known: dict[str, Any]
    place: tuple[slice, ...]
    before: Array  # what was in the array before
    kept: Kept

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays that the text itself names."""
        return {name: each for name, each in self.known.items() if isinstance(each, np.ndarray) and "." not in name}


@dataclass(frozen=True, eq=False)
class Making:
    """A pass as its text makes it; where what is told is the mean over the images, with the `count` it divides by."""

    parts: tuple[Part, ...]
    shape: tuple[int, ...]
    count: Any = 0
    then: "Making | None" = None  # the text that reads what is made here
    name_then: str = ""  # the name under which it does; the same where none is told
    beside: tuple[str, ...] = ()  # further arrays that are made here, and read by the next text
    told: str = ""  # what a line says besides, where the text is not the layer's own
    known_then: dict[Any, Array | None] = field(default_factory=dict, repr=False)

    @property
    def mean(self) -> bool:
        """Whether what is told is the mean over the images."""
        return bool(self.count)

    @property
    def lines(self) -> Lines:
        """The loops, which are the same for all parts."""
        return self.parts[0].lines

    def edits(self) -> tuple[Edit, ...]:
        """All small edits of the text; of one that is not the layer's own, those of what is read where it should be."""
        every = edits_of(self.parts[0])
        return tuple(each for each in every if each.kind is not INDEX and not each.layout) if self.told else every

    def made(self, edit: Edit | None, only: Only | None = None, sizes: bool = False) -> Array | None:
        """What is made with an edit: the whole array, or of some values of letters only, which leaves others undone.

        `sizes`: of the sizes of all numbers that are read, so that nothing cancels.
        """
        if self.then is not None:
            return self._made_on(edit, only)
        whole = np.zeros(self.parts[0].known[self.lines.wanted].shape if self.mean else self.shape)
        tree = edit.tree(self.lines.tree) if edit else self.lines.tree
        for part in self.parts:
            wraps = bool(edit and edit.wraps)
            known = {**part.known, part.lines.wanted: part.before} if edit and edit.keeps else part.known
            if edit and edit.layout:
                if not edit.layout.fits(known[edit.layout.array].shape):
                    return None
                known = {**known, edit.layout.array: edit.layout.of(known[edit.layout.array])}
            if sizes:
                known = {name: sized(each) for name, each in known.items()}
            lines, changed = part.lines, (part.lines.tree, edit.changes) if edit else None
            found = None
            if edit and known is part.known:
                found = one_statement.made_with(lines, tree, edit, known, only or {}, part.kept)
            if found is None:
                found = run(lines.text, tree, lines.wanted, known, only, wraps, lines.fills, part.kept, changed)
            if found is None:
                return None
            room = whole[part.place]
            room[...] = found.reshape(room.shape)  # features are channels of one pixel to some texts
        return np.array(whole.sum() / self.count) if self.mean else whole

    def _made_on(self, edit: Edit | None, only: Only | None) -> Array | None:
        """What the next text makes of what is made here."""
        assert self.then is not None
        own = Making(self.parts, self.parts[0].known[self.lines.wanted].shape)
        found = own.made(edit, only)
        if found is None:
            return None
        made = {self.name_then or self.lines.wanted: found}
        for name in self.beside:
            part = replace(self.parts[0], lines=replace(self.lines, wanted=name))
            more = Making((part,), part.known[name].shape).made(edit, only)
            if more is None:
                return None
            made[name] = more
        whole = b"".join(each.tobytes() for each in made.values())
        what = whole, *((letter, *values) for letter, values in (only or {}).items())
        if what not in self.known_then:  # many edits come to the same
            (part,) = self.then.parts
            dtype = self.parts[0].known[self.lines.wanted].dtype
            known = part.known | {name: each.astype(dtype) for name, each in made.items()}
            self.known_then[what] = Making((replace(part, known=known),), self.shape).made(None, only)
        return self.known_then[what]


def sized(value: Any) -> Any:
    """The sizes of an array's numbers; places and settings as they are."""
    return np.abs(value) if isinstance(value, np.ndarray) and value.dtype == float else value


def edits_of(part: Part) -> tuple[Edit, ...]:
    """The edits of a text, listed once for all passes that look alike."""
    shapes = tuple((name, each.shape, each.dtype.char) for name, each in part.arrays.items())
    others = tuple(
        (name, each.shape, each.dtype.char)
        for name, each in part.known.items()
        if isinstance(each, np.ndarray) and "." in name
    )
    settings = tuple(name for name in part.known if name.startswith("window_"))
    numbers = tuple((name, float(each)) for name, each in part.known.items() if isinstance(each, float))
    return _edits_of(part.lines, shapes, others, settings, numbers)


@functools.lru_cache(maxsize=128)
def _edits_of(
    lines: Lines,
    shapes: tuple[Any, ...],
    others: tuple[Any, ...],
    settings: tuple[str, ...],
    numbers: tuple[tuple[str, float], ...],
) -> tuple[Edit, ...]:
    arrays, more = ({name: np.empty(shape, dtype) for name, shape, dtype in each} for each in (shapes, others))
    every = edits(lines, Around(arrays, more, settings, dict(numbers)))
    return tuple(sorted(every, key=lambda each: each.cost))  # the most usual first: of long texts not all are tried


def making(context: Context) -> Making | None:
    """How a pass makes its array; None for an update, and for what is no pass of a text."""
    if context.quantity in context.kept:
        return _settling(context)
    if context.way == "update" or context.quantity == "dy":
        return None
    single = context.program.single_layer(context.name)
    if context.step > context.program.last and getattr(single.owner, "infer", None) is not None:
        single.put(x=context.x, **context.read)
        parts = tuple(parts_of(single, "infer", context.quantity, {}, None))
        return Making(parts, context.expected.shape) if parts else None
    way = "forward" if context.quantity == "y" else "backward"
    count = 0
    if context.name == "loss":
        count = single.aim(context.x, context.target)
        single.forward()
        single.ran_on = ()
    elif context.program.terms(context.name) is not None:  # what its sums read is no output
        single.put(x=context.x, **context.weights)
    else:
        single.run_on(context.x, context.read)
    if way == "backward" and context.name != "loss":
        single.put(dy=context.dy)
        if context.quantity == "db":  # made in the same loops, and so at hand
            single.put(dw=context.program.value((context.step, context.name, "dw"), context.env))
    others = dict(_others(context))
    if context.name == "loss" and context.step > 1:
        others["target.before"] = context.program.case.batches[context.step - 2].target
    parts = tuple(parts_of(single, way, context.quantity, others, context.before))
    if not parts:
        return None
    return Making(parts, context.expected.shape, count if context.quantity == "y" else 0)


def _settling(context: Context) -> Making | None:
    """How what is kept from step to step is moved; the pass reads it as it was before."""
    single = context.program.single_layer(context.name)
    for each in context.kept:
        single.put(**context.program.read((context.step, context.name, each), context.env))
    single.put(x=context.x)
    single.forward()
    parts = tuple(parts_of(single, "settle", context.quantity, {}, context.read[context.quantity]))
    return Making(parts, context.expected.shape) if parts else None


def parts_of(
    single: SingleLayer, way: str, wanted: str, others: Mapping[str, Array], before: Array | None
) -> Iterator[Part]:
    """The text that fills an array, on each share of the channels."""
    for task in single.tasks(way, {}, ()):
        if wanted not in task.seen or wanted not in fills(task.text):
            continue
        groups, has_images = single.groups, wanted in task.images
        size = task.seen[wanted].shape[1 if has_images else 0] // groups if groups > 1 else 0
        for number, share in enumerate(shares(task, groups)):
            axes = axes_of(share.seen)
            known = settings_of(share.text, share.seen, axes)
            known = {
                name: np.ascontiguousarray(each) if isinstance(each, np.ndarray) else each
                for name, each in known.items()
            }
            part = slice(number * size, (number + 1) * size) if groups > 1 else slice(None)
            place = (slice(None), part) if has_images and groups > 1 else (part,)
            start = np.zeros(known[wanted].shape) if way != "settle" else np.array(known[wanted])
            left = np.array(before[place]) if before is not None and before.ndim == start.ndim else start
            beside = {name: each for name, each in others.items() if name.removeprefix(OWN) not in known}
            more = {name: _share(each, known, number, groups) for name, each in beside.items()}
            lines = lines_of(share.text, wanted, axes)
            yield Part(lines, {**known, **more, wanted: start}, place, left, Kept(lines.named))


def _share(array: Array, known: Mapping[str, Any], number: int, groups: int) -> Array:
    """The share of another array that stands beside one of the text's own."""
    if groups == 1:
        return array
    shapes = {each.shape for each in known.values() if isinstance(each, np.ndarray)}
    for axis in range(min(array.ndim, 2)):
        size = array.shape[axis] // groups
        part = array[(slice(None),) * axis + (slice(number * size, (number + 1) * size),)]
        if part.shape in shapes:
            return np.ascontiguousarray(part)
    return array


def _others(context: Context) -> Iterator[tuple[str, Array]]:
    """Other arrays that one could take by mistake, by name: of other layers, of the step before, after the update."""
    sizes = set()
    single = context.program.single_layer(context.name)
    for array in single.arrays.values():
        sizes.add(array.shape)
    for key, estimate in context.env.items():
        for when in _when(context, key):
            if estimate.value.shape in sizes and key != context.key:
                # Without the number of the step: the program says the same line in each.
                name = name_of((1, *key[1:])).removeprefix("step1.") if key[1] != "input" else "x"
                if key[1] == context.name and key[1] != "loss":
                    name = f"{OWN}{key[2]}"
                yield (name if "." in name else f"{name}.x") + when, estimate.value
    if context.name != "loss" and context.way != "y":
        try:
            for name, w in context.updated().items():
                yield f"{context.name}.{name}.after", w
        except KeyError:
            pass


def _when(context: Context, key: Key) -> Iterator[str]:
    """How an array of the step, of the one before, or of the first is told from those of the step; nothing for others.

    A weight is that of the step before which it was made.
    """
    is_made = key[1] == "input" or key[2] == "y" or key[2].startswith("d")  # and not kept from step to step
    step = key[0] if is_made else key[0] + 1
    if step == context.step or (key[0] == context.step and not is_made):
        yield ""
    elif step == context.step - 1 and step:
        yield ".before"
    if step == 1 and context.step > 1 and context.program.last > 2:
        yield ".first"
