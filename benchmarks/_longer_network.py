"""resnet18 made about 5 % slower on purpose: one more layer."""

from __future__ import annotations

from torch import Tensor, nn

from archprof import models


class Longer(nn.Module):
    """A 3x4 convolution of 64 channels at a quarter of the side behind the stem: 8.5 % more mult-adds."""

    def __init__(self) -> None:
        super().__init__()
        self.network = models.find("resnet18").build()
        self.more = nn.Conv2d(64, 64, (3, 4), padding="same", bias=False)
        first = next(name for name, child in self.network.named_children() if isinstance(child, nn.Sequential))
        setattr(self.network, first, nn.Sequential(self.more, getattr(self.network, first)))

    def forward(self, images: Tensor) -> Tensor:
        """Class scores."""
        found: Tensor = self.network(images)
        return found
