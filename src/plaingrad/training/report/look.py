"""What plaingrad's pages look like: one style and one header for explanation, report, range test, verdict and class."""

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

PAGES = {
    "page.html": "explanation",
    "report.html": "training report",
    "rates.html": "learning rate range test",
    "verdict.html": "gradient check",
    "class.html": "class check",
}


def styled(own: str) -> str:
    """The shared style, and after it the style of a page of its own, which may add to it."""
    return files("plaingrad.training.report").joinpath("look.css").read_text("utf-8") + own


def headed(name: str, beside: Iterable[str] = ()) -> str:
    """The header of a page, which is named as in `PAGES`, with links to pages beside it."""
    return masthead(PAGES[name], [(each, PAGES[each]) for each in beside])


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
