"""The page of a learning rate range test: the plot, what it says, and every number of it."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from plaingrad.training.checkpoint import page_file, write_safely
from plaingrad.training.report.chart import Array, Line, chart, linear, logarithmic
from plaingrad.training.report.look import headed, pages_beside, styled
from plaingrad.training.report.page import sentence, template

SIZE = (960, 420)  # pixels
ROOM = 1.25  # times the highest loss before the lowest: what lies above, where training diverged, is cut off


def write_page(path: str | Path, told: dict[str, Any]) -> None:
    """Write what `RateTest.to_json` gives, with its advice, as one HTML file; it replaces a page that is there."""
    place = page_file(path, "rates.html")
    folder = files("plaingrad.training.rates")
    page, style = (folder.joinpath(name).read_text("utf-8") for name in ("page.html", "page.css"))
    made = template(page, "the page of a range test").render(
        contents(told), style=styled(style, "chart.css"), header=headed("rates.html", pages_beside(place))
    )
    write_safely(place, made.encode("utf-8", "replace"))


def contents(told: dict[str, Any]) -> dict[str, Any]:
    """Everything the page shows."""
    from plaingrad import __version__

    rates, losses, smoothed = (np.array(told[name]) for name in ("rates", "losses", "smoothed"))
    at = int(np.argmin(smoothed))
    alt = (
        f"Smoothed loss over the learning rate: {smoothed[0]:.4g} at {rates[0]:.2g}, lowest with {smoothed[at]:.4g} at "
        f"{rates[at]:.2g}, {smoothed[-1]:.4g} at {rates[-1]:.2g}"
    )
    return {
        "title": f"{told['model']} on {told['data']}",
        "version": __version__,
        "suggestion": told["suggestion"],
        "advice": sentence(told["advice"]),
        "facts": {"steps": len(rates), "end": told["ended"], **told["settings"]},
        "plot": drawn(rates, losses, smoothed, told["suggestion"], alt),
        "rows": list(zip(told["rates"], told["losses"], told["smoothed"], strict=True)),
    }


def drawn(rates: Array, losses: Array, smoothed: Array, suggestion: float | None, told: str) -> str:
    """The plot: each loss a point, the smoothed loss a line, and the suggested rate as an upright one."""
    lines = [
        Line("loss of a batch", rates, losses, "each", joined=False),
        Line("smoothed loss", rates, smoothed, "first"),
    ]
    before = np.concatenate([smoothed[: np.argmin(smoothed) + 1], losses[: np.argmin(smoothed) + 1]])
    across, up = logarithmic(float(rates.min()), float(rates.max())), linear(0, ROOM * float(before.max()) or 1, 6)
    upright = None if suggestion is None else (suggestion, f"suggested rate {suggestion:.2g}")
    return chart(lines, across, up, SIZE, "learning rate", told, "lower left", upright)
