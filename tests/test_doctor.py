"""`plaingrad doctor`: what it reads off the machine, and that it says where something lacks."""

import importlib.metadata
import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

import plaingrad as pg
from plaingrad.cli import doctor_run
from plaingrad.cli.main import cli

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def doctor(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(cli, ["doctor", *words])
    assert done.exit_code == code
    return done.stdout


def test_all_is_told_as_text_and_as_json() -> None:
    found, text = json.loads(doctor("--json")), doctor()
    assert found["is_right"]
    assert found["plaingrad"] == pg.__version__
    for key in ("system", "processor", "vectors", "tried"):
        assert found[key] in text
    assert text.endswith("All is well.\n" if not found["advice"] else f"- {found['advice'][-1]}\n")


def test_every_requirement_and_extra_is_listed_with_what_is_here() -> None:
    found = doctor_run.packages()
    named = {extra: set(every) for extra, every in found["extras"].items()}
    stated = {extra: every for extra, every in PROJECT["optional-dependencies"].items() if extra != "all"}
    assert set(named) == set(stated)
    for extra, every in [*found["extras"].items(), ("", found["needs"])]:
        lines = stated[extra] if extra else PROJECT["dependencies"]
        assert len(every) == len(lines)
        for (name, each), line in zip(sorted(every.items()), sorted(lines), strict=True):
            assert line.startswith(name)
            assert each["asked"].count("=") == line.partition(";")[0].count("=")
            assert each["here"] == doctor_run._version(name)
    assert found["needs"]["numpy"]["here"] == importlib.metadata.version("numpy")


def test_requirements_are_read_as_packages_state_them() -> None:
    match = doctor_run.REQUIREMENT.match("numba<0.70,>=0.61; sys_platform != 'emscripten' and extra == 'fast'")
    assert match
    assert match.groups()[:2] == ("numba", "<0.70,>=0.61")
    extra = doctor_run.EXTRA.search(match[3])
    assert extra
    assert extra[1] == "fast"


def test_a_browser_needs_no_numba_and_is_not_told_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [*PROJECT["dependencies"], "pillow>=10; extra == 'images'"]
    monkeypatch.setattr(doctor_run, "_required", lambda: lines)
    assert set(doctor_run.packages()["needs"]) == {doctor_run.REQUIREMENT.match(line)[1] for line in lines[:-1]}  # type: ignore[index]
    monkeypatch.setattr(doctor_run.sys, "platform", "emscripten")
    monkeypatch.setattr(doctor_run, "has_numba", lambda: False)
    found = doctor_run.packages()
    assert "numpy" in found["needs"]
    assert "numba" not in found["needs"]
    advice = list(doctor_run.advice({**found, "compiled code": {"problem": None}}))
    assert not [line for line in advice if "pip install numba" in line]
    assert any("outside the browser" in line for line in advice)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PLAINGRAD_PLAIN", "1", "unset PLAINGRAD_PLAIN"),
        ("PLAINGRAD_CACHE_DIR", "shared", "others can write to"),
        ("PMI_SIZE", "2", "PMI_SIZE=2"),
    ],
)
def test_what_lacks_is_said(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(doctor_run, "tried", lambda: ("nothing", ""))
    if variable == "PLAINGRAD_PLAIN":
        monkeypatch.setattr(doctor_run, "has_numba", lambda: False)
    assert said in doctor()


def test_a_layer_that_goes_wrong_is_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise OSError("no memory\x1b[2J left")

    monkeypatch.setattr(doctor_run, "check", wrong)
    told = doctor(code=1)
    assert "no memory" in told
    assert "\x1b" not in told
    assert "report this output" in told
