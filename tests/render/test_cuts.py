"""Rows of the layer table stand in the order in which they ran."""

from __future__ import annotations

import torch
from torch import nn

import archprof
from archprof.render.tables.cuts import cut


class Block(nn.Module):
    """Defined backwards: b before a, the shortcut before both; one layer is never run."""

    def __init__(self):
        super().__init__()
        self.shortcut, self.b, self.a = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 5, padding=2)
        self.unused = nn.Linear(3, 3)

    def forward(self, x):
        return self.b(self.a(x)).relu() + self.shortcut(x)


class Backwards(nn.Module):
    def __init__(self):
        super().__init__()
        self.spare = nn.Linear(2, 2)
        self.head, self.block, self.stem = nn.Linear(8, 10), Block(), nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return self.head(self.block(self.stem(x).relu()).mean((2, 3)))


def rows(by, depth=None):
    profile = archprof.profile(Backwards(), torch.zeros(1, 3, 8, 8))
    return [(row.path, row.type) for row in cut(profile, by, depth)[0]]


def test_layers_stand_as_they_ran_and_unused_ones_behind_their_neighbours():
    assert rows("layer") == [
        ("spare", "Linear, not used in this pass"),
        ("stem", "conv 3x3"),
        ("", "activation"),
        ("block", "Block"),
        ("block.a", "conv 5x5"),
        ("block.unused", "Linear, not used in this pass"),
        ("block.b", "conv 3x3"),
        ("block", "activation"),
        ("block.shortcut", "conv 1x1"),
        ("block", "addition"),
        ("", "pooling"),
        ("head", "fully connected"),
    ]


def test_folded_layers_and_modules_stand_as_they_ran():
    assert [path for path, _ in rows("layer", 1)] == ["spare", "stem", "", "block", "", "head"]
    assert [path for path, _ in rows("module")] == [
        "spare", "stem", "block", "block.a", "block.unused", "block.b", "block.shortcut", "head",
    ]  # fmt: skip
