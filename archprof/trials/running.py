"""One network under one recipe, from one seed: trained to its end, going on from what is kept in a folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..base.errors import ArchprofError, BadOutput, one_line
from ..results.conditions import Conditions
from ..results.trials import Entry, Run
from .checkpoints import Place
from .data import Images
from .grids import Planned
from .networks import Network
from .progress import CallersError, Clock
from .training import Training


@dataclass
class InProgress:
    """One entry while its runs are made; `network` is None where it cannot be."""

    plan: Planned
    network: Network | None
    entry: Entry

    @property
    def name(self) -> str:
        """The entry's."""
        return self.entry.name

    @property
    def epochs(self) -> int:
        """Of each of its runs."""
        return self.plan.recipe.epochs

    def with_run(self, run: Run) -> None:
        """The entry with this run, in place of what was known of it."""
        kept = [other for other in self.entry.runs if other.seed != run.seed]
        self.entry = replace(self.entry, runs=tuple(sorted([*kept, run], key=lambda each: each.seed)))


def run(each: InProgress, seed: int, images: Images, where: Conditions, folder: Path | None, clock: Clock) -> None:
    """Train one network from one seed. With `folder` the run is kept there, and one that has ended is not repeated.

    What the network raises becomes its entry's error. Raises what the user can mend: a full disk, a strange file.
    """
    network, recipe = each.network, each.plan.recipe
    assert network is not None
    data = images.at(network.input_shape, recipe)
    place = None
    if folder is not None:
        identity = (data.facts.fingerprint, network.input_shape, network.code, where.device, where.compile)
        place = Place(folder, network.name, recipe, seed, *identity)
        if (ended := place.finished()) is not None:
            each.with_run(ended)
            clock.passed(each, seed)
            return
    seen = Run(seed)
    try:
        training = Training(network.build(seed), recipe, data, network.input_shape, where, seed)
        kept = place.resumed() if place else None
        if kept is not None:
            training.resume(kept[0])
            seen = kept[1]
            each.with_run(seen)
            clock.resumed(each, seed, len(seen.epochs))
        for number in range(len(seen.epochs), recipe.epochs):
            if seen.diverged:
                break
            epoch, by_class = training.epoch(number, lambda part: clock.step(each, seed, number, part))  # noqa: B023
            seen = Run(seed, (*seen.epochs, epoch), by_class)
            each.with_run(seen)
            took, accuracy = epoch.train_seconds + epoch.test_seconds, epoch.test_correct / len(data.test)
            clock.epoch(each, seed, number, took, accuracy)
            if place is not None and number + 1 < recipe.epochs:
                place.save(training.state(), seen)
        if place is not None:
            place.finish(training.state()["model"], seen)
    except (ArchprofError, KeyboardInterrupt):
        raise
    except CallersError as theirs:
        raise theirs.error from None
    except BaseException as error:  # one network's failure, sys.exit included, is not the end of the others
        each.entry = replace(each.entry, error=f"{each.entry.name}, seed {seed}: {one_line(error)}")
    clock.passed(each, seed)


def made(folder: Path) -> Path:
    """The folder, with those above it. Raises BadOutput where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise BadOutput(f"the folder '{folder}' cannot be made: {reason.strerror}.", "Choose another place.") from None
    return folder
