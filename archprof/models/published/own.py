"""A user's own accuracies beside the networks of a comparison: matched by name or label, and what matched nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from ...base.errors import printable
from ...results.comparison import Accuracy, Comparison
from . import claims as published_claims
from . import key

_T = TypeVar("_T")

#: Names that a warning lists at most.
_LISTED = 5


def renamed(own: Iterable[Accuracy], labels: Mapping[str, str]) -> tuple[Accuracy, ...]:
    """The rows, those that are called by a label under the network's name instead. `labels` are name -> label."""
    names = {key(label): name for name, label in labels.items()}
    return tuple(replace(row, architecture=names.get(key(row.architecture), row.architecture)) for row in own)


#: Rows by the spelling of what they name.
ByName = Mapping[str, Sequence[Accuracy]]


def by_name(own: Iterable[Accuracy]) -> ByName:
    """The rows by what they name, once for many networks."""
    found: dict[str, list[Accuracy]] = {}
    for row in own:
        found.setdefault(key(row.architecture), []).append(row)
    return found


def claims(name: str, side: int | None, own: ByName) -> tuple[Accuracy, ...]:
    """The rows about the network that is shown as `name`, whose input is `side` pixels wide.

    A row without a resolution holds at the one of the network that it names, `mobilenetv1@160` too. A row about
    `mobilenetv1` is also about `mobilenetv1@160` where it gives 160 as its resolution.
    """
    at, bare = key(name), key(_bare(name))
    mine = [row for row in own.get(at, ()) if row.resolution in (None, side)]
    if bare != at and side is not None:
        mine += [row for row in own.get(bare, ()) if row.resolution == side]
    return tuple(mine)


def of_network(
    name: str,
    side: int | None,
    published_as: str,
    published_side: int | None,
    own: Sequence[Accuracy],
    dataset: str,
) -> tuple[Accuracy, ...]:
    """The claims about the network that is shown as `name`, whose input is `side` pixels wide: a user's, then others'.

    `published_as` is its name in tables ('': in none, as where options make another network of it), and
    `published_side` the resolution at which claims of any resolution are shown; at another one only those made there.
    """
    mine = tuple(row for row in claims(name, side, by_name(own)) if key(row.dataset) == key(dataset))
    if not published_as:
        return mine
    found = published_claims(published_as, dataset=dataset, extra=own)
    if side != published_side:
        found = tuple(claim for claim in found if claim.resolution == side)
    return merged(mine, found)


def _bare(name: str) -> str:
    return name if name.endswith(")") else name.rpartition("@")[0] or name


def attached(found: Comparison, own: Sequence[Accuracy], dataset: str) -> Comparison:
    """The comparison with the rows in front of its networks' accuracies, and a warning for those that fit none."""
    rows, named = [], by_name(own)
    for row in found.architectures:
        side = row.profile.input_shape[-1] if row.profile and row.profile.input_shape else None
        mine = (claim for claim in claims(row.name, side, named) if key(claim.dataset) == key(dataset))
        rows.append(replace(row, accuracy=merged(mine, row.accuracy)))
    found = replace(found, architectures=tuple(rows))
    return replace(found, warnings=(*found.warnings, *unused(found, own, dataset)))


def merged(first: Iterable[_T], then: Iterable[_T]) -> tuple[_T, ...]:
    """Both, each once."""
    return tuple(dict.fromkeys([*first, *then]))


def unused(found: Comparison, own: Iterable[Accuracy], dataset: str) -> tuple[str, ...]:
    """A sentence for the rows that no network shows, by the reason."""
    shown = {claim for row in found.architectures for claim in row.accuracy}
    names = {key(given) for row in found.architectures for given in (row.name, _bare(row.name))}
    nobody: dict[str, None] = {}  # in order, each once
    elsewhere: dict[str, None] = {}
    sizes: dict[str, None] = {}
    for row in own:
        if row in shown:
            continue
        called = f"'{printable(row.architecture, 80)}'"
        if key(row.architecture) not in names:
            nobody[called] = None
        elif key(row.dataset) != key(dataset):
            elsewhere[f"{called} on {printable(row.dataset, 40)}"] = None
        else:
            sizes[f"{called} at {row.resolution} x {row.resolution}" if row.resolution else called] = None
    known = ", ".join(dict.fromkeys(row.name for row in found.architectures))
    sentences = (
        (nobody, f"no network here has that name or label; named are {printable(known, 200)}"),
        (elsewhere, f"the dataset shown is {printable(dataset, 40)}; --dataset chooses another"),
        (sizes, "the network is shown at another resolution"),
    )
    return tuple(f"accuracy not shown of {_listed(list(rows))}: {why}" for rows, why in sentences if rows)


def _listed(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
