"""The documentation site: every page and public name stands on it once, and nothing on it leads nowhere."""

import re
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import make_site
import plaingrad as pg

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    make_site.BUILD, make_site.PAGES, make_site.SITE = folder, folder / "pages", folder / "site"
    make_site.assemble()
    return folder


def test_each_public_name_is_on_one_page_of_the_reference(pages: Path) -> None:
    texts = [file.read_text(encoding="utf-8") for file in (pages / "pages" / "reference").iterdir()]
    told = [name for text in texts for name in re.findall(r"^::: plaingrad\.(\w+)$", text, re.MULTILINE)]
    modules = {name for name in pg.__all__ if type(getattr(pg, name)).__name__ == "module"}
    assert sorted(told) == sorted(set(pg.__all__) - modules - {"__version__"})


def test_the_reference_shows_the_texts_as_they_stand(pages: Path) -> None:
    text = (pages / "pages" / "reference" / "layers.md").read_text(encoding="utf-8")
    for name in make_site.reference()["Layers"]:
        if name != "Layer":
            assert getattr(pg, name).backward.source in text, name


def test_links_of_pages_lead_to_pages(pages: Path) -> None:
    count = 0
    for page in (pages / "pages").rglob("*.md"):
        prose = "".join(make_site.CODE.split(page.read_text(encoding="utf-8"))[::2])
        for _, _, target in make_site.LINK.findall(prose):
            count += 1
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target}"
    assert count > 100


def test_a_page_in_no_group_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_site, "GROUPS", {**make_site.GROUPS, "Begin": ["start.md", "try.md"]})
    with pytest.raises(SystemExit, match=r"questions\.md: in no group"):
        make_site.assemble()


def test_without_pyodide_that_is_said_in_one_line(pages: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip  # noqa: E501
    built = []
    monkeypatch.delenv("PYODIDE", raising=False)
    monkeypatch.setattr(
        make_site.subprocess, "run", lambda *_, **__: built.append(1) or subprocess.CompletedProcess([], 0)
    )
    monkeypatch.setattr(make_site, "SITE", make_site.ROOT / "build" / "site")
    make_site.main()
    first, last = capsys.readouterr().out.splitlines()
    assert built
    assert "PYODIDE=DIR" in first
    assert last.endswith("index.html")
    assert make_site.TRY not in (pages / "zensical.toml").read_text(encoding="utf-8")


def test_settings_are_written_as_toml() -> None:
    told = {"nav": [{"Try it": "try/index.html"}, 'a "b".md', {"Begin": ["x", {"y": "z"}]}]}
    assert tomllib.loads(f"told = {make_site._quoted(told)}")["told"] == told


@pytest.mark.parametrize(
    ("there", "here"), [("stays-at-94--does-a", "stays-at-94-does-a"), ("upsamplewᵀδ--f", "upsamplewt-f")]
)
def test_anchors_are_those_of_the_site(there: str, here: str) -> None:
    assert make_site.anchor_of(there) == here


class Links(HTMLParser):
    """What a page leads to and loads, and the names of its places."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.places: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.places.add(value)
            elif name in ("href", "src") and value:
                (self.links if tag == "a" else self.loaded).add(value)


@pytest.mark.site
def test_the_site_leads_nowhere_else() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "make_site.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    site = ROOT / "build" / "site"
    read: dict[Path, Links] = {}
    for page in site.rglob("*.html"):
        read[page] = Links()
        read[page].feed(page.read_text(encoding="utf-8"))
    assert len(read) > 30
    for page, found in read.items():
        if page.name == "404.html":  # it is shown at any address, and leads to the root
            continue
        assert not [each for each in found.loaded if urlsplit(each).scheme not in ("", "data")], page
        for each in found.links | found.loaded:
            address = urlsplit(each)
            if address.scheme or not (address.path or address.fragment):
                continue
            target = (page.parent / unquote(address.path)).resolve() if address.path else page
            assert target.exists(), f"{page.name}: {each}"
            if address.fragment and target in read and not address.fragment.startswith("__"):
                assert unquote(address.fragment) in read[target].places, f"{page.name}: {each}"
