"""Values that follow from constants alone are known beside a pass without values; all others are not made up."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archprof.base.errors import ForwardFailed
from archprof.counting.counts import profile

LARGE, SMALL = 2 * 8 * 8, 2 * 8 * 4  # mult-adds of the two layers, for two vectors of eight


class Looks(nn.Module):
    """The large layer where `look` finds what it expects, the small one elsewhere."""

    def __init__(self, look: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.large, self.small, self.look = nn.Linear(8, 8), nn.Linear(8, 4), look

    def forward(self, x: Tensor) -> Tensor:
        return self.large(x) if self.look(x) else self.small(x)


def positions(x: Tensor) -> Tensor:
    return torch.arange(6, device=x.device)


def causal(x: Tensor) -> Tensor:
    place = positions(x)
    return place[None, :] <= place[:, None]


def written(x: Tensor) -> Tensor:
    made = torch.empty(3, 2, device=x.device).fill_(1)
    made[1].zero_()  # through a view
    return made


def of_both(x: Tensor) -> Tensor:
    made = torch.ones(8, device=x.device)
    made[:4] += 1
    return made


KNOWN: dict[str, Callable[[Tensor], bool]] = {
    "item": lambda x: positions(x).sum().item() == 15,
    "all": lambda x: bool((torch.diff(positions(x)) == 1).all()),
    "any is not": lambda x: not (positions(x) > 5).any(),
    "a mask's rows": lambda x: causal(x).sum(-1).tolist() == [1, 2, 3, 4, 5, 6],
    "numpy": lambda x: causal(x).numpy().sum() == 21,
    "format": lambda x: f"{positions(x)[3]}" == "3",
    "int of an index": lambda x: int(positions(x)[2]) == 2,
    "argmax": lambda x: positions(x).argmax() == 5,
    "equal": lambda x: torch.equal(positions(x), positions(x).clone()),
    "nonzero": lambda x: causal(x).nonzero().shape == (21, 2),
    "the values of nonzero": lambda x: causal(x).nonzero()[-1].tolist() == [5, 5],
    "unique": lambda x: torch.unique(positions(x) // 2).tolist() == [0, 1, 2],
    "a mask of a mask": lambda x: positions(x)[positions(x) > 2].tolist() == [3, 4, 5],
    "unknown values at known places": lambda x: x[torch.arange(2, device=x.device) > 0].shape == (1, 8),
    "unknown values, selected": lambda x: x.masked_select(torch.zeros_like(x) == 0).shape == (16,),
    "zeros like the input": lambda x: not torch.zeros_like(x).any(),
    "new ones": lambda x: x.new_ones(4).sum() == 4,
    "full": lambda x: torch.full((2, 2), -1e9, device=x.device).triu(1).min() < -1,
    "tensor": lambda x: torch.tensor([3, 1], device=x.device).max() == 3,
    "as_tensor": lambda x: torch.as_tensor([[2.5]], device=x.device).item() == 2.5,
    "moved": lambda x: torch.arange(4).to(x.device).sum() == 6,
    "of another type": lambda x: positions(x).to(torch.float32).mean() == 2.5,
    "written in place": lambda x: written(x).sum(1).tolist() == [2, 0, 2],
    "written through a slice": lambda x: of_both(x).sum() == 12,
    "real and on the device": lambda x: (torch.arange(6) + positions(x)).sum() == 30,
    "a real mask filled": lambda x: torch.zeros(6).masked_fill_(positions(x) > 3, 1).sum() == 2,
    "in another shape": lambda x: positions(x).unsqueeze_(0).shape == (1, 6) and positions(x).view(2, 3)[1, 0] == 3,
    "loop": lambda x: [int(n) for n in positions(x)] == list(range(6)),
}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("twice", [False, True])
def test_a_network_may_look_at_them(name: str, twice: bool) -> None:
    """The second time every shape is remembered. Weights on meta: there is no way to count with values instead."""
    network = Looks(KNOWN[name]).to("meta")
    for _ in range(1 + twice):
        found = profile(network, (torch.ones(2, 8),))
        assert (found.macs, found.notes) == (LARGE, ())
    assert Looks(KNOWN[name])(torch.ones(2, 8)).shape == (2, 8)  # and so it is with values


UNKNOWN: dict[str, Callable[[Tensor], Any]] = {
    "the input": lambda x: x.sum() > 0,
    "the input beside positions": lambda x: (positions(x) + x[0, :6]).sum() > 0,
    "positions that the input was written into": lambda x: positions(x).float().add_(x[0, :6]).sum() > 0,
    "memory as it was": lambda x: torch.empty(4, device=x.device).sum() == 0 or True,
    "memory as it was, in another order": lambda x: (
        torch.empty_permuted((2, 3), (1, 0), device=x.device).sum() == 0 or True
    ),
    "memory of which a part is filled twice": lambda x: _filled_twice(x).sum() == 0 or True,
    "random numbers": lambda x: torch.rand(4, device=x.device).sum() >= 0,
    "random numbers in known memory": lambda x: torch.zeros(4, device=x.device).uniform_().sum() >= 0,
    "a view of what the input was written into": lambda x: _overwritten(x)[0] > 0,
}


def _overwritten(x: Tensor) -> Tensor:
    made = torch.zeros(2, 8, device=x.device)
    row = made[0]
    made.copy_(x)
    return row


def _filled_twice(x: Tensor) -> Tensor:
    made = torch.empty(4, device=x.device)
    made.as_strided((2, 2), (1, 1)).fill_(1)
    return made


@pytest.mark.parametrize("name", UNKNOWN)
def test_no_other_values_are_made_up(name: str) -> None:
    found = profile(Looks(UNKNOWN[name]), (torch.ones(2, 8),))
    assert found.macs == LARGE and "counted in a real pass" in found.notes[0]
    with pytest.raises(ForwardFailed):
        profile(Looks(UNKNOWN[name]).to("meta"), (torch.ones(2, 8),))


def test_training_looks_at_them_too() -> None:
    network = Looks(lambda x: bool(causal(x).any())).to("meta")
    # forward, and a gradient of the weight; the input needs none
    assert profile(network, (torch.ones(2, 8),), mode="train").macs == 2 * LARGE


def test_large_masks_are_shapes_like_everything_else() -> None:
    def look(x: Tensor) -> bool:
        place = torch.arange(2000, device=x.device)
        return bool((place[None, :] <= place[:, None]).any())

    with pytest.raises(ForwardFailed, match="cannot be called on meta tensors"):
        profile(Looks(look).to("meta"), (torch.ones(2, 8),))


class Placed(nn.Module):
    def __init__(self, rows: int) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(10, 8), nn.Embedding(rows, 8)

    def forward(self, words: Tensor) -> Tensor:
        return self.words(words) + self.places(torch.arange(words.shape[1], device=self.words.weight.device))


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_an_index_that_no_table_has_is_an_error_as_on_a_device(device: str) -> None:
    words = torch.zeros(1, 5, dtype=torch.int64)
    for _ in range(2):
        assert profile(Placed(5).to(device), (words,)).parameters == 8 * 15
        with pytest.raises(ForwardFailed, match=r"layer 'places' \(Embedding\) says: index 4 is out of range"):
            profile(Placed(4).to(device), (words,))
    with pytest.raises(ForwardFailed, match=r"layer 'words'.*index 10 is out of range: there are 10 rows"):
        profile(Placed(5).to(device), (words + 10,))


def test_a_table_that_is_indexed_knows_its_rows_too() -> None:
    def look(x: Tensor) -> bool:
        return x[-1 - torch.arange(rows, device=x.device), 0].shape == (rows,)

    rows = 2
    assert profile(Looks(look).to("meta"), (torch.ones(2, 8),)).macs == LARGE
    rows = 3
    with pytest.raises(ForwardFailed, match="index -3 is out of range: there are 2 rows"):
        profile(Looks(look).to("meta"), (torch.ones(2, 8),))


class Makes(OrderedDict):
    """A table of classes that makes an instance for whoever asks."""

    def __getitem__(self, key: str) -> Any:
        return super().__getitem__(key)()


TABLE = Makes(relu=nn.ReLU, broken=lambda: 1 / 0)


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        TABLE["relu"]
        TABLE.pop("broken", None)
        return self.layer(x)


def test_a_container_of_a_class_of_its_own_comes_back_as_it_was() -> None:
    before = dict(OrderedDict.items(TABLE))
    assert profile(Named(), (torch.ones(2, 8),)).macs == LARGE
    assert dict(OrderedDict.items(TABLE)) == before and list(TABLE) == ["relu", "broken"]
