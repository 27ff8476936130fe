"""What a training does to images on their way into the network: normalise, padded crop, flip. On whole batches.

torchvision's transforms do the same one image at a time, and have no build for plain CPU wheels of torch: with them a
trial would need another torch. Random numbers come from a generator on the CPU, so that every device draws the same.
"""

from __future__ import annotations

import torch
from torch.nn.functional import pad

from ..base.errors import BadOption
from ..results.recipe import Recipe


def statistics(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each channel of images (N, C, H, W) uint8, as shares of 255; (C, 1, 1) both.

    From counts of the 256 values: exact sums, the same in any order. A channel without variation has deviation 1.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts = torch.zeros(256, dtype=torch.float64)
        for part in images[:, channel].split(4096):
            counts += torch.bincount(part.reshape(-1).long(), minlength=256).double()
        mean = (counts * values).sum() / counts.sum()
        variance = (counts * (values - mean) ** 2).sum() / counts.sum()
        means.append(mean)
        deviations.append(variance.sqrt() if variance > 0 else torch.ones((), dtype=torch.float64))
    return (torch.stack(means).float().view(-1, 1, 1), torch.stack(deviations).float().view(-1, 1, 1))


class Pipeline:
    """From stored images to what the network sees: (N, C', H, W) uint8 to (N, channels, height, width) float32."""

    def __init__(self, recipe: Recipe, shape: tuple[int, int, int], train: torch.Tensor, device: torch.device) -> None:
        self.recipe, self.shape = recipe, shape
        self.mean, self.deviation = (part.to(device) for part in _normalising(recipe, shape[0], train))

    def seen(self, images: torch.Tensor) -> torch.Tensor:
        """As numbers: shares of 255, normalised, grey repeated for a network that takes colours."""
        values = (images.float() / 255 - self.mean) / self.deviation
        return values.expand(-1, self.shape[0], -1, -1)

    def for_training(self, images: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
        """Zeros around, a random part of the network's size, mirrored or not; then as numbers.

        Padded after normalisation: zeros are the mean colour (He et al. 2015, section 4.2, subtract the mean first).
        """
        values = self.seen(images)
        around, (height, width) = self.recipe.crop_padding, self.shape[1:]
        if around:
            values = pad(values, (around,) * 4)
        rows, columns = values.shape[2] - height, values.shape[3] - width
        if rows or columns:
            top = torch.randint(rows + 1, (len(values),), generator=draw).to(values.device)
            left = torch.randint(columns + 1, (len(values),), generator=draw).to(values.device)
            values = cut(values, top, left, height, width)
        if self.recipe.flip:
            mirrored = (torch.rand(len(values), generator=draw) < 0.5).to(values.device)
            values = torch.where(mirrored.view(-1, 1, 1, 1), values.flip(3), values)
        return values.contiguous()

    def for_evaluation(self, images: torch.Tensor) -> torch.Tensor:
        """The middle of the network's size."""
        return middle(self.seen(images), *self.shape[1:]).contiguous()

    def crops(self, images: torch.Tensor, count: int) -> list[torch.Tensor]:
        """1: the middle. 5: the four corners too. 10: those five and their mirror images (Krizhevsky et al. 2012)."""
        values = self.seen(images)
        height, width = self.shape[1:]
        views = [middle(values, height, width)]
        if count > 1:
            bottom, right = values.shape[2] - height, values.shape[3] - width
            views += [
                values[:, :, top : top + height, left : left + width] for top in (0, bottom) for left in (0, right)
            ]
        if count > 5:
            views += [view.flip(3) for view in views]
        return [view.contiguous() for view in views]


def _normalising(recipe: Recipe, channels: int, train: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What is subtracted and what is divided by, (C, 1, 1) both."""
    if not recipe.normalise:
        return torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    if not recipe.mean:
        return statistics(train)
    if len(recipe.mean) not in (1, channels):
        raise BadOption(f"mean has {len(recipe.mean)} numbers, the network takes {channels} channels;", "give as many.")
    return torch.tensor(recipe.mean).view(-1, 1, 1), torch.tensor(recipe.deviation).view(-1, 1, 1)


def middle(values: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The part of that size in the middle of (N, C, H, W)."""
    top, left = (values.shape[2] - height) // 2, (values.shape[3] - width) // 2
    return values[:, :, top : top + height, left : left + width]


def cut(values: torch.Tensor, top: torch.Tensor, left: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """From each of (N, C, H, W) the part of that size that begins at its own (N,) `top` and `left`."""
    rows = top.view(-1, 1) + torch.arange(height, device=values.device)
    columns = left.view(-1, 1) + torch.arange(width, device=values.device)
    taken = values.gather(2, rows[:, None, :, None].expand(-1, values.shape[1], -1, values.shape[3]))
    return taken.gather(3, columns[:, None, None, :].expand(-1, values.shape[1], height, -1))
