"""Augmentation on batches, against what can be done by hand."""

from __future__ import annotations

import pytest
import torch

from archprof.base.errors import BadOption
from archprof.results.recipe import Recipe
from archprof.trials.augment import Pipeline, cut, statistics

CPU = torch.device("cpu")


def images(*shape: int) -> torch.Tensor:
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def pipeline(recipe: Recipe, shape=(3, 4, 4), train=None) -> Pipeline:
    return Pipeline(recipe, shape, images(8, 3, 4, 4) if train is None else train, CPU)


def test_statistics_are_those_of_all_values():
    x = images(50, 3, 5, 7)
    mean, deviation = statistics(x)
    values = x.double() / 255
    assert torch.allclose(mean.double(), values.mean((0, 2, 3)).view(3, 1, 1), atol=1e-6)
    assert torch.allclose(deviation.double(), values.var((0, 2, 3), correction=0).sqrt().view(3, 1, 1), atol=1e-6)


def test_a_channel_without_variation_is_not_divided_by_zero():
    _, deviation = statistics(torch.full((4, 1, 2, 2), 7, dtype=torch.uint8))
    assert deviation.item() == 1.0


def test_normalised_by_the_training_images_or_as_given():
    x = images(40, 3, 4, 4)
    seen = pipeline(Recipe(), train=x).for_evaluation(x)
    assert torch.allclose(seen.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    given = pipeline(Recipe(mean=(0.5,) * 3, deviation=(0.25,) * 3)).for_evaluation(x)
    assert torch.allclose(given, (x.float() / 255 - 0.5) / 0.25)
    assert torch.allclose(pipeline(Recipe(normalise=False)).for_evaluation(x), x.float() / 255)
    with pytest.raises(BadOption, match="mean has 2 numbers, the network takes 3 channels"):
        pipeline(Recipe(mean=(0.5,) * 2, deviation=(0.25,) * 2))


def test_grey_is_repeated_for_a_network_of_colours():
    seen = pipeline(Recipe(), train=images(8, 1, 4, 4)).for_evaluation(images(5, 1, 4, 4))
    assert seen.shape == (5, 3, 4, 4) and torch.equal(seen[:, 0], seen[:, 2])


def test_each_image_is_cut_where_it_is_said():
    x = images(3, 2, 6, 5).float()
    found = cut(x, torch.tensor([0, 2, 1]), torch.tensor([1, 0, 2]), 4, 3)
    expected = torch.stack([x[0, :, 0:4, 1:4], x[1, :, 2:6, 0:3], x[2, :, 1:5, 2:5]])
    assert torch.equal(found, expected)


def test_a_training_crop_is_a_part_of_the_padded_image_and_places_vary():
    x = images(64, 1, 4, 4)
    made = pipeline(Recipe(crop_padding=2, flip=True), (1, 4, 4), x)
    seen = made.for_training(x, torch.Generator().manual_seed(3))
    whole = torch.nn.functional.pad(made.seen(x), (2,) * 4)
    places = set()
    for index in range(64):
        parts = {(top, left): whole[index, :, top : top + 4, left : left + 4] for top in range(5) for left in range(5)}
        found = [(place, False) for place, part in parts.items() if torch.equal(seen[index], part)]
        found += [(place, True) for place, part in parts.items() if torch.equal(seen[index], part.flip(2))]
        assert found
        places.add(found[0])
    assert len(places) > 25
    again = made.for_training(x, torch.Generator().manual_seed(3))
    assert torch.equal(seen, again)


def test_ten_crops_are_those_made_by_hand():
    x = images(2, 3, 6, 6)
    made = pipeline(Recipe(normalise=False, crop_ratio=4 / 6))
    y = x.float() / 255
    five = [y[..., 1:5, 1:5], y[..., :4, :4], y[..., :4, 2:], y[..., 2:, :4], y[..., 2:, 2:]]
    for count, expected in ((1, five[:1]), (5, five), (10, five + [each.flip(3) for each in five])):
        found = made.crops(x, count)
        assert len(found) == count and all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
