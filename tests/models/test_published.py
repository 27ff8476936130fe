"""The published accuracies: the file itself, its order, and the reader of a user's own rows."""

from __future__ import annotations

import csv
import datetime
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from archprof.base.errors import BadFile, BadOption
from archprof.models import published
from archprof.models.published import claims, reference, references
from archprof.results.comparison import Accuracy

FILE = Path(published.__file__).with_name("accuracy.csv")
ALL = published.published()


def top(architecture: str, metric: str = "top1", **only: object) -> float:
    """The figure that a table shows by default."""
    return claims(architecture, metric=metric, **only)[0].percent  # type: ignore[arg-type]


# The file


def test_every_row_is_whole() -> None:
    with FILE.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    header = "architecture,dataset,metric,percent,protocol,resolution,weights,pretraining,source,url,retrieved"
    assert ",".join(rows[0]) == header
    assert len(rows) == len(ALL)
    for row in rows:
        assert all(cell for name, cell in row.items() if name not in ("resolution", "pretraining")), row
        assert row["url"].startswith("https://"), row
        datetime.date.fromisoformat(row["retrieved"])


def test_percentages_are_in_range_and_top5_is_not_below_top1() -> None:
    assert all(25 < claim.percent < 100 for claim in ALL)
    by_claim: dict[tuple[object, ...], dict[str, float]] = {}
    for c in ALL:
        key = (c.architecture, c.dataset, c.weights, c.protocol, c.resolution, c.source)
        by_claim.setdefault(key, {})[c.metric] = c.percent
    pairs = [pair for pair in by_claim.values() if len(pair) == 2]
    assert len(pairs) > 150 and all(pair["top5"] > pair["top1"] for pair in pairs)


def test_no_claim_stands_twice() -> None:
    seen = Counter((c.architecture, c.dataset, c.metric, c.weights, c.protocol, c.resolution) for c in ALL)
    assert [claim for claim, times in seen.items() if times > 1] == []


def test_datasets_metrics_and_names_have_one_spelling() -> None:
    assert published.datasets() == ("cifar10", "ilsvrc-2010", "imagenet-1k", "imagenet-real", "imagenet-v2")
    assert {c.metric for c in ALL} == {"top1", "top5"}
    names = {c.architecture for c in ALL}
    # one spelling each: whatever else is spelled alike ends up under the same name
    assert all({c.architecture for c in claims(name)} == {name} for name in names)


def test_architectures_stand_in_natural_order_each_in_one_place() -> None:
    with FILE.open(newline="") as lines:
        names = list(dict.fromkeys(starts := [row["architecture"] for row in csv.DictReader(lines)]))
    assert sum(a != b for a, b in pairwise(starts)) == len(names) - 1

    def natural(name: str) -> list[tuple[bool, int, str]]:
        parts = re.findall(r"\d+|\D+", name)
        return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]

    assert names == sorted(names, key=natural)


def rank(claim: Accuracy) -> int:
    """The default-claim rule of the module's docstring, written a second time."""
    one = claim.protocol.startswith(("single crop", "crop not stated", "test set"))
    if claim.weights == "IMAGENET1K_V1":
        return 1
    if one:
        return 2 if claim.weights == "paper" else 3
    return 4


def test_the_claim_to_show_stands_first() -> None:
    for name in {claim.architecture for claim in ALL}:
        for dataset in {claim.dataset for claim in claims(name)}:
            ranks = [rank(claim) for claim in claims(name, dataset=dataset)]
            assert ranks == sorted(ranks), name


def test_error_rates_are_said_to_be_error_rates() -> None:
    # where the source prints errors the row must say so, or a reader looks for 76.1 where 23.9 stands
    printing_accuracies = (
        "torchvision",
        "TF-slim",
        "Howard et al.",
        "Sandler et al.",
        "Chollet",
        "the NiN",
        "Iandola et al.",
        "imagenet-multiGPU",
        "Caffe model of BVLC, as quoted by Iandola",
    )
    for claim in ALL:
        assert ("as error)" in claim.source) != claim.source.startswith(printing_accuracies), claim


# Figures read again from their sources by hand


@pytest.mark.parametrize(
    ("name", "metric", "only", "percent"),
    [
        ("resnet50", "top1", {}, 76.130),  # torchvision, IMAGENET1K_V1
        ("resnet50", "top5", {}, 92.862),
        ("resnet152", "top1", {}, 78.312),
        ("resnet18", "top1", {}, 69.758),
        ("alexnet", "top1", {}, 56.522),
        ("vgg16", "top1", {}, 71.592),
        ("vgg19_bn", "top1", {}, 74.218),
        ("densenet161", "top1", {}, 77.138),
        ("squeezenet1_1", "top1", {}, 58.178),
        ("inception_v3", "top1", {}, 77.294),
        ("mobilenetv2", "top1", {}, 71.878),
        ("vit_h_14", "top1", {}, 85.708),  # no IMAGENET1K_V1: SWAG's linear probe at 224
        ("mobilenetv1", "top1", {}, 70.6),  # Howard et al. 2017, table 4
        ("mobilenetv1", "top1", {"resolution": 192}, 69.1),  # table 7
        ("mobilenetv1", "top1", {"resolution": 128}, 64.4),
        ("mobilenetv1_050", "top1", {}, 63.7),  # table 6
        ("mobilenetv1_025", "top1", {"resolution": 128}, 41.5),  # TF-slim; the paper has no such cell
        ("mobilenetv1_conv", "top1", {}, 71.7),  # table 4
        ("mobilenetv2_140", "top1", {}, 74.7),  # Sandler et al. 2018, table 4
        ("resnet50_v1", "top1", {}, 75.3),  # 24.7 % error, the authors' README
        ("resnet152_v1", "top5", {}, 93.3),  # 6.7 % error
        ("preact_resnet152", "top1", {}, 78.9),  # 21.1 % error at 320
        ("resnet110_cifar", "top1", {"dataset": "cifar10"}, 93.57),  # 6.43 % error
        ("resnet56_cifar", "top1", {"dataset": "CIFAR-10"}, 93.03),  # 6.97 % error
        ("se_resnet50", "top1", {}, 76.71),  # 23.29 % error
        ("inception_v4", "top1", {}, 80.0),
        ("squeezenet1_0_simple_bypass", "top1", {}, 60.4),
    ],
)
def test_the_figure_shown_by_default(name: str, metric: str, only: dict[str, object], percent: float) -> None:
    assert top(name, metric, **only) == percent


def test_recipes_are_kept_apart() -> None:
    by_weights = {
        c.weights: c.percent
        for c in claims("resnet50", metric="top1", resolution=224)
        if c.protocol.startswith("single crop")
    }
    assert (by_weights["IMAGENET1K_V1"], by_weights["IMAGENET1K_V2"]) == (76.130, 80.858)
    # one network, three evaluations: 24.7, 22.85 and 20.74 % error
    papers = [c.percent for c in claims("resnet50_v1", metric="top1") if c.weights == "paper"]
    assert papers == [75.3, 77.15, 79.26]
    # the paper's MobileNet and the TF-slim checkpoint are different weights: 64.4 and 65.2 at 128
    at_128 = {c.weights: c.percent for c in claims("mobilenetv1", metric="top1", resolution=128)}
    assert at_128 == {"paper": 64.4, "tf-slim": 65.2}


# Looking up


def test_names_are_matched_whatever_their_case_and_separators() -> None:
    assert claims("MobileNet-V1") == claims("mobilenet_v1") == claims("mobilenetv1") != ()
    assert claims("mobilenet_v2") == claims("mobilenetv2")
    assert claims("SqueezeNet-1.1") == claims("squeezenet1_1") != ()
    # but 1.6 GF is not 16 GF
    assert (top("RegNet-Y-1.6GF"), top("regnet_y_16gf")) == (77.95, 80.424)


def test_torchvisions_networks_have_the_same_claims_and_timms_their_own() -> None:
    assert claims("torchvision:resnet50") == claims("resnet50")
    assert claims("torchvision:swin_t")[0].percent == 81.474
    assert claims("timm:nosuch") == claims("mypackage.models:resnet50") == claims("nobody") == ()


def test_a_width_finds_its_claims_and_other_options_have_none() -> None:
    assert claims("mobilenetv2(width=1.4)") == claims("mobilenetv2_140") != ()
    assert claims("mobilenetv1(width = .5)") == claims("mobilenetv1_050") != ()
    assert claims("mobilenetv1(width=1.0)") == claims("mobilenetv1")
    assert claims("mobilenetv1(width=0.6)") == claims("resnet50(num_classes=10)") == ()


def test_an_unmeasured_resolution_has_no_claim() -> None:
    assert claims("mobilenetv1", resolution=100) == ()
    assert claims("resnet50_v1", resolution=320) == ()
    # multi-scale claims have no resolution of their own, so none is asked for one
    assert all(c.resolution == 224 for c in claims("resnet50_v1", resolution=224))


def test_an_unknown_dataset_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadOption, match=r"'imagnet-1k'. Did you mean 'imagenet-1k', .*\? Known: c") as caught:
        claims("resnet50", dataset="imagnet-1k")
    assert "\n" not in str(caught.value)


def test_a_users_own_claim_comes_first_and_brings_its_dataset() -> None:
    mine = Accuracy("ResNet-50", "flowers", "top1", 91.5, "our lab", "")
    assert claims("resnet50", extra=[mine])[0] is mine
    assert claims("resnet50", extra=[mine])[1:] == claims("resnet50")
    assert claims("torchvision:resnet50", dataset="flowers", extra=[mine]) == (mine,)
    assert claims("resnet18", dataset="flowers", extra=[mine]) == ()
    assert published.datasets([mine])[:3] == ("cifar10", "flowers", "ilsvrc-2010")


# Footnotes


def test_a_footnote_names_whose_weights_how_and_where() -> None:
    assert reference(claims("resnet50")[0]) == (
        "torchvision, IMAGENET1K_V1; imagenet-1k, 224 x 224, single crop, short side 256: "
        "https://docs.pytorch.org/vision/stable/models.html"
    )
    assert reference(claims("mobilenetv1", resolution=160)[0]) == (
        "Howard et al. 2017, MobileNets, table 7; imagenet-1k, 160 x 160, crop not stated: "
        "https://arxiv.org/abs/1704.04861"
    )
    assert reference(Accuracy("a", "flowers", "top1", 50, "our lab", "")) == "our lab; flowers"


def test_footnotes_are_listed_once_in_order_of_use() -> None:
    shown = [claims(name)[0] for name in ("resnet50", "mobilenetv1", "resnet152", "alexnet")]
    notes = references(shown)
    assert notes == [reference(shown[0]), reference(shown[1])]
    assert [notes.index(reference(claim)) + 1 for claim in shown] == [1, 2, 1, 1]
    assert references([]) == []


# A user's own file


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.csv"
    path.write_bytes(text.encode())
    return path


def test_a_users_file_needs_five_columns_in_any_order(tmp_path: Path) -> None:
    path = written(
        tmp_path, "\ufeffpercent, architecture,metric,dataset,source\r\n 61.5 ,mynet,Top-1,ImageNet-1K,our lab\r\n\r\n"
    )
    assert published.read(path) == (Accuracy("mynet", "imagenet-1k", "top1", 61.5, "our lab", ""),)


def test_optional_cells_may_be_empty_and_commas_quoted(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        ",".join(published.COLUMNS) + "\n"
        'mynet,flowers,top1,61,"Doe, 2026",,,,,,\n'
        "mynet,flowers,top5,90,us,10-crop,192,v2,flowers-22k,https://a.example,2026-01-31\n",
    )
    first, second = published.read(path)
    assert first == Accuracy("mynet", "flowers", "top1", 61.0, "Doe, 2026", "")
    assert second == Accuracy(
        *("mynet", "flowers", "top5", 90.0, "us", "https://a.example", "10-crop", 192, "v2", "2026-01-31"),
        pretraining="flowers-22k",
    )


def test_our_own_file_can_be_read_as_a_users() -> None:
    assert published.read(FILE) == ALL


HEAD = "architecture,dataset,metric,percent,source,resolution\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the header lacks 'architecture'"),
        ("architecture,dataset,metric,source\n", "the header lacks 'percent'. Columns: architecture, "),
        ("architecture,dataset,metric,percentage,source\n", "called 'percentage'. Did you mean 'percent'?"),
        ("architecture,dataset,metric,percent,source,source\n", "column 'source' stands twice"),
        (HEAD + "a,d,top1,high,s,\n", "line 2: percent 'high' is not a number from 0 to 100"),
        (HEAD + "a,d,top1,50,s,\n\na,d,top1,100.1,s,\n", "line 4: percent '100.1'"),
        (HEAD + "a,d,top1,-1,s,\n", "line 2: percent '-1'"),
        (HEAD + "a,d,top1,nan,s,\n", "line 2: percent 'nan'"),
        (HEAD + "a,d,top1,76.13 %,s,\n", "write 76.13 for 76.13 %"),
        (HEAD + "a,d,top1,50,s,224x224\n", "line 2: resolution '224x224' is not a whole number"),
        (HEAD + "a,d,top1,50,s,0\n", "line 2: resolution '0'"),
        (HEAD + "a,,top1,50,s,\n", "line 2: 'dataset' is empty"),
        (HEAD + "a,d,top1,50,Doe, 2026,\n", "line 2: 7 cells under 6 columns; put cells that hold a comma"),
        (HEAD + "a,d,top1\n", "line 2: 3 cells under 6 columns"),
        (HEAD + 'a,d,top1,50,"s"x,\n', "line 2: not CSV"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadFile, match=re.escape(complaint)) as caught:
        published.read(written(tmp_path, text))
    assert "mine.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_one_line_too(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="No such file"):
        published.read(tmp_path / "absent.csv")
    with pytest.raises(BadFile, match="cannot read"):
        published.read(tmp_path)
    (tmp_path / "latin.csv").write_bytes(b"architecture\xe9\n")
    with pytest.raises(BadFile, match="not UTF-8"):
        published.read(tmp_path / "latin.csv")


def test_looking_up_imports_neither_torch_nor_pandas() -> None:
    code = (
        "import sys; from archprof.models.published import claims; claims('resnet50');"
        "sys.exit(bool({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
