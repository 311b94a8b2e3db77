"""The package as others get it: what is in it, and that it works in a clean environment of each Python found."""

import email
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEWEST = 20  # of Python 3.N: none is found beyond
SCRIPTS = "Scripts" if os.name == "nt" else "bin"
pytestmark = pytest.mark.package


def pythons() -> dict[str, str]:
    """A Python of each version that the package allows, on the path or among pyenv's."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {f"3.{sys.version_info[1]}": sys.executable}
    for minor in range(11, NEWEST):
        places = [shutil.which(f"python3.{minor}"), *map(str, kept.glob(f"3.{minor}.*/{SCRIPTS}/python"))]
        works = (
            place for place in places if place and not subprocess.run([place, "-c", ""], capture_output=True).returncode
        )
        if place := next(works, None):
            found.setdefault(f"3.{minor}", place)
    return found


PYTHONS = pythons()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel, built from the source package, and that."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", folder, ROOT], check=True, capture_output=True)
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


def tracked(*under: str) -> set[str]:
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *under],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_it_holds_every_file_of_the_package_and_no_other(built: tuple[Path, Path]) -> None:
    wheel, source = built
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert names == {name.removeprefix("src/") for name in tracked("src")}
    with tarfile.open(source) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert tracked() <= held | {""}
    assert held - tracked() <= {"PKG-INFO", ""}


def test_its_description_is_whole(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as opened:
        name = next(name for name in opened.namelist() if name.endswith("METADATA"))
        told = email.message_from_bytes(opened.read(name))
    assert told["Name"] == "plaingrad"
    assert told["License-Expression"] == "MIT"
    assert not told.get_all("Author-email")
    listed = {each.rpartition(" ")[2] for each in told.get_all("Classifier", []) if "Python :: 3." in each}
    assert set(PYTHONS) & listed, "none of the Pythons that the package names is here"
    assert "](docs/" not in told.get_payload(), "links of the repository lead nowhere there"


@pytest.mark.parametrize("version", PYTHONS)
def test_it_works_where_nothing_else_is(built: tuple[Path, Path], version: str, tmp_path: Path) -> None:
    subprocess.run([PYTHONS[version], "-m", "venv", tmp_path / "venv"], check=True)
    command = tmp_path / "venv" / SCRIPTS
    subprocess.run([command / "python", "-m", "pip", "install", "--quiet", built[0]], check=True)

    def told(*words: str) -> str:
        done = subprocess.run([command / "plaingrad", *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        notes.append(done.stderr)
        return done.stdout

    notes: list[str] = []
    found = json.loads(told("doctor", "--json"))
    assert found["python"].startswith(f"{version}.")
    assert found["is_right"]
    assert all(each["here"] for each in found["needs"].values())
    extras = [each["here"] for every in found["extras"].values() for each in every.values()]
    assert not any(extras), "the base install gains nothing"
    run = json.loads(told("train", "--epochs", "8", "--json"))
    assert run["test_accuracy"] > 0.9  # a tenth is chance; seed 0 gets 0.98
    assert "no report.html" in notes[-1]
    assert "pip install 'plaingrad[report]'" in notes[-1]
    assert "conv1.dw" in told("explain", "--example", "two-kernels")
    told("case", "-o", "case.json")
    assert (tmp_path / "case.json").exists()


def test_uv_runs_it(tmp_path: Path) -> None:
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if not uv:
        pytest.skip("uv is not installed")
    files = tracked()
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    done = subprocess.run(
        [uv, "run", "--no-default-groups", "--python", sys.executable, "plaingrad", "doctor", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    if "tunnel error" in done.stderr or "failed to fetch" in done.stderr.lower():
        pytest.skip("uv reaches no index of packages here")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["is_right"]
