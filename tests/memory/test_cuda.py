"""Memory as CUDA's allocator hands it out, on paper: blocks and segments by hand, then whole networks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import archprof
from archprof.counting import counts
from archprof.measure import device
from archprof.measure.steps import forward_step
from archprof.memory.cuda import MIB, Allocator, blas_workspace, rounded, segment_for
from archprof.render.tables import costs
from archprof.results.comparison import ArchitectureResult
from archprof.results.conditions import Conditions
from archprof.runs.prediction import Predictor

CUDA = Conditions(device="cuda")


@pytest.mark.parametrize(
    "asked, block, segment",
    [
        (1, 512, 2 * MIB),
        (512, 512, 2 * MIB),
        (513, 1024, 2 * MIB),
        (MIB, MIB, 2 * MIB),
        (MIB + 1, MIB + 512, 20 * MIB),
        (10 * MIB - 512, 10 * MIB - 512, 20 * MIB),
        (10 * MIB, 10 * MIB, 10 * MIB),
        (10 * MIB + 1, 10 * MIB + 512, 12 * MIB),
        (411_041_792, 411_041_792, 392 * MIB + 2 * MIB * ((411_041_792 - 392 * MIB) > 0)),
    ],
)
def test_sizes_of_blocks_and_segments(asked: int, block: int, segment: int) -> None:
    assert rounded(asked) == block
    assert segment_for(block) == segment


def test_small_blocks_share_a_segment_and_a_large_rest_is_used() -> None:
    allocator = Allocator()
    for _ in range(4):
        allocator.take(512 * 1024)
    assert (allocator.allocated, allocator.reserved) == (2 * MIB, 2 * MIB)
    allocator.take(1)
    assert (allocator.allocated, allocator.reserved) == (2 * MIB + 512, 4 * MIB)
    allocator.take(5 * MIB)  # of a middle segment, of which 15 MiB are left
    allocator.take(9 * MIB)
    assert allocator.reserved == 24 * MIB
    allocator.take(7 * MIB)  # 6 MiB are left: another one
    assert allocator.reserved == 44 * MIB
    allocator.take(6 * MIB)
    assert allocator.reserved == 44 * MIB


def test_a_rest_of_a_mebibyte_is_not_split_off() -> None:
    allocator = Allocator()
    first = allocator.take(19 * MIB)  # its own segment of 20: the rest is no more than a mebibyte, and stays with it
    assert (allocator.allocated, allocator.reserved) == (20 * MIB, 20 * MIB)
    allocator.give_back(first)
    allocator.take(19 * MIB)
    assert allocator.reserved == 20 * MIB


def test_free_neighbours_become_one_and_others_do_not() -> None:
    allocator = Allocator()
    blocks = [allocator.take(4 * MIB) for _ in range(5)]
    assert allocator.reserved == 20 * MIB
    for place in (1, 3, 2):
        allocator.give_back(blocks[place])
    assert (allocator.allocated, allocator.most_allocated) == (8 * MIB, 20 * MIB)
    allocator.take(9 * MIB)  # 12 MiB lie side by side
    assert allocator.reserved == 20 * MIB
    allocator.give_back(blocks[0])
    allocator.take(6 * MIB)  # 4 and 3 MiB are free, the 9 between them
    assert allocator.reserved == 40 * MIB


@given(st.lists(st.tuples(st.integers(1, 60 * MIB), st.booleans()), max_size=60))
def test_whatever_is_taken_and_given_back_nothing_is_lost(calls: list[tuple[int, bool]]) -> None:
    allocator, taken = Allocator(), []
    for nbytes, give in calls:
        taken.append(allocator.take(nbytes))
        if give:
            allocator.give_back(taken.pop(len(taken) // 2))
        assert sum(block.size for block in taken) == allocator.allocated <= allocator.reserved
        assert allocator.reserved % (2 * MIB) == 0
    for block in taken:
        allocator.give_back(block)
    assert allocator.allocated == 0
    whole = sorted(block.size for pool in allocator._free.values() for _, block in pool)
    assert sum(whole) == allocator.reserved == allocator.most_reserved
    assert all(size % (2 * MIB) == 0 for size in whole)  # every segment is one block again


def test_the_workspace_of_cublas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    assert blas_workspace((8, 0)) == 8_519_680  # the 8.12 MiB that every table of CUDA's memory begins with
    assert blas_workspace((9, 0)) == 32 * MIB and blas_workspace((12, 0)) == 8_519_680
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    assert blas_workspace((9, 0)) == 4096 * 8 * 1024
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "nonsense")
    assert blas_workspace((9, 0)) == 32 * MIB


def row_and_predictor(module: nn.Module, shape: tuple[int, ...], conditions: Conditions = CUDA):
    predictor = Predictor(counts.subject_of(module, shape), conditions)
    row = ArchitectureResult(
        "net", "instance", profile=archprof.profile(module, input_shape=shape), optimizers=predictor.optimizers()
    )
    return row, predictor


def test_a_linear_layer_by_hand() -> None:
    """Weights of 100 x 10 and 10, an input and an output of 3 rows: blocks of 512, and the workspace."""
    row, predictor = row_and_predictor(nn.Linear(100, 10), (100,))
    entry = predictor.inference_at(3)
    weights, values = rounded(4000) + rounded(40), rounded(1200) + rounded(120)
    assert row.inference_bytes(entry) == weights + values + 8_519_680
    assert entry.reserved_bytes == 2 * MIB + 20 * MIB
    assert entry.scratch_bytes is None  # what cuDNN takes is not known


def test_no_workspace_where_nothing_is_multiplied() -> None:
    row, predictor = row_and_predictor(nn.ReLU(), (128,))
    assert row.inference_bytes(predictor.inference_at(1)) == 1024


def test_a_training_step_by_hand() -> None:
    """Gradients and momentum are as large as the weights; the update of all takes a copy at most."""
    row, predictor = row_and_predictor(nn.Linear(128, 128, bias=False), (128,))
    entry = predictor.training_at(128)
    assert entry is not None
    state = next(each for each in row.optimizers if each.optimizer == "sgd")
    weight, whole = 4 * 128 * 128, row.training_bytes(entry, "sgd")
    assert state.state_bytes == weight and whole is not None
    assert 8_519_680 + 3 * weight <= whole <= 8_519_680 + 12 * weight
    assert entry.training_reserved_bytes is not None and entry.training_reserved_bytes >= whole


def test_dropout_keeps_a_mask_of_bytes() -> None:
    network = nn.Sequential(nn.Linear(256, 256), nn.Dropout(0.5))
    (_, on_cuda), (_, on_cpu) = (
        row_and_predictor(network, (256,), replace(CUDA, device=kind)) for kind in ("cuda", "cpu")
    )
    cuda, cpu = on_cuda.training_at(64), on_cpu.training_at(64)
    assert cuda is not None and cpu is not None
    # on the CPU the mask is of numbers; on CUDA of bytes
    assert cpu.training_activation_bytes - cuda.training_activation_bytes == 3 * 64 * 256


def on_cuda() -> archprof.Comparison:
    row, predictor = row_and_predictor(nn.Linear(100, 10), (100,))
    shown = archprof.compare([nn.Linear(4, 4)], input_shape=(4,), batch_sizes=[1], latency=False)
    return replace(shown, architectures=(replace(row, memory=(predictor.at(3),)),))


def test_the_json_has_them_and_comes_back() -> None:
    made = on_cuda()
    assert archprof.Comparison.from_json(made.to_json())[0].memory == made[0].memory
    assert made[0].memory[0].reserved_bytes == 22 * MIB


def test_the_table_shows_what_is_reserved_only_on_cuda() -> None:
    here = archprof.compare(["resnet_tiny"], batch_sizes=[1], latency=False)
    assert "reserved_bytes" not in [column.key for column in costs.memory(here).columns]
    shown = costs.memory(on_cuda())
    keys = [column.key for column in shown.columns]
    cells = dict(zip(keys, shown.rows[0], strict=True))
    assert cells["reserved_bytes"].value == 22 * MIB and cells["training_reserved_bytes"].value >= 22 * MIB
    assert any("cuDNN's workspaces" in note for note in shown.notes)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2", "alexnet"])
def test_allocated_and_reserved_on_a_gpu(name: str, mode: str) -> None:
    conditions = Conditions(device="cuda", mode=mode)
    torch.cuda.empty_cache()
    row = archprof.compare([name], batch_sizes=[8], latency=False, conditions=conditions)[0]
    module = device.materialise(archprof.load(name), conditions).train(mode == "train")
    step = forward_step(module, device.inputs((3, 224, 224), 8, conditions), conditions)
    for _ in range(2):
        step()
    allocated, reserved = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    entry = row.memory[0]
    whole = row.training_bytes(entry, "sgd") if mode == "train" else row.inference_bytes(entry)
    foretold = entry.training_reserved_bytes if mode == "train" else entry.reserved_bytes
    assert allocated == pytest.approx(whole, rel=0.05)
    assert reserved == pytest.approx(foretold, rel=0.15)
