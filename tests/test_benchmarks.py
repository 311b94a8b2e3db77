"""The programs beside the library, which no other test runs, keep up with it."""

import ast
import importlib
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PROGRAMS = sorted([*ROOT.glob("benchmarks/*.py"), *ROOT.glob("scripts/*.py"), *ROOT.glob("examples/**/*.py")])


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_what_a_program_takes_from_the_library_is_there(program):
    """And what one benchmark takes from another."""
    for node in ast.walk(ast.parse(program.read_text("utf-8"))):
        if not isinstance(node, ast.ImportFrom) or node.level or node.module is None:
            continue
        beside = program.with_name(f"{node.module}.py")
        if node.module.split(".")[0] == "plaingrad":
            module = importlib.import_module(node.module)
            there = {
                name for name in (each.name for each in node.names) if hasattr(module, name) or _is_module(module, name)
            }
        elif beside.exists():
            body = ast.walk(ast.parse(beside.read_text("utf-8")))
            there = {name for each in body for name in _bound(each)}
        else:
            continue
        assert {each.name for each in node.names} <= there, f"{program.name}: from {node.module}"


def _is_module(package, name):
    return hasattr(package, "__path__") and importlib.util.find_spec(f"{package.__name__}.{name}") is not None


def _bound(node):
    """The names that a statement gives a meaning."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    return []


@pytest.mark.torch
def test_the_benchmarks_run(tmp_path):
    """In haste, on a few works, those parts for which PyTorch does not compile for a minute; they leave their page."""
    pytest.importorskip("torch")
    command = [sys.executable, "benchmarks/speed.py", "--quick", "--only", "fusing,nests,growth"]
    done = subprocess.run([*command, "--out", tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "benchmarks.md").read_text("utf-8")
    for title in ("What fusing ReLU brings", "The loop nests of convolutions", "How the cost of a convolution grows"):
        assert f"### {title}" in page
