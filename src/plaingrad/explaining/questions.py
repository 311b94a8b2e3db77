"""The questions people ask, with their short answers, and which of them a number, a layer or a word leads to.

The answers stand in `questions.toml` alone: the pages of the docs are written from it, the command line prints it.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from plaingrad.errors import SettingError, nearest
from plaingrad.explaining.tracing import Tracer
from plaingrad.explaining.twin import Sheet

MARKS = re.compile(r"\*+([^*]+)\*+")  # bold and italic
SHORT = 3  # letters of a word that says nothing: a, in, of

# Which question is behind a quantity of a layer or loss, first those named whole. `dx` of a layer is `dy` of the one
# before it.
BEHIND = {
    "Conv.y": "as-dense",
    "Conv.dx": "dense-loop",
    "Conv.dw": "shared-weight",
    "Conv.db": "shared-weight",
    "Conv.dz": "whose-derivative",
    "Dense.dx": "update-during-pass",
    "Dense.dw": "dense-formula",
    "Dense.dz": "whose-derivative",
    "MaxPool.y": "max-position",
    "MaxPool.winner": "max-position",
    "MaxPool.dx": "one-or-error",
    "MeanPool.dx": "mean-pool-beta",
    "L2Pool.dx": "l2-pool",
    "ReLU.dx": "whose-derivative",
    "LeakyReLU.dx": "whose-derivative",
    "Sigmoid.dx": "whose-derivative",
    "Tanh.dx": "whose-derivative",
    "Softmax.dx": "softmax",
    "SoftmaxCrossEntropy.dx": "softmax",
    "CrossEntropy.dx": "softmax",
    "SoftmaxCrossEntropy.target": "one-hot",
    "CrossEntropy.target": "one-hot",
    "*.share": "sum-or-mean",
    "*.after": "plus-or-minus",
    "*.update": "sum-or-mean",
}


@dataclass(frozen=True)
class Question:
    """One question, its short answer in Markdown, its page in docs/questions, and a number that shows the answer."""

    name: str
    ask: str
    answer: str
    page: str
    words: str = ""
    example: str = ""
    number: str = ""

    @property
    def heading(self) -> str:
        """The question without the marks of code."""
        return plainly(self.ask)

    @property
    def see(self) -> str:
        """Where a terminal shows the answer."""
        return f"plaingrad questions {self.name}"

    @property
    def plain(self) -> str:
        """The answer as a terminal shows it: one line a paragraph, without the marks of bold and italic."""
        return plainly(self.answer)

    @property
    def command(self) -> str:
        """The command that explains the number; nothing where none shows the answer."""
        return f'plaingrad explain --example {self.example} "{self.number}"' if self.example else ""


def plainly(text: str) -> str:
    """Markdown of a sentence or two as plain text; a * inside code is a product."""
    parts = " ".join(text.split()).split("`")
    return "".join(part if place % 2 else MARKS.sub(r"\1", part) for place, part in enumerate(parts))


@cache
def questions() -> Mapping[str, Question]:
    """All questions by name, in the order in which they are listed."""
    text = files("plaingrad.explaining").joinpath("questions.toml").read_text("utf-8")
    every = (Question(**{**each, "answer": each["answer"].strip()}) for each in tomllib.loads(text)["question"])
    return {each.name: each for each in every}


def found(asked: str) -> list[Question]:
    """The questions that a name or words lead to: those that hold most of the words, in their order.

    SettingError where there is none.
    """
    known = questions()
    name = _typed(asked)
    if name in known:
        return [known[name]]
    words = list(dict.fromkeys(re.findall(r"[\w′δ∂β]+", name)))
    words = [each for each in words if len(each) >= SHORT] or words
    points = {each: _points(each, name, words) for each in known.values()} if words else {}
    most = max(points.values(), default=0)
    if not most:
        raise SettingError(
            f"there is no question about {asked[:60]!r}; `plaingrad questions` lists all; {nearest(asked, known)}"
        )
    return [each for each, count in points.items() if count == most]


def _typed(text: str) -> str:
    """A text as one types it: small letters, and a plain minus."""
    return text.strip().lower().replace("−", "-")


def _points(question: Question, asked: str, words: list[str]) -> int:
    """How well words fit: those of the question itself count twice, and all of them together, as they stand, more."""
    own, others = _typed(question.ask), _typed(f"{question.name} {question.words} {question.answer}")
    whole = " " in asked and (asked in own or asked in question.words)
    return sum(2 if each in own else each in others for each in words) + whole * len(asked.split())


def behind(kind: str, quantity: str) -> Question | None:
    """The question behind a quantity of a kind of layer or loss, such as ("Conv", "dw"); None where there is none."""
    own = quantity.rpartition("_")[2]
    name = BEHIND.get(f"{kind}.{own}") or BEHIND.get(f"*.{own}")
    return questions()[name] if name else None


def behind_number(tracer: Tracer, sheet: Sheet) -> Question | None:
    """The question behind an array of a run: of the text that made it, so `dy` is the next layer's `dx`."""
    making = tracer.making(sheet)
    quantity = sheet.quantity
    if making is None or quantity.rpartition("_")[2] == "after":
        owner = tracer.twin.run.loss if sheet.layer == "loss" else None
    else:
        owner = making.task.owner
        quantity = "dx" if quantity == "dy" else quantity
    return behind(type(owner).__name__, quantity)
