"""What people see: tables as text, Markdown, HTML and CSV, from a record made by hand."""

import csv
import io
from dataclasses import replace

import pytest

from archprof.render import terminal
from archprof.render.csv import csv_text
from archprof.render.html import html
from archprof.render.markdown import markdown
from archprof.render.tables import comparison as whole
from archprof.render.tables import costs, times
from archprof.results.comparison import Accuracy, ArchitectureResult, Comparison
from archprof.results.latency import Block, Latency
from archprof.results.memory import BatchMemory
from archprof.results.profile import LayerCost, StaticProfile, TypeCost, Uncounted


def profile(name, parameters, macs, **more):
    usual = StaticProfile(
        name=name,
        source="zoo",
        input_shape=(3, 32, 32),
        batch_size=1,
        parameters=parameters,
        trainable_parameters=parameters,
        buffers=0,
        macs=macs,
        activations=macs // 100,
        parameter_bytes=4 * parameters,
        buffer_bytes=0,
        peak_activation_bytes=3 * 2**20,
        training_activation_bytes=5 * 2**20,
        by_type=(TypeCost("conv 3x3", parameters, macs, 1),),
        layers=(LayerCost("conv", "aten.convolution", "conv 3x3", (1, 3, 32, 32), (1, 8, 32, 32), macs),),
    )
    return replace(usual, **more)


def blocks(seconds, **more):
    return tuple(Block(seconds * (1 + n / 100), 3, n, n) for n in range(-5, 6))


@pytest.fixture
def comparison():
    claim = Accuracy("big", "imagenet-1k", "top1", 71.5, "Doe 2020, table 1", "https://example.org/big", "single crop")
    return Comparison(
        environment={"device": "cpu", "device_name": "A CPU", "threads": 2, "dtype": "float32", "torch": "2.13.0"},
        architectures=(
            ArchitectureResult(
                "big",
                "zoo",
                "plain",
                2020,
                profile("big", 25_557_032, 4_089_184_256),
                (claim,),
                (BatchMemory(1, 3 * 2**20),),
                (Latency(1, blocks(0.2)),),
            ),
            ArchitectureResult(
                "odd",
                "zoo",
                "plain",
                2021,
                profile("odd", 1_000, 2_000_000, uncounted=(Uncounted("mylib.fused_act", 3),)),
                (),
                (BatchMemory(1, 2**20),),
                (Latency(1, blocks(0.1), why="other work held 1.2 CPUs"),),
            ),
            ArchitectureResult("gone", "zoo", error="gone cannot be built: no."),
        ),
        reference="odd",
        archprof="0.1.0",
    )


def shown(tables, width=100):
    from rich.console import Console

    console = Console(width=width, file=io.StringIO(), highlight=False)
    terminal.show(tables, console)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()).strip()


def test_the_static_table(comparison):
    assert (
        shown([costs.static(comparison)])
        == """
Static cost, batch 1, input 3x32x32

 Architecture   Params   Mult-Adds   Activations   Param memory   Peak activations    Top-1 %
 ────────────────────────────────────────────────────────────────────────────────────────────
 big            25.6 M      4.09 G        40.9 M       97.5 MiB           3.00 MiB   71.5 [1]
 odd            1.00 k     2.00 M*        20.0 k       3.91 KiB           3.00 MiB          —
 gone                —           —             —              —                  —          —

* odd: no formula for mylib.fused_act (3 calls); their mult-adds are left out.
gone: gone cannot be built: no.
[1] top-1 on imagenet-1k: Doe 2020, table 1, single crop, https://example.org/big""".strip()
    )


WORKED = {  # one 3x3 convolution from 3 to 16 channels at 32x32: 442,368 mult-adds, 76,800 if separable
    "by_type": (TypeCost("conv 3x3", 432, 442_368, 1, 432), TypeCost("fully connected", 568, 57_632, 1, 568)),
    "layers": (
        LayerCost(
            "conv", "aten.convolution", "conv 3x3", (1, 3, 32, 32), (1, 16, 32, 32), 442_368, weights=432, kernel=(3, 3)
        ),
    ),
}


def test_shares_by_kind_of_layer_and_what_separable_convolutions_would_leave():
    """57,632 + 76,800 of 500,000 mult-adds and 568 + 75 of 1,000 parameters are left."""
    rows = (
        ArchitectureResult("worked", "zoo", profile=profile("worked", 1000, 500_000, **WORKED)),
        ArchitectureResult("swept", "zoo", profile=profile("swept", 1000, 500_000, **WORKED | {"layers": ()})),
        ArchitectureResult("gone", "zoo", error="gone cannot be built: no."),
    )
    assert (
        shown([costs.shares(Comparison({}, rows))], 120)
        == """
Where the mult-adds are

 Architecture      1x1   Depthwise   Dense KxK   Fully connected   Mult-Adds if separable   Params if separable
 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
 worked         0.00 %      0.00 %     88.47 %           11.53 %           134 k (26.9 %)          643 (64.3 %)
 swept          0.00 %      0.00 %     88.47 %           11.53 %                        —                     —

If separable: every dense KxK convolution as depthwise + pointwise, by the formula; in brackets the rest.
""".strip()
    )


def test_no_table_of_shares_where_nothing_was_counted():
    gone = ArchitectureResult("gone", "zoo", error="gone cannot be built: no.")
    assert [found.title for found in whole.tables(Comparison({}, (gone,)))] == ["Static cost, nothing was counted"]


def test_accuracy_is_that_of_the_dataset_that_most_networks_have(comparison):
    cifar = Accuracy("odd", "cifar10", "top1", 91.25, "Doe 2021", "https://example.org/odd")
    first, second, third = comparison.architectures
    mostly = replace(
        comparison,
        architectures=(replace(first, accuracy=(*first.accuracy, cifar)), replace(second, accuracy=(cifar,)), third),
    )
    assert mostly.dataset == "cifar10" and comparison.dataset == "imagenet-1k"
    assert "[1] top-1 on cifar10: Doe 2021, https://example.org/odd" in shown([costs.static(mostly)])
    assert "91.2 [1]" in shown([costs.static(mostly)]) and "71.5" not in shown([costs.static(mostly)])


def test_the_latency_table_says_what_cannot_be_relied_on(comparison):
    text = shown([times.latency(comparison)])
    assert "Latency of one forward pass, cpu (A CPU), 2 threads, float32, torch 2.13.0" in text
    assert "~ not reliable: odd at batch 1 (other work held 1.2 CPUs)." in text
    row = next(line for line in text.splitlines() if " odd " in line)
    assert "100~" in row


def test_a_training_step_is_told_as_one(comparison):
    first, *_ = comparison.architectures
    trained = replace(first, latency=(Latency(1, blocks(0.2), optimizer_state_bytes=2**20),))
    made = replace(
        comparison, architectures=(trained,), reference=None, environment={"mode": "train", "optimizer": "adam"}
    )
    found = times.latency(made)
    assert found.title.startswith("Latency of one training step (adam)")
    shown = {column.heading: found.text(found.rows[0], place) for place, column in enumerate(found.columns)}
    assert shown["Optimizer state"] == "1.00 MiB"
    assert "GFLOP/s" not in shown  # the mult-adds counted are the forward pass's alone


def test_markdown_keeps_columns_and_escapes(comparison):
    text = markdown(whole.tables(comparison))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.count("|") - line.count("\\|") == rows[0].count("|") for line in rows[:5])
    assert "2.00 M\\*" in text
    assert text.startswith("## Static cost")


def test_html_escapes(comparison):
    text = html(whole.tables(comparison))
    assert text.count("<table>") == len(whole.tables(comparison))
    assert "gone cannot be built" in text


def test_csv_holds_base_units(comparison):
    rows = list(csv.DictReader(io.StringIO(csv_text(comparison))))
    assert [row["name"] for row in rows] == ["big", "odd", "gone"]
    assert rows[0]["macs"] == "4089184256"
    assert rows[0]["flops"] == "8178368512"
    assert float(rows[0]["p50_s@1"]) == pytest.approx(0.2)
    assert rows[0]["top1"] == "71.5"
    assert rows[1]["uncounted"] == "3"
    assert rows[2]["macs"] == ""
    assert rows[2]["error"] == "gone cannot be built: no."


def test_a_frame_has_the_csv_columns(comparison):
    frame = comparison.to_frame()
    assert list(frame["name"]) == ["big", "odd", "gone"]
    assert frame.loc[0, "macs"] == 4_089_184_256


def test_a_profile_is_a_frame_of_its_calls(comparison):
    frame = comparison.architectures[0].profile.to_frame()
    assert list(frame["type"]) == ["conv 3x3"]
    assert frame["macs"].sum() == 4_089_184_256
