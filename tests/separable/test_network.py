"""Networks beside their rewritten forms: the paper's numbers, the tables people see, the command."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
import torch
from torch import nn

import archprof
from archprof import cli, separable
from archprof.base.errors import BadOption
from archprof.render import figures
from archprof.render.csv import csv_of
from archprof.render.figures import separable as picture
from archprof.render.markdown import markdown
from archprof.render.tables.separable import tables
from archprof.results.latency import Block, Latency
from archprof.separable import measuring
from archprof.separable.flat import flat_rows
from archprof.separable.records import Machine, Timing


def conv(*args, **options) -> nn.Conv2d:
    return nn.Conv2d(*args, **({"padding": 1, "bias": False} | options))


def latency(*seconds: float, why: str | None = None) -> Latency:
    return Latency(1, tuple(Block(s, 1, n, n) for n, s in enumerate(seconds)), why=why)


def timing(ratio: float, why: str | None = None) -> Timing:
    return Timing(
        latency(*[0.010] * 8), latency(*[0.010 * ratio] * 8, why=why), latency(*[0.002] * 8), latency(*[0.001] * 8)
    )


# --- the papers' numbers ------------------------------------------------------------------------------------


def test_where_mobilenet_spends_its_mult_adds():
    # Howard et al. 2017, table 2; for the first convolution it prints 1.19 %, with which its column sums to
    # 99.29
    found = {
        share.kind: (round(100 * share.macs_fraction, 2), round(100 * share.weights_fraction, 2))
        for share in separable.shares(archprof.profile("mobilenetv1")).kinds
    }
    assert found == {
        "1x1": (94.86, 74.59),
        "depthwise": (3.06, 1.06),
        "dense KxK": (1.91, 0.02),
        "fully connected": (0.18, 24.33),
    }


def test_mobilenet_with_standard_convolutions():
    # Howard et al. 2017, table 4: 29.3 M parameters and 4,866 M mult-adds against 4.2 M and 569 M
    found = separable.compare_network("mobilenetv1", to="standard")
    assert found.after.parameters == pytest.approx(29.3e6, rel=1e-3)
    assert found.after.macs == pytest.approx(4866e6, rel=1e-3)
    twin = archprof.profile("mobilenetv1_conv")
    assert (found.after.parameters, found.after.macs) == (twin.parameters, twin.macs)
    assert len(found.layers) == 13 and not found.left_alone
    assert found.standard is found.after and found.separable is found.before


@pytest.mark.parametrize(("name", "layers"), [("resnet50", 17), ("vgg16", 13), ("inception_v3", 94 - 40)])
def test_a_network_keeps_the_formulas_promise(name, layers):
    found = separable.compare_network(name, style="plain")
    assert len(found.layers) == layers
    assert all(layer.agrees for layer in found.layers)
    assert found.promised_macs == found.after.macs
    ahead = separable.shares(found.before)
    assert ahead.separable_macs == found.after.macs
    if not found.uncalled:
        assert ahead.separable_parameters == found.after.parameters


def test_auxiliary_heads_are_rewritten_and_said_not_to_run():
    found = separable.compare_network("inception_v3(aux_logits=True)")
    assert found.uncalled == ("AuxLogits.conv1.conv",)
    assert "rewritten too, but not run in inference: AuxLogits.conv1.conv" in tables(found)[2].notes


def test_normalisation_between_costs_two_parameters_a_channel_and_no_mult_adds():
    plain, normed = (separable.compare_network("resnet18", style=style) for style in ("plain", "mobilenet"))
    assert plain.after.macs == normed.after.macs
    channels = sum(layer.convolution.in_channels for layer in plain.layers)
    assert normed.after.parameters - plain.after.parameters == 2 * channels
    assert all(layer.between.parameters == 2 * layer.convolution.in_channels for layer in normed.layers)


class Pyramid(nn.Module):
    """One head for three sizes, two of them alike."""

    def __init__(self) -> None:
        super().__init__()
        self.head = conv(3, 4, 3)

    def forward(self, x):
        return self.head(x).mean() + self.head(x + 1).mean() + self.head(x[..., ::2, ::2]).mean()


def test_a_layer_called_at_several_sizes_has_a_row_for_each():
    found = separable.compare_network(Pyramid(), input_shape=(3, 8, 8))
    assert [(layer.convolution.output_size, layer.calls) for layer in found.layers] == [((8, 8), 2), ((4, 4), 1)]
    assert all(layer.agrees for layer in found.layers)
    assert found.promised_macs == found.after.macs
    assert [layer.between.bytes_moved > 0 for layer in found.layers] == [True, True]


def test_batch_and_padding_modes_are_counted_as_called():
    module = nn.Sequential(conv(3, 8, 3, padding_mode="circular"), conv(8, 8, 3, padding="same", stride=1))
    found = separable.compare_network(module, batch_size=3, input_shape=(3, 9, 7))
    assert all(layer.convolution.batch_size == 3 for layer in found.layers)
    assert found.layers[0].standard.macs == 3 * 9 * 7 * 9 * 3 * 8
    assert found.promised_macs == found.after.macs


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), {}, "has no convolutions"),
        (nn.Sequential(conv(3, 4, 3)), {"to": "standard"}, "no depthwise convolution followed"),
        (nn.Sequential(conv(3, 4, 3)), {"to": "standrd"}, "Did you mean 'standard'"),
    ],
)
def test_nothing_to_compare(model, options, said):
    with pytest.raises(BadOption) as raised:
        separable.compare_network(model, input_shape=(3, 2, 2), **options)
    assert said in str(raised.value)


# --- measured -----------------------------------------------------------------------------------------------


@pytest.fixture
def scripted(monkeypatch):
    """sampling.measure runs every step once and takes its times from here, in seconds by the workload's name."""
    times = {
        "standard": 0.010,
        "separable": 0.004,
        "depthwise": 0.003,
        "pointwise": 0.001,
        "product": 0.5,
        "convolution": 0.002,
        "copy": 0.001,
    }
    asked: list[list[str]] = []

    def measure(workloads, sampling, **_):
        asked.append([each.name for each in workloads])
        for each in workloads:
            each.prepare()()
        return {each.key: latency(*[times[each.name.split()[0]]] * 8) for each in workloads}

    monkeypatch.setattr(measuring, "measure", measure)
    monkeypatch.setattr(measuring, "_MATRIX", {"cpu": 32})
    monkeypatch.setattr(measuring, "_ARRAY_BYTES", {"cpu": 2**16})
    monkeypatch.setattr(measuring, "_LARGE", separable.convolution(4, 4, 3, 8))
    return asked


def test_measuring_a_layer(scripted):
    found = separable.measure_layer(separable.compare_layer(separable.convolution(4, 8, 3, 12)))
    assert found.timing.ratio == pytest.approx(0.4)
    assert (found.timing.depthwise.p50_s, found.timing.pointwise.p50_s) == (0.003, 0.001)
    # the better of product and convolution: 2 * 9*4*4 * 8*8 FLOP in 2 ms; read and write of 64 KiB in 1 ms
    assert found.machine.flops_per_s == 2 * 144 * 64 / 0.002
    assert found.machine.bytes_per_s == 2 * 2**16 / 0.001
    assert scripted == [["product", "convolution", "copy"], ["standard", "separable", "depthwise", "pointwise"]]


@pytest.mark.parametrize("to", ["separable", "standard"])
def test_measuring_a_network(scripted, to):
    module = nn.Sequential(conv(3, 4, 3), nn.ReLU(), conv(4, 4, 3), conv(4, 4, 3, bias=True))
    if to == "standard":
        module = separable.rewrite(module)
    pair = separable.rewritten(module, to=to, input_shape=(3, 8, 8))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found = separable.measure_network(pair)
    assert found.timing.ratio == pytest.approx(0.4)  # separable over standard, whichever way
    assert found.layers[1].timing is found.layers[2].timing  # alike but for the bias: measured once
    assert [len(names) for names in scripted] == [3, 2, 2 * 2]  # machine, networks, two kinds of layer
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    saved = json.loads(separable.to_json(found))
    assert saved["machine"]["balance"] == found.machine.balance and saved["layers"][0]["timing"]["ratio"]
    times = 0.4 if to == "separable" else 2.5
    assert any(f"(x{times:.3f}); by its mult-adds alone" in note for note in tables(found)[2].notes)


def test_why_the_promise_is_not_kept():
    layer = replace(
        separable.compare_layer(separable.convolution(32, 64, 3, 112)), timing=timing(0.3), machine=Machine(200e9, 20e9)
    )
    _, counted = tables(layer)
    said = "\n".join(counted.notes)
    assert layer.timing.ratio == pytest.approx(0.3)
    assert "predicts 0.127 of the time, measured is 0.300 [0.300, 0.300]: 2.4 times the prediction" in said
    assert "12.3 % of the separable mult-adds and takes 66.7 % of the halves' time" in said
    assert "10.0 FLOP while one byte moves" in said
    assert "depthwise half 2.2" in said and "memory, not arithmetic, is what bounds it" in said
    fast = replace(layer, machine=Machine(20e9, 20e9))
    assert "memory is not what bounds it" in "\n".join(tables(fast)[1].notes)


def test_nothing_is_concluded_from_a_time_that_cannot_be_relied_on():
    layer = replace(
        separable.compare_layer(separable.convolution(32, 64, 3, 112)),
        machine=Machine(2e9, 1e9),
        timing=timing(0.3, why="the machine was busy"),
    )
    said = "\n".join(tables(layer)[1].notes)
    assert "the time of separable is not reliable: the machine was busy" in said
    assert "predicts" not in said


# --- what people see ----------------------------------------------------------------------------------------

WORKED_EXAMPLE = """\
## 3x3 convolution, 3 to 16 channels, 32x32 to 32x32, batch 1

|  | Quantity | Formula | With the numbers | Result |
| :--- | :--- | :--- | :--- | ---: |
| standard | Params | Dk·Dk·M·N | 3·3·3·16 | 432 |
|  | Mult-Adds | Dk·Dk·M·N·Df·Df | 3·3·3·16·32·32 | 442,368 |
| depthwise | Params | Dk·Dk·M | 3·3·3 | 27 |
|  | Mult-Adds | Dk·Dk·M·Df·Df | 3·3·3·32·32 | 27,648 |
| pointwise | Params | M·N | 3·16 | 48 |
|  | Mult-Adds | M·N·Df·Df | 3·16·32·32 | 49,152 |
| separable | Params | depthwise + pointwise |  | 75 |
|  | Mult-Adds | depthwise + pointwise |  | 76,800 |

- output size: floor((32 + 2·1 - 3)/1) + 1 = 32
- mult-adds, separable over standard: 1/N + 1/Dk² = 1/16 + 1/9 = 0.1736
"""


def shown(table):
    """What a reader sees, row by row."""
    return [[table.text(row, place) for place in range(len(row))] for row in table.rows]


def test_the_worked_example_as_it_is_shown():
    record = separable.compare_layer(separable.convolution(3, 16, 3, 32))
    assert markdown(tables(record)[:1]) == WORKED_EXAMPLE
    counted = tables(record)[1]
    assert shown(counted)[-1][:3] == ["separable / standard", "0.1736", "0.1736"]
    assert counted.notes[0] == "formula and count agree to the last unit"


def test_extra_terms_of_bias_multiplier_and_batch():
    conv_ = separable.convolution(4, 8, (1, 7), (5, 21), padding=0, bias=True, multiplier=2, batch_size=3)
    formula, counted = tables(separable.compare_layer(conv_))
    cells = shown(formula)
    assert cells[0][2:] == ["Kh·Kw·M·N + N", "1·7·4·8 + 8", str(7 * 32 + 8)]
    assert cells[1][2:] == ["Kh·Kw·M·N·Fh·Fw·B", "1·7·4·8·5·15·3", f"{7 * 32 * 75 * 3:,}"]
    assert cells[2][2:] == ["Kh·Kw·M·m", "1·7·4·2", "56"]
    assert cells[4][2:] == ["M·m·N + N", "4·2·8 + 8", "72"]
    assert "m·(1/N + 1/(Kh·Kw)) = 2·(1/8 + 1/7) = 0.5357" in formula.notes[-1]
    assert any("the bias adds N = 8 parameters" in note for note in counted.notes)


def test_a_disagreement_would_be_shouted():
    record = separable.compare_layer(separable.convolution(3, 16, 3, 32))
    wrong = replace(record, standard=replace(record.standard, macs=1))
    assert not wrong.agrees and "DISAGREE" in tables(wrong)[1].notes[0]


def test_a_network_as_it_is_shown():
    shares_of, layers, whole, left = tables(separable.compare_network("resnet50"))
    assert shown(layers)[0] == [
        "conv1",
        "7x7 3-64, 112x112",
        "9.41 k → 345",
        "118 M → 4.25 M",
        "803 k → 840 k",
        "0.0360",
        "0.0360",
    ]
    assert layers.notes[1].endswith("in 17 of 17 rows")
    assert whole.notes[0] == "17 layers rewritten, 36 left alone"
    assert shown(left)[0] == ["conv 1x1", "nothing to separate", "36", "layer1.0.conv1"]
    assert shares_of.title == "resnet50: where its mult-adds are"


# --- the picture --------------------------------------------------------------------------------------------


def test_the_picture_shows_curve_asymptote_and_every_layer():
    record = separable.compare_network("inception_v3")
    (plot,) = picture.draw(record).axes
    drawn = {line.get_gid(): line for line in plot.lines}
    for area in (3, 7, 9, 25, 49):
        xs, ys = drawn[f"curve {area}"].get_data()
        assert ys == pytest.approx([1 / x + 1 / area for x in xs])
        assert drawn[f"asymptote {area}"].get_ydata()[0] == 1 / area
    layers = {(line.get_xdata()[0], line.get_ydata()[0]) for line in plot.lines if line.get_gid() == "layer"}
    assert layers == {(layer.convolution.out_channels, float(layer.ratio)) for layer in record.layers}


def test_a_second_plot_holds_the_measured_ratios(tmp_path):
    record = separable.compare_network("resnet18")
    record = replace(
        record,
        layers=tuple(
            replace(layer, timing=timing(0.2 + 0.01 * place, why="busy" if place == 2 else None))
            for place, layer in enumerate(record.layers)
        ),
    )
    for options in (figures.FigureOptions(), figures.FigureOptions(width=3.4, dark=True)):
        figure = picture.draw(record, options)
        assert len(figure.axes) == 2
        marks = [line for line in figure.axes[1].lines if not str(line.get_gid()).startswith(("curve", "asymptote"))]
        assert len(marks) == len({layer.convolution for layer in record.layers})
    picture.save(figure, tmp_path / "ratios.svg")
    assert (tmp_path / "ratios.svg").read_text().startswith("<?xml")


# --- the command --------------------------------------------------------------------------------------------

LAYER = "separable --in-channels 3 --out-channels 16 --kernel 3 --size 32"


def test_one_layer(capsys, tmp_path):
    assert (
        cli.main(
            [
                *LAYER.split(),
                "--json",
                str(tmp_path / "l.json"),
                "--markdown",
                str(tmp_path / "l.md"),
                "--plot",
                str(tmp_path / "l.png"),
            ]
        )
        == 0
    )
    assert "1/16 + 1/9 = 0.1736" in capsys.readouterr().out
    assert json.loads((tmp_path / "l.json").read_text())["counted"]["agrees"] is True
    assert (tmp_path / "l.md").read_text().startswith(WORKED_EXAMPLE)
    assert (tmp_path / "l.png").stat().st_size > 10_000


def test_the_csv_of_a_layer_has_a_row_a_part(capsys):
    assert cli.main([*LAYER.split(), "--csv", "-"]) == 0
    head, *rows = csv.reader(capsys.readouterr().out.splitlines())
    assert head[:4] == ["part", "parameters", "macs", "activations"]
    assert [row[:3] for row in rows] == [
        ["standard", "432", "442368"],
        ["depthwise", "27", "27648"],
        ["pointwise", "48", "49152"],
        ["separable", "75", "76800"],
    ]
    assert all(row[head.index("p50_s")] == "" for row in rows)


def test_the_csv_of_a_network_has_the_whole_and_each_layer(tmp_path):
    record = separable.compare_network("resnet18")
    timed_layer = replace(record.layers[0], timing=timing(0.4))
    record = replace(record, layers=(timed_layer, *record.layers[1:]))
    rows = list(csv.DictReader(csv_of(flat_rows(record)).splitlines()))
    assert len(rows) == 1 + 17 and rows[0]["module"] == "" and rows[1]["module"] == "conv1"
    assert rows[0]["standard_macs"] == "1814073344" and rows[0]["formula_macs"] == str(record.promised_macs)
    assert (rows[1]["kernel"], rows[1]["output_size"]) == ("7x7", "112x112")
    assert int(rows[1]["standard_parameters"]) == 7 * 7 * 3 * 64
    assert float(rows[1]["time_ratio"]) == pytest.approx(0.4) and rows[1]["reliable"] == "True"
    assert rows[2]["time_ratio"] == rows[2]["reliable"] == ""


def test_a_network_to_stdout_is_json_alone(capsys):
    assert cli.main(["separable", "mobilenetv1@64", "--to", "standard", "--json", "-"]) == 0
    saved = json.loads(capsys.readouterr().out)
    assert saved["to"] == "standard" and len(saved["layers"]) == 13
    assert saved["promised_macs"] == saved["before"]["macs"] < saved["after"]["macs"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("separable", "give a MODEL, or a layer"),
        ("separable --kernel 3", "a layer needs --in-channels, --out-channels, --size too"),
        (f"{LAYER} --kernel 1", "nothing to separate"),
        (f"{LAYER} --kernel 4", "even"),
        (f"{LAYER} --size 2 --padding 0", "smaller than the kernel"),
        (f"{LAYER} --in-channels -3", "in_channels is -3"),
        (f"{LAYER} --out-channels 0", "out_channels is 0"),
        (f"{LAYER} --kernel 3x3x3", "'3x3x3' is not an extent"),
        (f"{LAYER} --style plain", "--style goes with a MODEL"),
        ("separable vgg16 --kernel 3", "describes one layer, but the model 'vgg16' is given too"),
        ("separable vgg16 --style mobilnet", "Did you mean 'mobilenet'"),
        ("separable vgg16 --to dense", "Wanted: separable or standard"),
        ("separable vgg61", "Did you mean 'vgg19', 'vgg16'"),
        ("separable vgg16 --plot ratios.jpeg", "Expected one of: .png, .svg, .pdf"),
        ("separable vgg16 --to standard", "no depthwise convolution followed"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(command, said, capsys):
    try:
        code = cli.main(command.split())
    except SystemExit as stopped:
        code = stopped.code
    err = capsys.readouterr().err
    assert code == 2 and said in err and err.count("\n") == 1, err
