"""Write docs/mistakes.md: every mistake that `plaingrad check` knows, from the catalogue and from what was measured.

`python scripts/make_mistakes_page.py` writes it; `make docs` runs this.
"""

import inspect
import pathlib
import sys
from typing import Any

from plaingrad.checking import catalogue
from plaingrad.checking.catalogue import CATALOGUE, Mistake
from plaingrad.checking.verdict.trained import learns, measured

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "mistakes.md"
HEADINGS = {
    "reading": "In what is read of the case, and what numbers are kept in",
    "factor": "Everywhere: factors, signs and zeros",
    "loss": "In the loss",
    "printed_loss": "In what a loss is taken of",
    "dense": "In dense layers, and in any layer",
    "convolution": "In convolutions",
    "columns": "In convolutions made as one product of matrices, or in groups",
    "edges": "In convolutions at the edge of the image",
    "kernel": "In the kernels and biases of convolutions",
    "maxpool": "In max pooling",
    "pool": "In the windows of pooling layers, and in mean and L2 pooling",
    "windows": "In where the windows of pooling layers lie, and what their sums are divided by",
    "activation": "In activations",
    "slopes": "In the slopes of rectifiers",
    "softmax": "In a softmax layer",
    "smooth": "In ELU, SiLU and GELU",
    "normalised": "In normalisations: the mean and the variance, moving and scaling",
    "normalised_back": "On the way back through a normalisation",
    "normalised_weights": "In the gradients of a normalisation's scale and shift",
    "running": "In the running values of batch normalisation",
    "wiring": "In skips and in Dropout",
    "update": "In the update of the weights",
}
HEAD = """\
# Mistakes

[`plaingrad check`](check.md) knows {mistakes} mistakes by name, and {conventions} conventions, which are
other correct ways of computing. The name in brackets in a verdict is one of these. *Where* says in which quantities the
mistake can occur: `Conv.dx` is the gradient with respect to the input of a convolution, `dw` and `db` are the gradients
of its weights and biases, `y` is its output, `update` is the step of the optimiser; `*` stands for every kind of layer.
The *error* of a layer is the gradient of the loss with respect to its output, `dy`.
"""
MEASURED = """
*Would it train?* Each mistake was built into one quantity of a small network ({about}).
The table shows the test accuracy it reached, and the quantity. Without a mistake these networks reach {low:.1%} to
{high:.1%}: many networks with a wrong gradient learn as well as with the correct one, so accuracy does not show the
mistake. Another learning rate can give another result. `benchmarks/mistakes.py` repeats the measurement.
"""


def page() -> str:
    """The whole page."""
    told = measured()
    conventions = sum(each.convention for each in CATALOGUE.values())
    text = HEAD.format(mistakes=len(CATALOGUE) - conventions, conventions=conventions)
    if told:
        every = [accuracy for network in told["networks"].values() for accuracy in network["right"]]
        text += MEASURED.format(about=told["about"], low=min(every), high=max(every))
    listed = set[str]()
    for group, heading in HEADINGS.items():
        source = inspect.getsource(getattr(catalogue, group))
        entries = [each for each in CATALOGUE.values() if f'\n    "{each.id}",\n' in source]
        listed |= {each.id for each in entries}
        text += f"\n## {heading}\n\n{table(entries, told)}"
    if left := CATALOGUE.keys() - listed:
        raise ValueError(f"under no heading: {', '.join(sorted(left))}")
    return text


def table(entries: list[Mistake], told: dict[str, Any]) -> str:
    """A row for each entry."""
    columns = ["name", "where", "what it is", "what to do", *(["would it train?"] if told else [])]
    rows = [columns, ["---"] * len(columns)]
    for each in entries:
        where = "<br>".join(f"`{name}`" for name in each.passes)
        title = f"{each.title} *(a convention)*" if each.convention else each.title
        row = [f"<a id='{each.id}'></a>`{each.id}`", where, title, each.advice]
        rows.append(row + ([trained(each.id, told)] if told else []))
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)


def trained(id: str, told: dict[str, Any]) -> str:
    """What training with a mistake came to."""
    row = told["mistakes"].get(id)
    if row is None:
        return "not measured"
    network = told["networks"][row["network"]]
    one = f"{learns(row['accuracy'], network)} ({row['pass']})"
    return f"{one}; in every update: {learns(row['everywhere'], network)}" if "everywhere" in row else one


def main() -> int:
    """Write it."""
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
