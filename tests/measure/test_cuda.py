"""What only a GPU can show; skipped where there is none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archprof.base.errors import BadOption
from archprof.cli import main
from archprof.measure import ceilings, device, gpu, power, sampling
from archprof.measure.steps import forward_step
from archprof.results.ceilings import CALLS
from archprof.results.comparison import Comparison
from archprof.results.conditions import Conditions, Sampling

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def workload(conditions: Conditions, width: int, batch_size: int) -> sampling.Workload:
    def prepare():
        layers = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, 8, 3))
        module = device.materialise(layers, conditions)
        return forward_step(module, device.inputs((3, 64, 64), batch_size, conditions), conditions)

    return sampling.Workload(f"w{width}", batch_size, prepare)


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
    seen = sampling.measure(
        [workload(conditions, 32, 1), workload(conditions, 64, 1)],
        sync=device.sync_for(conditions),
        witness=device.witness(conditions),
        sampling=Sampling(3.0),
    )
    for found in seen.values():
        assert found.error is None and found.p50_s > 0 and (conditions.cuda_graph or found.measured_peak_bytes > 0)


def test_out_of_memory_keeps_the_smaller_batch():
    conditions = Conditions(device="cuda")
    seen = sampling.measure(
        [workload(conditions, 64, 1), workload(conditions, 64, 10**7)],
        sync=device.sync_for(conditions),
        sampling=Sampling(3.0),
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
    torch.testing.assert_close(forward_step(module, x, graph)(), forward_step(module, x, eager)())


def test_a_block_waits_for_the_work_that_it_queued():
    """Events on the GPU time the same passes; a clock that did not wait would show the launches alone."""
    conditions = Conditions(device="cuda")
    a = torch.randn(4096, 4096, device="cuda")
    found = sampling.measure(
        [sampling.Workload("product", 1, lambda: lambda: torch.mm(a, a))],
        sync=device.sync_for(conditions),
        sampling=Sampling(3.0),
    )["product", 1]
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(20):
        torch.mm(a, a)
    end.record()
    torch.cuda.synchronize()
    assert found.p50_s > 0.5 * start.elapsed_time(end) / 20 / 1e3


def test_the_peak_holds_weights_input_and_output():
    conditions = Conditions(device="cuda")
    module = device.materialise(nn.Conv2d(3, 64, 3, padding=1, bias=False), conditions)
    x = device.inputs((3, 256, 256), 8, conditions)
    step = forward_step(module, x, conditions)
    step()
    known = 4 * (64 * 3 * 9 + 8 * 3 * 256**2 + 8 * 64 * 256**2)
    assert known <= step.peak_bytes() <= 4 * known


def test_a_captured_pass_reads_what_its_input_holds_now():
    conditions = Conditions(device="cuda", cuda_graph=True)
    module = device.materialise(nn.Conv2d(3, 8, 3), conditions)
    (x,) = device.inputs((3, 16, 16), 2, conditions)
    step = forward_step(module, (x,), conditions)
    first = step().clone()
    x.mul_(2.0)
    assert not torch.equal(step(), first)


def test_memory_is_given_back_between_networks():
    conditions = Conditions(device="cuda")
    before = torch.cuda.memory_allocated()
    sampling.measure([workload(conditions, 256, 64)], sync=device.sync_for(conditions), sampling=Sampling(2.0))
    assert torch.cuda.memory_allocated() <= before + 2**20


@pytest.mark.skipif(gpu.library() is None, reason="pynvml is not installed, or finds no driver")
def test_nvml_sees_this_gpu():
    nvml = gpu.library()
    uuid = gpu.uuid_of("cuda")
    seen = gpu.reader(nvml, uuid)()
    assert set(seen) <= {"gpu_mhz", "gpu_slowdown", "gpu_processes"} and seen["gpu_mhz"] > 0
    assert gpu.facts(nvml, uuid)["driver"]
    found = device.witness(Conditions(device="cuda"))
    cause, evidence = found.disturbance(found.look(), found.look())
    assert "gpu_mhz" in evidence and (cause is None or isinstance(cause, str))


@pytest.mark.skipif(gpu.library() is None, reason="pynvml is not installed, or finds no driver")
def test_a_block_uses_energy():
    """A large product keeps the chip busy: more than a tenth of the power limit, and not above it by much."""
    conditions = Conditions(device="cuda")
    meter, why = power.offered("cuda")
    if meter is None:
        pytest.skip(why)
    a = torch.randn(8192, 8192, device="cuda")
    found = sampling.measure(
        [sampling.Workload("product", 1, lambda: lambda: torch.mm(a, a))],
        sync=device.sync_for(conditions),
        witness=device.witness(conditions),
        sampling=Sampling(6.0, 0.2),  # the block for the meter comes when the times are known
    )["product", 1]
    assert any(block.joules and block.joules > 0 for block in found.blocks)
    limit = gpu.facts(gpu.library(), gpu.uuid_of("cuda")).get("gpu_power_limit_w", 1000.0)
    if found.power_w is not None:  # every block may have been disturbed
        assert 0.1 * limit < found.power_w < 1.3 * limit


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(BadOption, match="there is no device 'cuda:99'"):
        device.check_available(Conditions(device="cuda:99"))


@pytest.mark.parametrize("options", [(), ("--cuda-graph",), ("--dtype", "float16", "--channels-last")])
def test_the_command_line_measures_on_the_gpu(options, tmp_path, capsys):
    file = tmp_path / "seen.json"
    assert main(["compare", "resnet_tiny", "plain_tiny", "--device", "cuda", "--batch-sizes", "1,64",
                 "--time-budget", "5", "--json", str(file), *options]) == 0  # fmt: skip
    seen = Comparison.from_json(file.read_text())
    assert all(found.measured for row in seen.architectures for found in row.latency)
    assert seen.environment["device_name"] in " ".join(capsys.readouterr().out.split())


def test_the_ceilings_of_the_gpu(monkeypatch):
    monkeypatch.setattr(ceilings, "SIDES", {"cuda": (512, 1024)})
    monkeypatch.setattr(ceilings, "BATCHES", {"cuda": 4})
    monkeypatch.setattr(ceilings, "LARGEST", {"cuda": 2**26})
    found = ceilings.ceilings(Conditions(device="cuda"), Sampling(4.0))
    assert found.overlapping and found.complete and found.lacking == ()
    assert found.compute("float16").value > found.compute("float64").value > 0
    assert found.bytes_per_s(2**20) >= found.bytes_per_s(2**26) > 1e9
    assert all(0 < found.call(kind).value < 1e-3 for kind in CALLS)
