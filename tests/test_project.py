"""Every list of the project is derived or checked here."""

import ast
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

import plaingrad
from cases import CASES
from often import some
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers import Add
from plaingrad.textbook.layers.pool import Pool

ROOT = pathlib.Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "plaingrad").rglob("*.py"))
PAGES = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md"))]
LONG_PAGES = "docs/questions/", "docs/explain.md"  # a question's page trains networks, or explains many numbers
HEAVY = ["numba", "sympy", "torch", "PIL", "rich", "click", "jinja2", "safetensors", "onnx", "h5py"]


def test_every_layer_has_a_row_and_a_public_name():
    kinds = set(Layer.kinds().values()) - {Pool}
    ours = {kind for kind in kinds if kind.__module__.startswith("plaingrad.")}
    assert {type(layer) for layer, _ in CASES} == ours - {Add}  # it needs another layer: test_modes.py has its laws
    assert {kind.__name__ for kind in ours} <= set(plaingrad.__all__)


def test_public_names_are_listed_and_there():
    assert len(set(plaingrad.__all__)) == len(plaingrad.__all__)
    for name in plaingrad.__all__:
        assert getattr(plaingrad, name) is not None
    tree = ast.parse((ROOT / "src/plaingrad/__init__.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported == set(plaingrad.__all__)


def test_numba_is_imported_only_where_machine_code_is_made():
    importers = [path.stem for path in SOURCES if re.search(r"^\s*(import|from) numba", path.read_text("utf-8"), re.M)]
    assert importers == ["loops", "machine_code", "native_call", "numba_code", "vectors"]


def test_no_pickle_and_no_eval():
    for path in SOURCES:
        assert not re.search(r"\bpickle\b|\beval\(|\bexec\(|allow_pickle=True", path.read_text("utf-8")), path


def test_the_changelog_begins_with_this_version():
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert newest[1] == plaingrad.__version__


def test_importing_loads_nothing_heavy():
    code = f"import sys, plaingrad; print([name for name in {HEAVY} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


def test_files_stay_readable():
    """A file over 300 lines says why at its top."""
    for path in SOURCES:
        text = path.read_text("utf-8")
        if len(text.splitlines()) > 300:
            assert "Over 300 lines, since " in (ast.get_docstring(ast.parse(text)) or ""), path


@pytest.mark.parametrize("page", some(PAGES, lambda place: not PAGES[place].startswith(LONG_PAGES)))
def test_pages_print_what_they_say(page):
    pytest.importorskip("jinja2", reason="the pages train with the report, an extra")
    pytest.importorskip("numba", reason="the pages train, which takes minutes without Numba")
    if page == "docs/exchange.md":
        pytest.importorskip("onnx", reason="the page writes ONNX files, for which there is an extra")
    done = subprocess.run([sys.executable, "scripts/run_docs.py", page], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_description_stands_alone():
    """As a package index shows it: without links into this repository, and with every word of the README."""
    hook = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["metadata"]["hooks"]
    readme = shown = (ROOT / "README.md").read_text("utf-8")
    for each in hook["fancy-pypi-readme"]["substitutions"]:
        shown = re.sub(each["pattern"], each["replacement"], shown)
    links = re.findall(r"\]\(([^)\s]+)\)", readme)
    assert any(not link.startswith("https://") for link in links)
    assert all(link.startswith("https://") for link in re.findall(r"\]\(([^)\s]+)\)", shown))
    said = re.sub(r"!\[.*?\]\(.*?\)", "", readme)
    assert set(re.findall(r"[A-Za-z]{3,}", said)) <= set(re.findall(r"[A-Za-z]{3,}", shown))


def test_the_extra_all_is_all_extras():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(extras["all"]) == {each for name, packages in extras.items() if name != "all" for each in packages}


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob("docs/**/*.md"))]
)
def test_links_lead_somewhere(page):
    """Files and headings of this repository; what is elsewhere is not asked."""
    text = (ROOT / page).read_text("utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)):
        target, _, heading = link.partition("#")
        if target.startswith(("http://", "https://")):
            continue
        file = (ROOT / page).parent / target if target else ROOT / page
        assert file.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.M)
            slugs = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
            assert heading in slugs, link
