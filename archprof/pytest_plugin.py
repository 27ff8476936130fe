"""The pytest face of budgets.

    def test_size(archprof_budget):
        archprof_budget(Net(), parameters="< 5 M", macs="< 600 M")

`pytest --archprof` also runs the budgets of archprof.toml as tests, `pytest --archprof archprof.toml::NAME` that one
of them. Every pytest run imports this file, so it imports nothing heavy: torch comes with the first budget that is
judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .budgets.budget import Budget
    from .budgets.lock import Baseline
    from .budgets.verdict import Checked


def pytest_addoption(parser: pytest.Parser) -> None:
    """--archprof and --archprof-config."""
    group = parser.getgroup("archprof", "budgets of neural architectures")
    group.addoption("--archprof", action="store_true", help="also run the budgets of archprof.toml as tests")
    group.addoption(
        "--archprof-config",
        metavar="FILE",
        action="append",
        help="run the budgets of this file as tests; may be given several times",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect the files that state budgets beside whatever else is collected.

    A file of which the command line names a part, 'archprof.toml::NAME', is not added whole.
    """
    config.stash[_FILES] = files = _budget_files(config)
    named = {(config.invocation_params.dir / arg.partition("::")[0]).resolve() for arg in config.args}
    config.args += [str(file) for file in files if file not in named]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A file that states budgets is a file of tests."""
    if file_path.resolve() in parent.config.stash.get(_FILES, ()):
        return BudgetFile.from_parent(parent, path=file_path)
    return None


@pytest.fixture
def archprof_budget() -> Callable[..., None]:
    """Hold a model to limits: `archprof_budget(Net(), parameters="< 5 M", input_shape=(3, 32, 32))`.

    Takes a module or a model name, then any key that a [[budget]] of archprof.toml has.
    """
    return hold


def hold(model: Any, **keys: Any) -> None:
    """Fail the running test, with a sentence for each limit that is broken."""
    __tracebackhide__ = True
    from .base.errors import ArchprofError
    from .budgets import judging as budgets
    from .budgets.budget import Budget

    if "growth" in keys or any(isinstance(value, dict) and "growth" in value for value in keys.values()):
        pytest.fail(
            "archprof_budget: growth needs a baseline; state it in archprof.toml and run pytest --archprof.",
            pytrace=False,
        )
    try:
        checked = budgets.check([Budget.of(model, **keys)])
    except ArchprofError as error:
        pytest.fail(f"archprof_budget: {error}", pytrace=False)
    _fail_if_broken(checked)


class BudgetFile(pytest.File):
    """archprof.toml, as a file of tests: one for each budget."""

    def collect(self) -> Iterator[pytest.Item]:
        """One test for each [[budget]], or for each network that its pattern matches."""
        from .base.errors import ArchprofError
        from .budgets import config, lock

        try:
            stated = config.read(self.path)
            baselines = lock.read(stated.lock_path)
        except ArchprofError as error:
            raise self.CollectError(f"archprof: {error}") from None
        for budget in stated.budgets:
            yield BudgetItem.from_parent(self, name=budget.name, budget=budget, baselines=baselines)


class BudgetItem(pytest.Item):
    """One [[budget]]."""

    def __init__(self, *, budget: Budget, baselines: Mapping[str, Baseline], **rest: Any) -> None:
        super().__init__(**rest)
        self.budget, self.baselines = budget, baselines

    def runtest(self) -> None:
        """Judge all its limits."""
        from .budgets import judging as budgets

        _fail_if_broken(budgets.check([self.budget], self.baselines))

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the budget is stated."""
        return self.path, max(self.budget.line - 1, 0), f"budget {self.name}"


_FILES = pytest.StashKey[list[Path]]()


def _budget_files(config: pytest.Config) -> list[Path]:
    named = config.getoption("--archprof-config")
    if named:
        return [(config.invocation_params.dir / file).resolve() for file in dict.fromkeys(named)]
    if not config.getoption("--archprof"):
        return []
    from .base.errors import ArchprofError
    from .budgets.config import find

    try:
        return [find(config.rootpath).resolve()]
    except ArchprofError as error:
        raise pytest.UsageError(f"archprof: {error}") from None


def _fail_if_broken(checked: Iterable[Checked]) -> None:
    __tracebackhide__ = True
    from .budgets.verdict import broken
    from .render.tables.verdicts import sentence

    said = [sentence(verdict) for one in checked for verdict in one.verdicts if broken(verdict.status)]
    if said:
        pytest.fail("\n".join(said), pytrace=False)
