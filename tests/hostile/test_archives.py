"""No archive runs anything, however it is crafted."""

from __future__ import annotations

import importlib
import io
import pickle
import sys
import zipfile

import pytest
import torch
from hostile import archives
from hostile.archives import KINDS, Payload
from torch import nn

from archprof import cli

MODULE = "archprof_hostile_payload"


class Plain(nn.Sequential):
    """With weights, buffers, a constant of its own, and an argument called x."""

    def forward(self, x):
        return super().forward(x)[0] + torch.tensor([1.0, 2.0, 3.0, 4.0])


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """The members of a genuine archive, whose batch is dynamic."""
    path = tmp_path_factory.mktemp("genuine") / "m.pt2"
    layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    network = Plain(layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()
    batch = torch.export.Dim("batch")
    torch.export.save(torch.export.export(network, (torch.zeros(2, 3, 16, 16),), dynamic_shapes=({0: batch},)), path)
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def payload(tmp_path, monkeypatch):
    """What would make `went off`: as code, as a pickle, and as a module that can be imported."""
    marker = tmp_path / "went off"
    (tmp_path / f"{MODULE}.py").write_text(f"open({str(marker)!r}, 'w')\nclass X: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield Payload(marker, MODULE)
    sys.modules.pop(MODULE, None)


def test_the_payloads_would_go_off(payload):
    for run in (
        lambda: eval(payload.python),
        lambda: pickle.loads(payload.pickled),
        lambda: torch.load(io.BytesIO(payload.saved), weights_only=False),
        lambda: importlib.import_module(payload.module),
    ):
        run()
        payload.marker.unlink()


@pytest.mark.parametrize("command", [["compare", "--no-latency"], ["show"]], ids=lambda command: command[0])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_nothing_runs_and_one_line_is_said(kind, command, members, payload, tmp_path, capsys):
    path = tmp_path / "m.pt2"
    held = dict(members)
    kind.change(held, payload)
    (kind.write or (lambda path, held, _: archives.write(path, held)))(path, held, payload)
    name, *options = command
    code = cli.main([name, "m.pt2", *options])
    said = capsys.readouterr()
    assert not payload.marker.exists() and MODULE not in sys.modules
    assert not (tmp_path / "made").exists()
    if kind.says:
        assert code == 2 and kind.says in said.err and said.out == ""
        assert said.err.count("\n") == 1 and said.err.startswith("archprof: ") and said.err.strip().isprintable()
    else:  # the payload lies where nothing looks
        assert (code, said.err) == (0, "") and "m.pt2" in said.out


def test_every_command_refuses(members, payload, tmp_path, capsys):
    held = dict(members)
    archives.pickled_constant_under_another_case(held, payload)
    archives.write(tmp_path / "m.pt2", held)
    (tmp_path / "archprof.toml").write_text('[[budget]]\nmodel = "m.pt2"\nparameters = "< 5 M"\n')
    for arguments in (
        ["audit", "m.pt2"],
        ["separable", "m.pt2"],
        ["check"],
        ["sweep", "m.pt2", "--no-latency", "-o", "s.jsonl"],
    ):
        code = cli.main(arguments)
        said = capsys.readouterr()
        swept = "".join(path.read_text() for path in tmp_path.glob("*.jsonl"))
        assert code in (1, 2) and "torch does not tell case apart" in said.err + said.out + swept, arguments
        assert not payload.marker.exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("model.onnx", "'model.onnx' is an ONNX graph, which is not read here; name the code"),
        ("Model.ONNX", "is an ONNX graph"),
        ("weights.pt", "is a pickle or a program of TorchScript, and opening one runs whatever code it holds"),
        ("weights.pth", "opening one runs"),
        ("last.ckpt", "opening one runs"),
        ("pytorch_model.bin", "opening one runs"),
        ("model.safetensors", "holds weights without the network"),
        ("model.keras", "is a file of Keras"),
        ("absent.pt2", "there is no file 'absent.pt2'"),
    ],
)
def test_other_files_are_named_unopened(name, says, payload, tmp_path, capsys):
    if name != "absent.pt2":
        (tmp_path / name).write_bytes(payload.saved)
    assert cli.main(["compare", name, "--no-latency"]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1 and not payload.marker.exists()


def test_the_tables_are_torchs_own():
    from torch._export.serde import schema, serialize

    from archprof.models.exported import graph

    theirs = {int(number): str(dtype) for number, dtype in serialize._SERIALIZE_TO_TORCH_DTYPE.items()}
    assert {number: f"torch.{name}" for number, name in graph.DTYPES.items()} == theirs
    for ours, enum, table in (
        (graph.LAYOUTS, schema.Layout, serialize._SERIALIZE_TO_TORCH_LAYOUT),
        (graph.MEMORY_FORMATS, schema.MemoryFormat, serialize._SERIALIZE_TO_TORCH_MEMORY_FORMAT),
    ):
        known = {int(enum(number)): value for number, value in table.items()}
        assert {number: getattr(torch, name) for number, name in ours.items()} == known


def test_there_are_enough_kinds():
    assert len(KINDS) >= 50 and len({kind.name for kind in KINDS}) == len(KINDS)
