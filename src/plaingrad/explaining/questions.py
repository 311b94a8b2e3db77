"""The questions people ask, with their short answers, and which of them a number or a layer leads to.

The answers stand in `questions.toml` alone: the pages of the docs are written from it, the command line prints it.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from plaingrad.explaining.tracing import Tracer
from plaingrad.explaining.twin import Sheet
from plaingrad.textbook.layers.skip import BOTH_ERRORS

MARKS = re.compile(r"\*+([^*]+)\*+")  # bold and italic

# Which question is behind a quantity of a layer or loss, first those named whole. `dx` of a layer is `dy` of the one
# before it.
BEHIND = {
    "Conv.y": "as-dense",
    "Conv.dx": "dense-loop",
    "Conv.dw": "shared-weight",
    "Conv.db": "kernel-gradient",
    "Conv.dz": "whose-derivative",
    "Dense.dx": "update-during-pass",
    "Dense.dw": "dense-formula",
    "Dense.dz": "whose-derivative",
    "MaxPool.y": "max-position",
    "MaxPool.winner": "max-position",
    "MaxPool.dx": "one-or-error",
    "MeanPool.dx": "mean-pool-beta",
    "L2Pool.dx": "l2-pool",
    "Flatten.dx": "flatten",
    "ReLU.dx": "relu",
    "LeakyReLU.dx": "whose-derivative",
    "Sigmoid.dx": "whose-derivative",
    "Tanh.dx": "whose-derivative",
    **dict.fromkeys(("BatchNorm.dx", "BatchNorm.dw", "BatchNorm.db", "GroupNorm.dx"), "batchnorm"),
    **dict.fromkeys(("BatchNorm.mean", "BatchNorm.variance"), "batchnorm-axes"),
    **dict.fromkeys(("Dropout.y", "Dropout.dx"), "dropout"),
    **dict.fromkeys(("Add.y", "Add.dx", "Add.dskip"), "skip"),
    "Softmax.dx": "softmax",
    "SoftmaxCrossEntropy.dx": "softmax",
    "WeightedCrossEntropy.dx": "softmax",
    "CrossEntropy.dx": "softmax",
    "SoftmaxCrossEntropy.target": "one-hot",
    "WeightedCrossEntropy.target": "one-hot",
    "CrossEntropy.target": "one-hot",
    "*.share": "sum-or-mean",
    "*.after": "plus-or-minus",
    "*.update": "sum-or-mean",
}


@dataclass(frozen=True)
class Question:
    """One question, its short answer in Markdown, its page in docs/questions, its group, and a number that shows it."""

    name: str
    ask: str
    answer: str
    page: str
    group: str
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
    return {
        each["name"]: Question(**{**each, "answer": each["answer"].strip(), "group": group["title"]})
        for group in tomllib.loads(text)["group"]
        for each in group["question"]
    }


def groups(every: Iterable[Question]) -> dict[str, list[Question]]:
    """Questions by the title of their group, in their order."""
    made: dict[str, list[Question]] = {}
    for each in every:
        made.setdefault(each.group, []).append(each)
    return made


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
    elif making.task.text == BOTH_ERRORS:
        return questions()["skip"]
    else:
        owner = making.task.owner
        quantity = "dx" if quantity == "dy" else quantity
    return behind(type(owner).__name__, quantity)
