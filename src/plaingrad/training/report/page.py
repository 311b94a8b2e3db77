"""The report itself: what is counted, how it is worded, and how the file is put in its place."""

import importlib
import math
import shlex
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaingrad.data.dataset import Dataset
from plaingrad.errors import DataError, MissingError
from plaingrad.network.network import Network
from plaingrad.textbook.phrases import shape_text
from plaingrad.training.checkpoint import write_safely
from plaingrad.training.evaluation import MATRIX_CLASSES, Evaluation, answers, most_mixed
from plaingrad.training.report.look import headed, pages_beside, styled
from plaingrad.training.report.pictures import curves, kernels, maps, photograph, pixel_range

if TYPE_CHECKING:
    from jinja2 import Template

Array = NDArray[Any]

TABLE_CLASSES, BARS, MISTAKES = 100, 10, 24


def write_report(
    path: str | Path,
    net: Network,
    test: Dataset,
    probabilities: ArrayLike,
    history: list[dict[str, Any]],
    facts: dict[str, object],
) -> None:
    """Write one HTML file about a trained network; it needs nothing else to be read, and replaces a page that is there.

    probabilities: what the network gives each test image (image, class); an image with one that is not a number
    counts as wrong. history: one entry for each epoch. facts: shown at the top, in their order.
    """
    require_jinja("the report")
    shares = np.asarray(probabilities, float)
    if shares.shape != (len(test), len(test.classes)):
        raise DataError(
            f"the report got probabilities of shape {shares.shape}; {len(test)} images of {len(test.classes)} classes "
            f"need {(len(test), len(test.classes))}"
        )
    page = rendered(contents(net, test, shares, history, facts), pages_beside(path))
    write_safely(Path(path), page.encode("utf-8", "replace"))


def require_jinja(who: str) -> None:
    """MissingError where Jinja2 is not there."""
    try:
        importlib.import_module("jinja2")
    except ImportError:
        raise MissingError(who, "jinja2", "report") from None


def rendered(content: dict[str, Any], beside: list[str]) -> str:
    """The page with its contents filled in and escaped; it links to the pages `beside` it."""
    folder = files("plaingrad.training.report")
    page, style = (folder.joinpath(name).read_text("utf-8") for name in ("page.html", "page.css"))
    return template(page, "the report").render(
        content, style=styled(style, "chart.css"), header=headed("report.html", beside)
    )


def template(page: str, who: str) -> "Template":
    """A page whose contents are still to be filled in, each escaped. MissingError without Jinja2."""
    require_jinja(who)
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": percent, "value": value_text, "sentence": sentence}
    return environment.from_string(page)


def contents(
    net: Network, test: Dataset, shares: Array, history: list[dict[str, Any]], facts: dict[str, object]
) -> dict[str, Any]:
    """Everything the page shows, section by section."""
    from plaingrad import __version__

    named = answers(shares)
    found = Evaluation.of(test.classes, test.labels, named)
    low, high = pixel_range(test.images)
    return {
        "title": net.name if net.name == test.name else f"{net.name} on {test.name}",
        "version": __version__,
        "facts": facts,
        "run": shlex.quote(str(facts.get("out", "RUN"))),
        "headline": headline(found),
        "curves": curves(history) if history else [],
        "history": history,
        "has_validation": any("validation_loss" in each for each in history),
        "network": layer_table(net),
        "matrix": matrix(found),
        "classes": class_table(found),
        "kernels": kernels(net),
        "maps": maps(net, test.images, test.labels, low, high) | bars(shares[0], int(test.labels[0]), test.classes),
        "mistakes": mistakes(test, shares, named, low, high),
    }


# Numbers in words


def value_text(value: object) -> str:
    """A value as a reader wants it: four digits of a fraction, thousands apart, anything else as it stands."""
    if isinstance(value, float | np.floating):
        number = float(value)
        if not math.isfinite(number):
            return "not a number" if math.isnan(number) else "infinite"
        return f"{number:,.0f}" if abs(number) >= 10_000 else f"{number:.4g}"
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        whole = int(value)
        return f"{whole:,}" if abs(whole) >= 10_000 else str(whole)
    return str(value)


def percent(share: float, digits: int = 1) -> str:
    """0.983 as 98.3 %."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%" if math.isfinite(share) else "not a number"


def sentence(line: str) -> str:
    """A line of the command as a sentence of a page."""
    return f"{line[0].upper()}{line[1:].removesuffix('.')}."


# Tables


def headline(found: Evaluation) -> dict[str, Any]:
    """The accuracy, what it was counted from, and how far chance could move it."""
    digits = 2 if found.images >= 5_000 else 1
    low, high = found.interval
    return {
        "accuracy": percent(found.accuracy, digits),
        "right": found.right,
        "count": found.images,
        "low": percent(low, digits),
        "high": percent(high, digits),
        "unanswered": int(found.unanswered.sum()),
    }


def layer_table(net: Network) -> dict[str, Any]:
    """The layers from input to output, and their sums."""
    rows = [
        {
            "name": step.name,
            "settings": str(step.layer),
            "shape": shape_text(step.y),
            "parameters": sum(array.size for array in step.arrays.values()),
            "products": step.layer.multiplications(step.x),
        }
        for step in net.steps.values()
    ]
    products = sum(step.layer.multiplications(step.x) for step in net.steps.values())
    return {"input": shape_text(net.input), "rows": rows, "parameters": net.size, "products": products}


def matrix(found: Evaluation) -> dict[str, Any]:
    """The confusion matrix, at most of the classes that are mixed up most, in their own order."""
    classes, shown = found.names, most_mixed(found, MATRIX_CLASSES)
    counts = np.column_stack([found.confusion, found.unanswered])
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    columns = [*shown, len(classes)] if found.unanswered.any() else shown
    most = max(int(wrong[np.ix_(shown, columns)].max()), 1)
    rows = [
        {
            "name": classes[row],
            "cells": [
                {"count": int(counts[row, at]), "right": row == at, "share": round(wrong[row, at] / most, 3)}
                for at in columns
            ],
        }
        for row in shown
    ]
    names = [classes[at] if at < len(classes) else "no answer" for at in columns]
    left_out = f"The {len(shown)} classes of {len(classes):,} with most mistakes are shown."
    return {
        "names": names,
        "rows": rows,
        "is_wide": len(names) > 11,
        "is_long": max(map(len, names)) > 4,
        "note": left_out if len(shown) < len(classes) else "",
    }


def class_table(found: Evaluation) -> dict[str, Any]:
    """Precision, recall and F1 of each class and their means; of very many classes, those with the lowest F1."""
    rows = list(found.classes)
    if len(rows) > TABLE_CLASSES:
        rows = sorted(rows, key=lambda row: 2.0 if row.f1 is None else row.f1)[:TABLE_CLASSES]
    means = {"macro": found.macro, "weighted": found.weighted}
    left_out = f"The {len(rows)} classes of {len(found.names):,} with the lowest F1 are shown."
    notes = [*found.remarks(), *([left_out] if len(rows) < len(found.names) else [])]
    return {"rows": rows, "means": means, "images": found.images, "notes": notes}


def bars(shares: Array, truth: int, classes: tuple[str, ...]) -> dict[str, Any]:
    """The probabilities of one image; of many classes, the likeliest, and the true one at any rate."""
    order = np.arange(len(shares))
    if len(shares) > BARS:
        order = np.argsort(-np.nan_to_num(shares, nan=-1.0), kind="stable")[:BARS]
        order[-1] = truth if truth not in order else order[-1]
    rows = [{"name": classes[at], "share": float(shares[at]), "is_true": int(at) == truth} for at in order]
    left_out = f"Of {len(shares):,} classes the likeliest and the true one are shown."
    return {"truth": classes[truth], "bars": rows, "bars_note": left_out if len(rows) < len(shares) else ""}


def mistakes(test: Dataset, shares: Array, named: Array, low: float, high: float) -> dict[str, Any]:
    """The images named wrong, those whose true class got the least probability first: their loss is the highest."""
    wrong = np.flatnonzero(named != test.labels)
    given = np.nan_to_num(shares[wrong, test.labels[wrong]], nan=-1.0)
    rows = [
        {
            "picture": photograph(test.images[at], low, high, 96),
            "truth": test.classes[test.labels[at]],
            "given": float(shares[at, test.labels[at]]),
            "answer": test.classes[named[at]] if named[at] >= 0 else None,
            "share": float(shares[at, named[at]]) if named[at] >= 0 else math.nan,
            "place": int(at),
        }
        for at in wrong[np.argsort(given, kind="stable")][:MISTAKES]
    ]
    return {"rows": rows, "count": len(wrong)}
