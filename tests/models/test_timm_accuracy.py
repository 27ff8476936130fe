"""timm's own results: the file, its figures read again by hand, and whose they are."""

from __future__ import annotations

import csv
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from archprof.models import published
from archprof.models.published import timm

FILE = Path(timm.__file__).with_name("timm.csv")
ROWS = list(csv.DictReader(FILE.open(newline="")))


def test_every_row_is_whole_and_stands_once() -> None:
    assert len(ROWS) == 1556 and len({row["weights"] for row in ROWS}) == 1266
    assert all(cell for row in ROWS for name, cell in row.items() if name != "pretraining")
    seen = Counter((row["weights"], row["resolution"], row["crop"]) for row in ROWS)
    assert [key for key, times in seen.items() if times > 1] == []


def test_percentages_are_in_range_and_ordered() -> None:
    for row in ROWS:
        for top1, top5, _ in timm.DATASETS.values():
            assert 25 < float(row[top1]) < float(row[top5]) < 100, row
        assert float(row["v2_top1"]) < float(row["top1"]) < float(row["real_top1"]), row
        assert 0.8 < float(row["crop"]) <= 1.15 and 96 <= int(row["resolution"]) <= 1024


def test_names_stand_in_natural_order() -> None:
    def natural(name: str) -> list[tuple[bool, int, str]]:
        parts = re.findall(r"\d+|\D+", name)
        return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]

    keys = [(natural(row["weights"]), int(row["resolution"])) for row in ROWS]
    assert all(one <= other for one, other in pairwise(keys))


def test_tags_that_name_other_data_say_what_was_trained_on_before() -> None:
    more = re.compile(r"in2[12]k|in12k|laion|openai|jft|ig1b|yfcc|seer|swag|webli|m30m|m38m|ssld|clip_ft")
    for row in ROWS:
        assert bool(more.search(row["weights"])) == bool(row["pretraining"]), row["weights"]


# read again in the files that DATASETS names
@pytest.mark.parametrize(
    ("name", "dataset", "resolution", "top1", "top5"),
    [
        ("timm:resnet50.a1_in1k", "imagenet-1k", 288, 81.240, 95.112),
        ("timm:eva02_large_patch14_448.mim_m38m_ft_in22k_in1k", "imagenet-1k", 448, 90.056, 99.054),
        ("timm:convnext_xlarge.fb_in22k_ft_in1k", "imagenet-1k", 288, 87.378, 98.330),
        ("timm:bat_resnext26ts.ch_in1k", "imagenet-real", 256, 84.696, 96.287),
        ("timm:bat_resnext26ts.ch_in1k", "imagenet-v2", 256, 66.250, 86.680),
        ("timm:rexnet_100.nav_in1k", "imagenet-1k", 224, 77.862, 93.890),
    ],
)
def test_figures_read_by_hand(name: str, dataset: str, resolution: int, top1: float, top5: float) -> None:
    found = {claim.metric: claim.percent for claim in timm.claims(name, dataset=dataset, resolution=resolution)}
    assert found == {"top1": top1, "top5": top5}


def test_an_architecture_shows_its_best_weights_and_a_tag_its_own() -> None:
    best, *others = published.claims("timm:resnet50", dataset="imagenet-1k", metric="top1")
    assert (best.weights, best.percent, best.resolution) == ("a1_in1k", 81.24, 288)
    assert len(others) > 20 and all(claim.percent <= best.percent for claim in others)
    assert {claim.weights for claim in published.claims("timm:resnet50.tv_in1k")} == {"tv_in1k"}
    assert published.claims("timm:resnet50.nosuch") == published.claims("timm:nosuch") == ()
    assert "timm" not in {claim.source for claim in published.claims("resnet50")}


def test_a_footnote_names_the_weights_the_size_and_what_was_trained_on_before() -> None:
    claim = published.claims("timm:resnet50.fb_swsl_ig1b_ft_in1k", dataset="imagenet-1k", metric="top1")[0]
    assert published.reference(claim) == (
        "timm's results for resnet50.fb_swsl_ig1b_ft_in1k; imagenet-1k, single crop at 224 x 224, 87.5 % of the image, "
        "pre-trained on ig-1b: "
        "https://github.com/huggingface/pytorch-image-models/blob/aa4b5850/results/results-imagenet.csv"
    )


def test_torchvisions_rows_say_what_swag_is() -> None:
    swag = [claim for claim in published.published() if "SWAG" in claim.weights]
    assert len(swag) > 10 and {claim.pretraining for claim in swag} == {"ig-3.6b"}
