"""What an entry of the catalogue is, and the list of all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from plaingrad.checking.search.context import Context
from plaingrad.checking.search.products import Terms
from plaingrad.compiler.loops import Array

Wrong = Callable[[Context], Iterator[Array | Terms]]
Form = Callable[[Context], Array | Terms | None]


@dataclass(frozen=True)
class Written:
    """A form, and its formula: of a mistake that has many forms it is told which one makes the numbers."""

    formula: str
    form: Form

    def __call__(self, context: Context) -> Array | Terms | None:
        """What the slip makes of a pass."""
        return self.form(context)


class Kind(StrEnum):
    """What kind of slip a mistake is, in words for somebody who is to find it alone."""

    INDEX = "an index or the order of axes"
    SUM = "a sum: what it runs over, where it begins, or an overwriting"
    FACTOR = "a factor or a sign"
    OMISSION = "a part that is left out"
    FUNCTION = "a function or its derivative"
    COMPARISON = "a comparison or a branch"
    WINDOW = "the window's place: stride, padding, dilation"
    ARRAY = "the wrong array or step"
    UPDATE = "the update of the weights"
    SHAPE = "the shape of an array"
    NUMBER = "a number that is not finite"


@dataclass(frozen=True)
class Mistake:
    """One mistake: the passes where it can happen, what such code makes of a pass, and the words for it.

    `wrong` yields what the pass would have made, one array for each form of the mistake; nothing where it cannot
    happen. Terms in place of an array are what the layer is then made of, forward and back. A `convention` is another
    right way.
    """

    id: str
    passes: tuple[str, ...]
    title: str
    advice: str
    wrong: Wrong
    convention: bool = False
    plain: bool = False  # a simple one, to be named before others that give the same numbers
    late: bool = False  # to be named after all others that give the same numbers
    loose: bool = False  # read off the answer, many of which it fits: to be named after edits of lines too
    kind: Kind = field(kw_only=True)  # all that a hint tells of it
    question: str = ""  # that it is a misunderstanding of: its name in `plaingrad questions`
    forms: tuple[Form, ...] = ()

    def formula_of(self, context: Context, number: int) -> str:
        """The formula of one of the forms that can happen in a pass, as `wrong` counts them; "" where it has none."""
        forms = [form for form in self.forms if form(context) is not None]
        return str(getattr(forms[number], "formula", "")) if number < len(forms) else ""

    def going_forward_only(self) -> "Mistake":
        """The mistake that another right way is if the program does not keep to it on its way back."""
        advice = f"The gradients of your answer are those of the case's way, and its outputs are not. {self.advice}"
        return replace(self, convention=False, title=f"{self.title}; not so on the way back", advice=advice)


def nothing(context: Context) -> Iterator[Array | Terms]:
    """What a mistake makes of any pass that is told by other arrays than its own."""
    yield from ()


CATALOGUE: dict[str, Mistake] = {}


def mistake(
    id: str,
    passes: str,
    title: str,
    advice: str,
    convention: bool = False,
    plain: bool = False,
    late: bool = False,
    loose: bool = False,
    *,
    kind: Kind,
    question: str = "",
    forms: tuple[Form, ...] = (),
) -> Callable[[Wrong], Wrong]:
    """Make a function an entry. `passes` are Kind.quantity, with * for any."""

    def entered(wrong: Wrong) -> Wrong:
        assert id not in CATALOGUE, id
        CATALOGUE[id] = Mistake(
            id,
            tuple(passes.split()),
            title,
            advice,
            wrong,
            convention,
            plain,
            late,
            loose,
            kind=kind,
            question=question,
            forms=forms,
        )
        return wrong

    return entered


def enter(
    id: str,
    passes: str,
    title: str,
    advice: str,
    *forms: Form,
    kind: Kind,
    question: str = "",
    when: Callable[[Context], bool] = lambda context: True,
    **flags: Any,
) -> None:
    """Make forms an entry: each says what its slip makes of a pass, None where it cannot happen there."""
    flags |= {"forms": forms} if any(isinstance(form, Written) for form in forms) else {}

    def wrong(context: Context) -> Iterator[Array | Terms]:
        if when(context):
            yield from (made for form in forms if (made := form(context)) is not None)

    mistake(id, passes, title, advice, kind=kind, question=question, **flags)(wrong)


def has_several_images(context: Context) -> bool:
    """Whether images can be mixed up at all."""
    return context.images > 1


def applicable(context: Context) -> list[Mistake]:
    """The entries that are about such a pass."""
    names = {f"{kind}.{way}" for kind in (context.kind, "*") for way in (context.way, "*")}
    if context.name == "loss":
        names |= {f"loss.{context.way}"}
    return sorted((each for each in CATALOGUE.values() if names & set(each.passes)), key=lambda each: not each.plain)
