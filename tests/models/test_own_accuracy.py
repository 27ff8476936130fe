"""A user's own accuracies find their networks, by name or label; those that do not are named."""

from __future__ import annotations

import json

import pytest
from torch import nn

import archprof
from archprof import cli
from archprof.models.published import own
from archprof.results.comparison import Accuracy

NETWORK = """
from torch import nn

class Net(nn.Sequential):
    input_shape = (3, 32, 32)
    def __init__(self, width: int = 8):
        super().__init__(nn.Conv2d(3, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))
"""


def row(name, percent=50.0, dataset="imagenet-1k", resolution=None):
    return Accuracy(name, dataset, "top1", percent, "our lab", "", resolution=resolution)


def shown(result):
    return {network.name: [claim.percent for claim in network.accuracy][:1] for network in result.architectures}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mymodels.py").write_text(NETWORK)
    return tmp_path


def written(folder, *rows):
    lines = [f'"{name}",imagenet-1k,top1,{percent},our lab' for name, percent in rows]
    (folder / "own.csv").write_text("\n".join(["architecture,dataset,metric,percent,source", *lines]) + "\n")
    return "own.csv"


def test_every_source_is_matched_by_the_name_shown(folder, torchvision):
    names = ["mymodels.py:Net", "mymodels:Net(width=16)", "resnet_tiny(num_classes=7)", "timm:resnet18"]
    result = archprof.compare(names, latency=False, accuracies=[row(name, 60.0 + at) for at, name in enumerate(names)])
    assert shown(result) == {name: [60.0 + at] for at, name in enumerate(names)}
    assert result.warnings == ()


def test_a_module_is_matched_by_its_class(folder):
    class Mine(nn.Linear):
        pass

    result = archprof.compare([Mine(4, 2)], input_shape=(4,), latency=False, accuracies=[row("mine", 61)])
    assert shown(result) == {"Mine": [61]}


def test_own_rows_stand_before_published_ones_once():
    result = archprof.compare(["resnet18"], latency=False, accuracies=[row("ResNet-18", 99)])
    percents = [claim.percent for claim in result.architectures[0].accuracy]
    assert percents[:2] == [99, 69.758] and percents.count(99) == 1


@pytest.mark.parametrize(
    ("name", "side", "given", "fits"),
    [
        ("mobilenetv1@160", 160, row("mobilenetv1@160"), True),
        ("mobilenetv1@160", 160, row("mobilenetv1", resolution=160), True),
        ("mobilenetv1@160", 160, row("mobilenetv1"), False),
        ("mobilenetv1@160", 160, row("mobilenetv1", resolution=224), False),
        ("mobilenetv1", 224, row("mobilenetv1"), True),
        ("mobilenetv1", 224, row("mobilenetv1", resolution=160), False),
        ("a.py:Net(width=16)", 32, row("a.py:Net"), False),
        ("a.py:Net", 32, row("A.py:net"), True),
        ("a.py:Net", None, row("a.py:Net"), True),
    ],
)
def test_a_resolution_tells_apart(name, side, given, fits):
    assert bool(own.claims(name, side, own.by_name([given]))) is fits


def test_what_fits_no_network_is_named():
    rows = [row("resnet81"), row("resnet18", dataset="flowers"), row("resnet18", resolution=320)]
    result = archprof.compare(["resnet18@64"], latency=False, accuracies=rows)
    assert list(result.warnings) == [
        "accuracy not shown of 'resnet81': no network here has that name or label; named are resnet18@64",
        "accuracy not shown of 'resnet18' on flowers: the dataset shown is imagenet-1k; --dataset chooses another",
        "accuracy not shown of 'resnet18' at 320 x 320: the network is shown at another resolution",
    ]
    many = archprof.compare(["resnet18@64"], latency=False, accuracies=[row(f"net{n}") for n in range(9)])
    assert "'net0', 'net1', 'net2', 'net3', 'net4' and 4 more" in many.warnings[0]


def test_compare_and_list_read_a_file(folder, capsys):
    path = written(folder, ("mymodels.py:Net", 61.5), ("nobody", 12))
    assert cli.main(["compare", "mymodels.py:Net", "--no-latency", "--accuracy", path, "--json", "saved.json"]) == 0
    said = capsys.readouterr()
    assert "61.5" in said.out
    assert "archprof: accuracy not shown of 'nobody': no network here has that name or label" in said.err


@pytest.mark.parametrize("label", [[], ["--label", "mymodels.py:Net=Ours"]], ids=["by name", "by label"])
def test_a_saved_comparison_takes_more_accuracies(folder, capsys, label):
    archprof_rows = ["mymodels.py:Net", "resnet18@64"]
    assert cli.main(["compare", *archprof_rows, "--no-latency", "--json", "saved.json"]) == 0
    saved = json.loads((folder / "saved.json").read_text())
    assert saved["architectures"][0]["accuracy"] == []
    capsys.readouterr()
    path = written(folder, ("Ours" if label else "mymodels.py:Net", 61.5), ("resnet18@64", 40), ("nobody", 12))
    command = ["plot", "ball", "--from", "saved.json", "--accuracy", path, "-o", "ball.svg", *label]
    assert cli.main(command) == 0
    said = capsys.readouterr().err
    assert said.count("accuracy not shown of") == 1 and "'nobody'" in said and (folder / "ball.svg").stat().st_size
    assert cli.main(["plot", "ball", "mymodels.py:Net", "resnet18@64", "--no-latency", *command[4:]]) == 0
    said = capsys.readouterr().err
    assert said.count("accuracy not shown of") == 1 and "'nobody'" in said
