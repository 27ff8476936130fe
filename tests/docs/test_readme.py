"""Every block of the README does what the reader is told."""

import io
import pathlib
import re
import shlex
from contextlib import redirect_stdout

import pytest
from helpers import readme

import archprof
from archprof.cli import main
from archprof.results.conditions import BATCH_SIZES, TIME_BUDGET_S

README = pathlib.Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


def commands(kind):
    for found, text in BLOCKS:
        if found == kind:
            yield from (line.removeprefix("$ ") for line in text.splitlines() if kind == "sh" or line.startswith("$ "))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a reader would stand, with the files that the README shows."""
    place = tmp_path_factory.mktemp("reader")
    for _, text in BLOCKS:
        if title := re.match(r"# ([\w.]+\.(?:py|toml))\n", text):
            (place / title[1]).write_text(text)
    return place


def run(command, monkeypatch, folder):
    monkeypatch.chdir(folder)
    program, *arguments = shlex.split(command)
    assert program == "archprof"
    with redirect_stdout(io.StringIO()) as out:
        code = main(arguments)
    return code, out.getvalue()


#: What is run elsewhere: it measures (below), or asks an index of everything (test_choosing_page).
ELSEWHERE = (
    "archprof compare resnet50 mobilenetv1", "archprof choose", "archprof whatif", "archprof env --roofline",
    "archprof show resnet50 --by type --measure",
)  # fmt: skip


@pytest.mark.parametrize("command", [line for line in commands("console") if not line.startswith(ELSEWHERE)])
def test_commands_work_in_the_order_of_the_page(command, monkeypatch, folder):
    code, _ = run(command, monkeypatch, folder)
    assert code == 0


SHOWN = next(text for kind, text in BLOCKS if kind == "console" and text.startswith(f"$ {readme.COMMAND}\n"))


def test_the_output_shown_is_that_of_the_measurement_that_is_stored():
    command, output = SHOWN.split("\n", 1)
    assert (command, output) == (f"$ {readme.COMMAND}", readme.output(readme.stored()))
    assert len(SHOWN.splitlines()) <= 23 and max(map(len, SHOWN.splitlines())) <= 80  # a screen, with the next prompt


def test_what_it_counts_is_what_is_counted():
    counted = archprof.compare(["resnet50", "mobilenetv1", "alexnet"], latency=False).architectures
    for seen, row in zip(readme.stored().architectures, counted, strict=True):
        assert (seen.name, seen.profile, seen.memory, seen.accuracy) == (
            row.name,
            row.profile,
            row.memory,
            row.accuracy,
        )


def test_its_times_were_measured_under_the_default_conditions():
    found = readme.stored()
    assert found.stopping is not None and found.stopping.time_budget_s == TIME_BUDGET_S
    assert found.batch_sizes == BATCH_SIZES and found.environment["device"] == "cpu"
    assert all(cell.measured for row in found.architectures for cell in row.latency)


def test_the_two_commands_stand_in_the_readme_and_in_ci():
    first, second = commands("sh")
    assert first == "pip install -c constraints.txt -e . && archprof compare resnet50 mobilenetv1 alexnet"
    assert second == "pip install -c constraints.txt -e '.[test]' && pytest"
    ci = (README.parent / ".ci" / "run").read_text()
    assert "-c constraints.txt -e '.[test]' && pytest" in ci


def test_python_blocks_run(monkeypatch, folder):
    monkeypatch.chdir(folder)
    together = {}
    for kind, text in BLOCKS:
        if kind == "python" and not text.startswith("# mymodels.py"):
            exec(compile(text, "README.md", "exec"), together)
    assert together["profile"].macs == 4_089_184_256


def test_links_resolve():
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        if not target.startswith("http"):
            assert (README.parent / target).exists(), target
