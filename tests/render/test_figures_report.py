"""The report's folder: what it says, that it can be read on its own, and that it never tramples on other
files.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import pytest
from helpers.figure_data import ENVIRONMENT, comparison, result

from archprof.base.errors import BadOutput
from archprof.cli import main
from archprof.render import page, report
from archprof.render.claims import answers
from archprof.render.findings import summary
from archprof.render.latex import escape, latex
from archprof.render.tables.costs import static
from archprof.results.comparison import Comparison
from archprof.results.latency import Block, Latency
from archprof.results.profile import TypeCost
from archprof.results.ratios import Stopping

STUDY = ("vgg19", "resnet18", "resnet50", "resnet152")
WHOLE = comparison(*STUDY, sizes=(1, 16))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("reports") / "study"
    report.write(WHOLE, path, with_latex=True)
    return path


def answer(made: Comparison, begins: str) -> str:
    return next(found.answer for found in answers(made) if found.claim.startswith(begins))


def timed(name: str, seconds: float, why: str | None = None):
    blocks = tuple(Block(seconds * (1 + 0.001 * (i % 3)), 3, i, i) for i in range(9))
    return replace(result(name, ()), latency=(Latency(16, blocks, why=why),))


def test_the_folder_holds_text_data_and_figures(folder):
    kinds = {path.stem for path in (folder / "figures").iterdir()}
    assert kinds == set(report.KINDS)
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".svg", ".png"}
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "comparison.json",
        "comparison.csv",
        "table.tex",
        "figures",
        *([report.PAGE] if page.missing() is None else []),
    }
    assert Comparison.from_json((folder / "comparison.json").read_text()) == WHOLE
    assert (folder / "comparison.csv").read_text().count("\n") == 1 + len(STUDY)


def test_links_and_images_resolve_and_headings_step_by_one(folder):
    text = (folder / "README.md").read_text()
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert len(targets) > 2 * len(report.KINDS)
    assert all((folder / target).is_file() for target in targets if "://" not in target)
    levels = [len(found) for found in re.findall(r"^(#+) ", text, flags=re.MULTILINE)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert not re.search(r"[ \t]$|\n\n\n", text, flags=re.MULTILINE) and text.endswith("\n")
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_the_same_comparison_gives_the_same_files(folder, tmp_path):
    saved = folder / "comparison.json"
    assert main(["report", "--from", str(saved), "-o", str(tmp_path / "study"), "--latex"]) == 0
    for path in folder.rglob("*"):
        if path.is_file():
            assert (tmp_path / "study" / path.relative_to(folder)).read_bytes() == path.read_bytes(), path.name


def test_every_number_of_the_summary_is_of_the_record():
    told = summary(WHOLE)
    assert told[0] == "Parameters run from 11.7 M (resnet18) to 144 M (vgg19), a factor of 12.3."
    assert "78.31 % (resnet152, torchvision IMAGENET1K_V1)" in told[2]
    cell = result("resnet18").latency_at(16)
    low, high = cell.ci95_s
    assert (
        f"fastest is resnet18 with {1e3 * cell.p50_s:.0f} ms (95 % interval {1e3 * low:.0f} to "
        f"{1e3 * high:.0f})" in told[4]
    )
    assert "best choices by mult-adds are resnet18, resnet50 and resnet152: no other" in told[3]


def test_doubtful_times_are_named_and_give_no_winner():
    made = Comparison({}, (timed("vgg19", 2.0), timed("resnet152", 1.0, why="other work held 90 % of the CPU")))
    told = " ".join(summary(made))
    assert "fastest is vgg19" in told and "Not reliable at batch size 16" in told
    assert "not answered, because the measurements at batch size 16 are not reliable (other work" in answer(
        made, "ResNet-152"
    )


@pytest.mark.parametrize(
    "seconds, verdict",
    [
        (1.0, "yes: resnet152 takes 0.500"),
        (4.0, "no: resnet152 takes 2.00"),
        (2.0, "they cannot be told apart"),
    ],
)
def test_resnet152_against_vgg19_is_answered_by_the_interval(seconds, verdict):
    made = Comparison({}, (timed("vgg19", 2.0), timed("resnet152", seconds)))
    said = answer(made, "ResNet-152")
    assert said.startswith("In mult-adds yes: 11.5 G against 19.6 G, 59 %.")
    assert f"In time at batch size 16, {verdict}" in said


def test_linearity_is_told_with_its_r2():
    said = answer(WHOLE, "Within a family")
    assert re.search(r"At batch size 16: resnet R² 0\.9\d\d over 3 networks, [0-9.]+ ms for each G", said)
    assert not any(found.claim.startswith("Within") for found in answers(comparison("vgg19", "alexnet", sizes=(16,))))


def test_vgg_is_set_against_the_heaviest_of_the_others():
    said = answer(comparison(sizes=()), "VGG")
    assert "vgg16, has 15.5 G, 1.3 times the 11.5 G of resnet152" in said
    assert "vgg16, has 138 M, 2.3 times the 61.1 M of alexnet" in said


def test_the_pointwise_share_is_that_of_the_weights():
    row = result("mobilenet_v2", ())
    types = (TypeCost("conv 1x1", 80, 90, 1, weights=75), TypeCost("fully connected", 40, 10, 1, weights=25))
    made = Comparison({}, (replace(row, name="mobilenetv1", profile=replace(row.profile, by_type=types)),))
    said = answer(made, "MobileNet")
    assert "of mult-adds 90.00 % 1x1, 0.00 % depthwise" in said and "of weights 75.00 % 1x1," in said


def test_without_latency_the_report_says_what_it_lacks(tmp_path):
    report.write(comparison("resnet18", "vgg19", sizes=()), tmp_path / "r")
    text = (tmp_path / "r" / "README.md").read_text()
    assert "Latency was not measured." in text
    assert "- latency: latency was not measured; run without --no-latency." in text
    assert ("[page.html](page.html)" in text) == (page.missing() is None)
    assert "--no-latency -o reports/r" in text
    assert not (tmp_path / "r" / "figures" / "latency.svg").exists()


def test_figures_that_an_earlier_report_had_are_not_left_lying_about(tmp_path):
    unpublished = Comparison({}, (replace(result("resnet18", ()), accuracy=()),))
    report.write(unpublished, tmp_path / "r", with_latex=True)
    for name in ("mine.txt", "figures/latency.svg", "figures/mine.svg"):
        (tmp_path / "r" / name).write_text("mine")
    report.write(unpublished, tmp_path / "r")
    assert not (tmp_path / "r" / "figures" / "latency.svg").exists()
    assert (tmp_path / "r" / "figures" / "mine.svg").exists()
    assert not (tmp_path / "r" / "table.tex").exists()
    assert (tmp_path / "r" / "mine.txt").read_text() == "mine"


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / "README.md").write_text("# my notes\n")
    with pytest.raises(BadOutput, match="holds no report"):
        report.write(WHOLE, tmp_path)
    assert (tmp_path / "README.md").read_text() == "# my notes\n" and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(BadOutput, match="is a file"):
        report.check_folder(tmp_path / "README.md")
    report.check_folder(tmp_path, force=True)


def test_the_command_to_repeat_it_names_the_conditions():
    odd = replace(result("resnet50", (1, 16)), name="mobilenetv1(width=0.5)@192")
    made = Comparison(ENVIRONMENT | {"device": "cuda:1", "dtype": "float16", "channels_last": True}, (odd,))
    assert report.command(made) == [
        "archprof",
        "report",
        "mobilenetv1(width=0.5)@192",
        "--batch-sizes",
        "1,16",
        "--device",
        "cuda:1",
        "--dtype",
        "float16",
        "--threads",
        "2",
        "--channels-last",
    ]
    released = Comparison(ENVIRONMENT | {"keep_memory": False, "allocator": "glibc 2.36"}, (odd,))
    assert report.command(released)[-1] == "--no-keep-memory"
    text = report.readme(made, "odd", [], {}, False)
    assert "archprof report 'mobilenetv1(width=0.5)@192' --batch-sizes 1,16" in text


def test_the_command_repeats_how_long_and_how_exactly_it_was_measured():
    here = ENVIRONMENT | {"mode": "train", "optimizer": "adam"}
    made = replace(
        comparison("resnet18", "vgg19", "alexnet", sizes=(16,)),
        environment=here,
        reference="vgg19",
        stopping=Stopping(0.05, 1800.0, 12.3),
    )
    words = " ".join(report.command(made))
    assert "--reference vgg19 --batch-sizes 16" in words
    assert words.endswith("--mode train --optimizer adam --time-budget 1800 --precision 0.05")
    cifar = tuple(
        replace(row, accuracy=tuple(replace(a, dataset="cifar10") for a in row.accuracy)) for row in made.architectures
    )
    assert "--dataset cifar10" in " ".join(report.command(replace(made, architectures=cifar)))
    assert "--time-budget" not in " ".join(report.command(replace(made, stopping=None)))


def test_a_report_below_reports_is_named_from_there(tmp_path):
    made = comparison("resnet18", sizes=())
    report.write(made, tmp_path / "reports" / "residual" / "training")
    text = (tmp_path / "reports" / "residual" / "training" / "README.md").read_text()
    assert text.startswith("# residual/training\n") and "-o reports/residual/training\n" in text


def test_savings_and_shares_stand_in_the_report(folder):
    text = (folder / "README.md").read_text()
    assert "## What depthwise separable convolutions would save" in text and "1/N + 1/K²" in text
    assert re.search(r"would keep the least of its mult-adds, \d+\.\d %; \w+ the most, \d+\.\d %", text)
    rows = re.findall(r"^\| (\w+) \| [\d.]+ [MG] \| [\d.]+ [MG] \| [\d.]+ % \|", text, re.MULTILINE)
    assert rows == list(STUDY)


@pytest.mark.parametrize(
    "names, said",
    [
        (("resnet20_cifar", "plain20_cifar"), "resnet20_cifar has the same parameters and mult-adds as plain20_cifar."),
        (("mobilenetv1", "mobilenetv1_conv"), "In mult-adds 1.00 times less (1.81 G against 1.81 G)"),
        (("resnet10_cifar", "vgg16"), "No: resnet10_cifar has 11,689,512"),
    ],
)
def test_claims_about_pairs_are_answered_from_the_counts(names, said):
    row = result("resnet18", ())
    made = Comparison({}, tuple(replace(row, name=name) for name in names))
    assert any(said in found.answer for found in answers(made))
    alone = Comparison({}, (replace(row, name=names[-1]),))
    assert not any(said in found.answer for found in answers(alone))


def test_latex_has_rules_and_escapes():
    text = latex(static(comparison("squeezenet1_0", sizes=())))
    assert [line for line in text.splitlines() if "rule" in line] == [
        "\\toprule",
        "\\midrule",
        "\\bottomrule",
    ]
    assert "squeezenet1\\_0 & 1.25 M & 819 M" in text and text.count("{") == text.count("}")
    assert escape("50 % of a_b & {c}\\") == "50 \\% of a\\_b \\& \\{c\\}\\textbackslash{}"


def test_a_failed_network_keeps_its_place():
    failed = replace(result("vgg16", ()), profile=None, accuracy=(), error="its forward raised ValueError: bad *shape*")
    text = report.readme(Comparison({}, (failed, *WHOLE.architectures)), "r", [], {}, False)
    assert "vgg16 failed: its forward raised ValueError: bad \\*shape\\*." in text


@pytest.mark.parametrize(
    "words, says",
    [
        (["report", "-o", "x"], "no model is given"),
        (["report", "resnet50", "--from", "c.json", "-o", "x"], "give one of them"),
        (["report", "--from", "missing.json", "-o", "x"], "'missing.json' cannot be read"),
        (["plot", "ball", "--from", "missing.json", "-o", "x.png"], "'missing.json' cannot be read"),
        (["plot", "ball", "--from", "newer.json", "-o", "x.png"], "'newer.json': schema_version is 99"),
        (["plot", "ball", "--from", "c.json", "-o", "x.gif"], "'.gif' is not a figure format"),
        (["plot", "ball", "--from", "c.json", "-o", "no/x.png"], "does not exist"),
        (["plot", "bell", "--from", "c.json", "-o", "x.png"], "Did you mean 'ball'"),
        (["plot", "ball", "--from", "c.json", "--label", "resnet50", "-o", "x.png"], "is not NAME=TEXT"),
        (
            ["plot", "ball", "--from", "c.json", "--only", "zzz", "-o", "x.png"],
            "matches none of the networks",
        ),
    ],
)
def test_misuse_is_one_line_and_writes_nothing(tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.json").write_text(WHOLE.to_json())
    (tmp_path / "newer.json").write_text('{"schema_version": 99}')
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("archprof: ") and says in error and error.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"c.json", "newer.json"}


def test_a_report_from_a_file_imports_neither_torch_nor_pyplot(folder, tmp_path):
    code = (
        "import sys; from archprof.cli import main\n"
        f"code = main(['report', '--from', {str(folder / 'comparison.json')!r}, '-o', "
        f"{str(tmp_path / 'r')!r}])\n"
        "assert not {'torch', 'matplotlib.pyplot', 'pandas'} & set(sys.modules)\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_networks_that_cost_the_same_have_no_figure_against_cost(tmp_path):
    row = result("resnet18", (16,))
    twins = Comparison(
        {},
        (replace(row, name="net(activation=gelu)"), replace(row, name="net(activation=relu)")),
        reference="net(activation=relu)",
    )
    report.write(twins, tmp_path / "twins")
    text = (tmp_path / "twins" / "README.md").read_text()
    assert "All have the same parameters: 11.7 M." in text and "All have the same mult-adds: 1.81 G." in text
    assert "- ops-latency: all networks have the same mult-adds." in text
    assert (tmp_path / "twins" / "figures" / "relative.svg").exists()
    assert not (tmp_path / "twins" / "figures" / "memory-params.svg").exists()
