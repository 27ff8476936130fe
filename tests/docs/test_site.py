"""The documentation site: it builds without a warning and without torch, and whatever a page names is there."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

import archprof
from archprof.base.errors import BadOption
from archprof.cli import build_parser
from archprof.cli.commands import COMMANDS
from archprof.cli.schema import OUTPUTS, schema
from archprof.render import figures
from archprof.render.figures import trials

for needed in ("sphinx", "furo", "myst_parser", "griffe"):
    pytest.importorskip(needed, reason="the extra 'docs' has it")

ROOT = Path(__file__).parents[2]
HERE = ROOT / "docs" / "site"
WITHOUT_TORCH = """\
import runpy, sys
sys.modules["torch"] = None  # importing it fails
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site that ARCHPROF_SITE names, or one that is built here, without the figures of its gallery."""
    if "ARCHPROF_SITE" in os.environ:
        return Path(os.environ["ARCHPROF_SITE"]).resolve()
    output = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-c", WITHOUT_TORCH, str(HERE / "build.py"), str(output), "--no-gallery"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return output


class Page(HTMLParser):
    """What a page links to, what it loads, its anchors, and its text."""

    LOADED = {("img", "src"), ("script", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.anchors: set[str] = set()
        self.text = ""
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif (tag, name) in self.LOADED and value:
                self.loaded.add(value)
            elif (tag, name) == ("a", "href") and value:
                self.links.add(value)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {file: Page(file) for file in sorted(site.rglob("*.html"))}


def elsewhere(target: str) -> bool:
    return re.match(r"[a-z]+:|//", target) is not None


def broken(pages: dict[Path, Page]) -> list[tuple[str, str]]:
    """Links to files that are not there, or to places that the other page does not have."""
    found = []
    for file, page in pages.items():
        for target in page.links | page.loaded:
            path, anchor = urldefrag(target)
            if elsewhere(target):
                continue
            to = (file.parent / unquote(path).partition("?")[0]).resolve() if path else file
            if not to.is_file() or (anchor and to in pages and unquote(anchor) not in pages[to].anchors):
                found.append((file.name, target))
    return found


def test_every_link_inside_the_site_leads_somewhere(site, pages):
    assert len(pages) > 40 and broken(pages) == []


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html#here">1</a> <a href="b.html#gone">2</a> <img src="gone.svg">')
    (tmp_path / "b.html").write_text('<p id="here"><a href="#there">3</a> <a href="https://example.org/">4</a>')
    found = broken({file: Page(file) for file in tmp_path.glob("*.html")})
    assert sorted(found) == [("a.html", "b.html#gone"), ("a.html", "gone.svg"), ("b.html", "#there")]


def test_nothing_is_loaded_from_elsewhere(site, pages):
    assert {target for page in pages.values() for target in page.loaded if elsewhere(target)} == set()
    sheets = [file.read_text(encoding="utf-8") for file in site.rglob("*.css")]
    assert sheets and not [url for sheet in sheets for url in re.findall(r"url\(['\"]?(?:https?:|//)[^)]*", sheet)]


def test_every_page_of_the_repository_is_a_page(site, pages):
    written = {*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("reports/**/*.md")} - {ROOT / "README.md"}
    names = {path.relative_to(ROOT).with_suffix(".html") for path in written} | {Path("index.html")}
    assert names <= {file.relative_to(site) for file in pages}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_of_a_command_is_its_help(site, pages, name):
    command = [sys.executable, "-m", "archprof", name, "--help"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() in pages[site / "commands" / f"{name}.html"].text


def test_every_public_name_is_described(site, pages):
    found = pages[site / "python.html"]
    names = [name for name in archprof.__all__ if not name.startswith("__")]
    inside = [f"{module}.{name}" for module in ("costs", "separable") for name in getattr(archprof, module).__all__]
    described = {name for name in found.anchors if name.startswith("archprof.")}
    modules = {"costs", "separable"}
    assert {f"archprof.{name}" for name in [*names, *inside] if name not in modules} <= described
    assert {"archprof-costs", "archprof-separable"} <= found.anchors
    assert "device: str = 'cpu'" in found.text  # not what else option() says of the field


def test_the_schemas_are_those_that_are_printed(site, pages):
    for name in OUTPUTS:
        [file] = [file for file in site.rglob(f"{name}.json") if file.parent.name != "_static"]
        assert json.loads(file.read_text()) == schema(name)
    assert {form.lower() for form in schema()["$defs"]} <= pages[site / "schema.html"].anchors


def test_the_gallery_has_every_kind_and_commands_that_work_in_a_checkout(site, pages):
    found = pages[site / "gallery.html"]
    _, _, listed = pages[site / "commands" / "plot.html"].text.partition("\nkinds:\n")
    kinds = set(re.findall(r"^  ([\w-]+)  +\w", listed.partition("\n\n")[0], re.MULTILINE))
    assert {*figures.KINDS, *trials.KINDS} < kinds <= found.anchors
    commands = re.findall(r"^\$ (archprof .+|gzip .+)$", found.text, re.MULTILINE)
    for words in map(shlex.split, commands):
        if words[0] == "gzip":
            assert (ROOT / words[2]).is_file()
            continue
        args = build_parser().parse_args(words[1:])
        assert args.saved == "trial.json" or (ROOT / args.saved).is_file()
    assert len(commands) >= len(figures.KINDS)


@pytest.fixture
def gallery(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(HERE))
    return importlib.import_module("gallery")


@pytest.mark.parametrize("kind", ["layers", "grid", "relative"])
def test_a_kind_that_needs_options_is_drawn(gallery, tmp_path, kind):
    assert gallery._draw(kind, ROOT, tmp_path / "figure.svg").startswith(b"<?xml")


@pytest.mark.parametrize("kind", ["power", "power-ops"])
def test_a_kind_that_no_report_can_show_is_refused(gallery, tmp_path, kind):
    with pytest.raises(BadOption, match="no energy readings"):
        gallery._draw(kind, ROOT, tmp_path / "figure.svg")
