"""Write the short answers of `plaingrad questions` into the docs: below `<!-- answer: NAME -->` on the page of each
question, and into the table that docs/questions.md begins with.

`python scripts/make_questions.py` writes them; `make docs` runs this. They stand in one file,
src/plaingrad/explaining/questions.toml.
"""

import pathlib
import re
import sys
import textwrap

from plaingrad.explaining.questions import Question, questions

DOCS = pathlib.Path(__file__).parents[1] / "docs"
ANSWER = re.compile(r"^<!-- answer: (\S+) -->\n.*?(?=\n\n|\n*\Z)", re.S | re.M)
TABLE = re.compile(r"^<!-- table -->\n.*?<!-- end of table -->$", re.S | re.M)
HEADING = re.compile(r"^#+ (.*)$", re.M)
SAYS_LITTLE = 80  # letters
CODE = re.compile(r"^```.*?^```$", re.S | re.M)


def answered(text: str) -> str:
    """A page with every short answer as it is now. KeyError for a question that is none."""

    def answer(match: re.Match[str]) -> str:
        told = textwrap.fill(
            f"**Short answer.** {' '.join(questions()[match[1]].answer.split())}",
            120,
            break_long_words=False,
            break_on_hyphens=False,
        )
        return f"<!-- answer: {match[1]} -->\n{told}"

    return ANSWER.sub(answer, text)


def slug(title: str) -> str:
    """The name of a heading in links."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def place(question: Question) -> tuple[str, str]:
    """The heading that a question is answered under, and the link to it; LookupError where it has no place."""
    text = (DOCS / "questions" / f"{question.page}.md").read_text("utf-8")
    hidden = CODE.sub(lambda match: " " * len(match[0]), text)  # a comment in code is no heading
    before, mark, _ = hidden.partition(f"<!-- answer: {question.name} -->\n")
    if not mark:
        raise LookupError(f"docs/questions/{question.page}.md has no place for the answer to {question.name}")
    titles = HEADING.findall(before)
    anchor = f"#{slug(titles[-1])}" if len(titles) > 1 else ""
    return titles[-1], f"questions/{question.page}.md{anchor}"


def beginning(question: Question) -> str:
    """What a table has room for: the first sentence, and those after it while it says little."""
    first, *others = re.split(r"(?<=[.?!])\s+(?=[A-Z0-9*])", " ".join(question.answer.split()))
    while len(first) < SAYS_LITTLE and others:
        first += f" {others.pop(0)}"
    return first


def table() -> str:
    """You ask, and the answer: a row for each question."""
    rows = ["| you ask | the answer |", "|---|---|"]
    for each in questions().values():
        cells = f"[{each.ask}]({place(each)[1]})", beginning(each)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "<!-- table -->\n" + "\n".join(rows) + "\n<!-- end of table -->"


def pages() -> dict[pathlib.Path, str]:
    """Every page that holds answers, as it is to be."""
    made = {page: answered(page.read_text("utf-8")) for page in sorted((DOCS / "questions").glob("*.md"))}
    whole = DOCS / "questions.md"
    return made | {whole: TABLE.sub(lambda match: table(), whole.read_text("utf-8"))}


def main() -> int:
    """Write them."""
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
