"""Write the questions and short answers of `plaingrad questions` into the docs: the heading above and the text below
`<!-- answer: NAME -->` on the page of each question, and the tables of docs/questions.md, one for each group.

`python scripts/make_questions.py` writes them; `make docs` runs this. They stand in one file,
src/plaingrad/explaining/questions.toml.
"""

import pathlib
import re
import sys
import textwrap

from plaingrad.explaining.questions import Question, groups, questions

DOCS = pathlib.Path(__file__).parents[1] / "docs"
ANSWER = re.compile(r"^(#+) [^\n]*\n\n<!-- answer: (\S+) -->\n.*?(?=\n\n|\n*\Z)", re.S | re.M)
TABLE = re.compile(r"^<!-- table -->\n.*?<!-- end of table -->$", re.S | re.M)
SAYS_LITTLE = 80  # letters


def answered(text: str) -> str:
    """A page with every question and short answer as it is now. KeyError for a question that is none."""

    def answer(match: re.Match[str]) -> str:
        question = questions()[match[2]]
        told = textwrap.fill(
            f"**Short answer.** {' '.join(question.answer.split())}",
            120,
            break_long_words=False,
            break_on_hyphens=False,
        )
        return f"{match[1]} {question.ask}\n\n<!-- answer: {match[2]} -->\n{told}"

    return ANSWER.sub(answer, text)


def slug(title: str) -> str:
    """The name of a heading in links."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def place(question: Question) -> str:
    """The link to the heading that a question is answered under; LookupError where it has no place."""
    text = (DOCS / "questions" / f"{question.page}.md").read_text("utf-8")
    level = next((match[1] for match in ANSWER.finditer(text) if match[2] == question.name), "")
    if not level:
        raise LookupError(f"docs/questions/{question.page}.md has no place for the answer to {question.name}")
    return f"questions/{question.page}.md" + (f"#{slug(question.heading)}" if len(level) > 1 else "")


def beginning(question: Question) -> str:
    """What a table has room for: the first sentence, and those after it while it says little."""
    first, *others = re.split(r"(?<=[.?!])\s+(?=[A-Z0-9*])", " ".join(question.answer.split()))
    while len(first) < SAYS_LITTLE and others:
        first += f" {others.pop(0)}"
    return first


def table() -> str:
    """You ask, and the answer: a heading for each group, and a row for each question."""
    parts = []
    for title, every in groups(questions().values()).items():
        rows = [f"## {title}", "", "| you ask | the answer |", "|---|---|"]
        for each in every:
            cells = f"[{each.ask}]({place(each)})", beginning(each)
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        parts.append("\n".join(rows))
    return "<!-- table -->\n" + "\n\n".join(parts) + "\n<!-- end of table -->"


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
