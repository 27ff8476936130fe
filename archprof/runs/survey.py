"""What each source offers, for the index: each network at its own resolution, and at those that weights were tested at.

An accuracy that was measured at 288 pixels belongs beside the cost at 288 pixels, so that such a network stands in the
index as well. Imports the source's library.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .. import models
from ..models import published, zoo
from ..models.libraries import imported
from ..models.published import timm as timm_results

#: The dataset whose image sizes count.
_DATASET = "imagenet-1k"

#: "mobilenetv1_050" in a table of accuracies is mobilenetv1(width=0.5).
_THINNER = re.compile(r"(?P<name>.+)_(?P<percent>\d{3})")


@dataclass(frozen=True)
class Listed:
    """A network that a source offers: its spec, the name without resolution, options and tag, and whose accuracies
    are its own: '*' those of all weights at its resolution, a tag's, or '' nobody's."""

    spec: str
    base: str
    claims: str = "*"


def networks(source: str) -> list[Listed]:
    """Everything that the source offers, in its own order. Raises MissingPackage where it cannot be imported."""
    if source == "zoo":
        found = list(_zoo())
    elif source == "torchvision":
        found = list(_torchvision())
    else:
        found = list(_timm())
    return list({one.spec: one for one in found}.values())


def _zoo() -> Iterator[Listed]:
    thinner: dict[str, list[int]] = {}
    for claim in published.published():
        if match := _THINNER.fullmatch(claim.architecture):
            thinner.setdefault(match["name"], []).append(int(match["percent"]))
    named = {published.key(name) for name in zoo.architectures()}
    for name, architecture in zoo.architectures().items():
        yield Listed(name, name)
        variants = [name]
        if "width" in inspect.signature(architecture.build).parameters:
            variants += [f"{name}(width={percent / 100:g})" for percent in sorted({*thinner.get(name, ())} - {100})]
        for spec in variants:
            if spec != name and published.key(spec) in named:  # it has a name of its own
                continue
            if spec != name:
                yield Listed(spec, name)
            for side in _sides(spec):
                if side != architecture.input_shape[-1]:
                    yield Listed(f"{spec}@{side}", name)


def _torchvision() -> Iterator[Listed]:
    for name in imported("torchvision").models.list_models():
        spec = f"torchvision:{name}"
        yield Listed(spec, name)
        sides = _sides(spec)
        if len(sides) > 1 or (sides and models.find(spec).input_shape[-1] not in sides):
            own = models.find(spec).input_shape[-1]
            for side in sides:
                if side != own:
                    yield Listed(f"{spec}@{side}", name)


def _timm() -> Iterator[Listed]:
    timm = imported("timm")
    tested = timm_results.rows_by_architecture()
    for name in timm.list_models():
        facts = timm.get_pretrained_cfg(name)
        own, classes = (facts.input_size[-1], facts.num_classes) if facts is not None else (224, 1000)
        usual = classes == 1000
        yield Listed(f"timm:{name}", name, "*" if usual else "")
        for row in tested.get(name, ()):
            tag, side = row["weights"].partition(".")[2], int(row["resolution"])
            if usual:
                if side != own:
                    yield Listed(f"timm:{name}@{side}", name)
                continue
            # by default the network has other classes than the weights that were tested, and so other parameters
            at = timm.get_pretrained_cfg(row["weights"])
            if at is not None:
                size = "" if at.input_size[-1] == side else f"@{side}"
                yield Listed(f"timm:{row['weights']}{size}", name, tag)


def _sides(spec: str) -> list[int]:
    """The image sizes that somebody published a top-1 at, ascending."""
    found = published.claims(spec, dataset=_DATASET, metric="top1")
    return sorted({claim.resolution for claim in found if claim.resolution})
