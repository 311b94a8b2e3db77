"""Build the documentation site in build/site: `make site`.

The pages are those of docs/ and the README, as they are; the reference is made of the docstrings and of the texts of
the layers. Links that leave docs/ lead to a copy where it is a page, and become the names of files where it is code.
With the variable PYODIDE, the folder of a Pyodide distribution, it has a page on which plaingrad runs.
"""

import inspect
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
import unicodedata

import make_try_page
import plaingrad as pg
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.losses import Loss
from plaingrad.textbook.optimisers import Optimiser, Schedule

ROOT = pathlib.Path(__file__).parents[1]
BUILD = ROOT / "build"
PAGES, SITE = BUILD / "pages", BUILD / "site"
GROUPS = {  # of pages: a title, and the files of docs/ below it; a page that stands nowhere is an error
    "Begin": ["start.md", "questions.md", "try.md"],
    "Guides": ["training.md", "data.md", "layers.md", "explain.md", "check.md"],
    "With other things": ["notebooks.md", "sklearn.md", "exchange.md", "distributed.md"],
    "Mistakes": ["mistakes.md", "confusion.md"],
    "How well it does": ["accuracy.md", "cifar.md", "benchmarks.md", "performance.md"],
    "The project": ["house.md"],
}
BESIDE = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "LICENSE": "license.md", "examples/README.md": "examples.md"}  # fmt: skip  # noqa: E501
KINDS = {"Layers": Layer, "Losses": Loss, "Optimisers": (Optimiser, Schedule), "Errors": BaseException}
PACKAGES = {  # of what is none of these: the page that tells what is public of each
    "network": "Networks",
    "textbook": "Networks",
    "data": "Data",
    "training": "Training",
    "explaining": "Explaining",
    "exchange": "Exchange",
    "testing": "Checking",
    "checking": "Checking",
}
TRY = "try/index.html"  # where plaingrad runs
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|#)([^)\s]+)\)")
CODE = re.compile(r"(^```.*?^```$|`[^`]+`)", re.MULTILINE | re.DOTALL)
FEATURES = (
    *("navigation.sections", "navigation.footer", "navigation.top"),
    *("content.code.copy", "search.highlight", "toc.follow"),
)
OUTSIDE = re.compile(r"<script src=\"https?:[^>]*></script>")
OPTIONS = """
[project.plugins.mkdocstrings.handlers.python]
paths = ["../src"]

[project.plugins.mkdocstrings.handlers.python.options]
show_source = false
show_root_heading = false
show_root_toc_entry = false
heading_level = 3
show_bases = false
show_labels = false
show_if_no_docstring = false
filters = ["!^_"]
merge_init_into_class = true
inherited_members = false
"""


def reference() -> dict[str, list[str]]:
    """The public names by the page that tells them; each name on one page."""
    found: dict[str, list[str]] = {title: [] for title in (*dict.fromkeys(PACKAGES.values()), *KINDS)}
    for name in pg.__all__:
        each = getattr(pg, name)
        if not inspect.ismodule(each) and not isinstance(each, str):
            kind = (title for title, kinds in KINDS.items() if isinstance(each, type) and issubclass(each, kinds))
            found[next(kind, None) or PACKAGES[each.__module__.split(".")[1]]].append(name)
    return found


def anchor_of(anchor: str) -> str:
    """The anchor of a heading as Python-Markdown makes it, from that which GitHub makes."""
    plain = unicodedata.normalize("NFKD", anchor).encode("ascii", "ignore").decode()
    return re.sub("-+", "-", plain).strip("-").lower()


def told_of(name: str) -> str:
    """One public name: how it is called, what its docstring says, and the texts of a layer."""
    each = getattr(pg, name)
    own = isinstance(each, type) and issubclass(each, Layer | Loss | Optimiser | Schedule | BaseException)
    return (
        f"## {name}\n\n{'' if _is_error(each) else call_of(name)}"
        f"::: plaingrad.{name}\n    options:\n      members: {'false' if own else 'true'}\n{texts_of(name)}"
    )


def _is_error(each: object) -> bool:
    return isinstance(each, type) and issubclass(each, BaseException)


def call_of(name: str) -> str:
    """How something is called, with its settings and what they are if not given."""
    told = inspect.signature(getattr(pg, name))
    bare = [
        each.replace(annotation=inspect.Parameter.empty) for each in told.parameters.values() if each.name != "foreign"
    ]
    called = str(told.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    called = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", called)
    return f"```python\nplaingrad.{name}{called}\n```\n\n"


def texts_of(name: str) -> str:
    """The texts of a layer or a loss, as they stand."""
    parts = (getattr(getattr(pg, name), way, None) for way in ("forward", "infer", "backward"))
    sources = dict.fromkeys(each.source for each in parts if hasattr(each, "source"))
    return f"\n```python\n{chr(10).join(sources)}\n```\n" if sources else ""


def moved(text: str, at: pathlib.PurePosixPath, places: dict[str, str]) -> str:
    """A page's text with its links as they are on the site; `at` is its place there, `places` all pages' by file."""
    home = next(file for file, place in places.items() if place == str(at))

    def link(match: re.Match[str]) -> str:
        picture, label, target = match.groups()
        path, _, anchor = target.partition("#")
        file = (ROOT / home).parent.joinpath(path).resolve().relative_to(ROOT).as_posix()
        if file in places:
            up = "../" * (len(at.parts) - 1)
            return f"{picture}[{label}]({up}{places[file]}{'#' + anchor_of(anchor) if anchor else ''})"
        return label if label.strip("`") in file else f"{label} (`{file}`)"

    parts = CODE.split(text)  # every second one is code, unless it stands in a link
    held = "".join(
        part.replace("](", "]\x00(") if number % 2 else part.replace("][", "]\\[")  # dW[k][j] is no link
        for number, part in enumerate(parts)
    )
    return LINK.sub(link, held).replace("\x00", "")


def assemble(pyodide: pathlib.Path | None = None) -> None:
    """Write all pages of the site as Markdown, and what configures it; the one that runs plaingrad with `pyodide`."""
    shutil.rmtree(PAGES, ignore_errors=True)
    docs = sorted(file.relative_to(ROOT).as_posix() for file in (ROOT / "docs").rglob("*") if file.is_file())
    places = {file: file.removeprefix("docs/") for file in docs} | BESIDE
    named = {page for pages in GROUPS.values() for page in pages}
    if missing := {file for file in map(pathlib.PurePosixPath, docs) if file.suffix == ".md" and len(file.parts) == 2 and file.name not in named}:  # fmt: skip  # noqa: E501
        raise SystemExit(f"make_site: {', '.join(sorted(map(str, missing)))}: in no group of pages")
    for file, place in places.items():
        target = PAGES / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".md":
            text = (ROOT / file).read_text(encoding="utf-8")
            target.write_text(moved(text, pathlib.PurePosixPath(place), places), encoding="utf-8")
        else:
            shutil.copy(ROOT / file, target)
    if pyodide:
        make_try_page.write(pyodide, (PAGES / TRY).parent)
        told_there = (PAGES / "try.md").read_text(encoding="utf-8")
        (PAGES / "try.md").write_text(
            told_there.replace("\n", f"\n\n[**Open the page**]({TRY})\n", 1), encoding="utf-8"
        )
    told = reference()
    (PAGES / "reference").mkdir()
    for title, names in told.items():
        parts = [f"# {title}\n", *map(told_of, names)]
        (PAGES / "reference" / _file(title)).write_text("\n".join(parts), encoding="utf-8")
    (BUILD / "zensical.toml").write_text(configuration(told, bool(pyodide)), encoding="utf-8")


def _file(title: str) -> str:
    return title.lower().replace(" ", "-") + ".md"


def configuration(told: dict[str, list[str]], runs: bool) -> str:
    """The site's name, order and looks."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    questions = sorted(f"questions/{file.name}" for file in (ROOT / "docs" / "questions").glob("*.md"))
    groups = {**GROUPS, "Begin": ["index.md", *GROUPS["Begin"]]}
    groups["Begin"] += [{"Try it": TRY}] if runs else []
    groups["Questions"] = questions
    groups["Reference"] = [f"reference/{_file(title)}" for title in told]
    groups["The project"] = [*groups.pop("The project"), "examples.md", "contributing.md", "changelog.md", "license.md"]
    nav = ",\n".join(f"  {{ {_quoted(title)} = {_quoted(pages)} }}" for title, pages in groups.items())
    return f"""[project]
site_name = {_quoted(project["name"])}
site_description = {_quoted(project["description"])}
docs_dir = "pages"
site_dir = "site"
use_directory_urls = false
nav = [
{nav},
]

[project.theme]
font = false
features = [{", ".join(map(_quoted, FEATURES))}]
palette = [
  {{ media = "(prefers-color-scheme: light)", scheme = "default", toggle = {{ icon = "lucide/sun", name = "dark" }} }},
  {{ media = "(prefers-color-scheme: dark)", scheme = "slate", toggle = {{ icon = "lucide/moon", name = "light" }} }},
]

[project.extra]
generator = false

[project.plugins.offline]
{OPTIONS}"""


def _quoted(value: object) -> str:
    """As TOML writes it; its strings are JSON's."""
    import json

    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_quoted(key)} = {_quoted(each)}' for key, each in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_quoted, value))}]"
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    """Assemble, build, and say where it is."""
    pyodide = os.environ.get("PYODIDE")
    assemble(pathlib.Path(pyodide) if pyodide else None)
    if not pyodide:
        print("make_site: without the page that runs plaingrad, which needs PYODIDE=DIR, a Pyodide distribution")
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    done = subprocess.run(command, cwd=BUILD, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    for page in SITE.rglob("*.html"):  # a page asks nothing of anyone but its own site
        page.write_text(OUTSIDE.sub("", page.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{SITE.relative_to(ROOT)}/index.html")


if __name__ == "__main__":
    main()
