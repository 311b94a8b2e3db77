"""What plaingrad's pages look like: one style and one header for explanation, report, range test, verdict and class."""

import os
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

PAGES = {
    "page.html": "explanation",
    "report.html": "training report",
    "rates.html": "learning rate range test",
    "verdict.html": "gradient check",
    "class.html": "class check",
}


def styled(own: str, *shared: str) -> str:
    """The style of all pages, after it that of other files they share, and the style of a page of its own last."""
    names = ("look.css", *shared)
    return "".join(files("plaingrad.training.report").joinpath(name).read_text("utf-8") for name in names) + own


def headed(name: str, beside: Iterable[str] = (), report: str | None = None) -> str:
    """The header of a page, which is named as in `PAGES`, with links to pages beside it and to a report elsewhere."""
    links = [(each, PAGES[each]) for each in beside]
    if report and (report, PAGES["report.html"]) not in links:
        links.append((report, PAGES["report.html"]))
    return masthead(PAGES[name], links)


def from_page(page: Path, other: str | Path) -> str:
    """The address of a file in links of a page: relative where a path leads there, so that both may be moved."""
    try:
        return quote(os.path.relpath(other, page.parent).replace(os.sep, "/"))
    except ValueError:  # on another drive
        return Path(other).absolute().as_uri()


def masthead(what: str, links: Iterable[tuple[str, str]] = ()) -> str:
    """The header of a page: what it is, links as addresses and labels, and light or dark. All is HTML."""
    told = "".join(f'\n<a href="{address}">{label}</a>' for address, label in links)
    return f"""<div class="masthead">
<p><b>plaingrad</b> {what}</p>{f'<nav aria-label="Pages beside this one">{told}</nav>' if told else ""}
<label class="theme"><input type="checkbox" id="theme"><span class="in-light">Dark page</span><span class="in-dark">Light page</span></label>
</div>"""  # noqa: E501


def pages_beside(path: str | Path) -> list[str]:
    """The pages of usual names that lie in the folder of a page, without that page."""
    place = Path(path)
    return [name for name in PAGES if name != place.name and (place.parent / name).is_file()]
