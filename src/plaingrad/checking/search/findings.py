"""What a search finds: passes that disagree, and the mistakes that explain them."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from plaingrad.checking.catalogue import Mistake, applicable
from plaingrad.checking.search.context import Context
from plaingrad.checking.search.passes import Env, Estimate, Key
from plaingrad.checking.search.products import Terms
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array


@dataclass
class Fit:
    """A mistake that gives the answer's numbers when made at `key`: in which of its forms, and what it made there.

    `beside` is what it made in further passes of the layer, where one alone does not give the answer's numbers.
    """

    mistake: Mistake
    key: Key
    made: Array
    terms: Terms | None = None
    form: int = 0
    times: float = 1.0
    agreed: int = 0
    overlay: Env = field(default_factory=dict)
    beside: dict[Key, Array] = field(default_factory=dict)

    @property
    def keys(self) -> list[Key]:
        """The passes that it is made in."""
        return [self.key, *self.beside]

    def leaves_zero(self, made: Array, array: Array) -> bool:
        """Whether an array would be 0 with it and is not, however small it is.

        What is never computed is 0 to the last bit; a sum that cancels is not.
        """
        return self.mistake.plain and not self.made.any() and not made.any() and bool(array.any())


@dataclass
class Finding:
    """A pass that disagrees: what was answered, what should have been, and the mistakes that explain it."""

    key: Key
    given: Array
    expected: Array
    uncertainty: Array
    fits: list[Fit]
    suspects: tuple[Key, ...] = ()
    tried: list[tuple[Mistake, Array]] = field(default_factory=list)
    before: Array | None = None  # of an update: the weights before the step
    not_made: tuple[Key, ...] = ()  # what the same text makes in other layers, wrong too: the name does not explain it

    @property
    def compared(self) -> tuple[Array, Array]:
        """What was answered and what should have been: of an update the steps, by which it is judged."""
        if self.before is None:
            return self.given, self.expected
        return self.before - self.given, self.before - self.expected

    @property
    def best(self) -> Fit | None:
        """The mistake that is named, if any is."""
        return self.fits[0] if self.fits else None

    @property
    def where(self) -> Key:
        """The pass that is blamed."""
        return self.fits[0].key if self.fits else self.key

    @property
    def places(self) -> list[Key]:
        """The passes that are blamed."""
        return self.fits[0].keys if self.fits else [self.key]


@dataclass
class Row:
    """One answered quantity: whether it agrees, and how far it is off, relative to its largest number."""

    key: Key
    name: str
    status: str  # "agrees", "follows", "another convention", "wrong", "not judged"
    error: float
    finding: Finding | None = None


def forms_of(
    program: Program, key: Key, env: Mapping[Key, Estimate], expected: Array, given: Array | None,
    left_out: frozenset[str] = frozenset(),
) -> Iterator[Fit]:  # fmt: skip
    """Every form of every mistake that can be made in a pass."""
    context = Context(program, key, env, expected, given)
    factor = None if context.way == "update" else program.factors.get(key[1:])
    with np.errstate(all="ignore"):
        for mistake in applicable(context):
            if mistake.id in left_out:
                continue
            for form, (array, terms) in enumerate(made_by(mistake, context)):
                yield Fit(mistake, key, array, terms, form)
                if factor is not None:  # a mistake that goes by the case alone knows nothing of the program's factor
                    yield Fit(mistake, key, factor * array, None, form, factor)


def form_of(fit: Fit, program: Program, key: Key, env: Mapping[Key, Estimate], expected: Array) -> Array:
    """The mistake of `fit` in the same form, made in another pass; what is `expected` where it cannot happen."""
    context = Context(program, key, env, expected, None)
    with np.errstate(all="ignore"):
        made = next(itertools.islice(made_by(fit.mistake, context), fit.form, None), None)
        return expected if made is None else fit.times * made[0]


def made_by(mistake: Mistake, context: Context) -> Iterator[tuple[Array, Terms | None]]:
    """What a pass makes with each form of a mistake, and the terms that the layer is then made of, if it is."""
    for made in mistake.wrong(context):
        yield (context.sum(made), made) if isinstance(made, Terms) else (np.asarray(made), None)
