"""Conditions, environment, inputs and weights."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from archprof.base.errors import BadOption, BuildFailed
from archprof.measure import device, weights
from archprof.results.conditions import Conditions
from archprof.results.environment import disagreements, fingerprint


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"dtype": "float8"},
            "unknown dtype 'float8'. Did you mean 'float32', 'float16' or "
            "'bfloat16'? Accepted: float32, bfloat16, float16.",
        ),
        (
            {"optimizer": "adan"},
            "unknown optimizer 'adan'. Did you mean 'adam', 'adamw' or "
            "'adamax'? Accepted: sgd, adam, adamw, adadelta, adamax, asgd, and options as in "
            "'adamw(fused=true, weight_decay=0.01)'.",
        ),
        ({"device": "gpu"}, "unknown device 'gpu'."),
        ({"device": "cuda:x"}, "Accepted: cpu, cuda, cuda:N, mps."),
        ({"mode": "training"}, "unknown mode 'training'."),
        ({"compile": "fast"}, "unknown compile mode 'fast'."),
        ({"threads": 0}, "threads is 0; expected a whole number above 0."),
        ({"cuda_graph": True}, "a CUDA graph needs a CUDA device; the device is 'cpu'."),
    ],
)
def test_conditions_that_do_not_exist_are_refused(options, said):
    with pytest.raises(BadOption) as caught:
        Conditions(**options)
    assert said in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_where_there_is_none():
    with pytest.raises(BadOption, match=r"device 'cuda': torch .* finds no CUDA device. Accepted here: cpu."):
        device.check_available(Conditions(device="cuda"))


def test_a_dtype_that_the_device_cannot_compute_in(monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError("\"conv2d\" not implemented for 'Half'\nbacktrace")

    monkeypatch.setattr(torch.nn.functional, "conv2d", refuse)
    with pytest.raises(BadOption) as caught:
        device.check_available(Conditions(dtype="float16"))
    assert str(caught.value) == (
        "device 'cpu' cannot compute in float16: \"conv2d\" not implemented for 'Half' Use '--dtype float32'."
    )


def test_compile_without_a_compiler(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    with pytest.raises(BadOption, match=r"torch.compile cannot work here: no C\+\+ compiler was found"):
        device.check_available(Conditions(compile="default"))


def test_the_environment_says_what_shapes_a_time():
    found = device.environment(Conditions(threads=1, dtype="float32"))
    assert found["threads"] == 1 and found["device"] == "cpu" and found["torch"] == torch.__version__
    assert found["fingerprint"] == fingerprint(found) and found["optimizer"] is None
    assert found["date"] > "2024"
    again = device.environment(Conditions(threads=1))
    assert fingerprint({**again, "date": "another day"}) == found["fingerprint"]


def test_a_fingerprint_changes_with_what_shapes_a_time_and_the_difference_is_named():
    one, two = (
        device.environment(Conditions(threads=1)),
        device.environment(Conditions(threads=2, mode="train")),
    )
    assert one["fingerprint"] != two["fingerprint"]
    assert disagreements(one, two) == (
        "mode: eval against train",
        "optimizer: not stated against sgd",
        "threads: 1 against 2",
    )


def test_the_rooms_files_import_each_other_at_the_top_only():
    """A relative import inside a function hides a circle."""
    for file in Path(device.__file__).parent.glob("*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.FunctionDef):
                hidden = [node for node in ast.walk(function) if isinstance(node, ast.ImportFrom) and node.level]
                assert not hidden, f"{file.name}: {function.name}"


def test_threads_hold_inside_and_are_restored():
    before = torch.get_num_threads()
    with device.applied(Conditions(threads=before + 1)):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_inputs_are_random_and_follow_the_conditions():
    (x,) = device.inputs((3, 8, 8), 4, Conditions(dtype="bfloat16", channels_last=True))
    assert x.shape == (4, 3, 8, 8) and x.dtype == torch.bfloat16
    assert x.is_contiguous(memory_format=torch.channels_last) and 0.5 < float(x.float().std()) < 1.5
    moved = device.moved({"ids": torch.tensor([1, 2]), "rest": [torch.zeros(2), None]}, Conditions(dtype="bfloat16"))
    assert moved["ids"].dtype == torch.int64 and moved["rest"][0].dtype == torch.bfloat16


class Mixed(nn.Module):
    """Half of it in double precision, and a complex weight."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.single = nn.Linear(8, 8).double(), nn.Linear(8, 2)
        self.phase = nn.Parameter(torch.ones(8, dtype=torch.complex64))

    def forward(self, x):
        return self.single(self.twice(x.double()).float() * (x * self.phase).abs())


def test_a_network_of_several_types_is_measured_as_it_is():
    module = device.materialise(Mixed(), Conditions(), keep=True)
    assert {p.dtype for p in module.parameters()} == {torch.float64, torch.float32, torch.complex64}
    assert module(torch.ones(3, 8)).shape == (3, 2)
    lower = device.materialise(Mixed(), Conditions(dtype="bfloat16"), keep=True)
    assert {p.dtype for p in lower.parameters()} == {torch.bfloat16, torch.complex64}
    one = device.materialise(nn.Linear(8, 8).double(), Conditions(), keep=True)
    assert one.weight.dtype == torch.float32


def test_memory_that_can_be_had_is_told(tmp_path):
    assert device.available_bytes(Conditions()) > 2**20
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert device.group_available(tmp_path) == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert device.group_available(tmp_path) is None


class Tied(nn.Module):
    """A deep residual chain whose head is shared."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()) for _ in range(60)
        )
        self.head, self.again = nn.Linear(16, 16), nn.Linear(16, 16)
        self.again.weight = self.head.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.again(self.head(x.mean((2, 3))))


def test_a_meta_network_gets_memory_and_weights_at_a_realistic_scale():
    with torch.device("meta"):
        module = Tied()
    made = device.materialise(module, Conditions())
    assert made.again.weight is made.head.weight and not made.training
    assert all(not tensor.is_meta for tensor in (*made.parameters(), *made.buffers()))
    assert float(made.head.weight.detach().std()) == pytest.approx(16**-0.5, rel=0.2)
    assert float((made.stem.weight == 0).float().mean()) == 0
    with torch.inference_mode():
        out = made(torch.randn(2, 3, 8, 8))
    assert torch.isfinite(out).all() and 1e-3 < float(out.abs().mean()) < 6e4


def test_depth_without_skips_does_not_fade_to_nothing():
    chain = weights.fill(nn.Sequential(*[layer for _ in range(60) for layer in (nn.Conv2d(8, 8, 1), nn.ReLU())]))
    with torch.inference_mode():
        assert float(chain(torch.randn(1, 8, 4, 4)).abs().mean()) > 1e-3


def test_buffers_that_cannot_be_made_up_are_named():
    class Indexed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("positions", torch.arange(5))

    with torch.device("meta"):
        module = nn.Sequential(nn.BatchNorm2d(2), Indexed())
    assert weights.unknown_buffers(module) == ["1.positions"]
    with pytest.raises(BuildFailed, match=r"buffer '1\.positions' has no values"):
        device.materialise(module, Conditions())


def test_initialisers_rest_while_a_network_is_built_and_return_after():
    original = nn.init.kaiming_uniform_
    with device.fast_init():
        tensor = torch.full((2, 2), 5.0)
        assert nn.init.kaiming_uniform_(tensor) is tensor and bool((tensor == 5).all())
    assert nn.init.kaiming_uniform_ is original
    built = device.realistic(lambda: nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64)))
    assert float(built[0].weight.detach().std()) == pytest.approx(1 / 8, rel=0.1)
    assert bool((built[1].weight == weights.NORM_SCALE).all()) and bool((built[1].running_var == 1).all())


def test_a_network_of_the_callers_stays_untouched():
    mine = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    before = {name: tensor.clone() for name, tensor in mine.state_dict().items()}
    theirs = device.materialise(mine, Conditions(dtype="bfloat16", channels_last=True), keep=True)
    assert theirs[0].weight.dtype == torch.bfloat16 and not theirs.training
    assert mine.training and mine[0].weight.dtype == torch.float32
    assert all(torch.equal(tensor, before[name]) for name, tensor in mine.state_dict().items())
    assert torch.equal(theirs[0].weight, mine[0].weight.bfloat16())


def test_weights_larger_than_the_pool_go_round_it():
    made = weights.fill(nn.Linear(1100, 1000, bias=False))
    flat = made.weight.flatten()
    assert torch.equal(flat[weights.POOL :], flat[: flat.numel() - weights.POOL])


def test_variables_that_change_times_are_kept_and_paths_are_not():
    seen = {
        "OMP_NUM_THREADS": "2",
        "KMP_AFFINITY": "granularity=fine,compact,1,0",
        "MKL_VERBOSE_OUTPUT_FILE": "/home/somebody/mkl.log",
        "DNNL_JIT_PROFILE": "C:\\Users\\somebody",
        "TORCHINDUCTOR_CACHE_DIR": "/tmp/cache",
        "HOME": "/home/somebody",
        "LD_PRELOAD": "/usr/lib/libjemalloc.so.2 /home/somebody/libiomp5.so",
    }
    assert device.library_variables(seen) == {
        "KMP_AFFINITY": "granularity=fine,compact,1,0",
        "LD_PRELOAD": "libjemalloc.so.2 libiomp5.so",
        "OMP_NUM_THREADS": "2",
    }
    assert device.library_variables({}) == {}
