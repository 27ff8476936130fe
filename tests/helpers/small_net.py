"""Networks small enough to be trained in a test: for 8 x 8 grey images, a second or less an epoch."""

from __future__ import annotations

import torch
from torch import nn


class Net(nn.Module):
    """One convolution and a linear layer, with dropout, so that random numbers of a training matter."""

    input_shape = (1, 8, 8)

    def __init__(self, num_classes: int = 10, width: int = 32, dropout: float = 0.1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(width * 64, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.dropout(torch.relu(self.norm(self.conv(x))).flatten(1)))


class Fails(Net):
    """Takes one look in evaluation, and no training."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            raise RuntimeError("no training here")
        return super().forward(x)


class Picky(Net):
    """Takes images of 28 x 28 only, whatever it says."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.reshape(-1, 1, 28, 28))


def eleven() -> nn.Module:
    """Eleven outputs, and no option for another number."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 11))


eleven.input_shape = (1, 8, 8)  # type: ignore[attr-defined]
