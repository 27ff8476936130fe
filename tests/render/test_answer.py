"""The first screen of a comparison: one table and a few sentences, at every width, from records made by hand."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from helpers.figure_data import comparison as twelve
from hostile.texts import TEXTS
from rich.console import Console

from archprof.render import answer, lines, terminal
from archprof.render.tables import answer as first_screen
from archprof.render.tables.table import Cell, Column, Table
from archprof.results.comparison import Accuracy, ArchitectureResult, Comparison
from archprof.results.latency import Block, Latency
from archprof.results.memory import BatchMemory, LargestBatch, OptimizerMemory
from archprof.results.profile import LayerCost, StaticProfile, TypeCost, Uncounted
from archprof.results.ratios import Stopping

HERE = {"device": "cpu", "device_name": "A CPU", "threads": 2, "dtype": "float32", "torch": "2.13.0"}
KNOWN = {"scratch_bytes": 0, "training_scratch_bytes": 0}


def cell(seconds: float, batch_size: int = 1, spread: float = 0.01, **more) -> Latency:
    """Twelve blocks, evenly spread to both sides of `seconds`."""
    blocks = (Block(seconds * (1 + spread * (n - 5.5) / 5.5), 1, n, n) for n in range(12))
    return Latency(batch_size, tuple(blocks), **more)


def row(name: str, parameters: int, macs: int, top1: float | None, *cells: Latency, **fields) -> ArchitectureResult:
    """All mult-adds in one convolution: 3x3 from 9 to 9 channels, of which 2/9 are left if separable."""
    layer = LayerCost("conv", "aten.convolution", "conv 3x3", (1, 9, 4, 4), (1, 9, 4, 4), macs, kernel=(3, 3))
    profile = StaticProfile(
        name, "zoo", (3, 32, 32), 1, parameters, parameters, 0, macs, 1, 4 * parameters, 0, 2**20, 2**21,
        by_type=(TypeCost("conv 3x3", parameters, macs, 1),), layers=(layer,),
    )  # fmt: skip
    claims = (Accuracy(name, "imagenet-1k", "top1", top1, "Doe 2020", "https://a.example"),) if top1 else ()
    memory = tuple(
        BatchMemory(seen.batch_size, 2**20 * seen.batch_size, training_peak_bytes=2**22, **KNOWN) for seen in cells
    )
    optimizers = (OptimizerMemory("adam", 8 * parameters, 0),)
    return ArchitectureResult(
        name, "zoo", "f", 2020, replace(profile, **fields), claims, memory or (BatchMemory(1, 2**20, **KNOWN),), cells,
        optimizers=optimizers,
    )  # fmt: skip


THIN = row("thin", 10**6, 2 * 10**8, 70.6, cell(0.010), cell(0.082, 8), cell(0.330, 32))
WIDE = row("wide", 25 * 10**6, 4 * 10**9, 76.1, cell(0.025), cell(0.250, 8), cell(1.100, 32))
POOR = row("poor", 61 * 10**6, 7 * 10**8, 56.5, cell(0.016), cell(0.056, 8), cell(0.181, 32))
VAGUE = "the 95 % interval is +-6.0 %, more than 5 %"


def three(**more) -> Comparison:
    """thin's first time is vague, but in every round it is less than the others'."""
    thin = replace(THIN, latency=(replace(cell(0.010, spread=0.1), why=VAGUE), *THIN.latency[1:]))
    return Comparison(HERE, (WIDE, thin, POOR), "poor", stopping=Stopping(0.02, 22.0, 22.0), **more)


def shown(made: Comparison, width: int = 80, with_ratios: bool = False, file: io.StringIO | None = None, **how) -> str:
    console = Console(width=width, file=file or io.StringIO(), highlight=False, **how)
    below = [*answer.sentences(made), answer.more(made)]
    terminal.show(first_screen.tables(made, with_ratios), console, export="--details", below=below)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()).strip()


def test_the_first_screen():
    assert (
        shown(three())
        == """
Forward pass of 3x32x32, cpu (A CPU), 2 threads, float32, torch 2.13.0

                                      Memory      ms     ms     ms  Top-1
 Architecture   Params  Mult-Adds       at 1    at 1   at 8  at 32      %
 ────────────────────────────────────────────────────────────────────────
 wide           25.0 M     4.00 G   96.4 MiB    25.0    250  1,100  76.1^
 thin          1.00 M^     200 M^  4.81 MiB^  10.0~^   82.0    330   70.6
 poor           61.0 M      700 M    234 MiB    16.0  56.0^   181^   56.5

^ best of its column; ~ not reliable
Smallest: thin with 1.00 M parameters (poor has 61.0 times as many) and 200 M
mult-adds (wide has 20.0 times as many).
Fastest: thin at batch 1; poor at batch 8 and 32.
Most accurate: wide with 76.1 % top-1 on imagenet-1k, 5.5 points above thin for
20.0 times the mult-adds.
Pareto front of top-1 and mult-adds: thin and wide; poor is not.
Separable convolutions would leave 22 % of thin's, 22 % of poor's and 22 % of
wide's mult-adds (by the formula).
Not reliable (~): thin at batch 1 (the 95 % interval is +-6.0 %, more than 5 %);
8 of 9 times are within 2 % (--time-budget allows more).
--details adds kinds of layer, all memory, intervals, ratios and sources.
""".strip()
    )


def test_three_networks_at_three_batch_sizes_fit_a_screen():
    """With the command above and the prompt below, 24 lines; with everything in doubt that can be."""
    lines = shown(three()).splitlines()
    assert len(lines) <= 22 and max(map(len, lines)) <= 80


def test_a_narrow_terminal_keeps_the_smallest_and_largest_batch_and_says_what_is_missing():
    text = shown(three(), 60)
    assert "ms at 8" not in text.split("No room")[0] and max(map(len, text.splitlines())) <= 60
    assert "No room here for Memory at 1, ms at 8: a wider terminal or" in text
    assert re.search(r"^ Architecture +Params +Mult-Adds +at 1 +at 32 +%$", text, re.MULTILINE)


def test_a_wide_terminal_breaks_no_heading():
    text = shown(three(), 120)
    assert "Params  Mult-Adds  Memory at 1  ms at 1  ms at 8  ms at 32  Top-1 %" in text
    assert shown(three(), 200) == text  # prose of 200 characters is hard to read


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("sizes", [(1, 16), (1, 2, 4, 8, 16, 32, 64), ()])
def test_every_network_and_column_is_there_or_said_to_be_missing(width, sizes):
    made = twelve(sizes=sizes)
    text = shown(made, width)
    assert max(map(len, text.splitlines())) <= width
    table, _, below = text.partition("\n\n")[2].partition("\n\n")
    names = [row.name for row in made.architectures]
    assert [line.split()[0] for line in table.splitlines()[-len(names) :]] == names
    head = " ".join(table.split("──")[0].split())
    missing = " ".join(below.split()).partition("No room here for ")[2].partition(":")[0]
    for size in sizes:
        assert f"at {size}" in head or f"ms at {size}" in missing
    assert sum(line.endswith((".", ".)")) for line in below.splitlines()) >= 1


def test_batch_sizes_that_stay_are_spread():
    made = Comparison(HERE, (row("a", 10, 10, None, *(cell(0.01, 2**n) for n in range(7))),))
    head = shown(made, 72).splitlines()[2:4]
    assert head[1].split()[-3:] == ["8", "at", "64"] or re.findall(r"at (\d+)", head[1]) == ["1", "1", "8", "64"]


def test_long_names_are_broken_behind_what_separates_their_parts():
    name = "src/experiments/nets.py:Net(width=32, activation=leaky_relu)"
    assert len(name) == 60
    first, *others = three().architectures
    text = shown(replace(three(), architectures=(replace(first, name=name), *others)))
    table = text.partition("──\n")[2].partition("\n\n")[0].splitlines()
    assert [line[:20].strip() for line in table[:5]] == [
        "src/experiments/",
        "nets.py:Net(",
        "width=32,",
        "activation=leaky_",
        "relu)",
    ]
    assert table[0].endswith("76.1^") and max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(("text", "broken"), [
    ("torchvision:mobilenet_v3_large", ["torchvision:", "mobilenet_v3_", "large"]),
    ("x" * 30, ["x" * 13, "x" * 13, "xxxx"]),
    ("a", ["a"]),
    ("网络" * 5, ["网络网络网络", "网络网络"]),  # two cells each
])  # fmt: skip
def test_folding(text, broken):
    assert lines.folded(text, 13).splitlines() == broken


@pytest.mark.parametrize(("text", "width", "broken"), [
    ("ms at 8", 7, "ms at 8"), ("ms at 8", 6, "ms\nat 8"), ("Memory at 1", 9, "Memory\nat 1"), ("Params", 6, "Params"),
])  # fmt: skip
def test_headings_break_before_their_last_words(text, width, broken):
    assert lines.heading(text, width) == broken


@pytest.mark.parametrize("folds", [False, True])
def test_a_column_may_have_no_heading_and_a_table_no_rows(folds):
    columns = (Column("quantity", "", folds=folds), Column("macs", "Mult-Adds", "count"))
    for rows in ((), ((Cell("a quantity"), Cell(12)),)):
        console = Console(width=30, file=io.StringIO())
        terminal.show([Table("Whole network", columns, rows)], console)
        assert ("12" in console.file.getvalue()) == bool(rows)


def test_a_number_is_not_parted_from_its_unit():
    console = Console(width=21, file=io.StringIO())
    lines.say(["Every time is within 2 % of 3 ms."], console)
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == ["Every time is within", "2 % of 3 ms."]


def test_the_best_are_bold_and_marked_so_that_no_colour_is_needed(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = shown(three(), force_terminal=True, color_system="standard")
    assert "\x1b[1m76.1^\x1b[0m" in text and "\x1b[1m70.6" not in text
    assert re.sub(r"\x1b\[[0-9;]*m", "", text).replace(" ", "") == shown(three()).replace(" ", "")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "76.1^" in shown(three(), force_terminal=True)


def test_a_terminal_that_has_ascii_only():
    class Ascii(io.StringIO):
        encoding = "ascii"

    made = replace(three(), architectures=(*three().architectures, ArchitectureResult("gone", "zoo", error="no.")))
    text = shown(made, file=Ascii())
    assert text.isascii() and re.search(r"^\|gone +\|( +- ?\|){7}$", text, re.MULTILINE)


def test_one_network():
    made = Comparison(HERE, (WIDE,), stopping=Stopping(0.5, 22.0, 22.0))
    assert "^" not in shown(made) and answer.sentences(made) == [
        "wide has 76.1 % top-1 on imagenet-1k.",
        "Separable convolutions would leave 22 % of wide's mult-adds (by the formula).",
        "Every time is within 50 %.",
    ]


def test_counting_only():
    made = Comparison({"mode": "eval"}, tuple(replace(row, latency=()) for row in (WIDE, THIN)))
    text = shown(made)
    assert text.startswith("Forward pass of 3x32x32, counted, not measured\n")
    assert "Fastest" not in text and text.endswith("--details adds kinds of layer, all memory and sources.")


def test_small_differences_are_told_as_such_and_one_network_may_be_the_whole_front():
    near = row("near", 1_005_000, 205_000_000, 70.58, *THIN.latency)
    said = answer.sentences(Comparison(HERE, (THIN, near)))
    assert said[0] == (
        "Smallest: thin with 1.00 M parameters (near has 0.50 % more) and 200 M mult-adds (near has 2.5 % more)."
    )
    assert "Pareto front of top-1 and mult-adds: thin alone." in said
    better = row("better", 1_005_000, 205_000_000, 70.62, *THIN.latency)
    said = answer.sentences(Comparison(HERE, (THIN, better)))
    assert said[2] == (
        "Most accurate: better with 70.6 % top-1 on imagenet-1k, 0.020 points above thin for 1.02 times the mult-adds."
    )


def test_equal_networks_are_said_to_be_equal():
    twin = replace(WIDE, name="twin")
    made = Comparison(HERE, (WIDE, twin))
    assert "^" not in shown(made)
    assert answer.sentences(made)[:3] == [
        "Smallest: all have 25.0 M parameters and all have 4.00 G mult-adds.",
        "Fastest: wide and twin at every batch size, which cannot be told apart.",
        "Most accurate: wide and twin with 76.1 % top-1 on imagenet-1k.",
    ]


def test_what_cannot_be_relied_on_is_one_sentence():
    """Failed, not counted, noted, without accuracy, not measured, not reliable, and how precise the rest is."""
    odd = row(
        "odd", 10, 10, None, cell(0.1), uncounted=(Uncounted("mylib::op", 3),), notes=("not everything was seen",)
    )
    wide = replace(WIDE, latency=(WIDE.latency[0], Latency(8, error="out of memory: 3 GiB; 2 were free")))
    made = three(archprof="0.1.0")
    made = replace(
        made, architectures=(wide, *made.architectures[1:], odd, ArchitectureResult("gone", "zoo", error="no"))
    )
    said = answer.sentences(made)
    assert len(said) == 6 and said[-1] == (
        "Failed: gone; not counted (*): mylib::op of odd; how it was counted: odd (not everything was seen); "
        "no top-1 known: odd; not measured: 4 of 12 times (wide at 8: out of memory: 3 GiB); "
        f"not reliable (~): thin at batch 1 ({VAGUE}); 7 of 12 times are within 2 % (--time-budget allows more)."
    )
    text = shown(made)
    assert "^ best of its column; ~ not reliable; * some operators not counted" in text and "10*" in text


def test_where_the_least_time_is_not_reliable_nobody_is_called_fastest():
    blocks = tuple(replace(block, disturbed="other work") for block in THIN.latency[0].blocks)
    thin = replace(THIN, latency=(Latency(1, blocks, why="12 of 12 blocks were disturbed"),))
    made = Comparison(HERE, (replace(WIDE, latency=WIDE.latency[:1]), thin))
    assert answer.sentences(made)[1] == "Fastest: not known at batch 1, where the least time is not reliable."
    assert "10.0~ " in shown(made) and "25.0^" not in shown(made)


def test_many_networks_are_summed_up():
    made = twelve()
    said = answer.sentences(made)
    assert len(said) <= 6 and max(map(len, said)) < 240
    front = next(sentence for sentence in said if sentence.startswith("Pareto front"))
    assert front == (
        "Pareto front of top-1 and mult-adds: mobilenet_v2, densenet121, resnet50, resnext50_32x4d and resnet152; "
        "alexnet, vgg16, vgg19 and 4 more are not."
    )


def test_options_that_were_given_are_seen():
    fits = LargestBatch(2**30, "sgd", 12, 3, 2**20, 2**21)
    made = replace(three(), architectures=tuple(replace(row, largest_batch=fits) for row in three().architectures))
    text = shown(made, with_ratios=True)
    assert "Largest batch that fits into 1.00 GiB" in text
    assert "Times as long as poor takes (95 % interval)" in text
    assert re.search(r"^ wide +1.5625 \(1.5625 to 1.5625\) +6.1$", text, re.MULTILINE)
    assert "Times as long" not in shown(made) and max(map(len, text.splitlines())) <= 80
    train = replace(made, environment=HERE | {"mode": "train", "optimizer": "adam"})
    text = shown(train, 120)
    assert text.startswith("Training step (adam) of 3x32x32, cpu") and "Optimizer state" in text
    assert re.search(r"^ thin +1.00 M\^ +200 M\^ +15.4 MiB\^ +7.63 MiB ", text, re.MULTILINE)  # 12 MB and 4 MiB; 8 MB
    left = replace(made, environment=HERE | {"keep_memory": False, "allocator": "glibc 2.36"})
    assert "memory that a pass freed was left to glibc 2.36" in " ".join(shown(left).split())


def test_memory_that_is_not_known_whole_is_said():
    memory = tuple(replace(entry, scratch_bytes=None) for entry in WIDE.memory)
    made = Comparison(HERE | {"dtype": "bfloat16"}, (replace(WIDE, memory=memory),))
    said = "Memory without what operators take for themselves, which is not known here."
    assert answer.sentences(made)[-1] == said
    assert said not in answer.sentences(replace(made, environment=made.environment | {"mode": "train"}))
    counted = replace(made, architectures=(replace(WIDE, latency=()),))
    assert shown(counted).startswith("Forward pass of 3x32x32, counted, not measured, bfloat16\n")


def test_energy_where_there_is_a_meter():
    blocks = tuple(replace(block, joules=0.5 * block.passes) for block in THIN.latency[0].blocks)
    made = Comparison(HERE, (WIDE, replace(THIN, latency=(Latency(1, blocks),))))
    assert "least energy for a sample: thin with 500 mJ at batch 1." in answer.sentences(made)[1]
    assert "power" in answer.more(made)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("width", [60, 100])
def test_hostile_names_act_on_nobody(text, width):
    first, *others = three().architectures
    rows = (replace(first, name=text), *others, ArchitectureResult(f"{text}!", "zoo", error=text))
    said = shown(replace(three(), architectures=rows), width)
    assert said.replace("\n", "").isprintable() and not re.search(r"^\s*::", said, re.MULTILINE) and "##[" not in said
