"""Pages for people: what a linter says of them, and whether the commands that they show would work."""

from __future__ import annotations

import gzip
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.figure_data import comparison

from archprof import models
from archprof.cli import build_parser, main
from archprof.render import report
from archprof.render.markdown import markdown
from archprof.render.tables.comparison import tables
from archprof.render.tables.table import Cell, Column, Table

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("reports/**/*.md")]
LINTER = shutil.which("rumdl")


def complaints(*paths: Path) -> str:
    """What the linter says under the rules of pyproject.toml, relative links that lead nowhere included."""
    done = subprocess.run(
        [LINTER, "check", "--no-cache", "--config", str(ROOT / "pyproject.toml"), *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
    )
    return (done.stdout + done.stderr) if done.returncode else ""


needs_linter = pytest.mark.skipif(LINTER is None, reason="rumdl is not installed (the extra 'test' has it)")


@needs_linter
@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_a_page_of_the_repository_passes_the_linter(page):
    said = [line for line in complaints(page).splitlines() if "[MD" in line]
    if page == ROOT / "README.md":  # test_readme.py follows its links
        said = [line for line in said if "MD057" not in line]
    assert said == []


@needs_linter
@pytest.mark.parametrize("sizes", [(), (1, 16)])
def test_a_report_passes_the_linter_and_its_links_resolve(tmp_path, sizes):
    report.write(comparison("resnet18", "vgg19", "mobilenet_v2", sizes=sizes), tmp_path / "study", with_latex=True)
    assert complaints(tmp_path / "study" / "README.md") == ""
    (tmp_path / "study" / "figures" / "ball.svg").unlink()
    assert "MD057" in complaints(tmp_path / "study" / "README.md")


@needs_linter
def test_tables_with_odd_words_pass_the_linter(tmp_path):
    table = Table(
        "A *title*",
        (Column("a", "a|b"),),
        ((Cell("<b>_x_</b>"),),),
        ("[1] see https://example.org/a_b*c, then `x`.", "odd | note <here>"),
    )
    (tmp_path / "t.md").write_text(markdown([table, *tables(comparison("resnet18"))]))
    assert complaints(tmp_path / "t.md") == ""
    assert "- \\[1\\] see <https://example.org/a_b*c>, then \\`x\\`." in (tmp_path / "t.md").read_text()


def commands(page: str) -> list[str]:
    blocks = re.findall(r"^```sh\n(.+?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if not line.startswith(("mkdir ", "gzip "))]


@pytest.mark.parametrize("command", [*commands("docs/recipes.md"), *commands("reports/README.md")])
def test_a_command_is_well_formed_and_names_networks_that_exist(command):
    program, *words = shlex.split(command)
    assert program == "archprof"
    args = build_parser().parse_args(words)
    for name in getattr(args, "models", None) or [name for name in [getattr(args, "model", None)] if name]:
        assert models.find(name).build is not None
    if getattr(args, "reference", None):
        assert args.reference in args.models


def test_every_folder_of_reports_has_its_command():
    words = [shlex.split(command) for command in commands("reports/README.md")]
    made_by = [command for command in words if "--from" not in command]
    told = {Path(command[command.index("-o") + 1]) for command in made_by if "-o" in command}
    told |= {Path(command[command.index("--markdown") + 1]).parent for command in words if "--markdown" in command}
    made = {page.parent.relative_to(ROOT) for page in ROOT.glob("reports/**/README.md")} - {Path("reports")}
    assert made <= told
    assert {folder.parts[1] for folder in told} == {
        "imagenet-classics",
        "mobilenet",
        "residual",
        "activations",
        "separable",
        "trial-digits",
    }


REPORTS = [page for page in ROOT.glob("reports/*/**/README.md") if page.with_name("comparison.json.gz").exists()]


def test_reports_are_small_and_their_figures_are_those_that_a_page_shows():
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text())
    }
    stored = {file.resolve() for kind in ("svg", "png", "pdf") for file in ROOT.glob(f"reports/**/*.{kind}")}
    assert stored <= shown
    assert not [*ROOT.glob("reports/**/*.json")]  # compressed, or it is most of what a clone transfers
    assert sum(file.stat().st_size for file in ROOT.glob("reports/**/*") if file.is_file()) < 4_000_000


@pytest.mark.parametrize("page", REPORTS, ids=[str(page.parent.relative_to(ROOT)) for page in REPORTS])
def test_a_report_tells_how_its_data_is_drawn(page, tmp_path, monkeypatch):
    """The commands at the report's end, as written but for the places; one figure stands for all of them."""
    folder = page.parent.relative_to(ROOT)
    unpack, draw = re.search(r"^(gzip .+)\n(archprof report --from .+)$", page.read_text(), re.MULTILINE).groups()
    assert unpack == f"gzip -dc {folder}/comparison.json.gz > comparison.json"
    args = build_parser().parse_args(shlex.split(draw)[1:])
    assert args.saved == "comparison.json" and args.output == "drawn"
    saved = gzip.decompress((ROOT / folder / "comparison.json.gz").read_bytes()).decode()
    (tmp_path / args.saved).write_text(saved)
    monkeypatch.chdir(tmp_path)
    assert main(["plot", "latency", "--from", args.saved, "-o", "latency.svg"]) == 0
    assert (tmp_path / "latency.svg").stat().st_size > 10_000
