"""What can be chosen from: the index's networks with their accuracies and facts. Imports no torch."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..base.errors import BadSpec, UnknownModel, did_you_mean
from ..models import published, spec
from ..models.published import own as own_claims
from ..models.published import timm
from ..models.zoo.registry import plain
from ..results.choice import Option
from ..results.comparison import Accuracy
from .index import SOURCES, Index, Known, Progress, complete, offered

#: How an evaluation of one image begins its protocol; others (ten crops, several scales) cost several passes.
_ONE_PASS = ("single crop", "crop not stated", "test set")


def sources_of(patterns: Sequence[str]) -> list[str]:
    """The sources that the patterns name; all of them without any. Raises BadSpec for a pattern of another source."""
    if not patterns:
        return list(SOURCES)
    named = {pattern: spec.parse(pattern) for pattern in patterns}
    for pattern, parsed in named.items():
        if parsed.source not in SOURCES:
            raise BadSpec(
                f"'{pattern}': only networks of {', '.join(SOURCES)} are listed;",
                f"your own: archprof compare {pattern}.",
            )
        if parsed.options or parsed.resolution is not None:
            raise BadSpec(
                f"'{pattern}' has options or a resolution;", "expected a name or a pattern such as 'resnet*'."
            )
    return [source for source in SOURCES if any(parsed.source == source for parsed in named.values())]


def chosen(known: Sequence[Known], patterns: Sequence[str]) -> list[Known]:
    """Those that any pattern means: a name, a family, or wildcards over names. Raises UnknownModel for nothing."""
    if not patterns:
        return list(known)
    picked: set[str] = set()
    for pattern in patterns:
        parsed = spec.parse(pattern)
        here = [one for one in known if one.source == parsed.source]
        found = {one.spec for one in here if _matches(one, parsed.target)}
        if not found:
            names = [name for one in here for name in (one.base, one.family) if name]
            prefix = "" if parsed.source == "zoo" else f"{parsed.source}:"
            near = did_you_mean(parsed.target, dict.fromkeys(names))
            raise UnknownModel(
                f"no network of {parsed.source} matches '{parsed.target}'.{near}",
                f"archprof list '{prefix}*' shows them all.",
            )
        picked |= found
    return [one for one in known if one.spec in picked]


def _matches(one: Known, target: str) -> bool:
    if any(letter in target for letter in "*?["):
        return fnmatch.fnmatchcase(one.base, target.lower())
    if one.source == "zoo":
        return plain(target) in (plain(one.base), plain(one.family))
    return target in (one.base, one.family) or one.spec == f"{one.source}:{target}"


def options(
    patterns: Sequence[str],
    index: Index,
    *,
    dataset: str = "imagenet-1k",
    own: Sequence[Accuracy] = (),
    variants: bool = True,
    progress: Progress = lambda done, total, last: None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> list[Option]:
    """The networks that the patterns mean, counted, each with the claims that hold at its resolution.

    Without `variants` each stands once, at its own resolution, beside its best claim at any. `tell` is called with
    sentences about what is missing, thrown away or waited for, `progress` while networks are counted.
    """
    known = offered(index, sources_of(patterns), tell)
    picked = chosen(known, patterns)
    if not variants:
        picked = [one for one in picked if one.plain]
    for sentence in index.said:
        tell(sentence)
    index.said.clear()
    waiting = functools.partial(tell, "another archprof is counting these networks: waiting for it")
    counted = complete(index, picked, progress=progress, waiting=waiting)
    failed = [one for one in counted if one.error]
    if failed:
        names = ", ".join(one.spec for one in failed[:3]) + (", ..." if len(failed) > 3 else "")
        tell(f"{len(failed)} of {len(counted)} networks could not be counted ({names}): archprof show NAME says why")
    mine = own_claims.by_name(own)
    made = [_option(one, dataset, mine, variants) for one in counted if one.figures is not None]
    return made if patterns else _without_twins(made)


def _option(one: Known, dataset: str, own: own_claims.ByName, variants: bool) -> Option:
    side = one.input_shape[-1] if one.input_shape else None
    claims = _claims(one, dataset, side, variants)
    mine = [row for row in own_claims.claims(one.spec, side, own) if plain(row.dataset) == plain(dataset)]
    top1 = [row for row in claims if row.metric == "top1"]
    best = next((row for row in mine if row.metric == "top1"), None) or max(
        top1, key=lambda row: row.percent, default=None
    )
    top5 = None
    if best is not None:
        alike = (row for row in (*mine, *claims) if row.metric == "top5" and _same(row, best))
        top5 = next((row.percent for row in alike), None)
    figures = one.figures or {}
    facts = {
        **figures,
        "name": one.spec,
        "source": one.source,
        "family": one.family,
        "year": one.year,
        "flops": 2 * figures["macs"],
        "file_size": figures["saved_bytes"],
        "resolution": side,
        "top1": best.percent if best else None,
        "top5": top5,
        "weights": best.weights if best else "",
        "pretraining": best.pretraining if best else "",
    }
    others = tuple(sorted((row for row in top1 if row is not best), key=lambda row: -row.percent))
    return Option(one.spec, one.source, one.family, one.input_shape, facts, best, others, one.uncounted)


def _claims(one: Known, dataset: str, side: int | None, variants: bool) -> list[Accuracy]:
    """What is published of this network at its resolution, or without `variants` at any, from one pass an image."""
    if not one.claims:
        return []
    at = side if variants else None
    if one.source == "timm":
        tag = "" if one.claims == "*" else f".{one.claims}"
        return timm.claims(f"{timm.PREFIX}{one.base}{tag}", dataset=dataset, resolution=at)
    name = one.spec.partition("@")[0]
    found = [
        row
        for row in published.claims(name, dataset=dataset)
        if at is None or row.resolution == at or _unsized(one, row)
    ]
    return [row for row in found if row.protocol.startswith(_ONE_PASS)] or found


def _unsized(one: Known, row: Accuracy) -> bool:
    """Whether the claim states no resolution, and the network is at its own."""
    return row.resolution is None and "@" not in one.spec


def _same(one: Accuracy, other: Accuracy) -> bool:
    return (one.source, one.weights, one.resolution, one.protocol) == (
        other.source,
        other.weights,
        other.resolution,
        other.protocol,
    )


def _without_twins(made: Sequence[Option]) -> list[Option]:
    """torchvision's networks that the zoo has too, and that cost the same, stand once."""
    ours = {
        (published.key(one.name), one.facts["parameters"], one.facts["macs"]) for one in made if one.source == "zoo"
    }
    return [
        one
        for one in made
        if one.source != "torchvision"
        or (published.key(one.name), one.facts["parameters"], one.facts["macs"]) not in ours
    ]


def with_facts(option: Option, **facts: object) -> Option:
    """The same option, some facts replaced."""
    return replace(option, facts={**option.facts, **facts})
