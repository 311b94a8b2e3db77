"""What `plaingrad questions` does: the list of the questions people ask, or the answer to one, with numbers."""

import re
import textwrap
from collections.abc import Iterable, Iterator

from plaingrad.explaining.examples import STEP, example_named
from plaingrad.explaining.question_search import found, is_sure
from plaingrad.explaining.questions import Question, groups, plainly, questions
from plaingrad.textbook.record import json_text

WIDE = 96  # letters in a line of an answer
HELD = "\x00"  # stands for a space at which no line ends


def answer(asked: str | None, as_json: bool) -> Iterator[str]:
    """What is printed, part by part: the answer comes before its numbers are computed.

    SettingError where no question fits the words.
    """
    fitting = list(questions().values()) if asked is None else found(asked)
    if as_json:
        yield json_text({"questions": [to_json(each) for each in fitting]})
    elif asked is None:
        wide = max(len(each.name) for each in fitting)
        yield "".join(f"{title}\n{lines_of(every, wide)}\n\n" for title, every in groups(fitting).items())[:-1]
        yield "Show one: plaingrad questions NAME, or a few words of it (those with * or brackets in quotes)"
    elif len(fitting) > 1:
        told = (
            f"{len(fitting)} questions fit"
            if is_sure(asked, fitting[0])
            else "no question fits well, these are the closest"
        )
        yield f"{told}; show one by its name:"
        yield lines_of(fitting)
    else:
        yield from shown(fitting[0])


def to_json(question: Question) -> dict[str, str]:
    """One question as `--json` says it."""
    return {
        "name": question.name,
        "group": question.group,
        "question": question.heading,
        "answer": question.plain,
        "page": f"docs/questions/{question.page}.md",
        "numbers": question.command,
    }


def lines_of(every: Iterable[Question], wide: int = 0) -> str:
    """A line for each question, with `wide` letters for the names, or as many as the longest has."""
    every = list(every)
    wide = wide or max(len(each.name) for each in every)
    return "\n".join(f"  {each.name:<{wide}}  {each.heading}" for each in every)


def wrapped(text: str) -> str:
    """Markdown of a few sentences as lines of plain text; code and what is added or multiplied stays on one line."""
    held = re.sub(r"`[^`]+`|(?<=\S) [−×=+·] (?=\S)", lambda match: match[0].replace(" ", HELD), " ".join(text.split()))
    lines = textwrap.wrap(plainly(held), WIDE - 2, break_on_hyphens=False)
    return "\n".join(f"  {line}" for line in lines).replace(HELD, " ")


def shown(question: Question) -> Iterator[str]:
    """One question, its short answer, and the number of an example that shows it, explained."""
    yield f"{question.heading}\n\n{wrapped(question.answer)}\n"
    if question.example:
        told = example_named(question.example).run().explain(question.number, STEP).text()
        lines = (line for line in told.splitlines() if line != f"  see also: {question.see}")  # that is this answer
        yield f"In numbers, {question.command}:\n\n" + "\n".join(lines) + "\n"
    yield f"More numbers, step by step: docs/questions/{question.page}.md, under\n  {question.heading}"
