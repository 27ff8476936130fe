"""archprof show: what people see, and that columns add up."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import pytest

from archprof.cli import main
from archprof.counting import counts
from archprof.render.tables import layers as layer_table
from archprof.render.tables.cuts import READABLE

TREE = """\
resnet_tiny by layer, input 1x3x64x64

Layer Type Input Output Kernel Stride Sees Params % params Mult-Adds % mult-adds Activations
blocks Sequential
0 TinyBlock 1x3x64x64 1x9x32x32 3x3 291 0.31 % 248,832 25.84 % 24,576
1 TinyBlock 1x9x32x32 1x36x16x16 7x7 2,610 2.75 % 622,080 64.59 % 23,040
fc fully connected 1x9216 1x10 92,170 96.95 % 92,160 9.57 % 10
total 95,071 100.00 % 963,072 100.00 % 47,626

28 rows folded into 4 at depth 2; --depth 3 shows one level more.
"""

TYPES = """\
resnet_tiny by type, input 2x3x64x64

Type Calls Params % params Weights % weights Mult-Adds % mult-adds Activations
conv 3x3 2 1,620 1.70 % 1,620 1.71 % 1,078,272 55.98 % 21,504
conv 1x1 4 1,053 1.11 % 1,053 1.11 % 663,552 34.45 % 73,728
fully connected 1 92,170 96.95 % 92,160 97.18 % 184,320 9.57 % 20
batch norm 6 228 0.24 % 0 0.00 % 0 0.00 % 0
activation 4 0 0.00 % 0 0.00 % 0 0.00 % 0
addition 2 0 0.00 % 0 0.00 % 0 0.00 % 0
total 19 95,071 100.00 % 94,833 100.00 % 1,926,144 100.00 % 95,252
"""


def words(text: str) -> list[list[str]]:
    """Lines as words: column widths may follow the terminal."""
    return [line.split() for line in text.splitlines() if line.strip() and set(line.strip()) != {"─"}]


def test_the_tree(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "resnet_tiny", "--depth", "2"]) == 0
    assert words(capsys.readouterr().out) == words(TREE)


def test_types(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "resnet_tiny", "--by", "type", "--batch-size", "2"]) == 0
    assert words(capsys.readouterr().out) == words(TYPES)


def test_the_mobilenet_split() -> None:
    # Howard et al. 2017, table 2: 1x1 convolutions hold 94.86 % of mult-adds and 74.59 % of the weights
    rows = {row["type"]: row for row in layer_table.flat_rows(counts.profile("mobilenetv1"), "type")}
    shares = {
        kind: (round(100 * row["mac_share"], 2), round(100 * row["weight_share"], 2)) for kind, row in rows.items()
    }
    assert shares["conv 1x1"] == (94.86, 74.59)
    assert shares["depthwise conv 3x3"] == (3.06, 1.06)
    assert shares["conv 3x3"] == (1.91, 0.02)
    assert shares["fully connected"] == (0.18, 24.33)


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "densenet121", "mobilenetv2", "squeezenet1_1"])
@pytest.mark.parametrize(("by", "depth"), [("layer", None), ("layer", 1), ("layer", 99), ("type", None)])
def test_columns_add_up(name: str, by: str, depth: int | None) -> None:
    profile = counts.profile(name, batch_size=2)
    *rows, total = layer_table.flat_rows(profile, by, depth)
    for column, whole in (
        ("parameters", profile.parameters),
        ("macs", profile.macs),
        ("activations", profile.activations),
    ):
        assert sum(row[column] or 0 for row in rows) == whole == total[column]
    assert total["mac_share"] == total["parameter_share"] == 1


def test_operators_add_up_to_mult_adds() -> None:
    profile = counts.profile("alexnet")
    *rows, total = layer_table.flat_rows(profile, "op")
    assert sum(row["macs"] for row in rows) == total["macs"] == profile.macs
    assert {row["op"]: row["calls"] for row in rows}["aten.convolution"] == 5


def test_a_module_includes_its_children() -> None:
    rows = {row["path"]: row for row in layer_table.flat_rows(counts.profile("resnet18"), "module", 2)}
    assert rows["layer1"]["macs"] == rows["layer1.0"]["macs"] + rows["layer1.1"]["macs"] > 0
    # two blocks of two 3x3 convolutions with 64 channels, and a batch norm after each
    assert rows["layer1"]["parameters"] == 4 * (64 * 64 * 9 + 2 * 64)


def test_a_long_network_is_folded_until_it_can_be_read() -> None:
    table = layer_table.layer_table(counts.profile("densenet201"))
    assert len(table.rows) <= READABLE + 1
    assert "--depth" in table.notes[0]


def test_sorted_by_a_column() -> None:
    rows = layer_table.flat_rows(counts.profile("alexnet"), "layer", sort="macs")[:-1]
    assert rows[0]["path"] == "features.3"
    assert [row["macs"] for row in rows] == sorted((row["macs"] for row in rows), reverse=True)


def test_exports(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / name for name in ("a.json", "a.csv", "a.md")]
    assert (
        main(
            [
                "show",
                "resnet_tiny",
                "--json",
                str(files[0]),
                "--csv",
                str(files[1]),
                "--markdown",
                str(files[2]),
            ]
        )
        == 0
    )
    saved = json.loads(files[0].read_text())
    assert saved["total"]["macs"] == 963_072 == sum(row["macs"] or 0 for row in saved["rows"])
    rows = list(csv.DictReader(io.StringIO(files[1].read_text())))
    assert (rows[0]["type"], rows[0]["output_shape"]) == ("conv 3x3", "1x6x32x32")
    assert rows[-1]["parameters"] == "95071"
    assert "| fc | fully connected |" in files[2].read_text()
    capsys.readouterr()
    assert main(["show", "resnet_tiny", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == saved


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--by", "typ"], "Did you mean 'type'?"),
        (["--sort", "params"], "no column 'params'. Did you mean 'parameters'"),
        (["--json", "/nowhere/a.json"], "'/nowhere' does not exist"),
        (["--input-shape", "3,8,8,8"], "cannot take an input of 1x3x8x8x8"),
    ],
)
def test_mistakes_are_one_line(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "resnet_tiny", *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_mistake_needs_no_torch() -> None:
    code = (
        "import sys\nfrom archprof.cli import main\n"
        "assert main(['show', 'resnet_tiny', '--by', 'typ']) == 2\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
