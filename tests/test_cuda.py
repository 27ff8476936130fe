"""What only a GPU can show; skipped where there is none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archprof.measure import device, latency
from archprof.measure.device import Conditions

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def cell(conditions: Conditions, width: int, batch_size: int) -> latency.Cell:
    def prepare():
        layers = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, 8, 3))
        module = device.materialise(layers, conditions)
        return latency.forward_step(module, device.inputs((3, 64, 64), batch_size, conditions), conditions)

    return latency.Cell(f"w{width}", batch_size, prepare)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dtype": "bfloat16"},
        {"channels_last": True},
        {"cuda_graph": True},
        {"mode": "train", "optimizer": "adam"},
    ],
)
def test_measuring_on_the_gpu(options):
    conditions = Conditions(device="cuda", **options)
    seen = latency.measure(
        [cell(conditions, 32, 1), cell(conditions, 64, 1)],
        sync=device.sync_for(conditions),
        witness=device.witness(conditions),
        time_budget=3.0,
    )
    for found in seen.values():
        assert (
            found.error is None
            and found.p50_s > 0
            and (conditions.cuda_graph or found.measured_peak_bytes > 0)
        )


def test_out_of_memory_keeps_the_smaller_batch():
    conditions = Conditions(device="cuda")
    seen = latency.measure(
        [cell(conditions, 64, 1), cell(conditions, 64, 10**7)],
        sync=device.sync_for(conditions),
        time_budget=3.0,
    )
    assert seen["w64", 1].measured
    assert seen["w64", 10**7].error.startswith("out of memory")


def test_the_environment_names_the_gpu():
    found = device.environment(Conditions(device="cuda"))
    assert found["device_name"] == torch.cuda.get_device_name() and found["cuda"] == torch.version.cuda


def test_a_captured_pass_computes_what_the_eager_one_does():
    eager, graph = Conditions(device="cuda"), Conditions(device="cuda", cuda_graph=True)
    module = device.materialise(nn.Conv2d(3, 8, 3), eager)
    x = device.inputs((3, 16, 16), 2, eager)
    torch.testing.assert_close(
        latency.forward_step(module, x, graph)(), latency.forward_step(module, x, eager)()
    )
