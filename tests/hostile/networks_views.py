"""Networks that look at the same memory in many ways, twice: what is remembered of a view is put to the test."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from hostile.rows import L, Net, Table, linear, vector
from torch import Tensor, nn

ROWS = Table()
row, one = ROWS.row, ROWS.one


class Twice(nn.Module):
    """A step that is taken twice, so that the second is answered from memory."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = linear()

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            x = self.step(x)
        return x

    def step(self, x: Tensor) -> Tensor:
        raise NotImplementedError


@row("a dimension added and taken away in place", 2 * L, vector)
class Squeezed(Twice):
    def step(self, x: Tensor) -> Tensor:
        x = x.clone()
        x.unsqueeze_(0)
        x.squeeze_(0)
        return self.fc(x)


@row("a dimension added in place, and left", 2 * L, vector)
class Unsqueezed(Twice):
    def step(self, x: Tensor) -> Tensor:
        x = x.clone()
        x.unsqueeze_(1)
        assert x.shape == (2, 1, 8)
        return self.fc(x).squeeze(1)


@row("a weight transposed in place", 2 * 2 * (2 * 8 * 4), vector)
class Transposed(Twice):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Parameter(torch.ones(4, 8)), nn.Parameter(torch.ones(8, 4))

    def step(self, x: Tensor) -> Tensor:
        down, up = self.down.detach().clone(), self.up.detach().clone()
        down.t_()
        up.transpose_(0, 1)
        return x @ down @ up


@row("axes swapped in place", 2 * L, vector)
class Swapped(Twice):
    def step(self, x: Tensor) -> Tensor:
        x = x.clone()
        x.swapaxes_(0, 1)
        assert x.shape == (8, 2)
        return self.fc(x.t())


@row("cut off from its history in place", 2 * L, vector)
class Detached(Twice):
    def step(self, x: Tensor) -> Tensor:
        return self.fc(x).detach_()


@row("windows at places of their own", 2 * 3 * (2 * 4 * 4), vector)
class Windows(Twice):
    def step(self, x: Tensor) -> Tensor:
        own = self.fc.weight[:4, :4]
        seen = [torch.as_strided(x.contiguous(), (2, 4), (8, 1), place) for place in (0, 2, 4)]
        parts = [F.linear(part, own) for part in seen]
        return torch.cat(parts[:2], 1) + parts[2].repeat(1, 2)


@row("windows of a window", 2 * 2 * (2 * 4 * 4), vector)
class Nested(Twice):
    def step(self, x: Tensor) -> Tensor:
        own = self.fc.weight[4:, 4:]
        left, right = x[:, :4], x[:, 4:].as_strided((2, 4), (8, 1))
        assert left.storage_offset() + 4 == right.storage_offset()
        return torch.cat([F.linear(left, own), F.linear(right, own)], 1)


@row("bits seen as another type", 2 * L, vector)
class Bits(Twice):
    def step(self, x: Tensor) -> Tensor:
        return self.fc(x.view(torch.int32).view(torch.float32))


@row("pairs seen as complex numbers", 2 * L, vector)
class Pairs(Twice):
    def step(self, x: Tensor) -> Tensor:
        return self.fc(torch.view_as_real(torch.view_as_complex(x.view(2, 4, 2)).conj().resolve_conj()).reshape(2, 8))


@row("a diagonal written through", 2 * (L + 8 * 8 * 8), vector)
class Diagonal(Twice):
    def step(self, x: Tensor) -> Tensor:
        square = self.fc.weight @ self.fc.weight.t()
        square.diagonal().fill_(1)
        return F.linear(x, square)


@row("one memory grown in place", 2 * L, vector)
class Grown(Twice):
    def step(self, x: Tensor) -> Tensor:
        room = x.new_empty(1)
        room.resize_(2, 8)
        room.copy_(x)
        return self.fc(room)


@row("a number to the power of a tensor, twice", 2 * L, vector)
class Powers(Twice):
    def step(self, x: Tensor) -> Tensor:
        return self.fc(1 - 2**x)


one(
    "views between layers that are trained",
    5 * L,  # forward twice, the gradient of each weight, and of the input of the second
    lambda: Net(lambda s, x: s.two(s.one(x).view(4, 4).t().t().reshape(2, 8)), one=linear(), two=linear()),
    vector,
    mode="train",
    by_hand=True,
)
