"""Exported archives are loaded without unpickling; pickles are refused."""

import json
import pickle
import zipfile

import pytest
import torch
from torch import nn

import archprof
from archprof.base.errors import BadFile, BadOption, UnknownModel


def net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    ).eval()


def export(path, batch=1, **options):
    torch.export.save(torch.export.export(net(), (torch.zeros(batch, 3, 16, 16),), **options), path)
    return str(path)


@pytest.fixture(scope="module")
def free(tmp_path_factory):
    """An archive whose batch size is free."""
    return export(tmp_path_factory.mktemp("exported") / "free.pt2", 2, dynamic_shapes=({0: torch.export.Dim("batch")},))


def test_an_archive_counts_like_the_network(free):
    found, made = archprof.profile(free), archprof.profile(net(), torch.zeros(1, 3, 16, 16))
    assert (found.parameters, found.macs, found.activations, found.input_shape, found.batch_size) == (
        made.parameters,
        made.macs,
        made.activations,
        (3, 16, 16),
        1,
    )
    assert archprof.profile(free, batch_size=5).macs == 5 * made.macs


def test_an_archive_is_measured(free):
    (cell,) = archprof.compare([free], batch_sizes=(2,), time_budget=0.05).architectures[0].latency
    assert cell.error is None and cell.p50_s > 0


def test_a_fixed_batch_is_said(tmp_path):
    fixed = export(tmp_path / "fixed.pt2", 1)
    assert archprof.profile(fixed).macs == archprof.profile(net(), torch.zeros(1, 3, 16, 16)).macs
    with pytest.raises(BadOption, match="exported for a batch of 1; 8 is asked for"):
        archprof.profile(fixed, batch_size=8)


@pytest.mark.parametrize("name", ["weights.pt", "checkpoint.pth"])
def test_pickles_are_refused_unopened(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Bomb(tmp_path / "went off")))
    with pytest.raises(BadOption, match=r"is a pickle, and opening one runs whatever code it holds; .*torch\.export"):
        archprof.profile(str(tmp_path / name))
    assert not (tmp_path / "went off").exists()


def test_options_and_missing_files(free):
    with pytest.raises(BadOption, match="no options"):
        archprof.profile(f"{free}(depth=3)")
    with pytest.raises(UnknownModel, match=r"there is no file 'nowhere\.pt2'"):
        archprof.profile("nowhere.pt2")


class Bomb:
    """Unpickling one makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def rewritten(source, target, change):
    """A copy of an archive, each part as `change(name, content)` makes it; None drops the part."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        root = old.namelist()[0].split("/")[0]
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name.replace(root, target.stem, 1), content)
    return str(target)


def test_pickled_inputs_and_weights_are_not_unpickled(free, tmp_path):
    import io

    bomb = io.BytesIO()
    torch.save(Bomb(tmp_path / "went off"), bomb)
    harmful = rewritten(
        free, tmp_path / "harmful.pt2", lambda name, content: bomb.getvalue() if "sample_inputs" in name else content
    )
    with pytest.raises(BadFile, match="cannot be loaded"):
        archprof.profile(harmful)
    assert not (tmp_path / "went off").exists()


def test_other_pickles_and_code_in_an_archive_are_refused(free, tmp_path):
    for place, what in (
        ("opaque_obj_0", "pickled object"),
        ("opaque_obj_config.json", "pickled object"),
        ("custom_obj_0", "pickled object"),
        ("aotinductor/model/m.so", "compiled code"),
    ):
        target = tmp_path / "more.pt2"
        rewritten(free, target, lambda name, content: content)
        with zipfile.ZipFile(target, "a") as archive:
            archive.writestr(f"more/data/{place}" if "/" in place else f"more/data/constants/{place}", b"")
        with pytest.raises(BadFile, match=f"holds a?n? ?{what}"):
            archprof.profile(str(target))


@pytest.mark.parametrize(
    ("key", "harm", "says"),
    [
        ("target", "torch.serialization.os.system", "calls 'torch.serialization.os.system', which is no operator"),
        ("expr_str", "__import__('os').system('true')", "which is no formula"),
        ("expr_str", "exec(chr(49))", "which is no formula"),
        ("expr_str", "().__class__", "which is no formula"),
    ],
)
def test_a_graph_that_would_run_something_is_refused(free, tmp_path, key, harm, says):
    def poison(value):
        if isinstance(value, dict):
            return {
                name: harm if name == key and isinstance(item, str) else poison(item) for name, item in value.items()
            }
        return [poison(item) for item in value] if isinstance(value, list) else value

    harmful = rewritten(
        free,
        tmp_path / "harmful.pt2",
        lambda name, content: json.dumps(poison(json.loads(content))).encode() if "/models/" in name else content,
    )
    with pytest.raises(BadFile) as raised:
        archprof.profile(harmful)
    assert says in str(raised.value)


def test_something_else_is_no_archive(tmp_path):
    (tmp_path / "text.pt2").write_text("hello")
    with pytest.raises(BadFile, match=r"is no archive of torch\.export"):
        archprof.profile(str(tmp_path / "text.pt2"))
    with zipfile.ZipFile(tmp_path / "empty.pt2", "w") as archive:
        archive.writestr("readme", "nothing here")
    with pytest.raises(BadFile, match="holds no exported graph"):
        archprof.profile(str(tmp_path / "empty.pt2"))
