"""How the package is built: which package may import which, no circles, and the page that says so."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "plaingrad"
SOURCES = sorted(PACKAGE.rglob("*.py"))
GROUND_UP = [
    "errors", "compiler", "data", "textbook", "schedule", "network", "training", "exchange", "explaining", "checking",
    "testing", "sklearn", "cli",
]  # fmt: skip
MOST_NAMES = 16


def room(path: Path) -> str:
    """The package or lone module that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module(path: Path) -> str:
    """A file's name as it is imported."""
    return ".".join(("plaingrad", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """The modules of the project that a file imports, wherever in it."""
    known = {module(each) for each in SOURCES}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "plaingrad":
            whole = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (each if each in known else node.module for each in whole)


def test_few_names_meet_a_visitor():
    names = {each.name for each in PACKAGE.iterdir()} - {"__pycache__"}
    assert len(names) <= MOST_NAMES, names


@pytest.mark.parametrize("path", SOURCES, ids=module)
def test_packages_import_only_from_below(path):
    own = room(path)
    if own in ("__init__", "__main__"):
        return
    assert own in GROUND_UP, f"{own} has no place in the order"
    for name in imports(path):
        below = name.split(".")[1] if "." in name else ""
        if below in GROUND_UP:
            assert GROUND_UP.index(below) <= GROUND_UP.index(own), f"{own} imports {name}"


def test_no_modules_import_each_other_in_a_circle():
    after = {module(path): {*imports(path)} - {module(path), "plaingrad"} for path in SOURCES}
    while free := [name for name, needs in after.items() if not needs & after.keys()]:
        for name in free:
            del after[name]
    assert not after, "a circle among " + ", ".join(sorted(after))


def test_the_page_says_what_each_package_says_of_itself():
    page = (ROOT / "docs" / "house.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| [")]
    assert len(rows) == len(GROUND_UP)
    for own, row in zip(reversed(GROUND_UP), rows, strict=True):
        path = PACKAGE / own / "__init__.py" if (PACKAGE / own).is_dir() else PACKAGE / f"{own}.py"
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).splitlines()[0]
        where = f"{own}/" if path.name == "__init__.py" else path.name
        assert row == f"| [`{where}`](../src/plaingrad/{where.rstrip('/')}) | {said} |"
