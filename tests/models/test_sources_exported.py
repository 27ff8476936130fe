"""Exported archives count, and compute, like the networks that they were made from."""

from collections import namedtuple

import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree

import archprof
from archprof import models
from archprof.base.errors import BadFile, BadOption, UnknownModel
from archprof.models.exported import sizes


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


def test_options_and_missing_files(free):
    with pytest.raises(BadOption, match="no options"):
        archprof.profile(f"{free}(depth=3)")
    with pytest.raises(UnknownModel, match=r"there is no file 'nowhere\.pt2'"):
        archprof.profile("nowhere.pt2")


# --- what an archive may hold: each counts, and computes, like the network that it was made from -------------------


class Structured(nn.Module):
    """Nested arguments, a keyword, a constant, buffers of both kinds, a tied weight, a graph in the graph."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.graph, self.forward_ = nn.Linear(8, 4), nn.Linear(8, 4)  # names that a reader might use itself
        self.forward_.weight = self.graph.weight
        self.register_buffer("scale", torch.full((8,), 2.0), persistent=False)

    def forward(self, x, more, *, mask):
        y = self.norm(self.convolution(x)).mean((2, 3)) * self.scale + torch.tensor([1.0, 2, 3, 4, 5, 6, 7, 8])
        with torch.no_grad():
            y = y + 1
        _, second = y.chunk(2, 1)
        y = torch.cat([y, torch.zeros(y.shape[0], 8)], 1)[:, :8]
        return {
            "a": self.graph(y) + more["k"][0],
            "b": (self.forward_(y) * mask, y.reshape(y.shape[0] * 2, -1), second),
        }


def structured(batch):
    torch.manual_seed(0)
    return (torch.randn(batch, 3, 16, 16), {"k": [torch.randn(batch, 4)]}), {"mask": torch.randn(4)}


def saved(path, module, args, kwargs=None, **options):
    torch.export.save(torch.export.export(module, args, kwargs, **options), path)
    return str(path)


def same(found, expected):
    """Whether the flat results of an archive are those of a network."""
    found, expected = pytree.tree_leaves(found), pytree.tree_leaves(expected)
    return len(found) == len(expected) and all(map(torch.equal, found, expected))


@pytest.fixture(scope="module")
def nested(tmp_path_factory):
    """A network and its archive."""
    module, (args, kwargs) = Structured().eval(), structured(2)
    batch = torch.export.Dim("batch")
    dims = {"x": {0: batch}, "more": {"k": [{0: batch}]}, "mask": None}
    path = saved(tmp_path_factory.mktemp("nested") / "nested.pt2", module, args, kwargs, dynamic_shapes=dims)
    return module, path


def test_arguments_in_a_structure(nested):
    module, path = nested
    loaded, (args, kwargs) = models.load(path), structured(5)
    with torch.no_grad():
        expected = module(*args, **kwargs)
        assert same(loaded(*args, **kwargs), expected)
        assert same(loaded(args[0], args[1]["k"][0], kwargs["mask"]), expected)
        assert same(loaded(args[0], more=args[1], mask=kwargs["mask"]), expected)
    for wrong in ((args[0],), (args[0], {"l": [1]}), (args[0], 1, 2, 3)):
        with pytest.raises(BadOption, match=r"the exported network takes \(x, more, mask\)"):
            loaded(*wrong)


def test_it_counts_like_the_network(nested):
    module, path = nested
    args, kwargs = structured(5)
    found, made = archprof.profile(path, batch_size=5), archprof.profile(module, args, kwargs)
    assert (found.parameters, found.buffers, found.macs, found.activations) == (
        made.parameters,
        made.buffers,
        made.macs,
        made.activations,
    )
    # 3 x 3 convolution of 3 into 8 channels, and the linear layer whose weight two layers share
    assert found.parameters == (3 * 8 * 9 + 8) + 2 * 8 + (8 * 4 + 4 + 4)
    assert found.macs == 5 * (14 * 14 * 3 * 8 * 9 + 2 * 8 * 4)


def test_weights_and_buffers_have_their_names(nested):
    module, path = nested
    loaded = models.load(path)
    assert dict(loaded.state_dict()).keys() == module.state_dict().keys()
    assert [name for name, _ in loaded.named_parameters()] == [name for name, _ in module.named_parameters()]
    assert {name for name, _ in loaded.named_buffers()} == {name for name, _ in module.named_buffers()}
    assert loaded.graph.weight is loaded.forward_.weight
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in loaded.state_dict().items())


def test_it_is_measured_too(nested):
    (row,) = archprof.compare([nested[1]], batch_sizes=(2,), time_budget=0.05).architectures
    assert row.latency[0].error is None


Pair = namedtuple("Pair", "left right")


class Sizes(nn.Module):
    """Dimensions that are formulas of another, a result of a type of its own, a branch."""

    def forward(self, x, y, z):
        longer = torch.cond(x.sum() > 0, lambda a: a + 1, lambda a: a - 1, (x,))
        return Pair(longer, torch.cat([x, y, z]).view((x.shape[0] + y.shape[0] + z.shape[0]) * 2, -1))


def test_dependent_sizes_branches_and_named_results(tmp_path):
    pytree._register_namedtuple(Pair, serialized_type_name="tests.Pair")
    batch = torch.export.Dim("batch", max=64)
    example = (torch.ones(3, 4), torch.ones(6, 4), torch.ones(4, 4))
    path = saved(tmp_path / "s.pt2", Sizes(), example, dynamic_shapes=({0: batch}, {0: 2 * batch}, {0: batch + 1}))
    args, _ = models.find(path).inputs(5)
    assert [tuple(tensor.shape) for tensor in args] == [(5, 4), (10, 4), (6, 4)]
    for sign in (1, -1):
        given = [sign * torch.ones(size, 4) for size in (5, 10, 6)]
        assert same(models.load(path)(*given), Sizes()(*given))
    assert archprof.profile(path, batch_size=5).macs == 0


class Counting(nn.Module):
    """Changes its own buffer, and an argument."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x, ids, times: int, only):
        self.seen.add_(1)
        return x * self.seen * times + ids.sum(), only


@pytest.mark.parametrize("functional", [False, True])
def test_buffers_change_and_plain_numbers_are_given(tmp_path, functional):
    args = (torch.ones(2, 3), torch.zeros(2, 5, dtype=torch.int64), 3, torch.ones(2, dtype=torch.bool))
    program = torch.export.export(Counting(), args)
    torch.export.save(program.run_decompositions() if functional else program, tmp_path / "c.pt2")
    loaded, made = models.load(str(tmp_path / "c.pt2")), Counting()
    for _ in range(2):
        assert same(loaded(*args), made(*args))
    assert loaded.seen == 2
    (x, ids, times, only), _ = models.find(str(tmp_path / "c.pt2")).inputs(2)
    assert x.is_meta and ids.dtype is torch.int64 and not ids.any() and times == 3 and only.all()


@pytest.mark.parametrize(
    ("formula", "symbols", "size"),
    [
        ("Symbol('s77', positive=True, integer=True)", {"s77": 4}, 4),
        ("Mul(Integer(2), Symbol('s77', integer=True))", {"s77": 4}, 8),
        ("Add(Mul(Integer(3), Symbol('s1')), Integer(1))", {"s1": 4}, 13),
        ("2*s0 + s1", {"s0": 3, "s1": 1}, 7),
        ("7", {}, 7),
    ],
)
def test_formulas_of_sizes(formula, symbols, size):
    assert sizes.value(formula, symbols) == size
    if len(symbols) == 1:
        assert sizes.solved(formula, size) == next(iter(symbols.items()))
        assert sizes.solved(formula, 0) is None or "Add" not in formula


@pytest.mark.parametrize(
    "formula", ["", "s0 ** 2", "Pow(s0)", "s0.x", "s0[0]", "(" * 900, "1" * 2000, "True", "Mul(*s0)"]
)
def test_other_formulas_are_refused(formula):
    with pytest.raises((ValueError, KeyError)):
        sizes.value(formula, {"s0": 1})


def test_something_else_is_not_an_archive(tmp_path):
    (tmp_path / "text.pt2").write_text("hello")
    with pytest.raises(BadFile, match=r"is not an archive of torch\.export: File is not a zip file\. Save it with"):
        archprof.profile(str(tmp_path / "text.pt2"))


@pytest.fixture(scope="module")
def fixed(tmp_path_factory):
    """An archive that takes a batch of 4, and no other."""
    return export(tmp_path_factory.mktemp("exported") / "fixed.pt2", 4)


def test_a_fixed_batch_is_what_is_counted_and_that_is_said(fixed):
    found, made = archprof.profile(fixed), archprof.profile(net(), torch.zeros(4, 3, 16, 16))
    assert (found.batch_size, found.macs, found.input_shape) == (4, made.macs, (3, 16, 16))
    assert found.notes == ("exported for a batch of 4 alone, which is what was counted",)
    assert archprof.profile(fixed, batch_size=4).notes == ()


def test_a_fixed_batch_is_compared_and_measured_alone(fixed, free):
    result = archprof.compare([fixed, free], batch_sizes=(1, 2), time_budget=2.0, memory=2**30)
    one, other = result.architectures
    assert (one.error, other.error, one.profile.batch_size, other.profile.batch_size) == (None, None, 4, 1)
    assert [cell.batch_size for cell in one.latency] == [4] and one.latency[0].error is None
    assert [cell.batch_size for cell in other.latency] == [1, 2]
    assert [entry.batch_size for entry in one.memory] == [4]
    assert one.profile.training_activation_bytes == one.memory[0].training_activation_bytes
    assert one.largest_batch.inference == one.largest_batch.training == 4 < other.largest_batch.inference
    assert "exported for a batch of 4 alone" in result.to_markdown()


def test_a_fixed_batch_is_shown_and_audited(fixed, capsys):
    from archprof.cli import main

    assert main(["show", fixed]) == 0
    out = capsys.readouterr().out
    assert "input 4x3x16x16" in out and "Exported for a batch of 4 alone, which is what was counted." in out
    assert main(["show", fixed, "--batch-size", "2"]) == 2
    assert main(["audit", fixed]) in (0, 1)
    assert "2 is asked for" in capsys.readouterr().err


def test_an_onnx_file_gets_a_way_out(capsys):
    from archprof.cli import main

    assert main(["compare", "net.onnx"]) == 2
    assert capsys.readouterr().err == (
        "archprof: 'net.onnx' is an ONNX graph, which is not read here; name the code that builds the network instead "
        "(file.py:callable), or an archive of it: "
        "torch.export.save(torch.export.export(model, (example,)), 'model.pt2').\n"
    )
