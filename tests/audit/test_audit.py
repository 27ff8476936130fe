"""archprof audit: every other tool's number, explained to the last unit."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archprof.audit import counters as audit
from archprof.audit.opinions import Audit, Opinion, Term
from archprof.cli import main
from archprof.counting import counts
from archprof.counting.inputs import default_inputs
from archprof.models.zoo import architectures

ZOO = architectures()

#: One network of every family, and those that differ from their family in kind.
CHOSEN = (
    "alexnet",
    "bn_nin",
    "densenet121",
    "enet",
    "googlenet",
    "inception_v2",
    "inception_v3",
    "inception_v4",
    "mobilenetv1_025",
    "mobilenetv2",
    "mobilenetv2_28_t4",
    "plain_tiny",
    "preact_resnet50",
    "resnet18",
    "resnet20_cifar",
    "se_resnet50",
    "squeezenet1_0_complex_bypass",
    "vgg11_bn",
)


def small(name: str) -> tuple[int, ...]:
    """An input as small as the network takes: the rules do not depend on it."""
    channels, side, _ = ZOO[name].input_shape
    side = 139 if "inception" in name else min(side, 64)
    return channels, side, side


@pytest.mark.parametrize("name", ZOO)
def test_flop_counter_mode_is_explained(name: str) -> None:
    subject = counts.subject_of(name, small(name))
    profile, found = counts.recorded(subject)
    (x,) = default_inputs(subject.module, 1, subject.input_shape)
    opinion = audit.opinion_of(audit.TOOLS[2], subject.module, x, profile.macs, found)
    assert opinion.total == 2 * profile.macs
    assert opinion.remainder == 0


def test_every_family_is_chosen() -> None:
    assert {ZOO[name].family for name in CHOSEN} == {entry.family for entry in ZOO.values()}


@pytest.mark.parametrize("name", CHOSEN)
def test_torchinfo_and_fvcore_are_explained(name: str) -> None:
    result = audit.audit(name, input_shape=small(name))
    for opinion in result.opinions[:2]:
        assert opinion.error is None
        assert opinion.remainder == 0
        assert opinion.parameters == result.profile.parameters


def terms(result: Audit) -> dict[str, dict[str, int]]:
    assert all(opinion.remainder == 0 for opinion in result.opinions)
    return {opinion.tool: dict(opinion.terms) for opinion in result.opinions}


def test_a_tiny_network_by_hand() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    )
    result = audit.audit(network, batch_size=2, input_shape=(3, 8, 8))
    positions = 2 * 6 * 6
    macs = positions * 4 * 27 + 2 * 4 * 5
    assert result.profile.macs == macs
    assert terms(result) == {
        "torchinfo": {"bias": positions * 4 + 2 * 5, "batch norm": 2 * (4 + 4)},
        "fvcore": {"batch norm": 2 * positions * 4, "adaptive pooling": positions * 4},
        "FlopCounterMode": {"two operations for a mult-add": macs},
    }


def test_sequences_and_attention_by_hand() -> None:
    network = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    samples, length, width, hidden = 2, 5, 8, 16
    result = audit.audit(network, batch_size=samples, input_shape=(length, width))
    attention = 2 * samples * length * length * width
    projections = samples * length * (3 * width * width + width * width)
    mlp = samples * length * 2 * width * hidden
    assert result.profile.macs == attention + projections + mlp
    found = terms(result)
    assert found["torchinfo"] == {
        "attention missed": -attention,
        "attention's projections missed": -projections,
        "linear layers, by the first dimension alone": -mlp + samples * 2 * width * hidden,
        "bias": samples * (hidden + width),
        "layer norm": samples * 2 * 2 * width,
    }
    assert found["fvcore"] == {"attention missed": -attention, "layer norm": 2 * 5 * samples * length * width}


def test_recurrent_by_hand() -> None:
    result = audit.audit(nn.LSTM(6, 4, batch_first=True), batch_size=3, input_shape=(7, 6))
    macs = 3 * 7 * 4 * 4 * (6 + 4)
    assert result.profile.macs == macs
    found = terms(result)
    assert found["torchinfo"] == {"bias": 3 * 7 * 2 * 4 * 4}
    assert found["fvcore"] == {"recurrent layers missed": -macs}


class Functional(nn.Module):
    """Weights of its own, and functions instead of layers."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(4, 3, 3, 3))
        self.matrix = nn.Parameter(torch.zeros(5, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.adaptive_avg_pool2d(functional.conv2d(x, self.kernel), 1).flatten(1)
        y = functional.linear(x, self.matrix)
        return y @ y.T


def test_functional_calls_by_hand() -> None:
    found = terms(audit.audit(Functional(), batch_size=2, input_shape=(3, 8, 8)))
    assert found["torchinfo"] == {
        "functional convolutions missed": -2 * 36 * 4 * 27,
        "functional linear layers missed": -2 * 4 * 5,
        "matrix products missed": -2 * 2 * 5,
    }
    assert found["fvcore"] == {"adaptive pooling": 2 * 4 * 36}


def test_transposed_convolutions_and_other_norms_by_hand() -> None:
    network = nn.Sequential(
        nn.ConvTranspose2d(3, 4, 2, 2, bias=False),
        nn.GroupNorm(2, 4),
        nn.PReLU(),
        nn.Upsample(scale_factor=2),
        nn.InstanceNorm2d(4),
    )
    found = terms(audit.audit(network, input_shape=(3, 8, 8)))
    macs = 8 * 8 * 3 * 4 * 4
    assert found["torchinfo"] == {
        "transposed convolution, by its output's positions": 3 * macs,
        "group norm": 8,
        "activation": 1,
    }
    assert found["fvcore"] == {
        "group norm": 5 * 4 * 16 * 16,
        "interpolation": 4 * 32 * 32,
        "batch norm": 4 * 4 * 32 * 32,
    }


def test_the_network_comes_back_untouched() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network[2].eval()
    audit.audit(network, input_shape=(3, 8, 8))
    assert [part.training for part in network] == [True, True, False]
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in network.modules())


def test_what_rules_do_not_explain_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = audit.TOOLS[0]._replace(rules=lambda found: (Term("bias", 10),))
    monkeypatch.setattr(audit, "TOOLS", (changed,))
    assert main(["audit", "resnet_tiny"]) == 1
    shown = capsys.readouterr()
    assert "torchinfo: +228 are not explained" in shown.out
    assert "report it" in shown.err


def test_a_tool_that_fails_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def stops(module: nn.Module, x: Tensor) -> audit.Count:
        raise ValueError("no\nsuch\nthing")

    monkeypatch.setattr(
        audit,
        "TOOLS",
        (audit.TOOLS[1]._replace(ask=stops), audit.TOOLS[2]._replace(package="no-such-package")),
    )
    failed, missing = audit.audit("resnet_tiny").opinions
    assert failed.error == "it stops with ValueError: no such thing"
    assert missing.error == "no-such-package is not installed"
    assert failed.remainder is missing.remainder is None


def test_remainder_is_what_terms_leave() -> None:
    opinion = Opinion("x", "1", "mult-adds", ours=100, total=130, terms=(Term("a", 20), Term("b", -5)))
    assert (opinion.difference, opinion.remainder) == (30, 15)


GOLDEN = """\
resnet_tiny as others count it, input 1x3x64x64
Tool Counts Total Less ours Unexplained Params
archprof mult-adds 963,072 0 0 95,071
torchinfo VERSION mult-adds 963,310 +238 0 95,071
fvcore VERSION flops, one for a mult-add 1,058,304 +95,232 0 95,071
FlopCounterMode flops, two for a mult-add 1,926,144 +963,072 0 —
Why they differ
Tool Term Amount Of ours
torchinfo VERSION batch norm +228 0.02 %
torchinfo VERSION bias +10 0.00 %
fvcore VERSION batch norm +95,232 9.89 %
FlopCounterMode two operations for a mult-add +963,072 100.00 %
Memory by other conventions
Convention Batch Unit Input Forward/backward Params Total
torchinfo 1 MB 0.05 0.76 0.38 1.19
torchsummary 1 MiB 0.05 1.09 0.36 1.50
archprof: peak of one forward pass at batch 1: 192 KiB of activations.
Both add up what modules return over the whole pass and double it for gradients; a forward pass frees most \
of it on the way, so its peak is lower.
"""


def test_what_people_see(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "resnet_tiny"]) == 0
    shown = capsys.readouterr().out
    for opinion in audit.audit("resnet_tiny").opinions[:2]:
        shown = shown.replace(f"{opinion.tool} {opinion.version}", f"{opinion.tool} VERSION")
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "\n".join(line for line in lines if line.strip("─")) + "\n" == GOLDEN


def test_exports(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "a.csv"
    assert main(["audit", "resnet_tiny", "--json", "-", "--csv", str(table)]) == 0
    saved = json.loads(capsys.readouterr().out)
    assert [opinion["remainder"] for opinion in saved["opinions"]] == [0, 0, 0]
    assert saved["opinions"][0]["terms"] == [
        {"name": "batch norm", "amount": 228},
        {"name": "bias", "amount": 10},
    ]
    assert "torchinfo" in table.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["resnet5o"], "unknown model 'resnet5o'"),
        (["resnet_tiny", "--input-shape", "1,64,64"], "cannot take an input of 1x1x64x64"),
        (["resnet_tiny", "--batch-size", "0"], "not a positive whole number"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(["audit", *arguments])
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
