"""Memory predicted, and what fits, on networks that do what nobody expects: nothing is touched, and what fits fits."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import Any

import pytest
import torch
from hostile.checks import every_row
from hostile.rows import Row
from hostile.watching import Photograph, seed
from torch import Tensor, nn
from torch.nn import functional

import archprof
from archprof.base.errors import ArchprofError
from archprof.counting import counts
from archprof.counting.closed_forms import CLOSED
from archprof.results.conditions import Conditions
from archprof.runs.fits import FARTHEST
from archprof.runs.prediction import Predictor

LIMIT = 20_000_000

LOOP = Conditions(
    mode="train", autocast="bfloat16", accumulate=2, zero_grad="zero", optimizer="adamw(foreach=true, amsgrad=true)"
)


def of_torch() -> dict[str, Any]:
    """What a prediction exchanges in torch while it runs."""
    return {
        "functions": (
            functional.linear,
            functional.dropout,
            functional.scaled_dot_product_attention,
            torch.overrides.has_torch_function,
        ),
        "recurrent": {name for name in ("lstm", "gru", "rnn_tanh", "rnn_relu") if name in vars(torch._VF)},
        "forms": set(CLOSED),
        "casts": (torch._C._dispatch_tls_is_dispatch_key_excluded("AutocastHPU"), _cast_alone()),
        "modes": torch._C._len_torch_dispatch_stack(),
        "gradients": torch.is_grad_enabled(),
    }


def _cast_alone() -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key("aten::linear", "AutocastHPU")


@every_row
def test_a_prediction_leaves_everything_as_it_was(row: Row) -> None:
    network = row.network()
    subject = counts.subject_of(network, inputs=lambda size: (row.inputs(), {}))
    before, torchs = Photograph(network), of_torch()
    seed()
    with contextlib.suppress(ArchprofError):
        Predictor(subject, Conditions()).inference_at(2)
    assert of_torch() == torchs
    Predictor(subject, LOOP).training_at(2)
    assert of_torch() == torchs
    assert before.differences(network) == []


@every_row
def test_cuda_s_memory_on_paper_holds_all_that_is_alive(row: Row) -> None:
    """On a machine without a GPU, too: nothing is touched, and what is held is never less than what is used."""
    network = row.network()
    subject = counts.subject_of(network, inputs=lambda size: (row.inputs(), {}))
    before, torchs = Photograph(network), of_torch()
    seed()
    predictor = Predictor(subject, Conditions(device="cuda", mode="train"))
    with contextlib.suppress(ArchprofError):
        entry = predictor.inference_at(2)
        assert entry.allocator_bytes >= 0 and entry.reserved_bytes is not None
        assert entry.reserved_bytes >= entry.peak_activation_bytes + entry.allocator_bytes
    step = predictor.training_at(2)
    assert step is None or (step.training_reserved_bytes or 0) >= (step.training_peak_bytes or 0)
    assert of_torch() == torchs and before.differences(network) == []


class Block(nn.Module):
    """Takes keywords, returns a pair, and counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.dropout, self.calls = nn.Linear(64, 64), nn.Linear(64, 64), nn.Dropout(0.3), 0

    def forward(self, x: Tensor, *, scale: float, state: object = None) -> tuple[Tensor, object]:
        self.calls += 1
        return self.dropout(self.second(self.first(x).relu())).relu() * scale, state


class Blocks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks, self.head = nn.ModuleList(Block() for _ in range(4)), nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        state: object = None
        for block in self.blocks:
            x, state = block(x, scale=0.5, state=state)
        out: Tensor = self.head(x)
        return out


class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(64, 64, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        return (x.to(torch.complex64) @ self.weight).abs()


class OverLists(nn.Module):
    """torch's operators over lists of tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        copies = [x.clone(), x.clone()]
        torch._foreach_mul_(copies, 2.0)
        torch._foreach_add_(copies, copies)
        out: Tensor = self.head(copies[0] + copies[1])
        return out


class Tied(nn.Module):
    """One weight in two layers: its gradients are joined."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).tanh()
        out: Tensor = self.second(x) + x + x.flip(0)
        return out


class Shared(nn.Module):
    """What six paths lead to: heads, a slice, views of one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(64, 64), nn.Linear(64, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(x)
        a, b = x.chunk(2, 1)
        mixed = torch.cat([b, a], 1) + x.view(-1, 64) + x[:, torch.arange(63, -1, -1, device=x.device)]
        out: Tensor = self.head(mixed * x)
        return out


NETWORKS = [Blocks, Complex, OverLists, Tied, Shared]
LOOPS: list[dict[str, Any]] = [
    {},
    {"accumulate": 2, "zero_grad": "zero", "optimizer": "adam(amsgrad=true)"},
]


@pytest.mark.parametrize("loop", LOOPS, ids=str)
@pytest.mark.parametrize("make", NETWORKS, ids=lambda make: make.__name__)
def test_what_fits_fits_and_one_more_does_not(
    make: type[nn.Module], loop: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archprof.runs.fits._changes", lambda needs: ())  # what would help is not asked here
    network = make()
    before = Photograph(network)
    found = archprof.fits(network, LIMIT, input_shape=(64,), tried=True, **loop)
    assert before.differences(network) == []
    assert [each.mode for each in found.limited] == ["inference", "training"]
    for each in found.limited:
        assert each.why is None and each.measured_bytes is not None and each.beyond_bytes is not None
        assert each.measured_bytes <= LIMIT < each.beyond_bytes + 1000, each  # a sample's own few hundred bytes


@pytest.mark.parametrize("limit", ["1e30 GB", "9999999999 GB", 2**200], ids=str)
def test_a_memory_that_nobody_has(limit: int | str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archprof.runs.fits._changes", lambda needs: ())
    found = archprof.fits("resnet_tiny", limit)
    assert found.inference == found.training == FARTHEST


def test_a_network_that_no_optimizer_can_train() -> None:
    for network in (nn.ReLU(), nn.Linear(64, 64).requires_grad_(False)):
        found = archprof.fits(network, LIMIT, input_shape=(64,), optimizer="adamw(foreach=true)")
        assert found.training is None and found.inference > 0


def test_gradients_that_are_sparse_are_not_measured_but_said() -> None:
    network = nn.Sequential(nn.EmbeddingBag(100, 16, sparse=True), nn.Linear(16, 2))
    found = archprof.fits(
        network, "1 MB", inputs=lambda size: ((torch.zeros(size, 5, dtype=torch.int64),), {}), tried=True
    )
    assert found.limited[0].measured_bytes is not None
    assert all(each.why for each in found.limited[1:])


class Interrupting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 64)

    def forward(self, x: Tensor) -> Tensor:
        signal.raise_signal(signal.SIGINT)
        out: Tensor = self.layer(x)
        return out


@pytest.mark.parametrize("conditions", [Conditions(), LOOP], ids=["plain", "loop"])
def test_ctrl_c_in_the_middle_leaves_torch_as_it_was(conditions: Conditions) -> None:
    torchs = of_torch()
    subject = counts.subject_of(Interrupting(), (64,))
    for predict in (Predictor(subject, conditions).inference_at, Predictor(subject, conditions).training_at):
        with pytest.raises(KeyboardInterrupt):
            predict(2)
        assert of_torch() == torchs
    assert torch.linspace(0, 1, 8).reshape(1, 8).matmul(torch.ones(8, 8)).dtype == torch.float32


def test_two_threads_ask_at_once_while_a_third_computes() -> None:
    """The casts of autocast belong to the thread that predicts."""

    def predicted(kind: type[nn.Module]) -> list[Any]:
        return [Predictor(counts.subject_of(kind(), (64,)), LOOP).at(size) for size in (2, 4, 8, 16)]

    alone = {kind: predicted(kind) for kind in (Blocks, Tied)}
    found: list[Any] = []
    types: set[torch.dtype] = set()
    over = threading.Event()

    def ask(kind: type[nn.Module]) -> None:
        try:
            found.append(predicted(kind) == alone[kind])
        except Exception as error:
            found.append(error)

    def compute() -> None:
        layer, x = nn.Linear(8, 8), torch.ones(2, 8)
        while not over.is_set():
            types.add(layer(x).dtype)

    threads = [threading.Thread(target=ask, args=(kind,)) for kind in (Blocks, Tied)]
    third = threading.Thread(target=compute)
    for thread in (third, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    third.join()
    assert found == [True, True] and types == {torch.float32}
