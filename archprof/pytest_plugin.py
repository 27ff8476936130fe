"""The pytest face of budgets.

    def test_size(archprof_budget):
        archprof_budget(Net(), parameters="< 5 M", macs="< 600 M")

`pytest --archprof` also runs the budgets of archprof.toml as tests. Every pytest run imports this file, so it
imports nothing heavy: torch comes with the first budget that is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """--archprof and --archprof-config."""
    group = parser.getgroup("archprof", "budgets of neural architectures")
    group.addoption("--archprof", action="store_true", help="also run the budgets of archprof.toml as tests")
    group.addoption("--archprof-config", metavar="FILE", help="run the budgets of this file as tests")


def pytest_configure(config: pytest.Config) -> None:
    """Collect the file that states budgets beside whatever else is collected."""
    file = _budget_file(config)
    if file is not None:
        config.stash[_FILE] = file
        if str(file) not in config.args:
            config.args.append(str(file))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The file that states budgets is a file of tests."""
    if file_path == parent.config.stash.get(_FILE, None):
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
    _fail_if_broken(checked[0])


class BudgetFile(pytest.File):
    """archprof.toml, as a file of tests: one for each budget."""

    def collect(self) -> Iterator[pytest.Item]:
        """One test for each [[budget]]."""
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

    def __init__(self, *, budget: Any, baselines: Any, **rest: Any) -> None:
        super().__init__(**rest)
        self.budget, self.baselines = budget, baselines

    def runtest(self) -> None:
        """Judge all its limits."""
        from .budgets import judging as budgets

        _fail_if_broken(budgets.check([self.budget], self.baselines)[0])

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the budget is stated."""
        return self.path, max(self.budget.line - 1, 0), f"budget {self.name}"


_FILE = pytest.StashKey[Path]()


def _budget_file(config: pytest.Config) -> Path | None:
    named = config.getoption("--archprof-config")
    if named:
        return (config.invocation_params.dir / named).resolve()
    if not config.getoption("--archprof"):
        return None
    from .base.errors import ArchprofError
    from .budgets.config import find

    try:
        return find(config.rootpath)
    except ArchprofError as error:
        raise pytest.UsageError(f"archprof: {error}") from None


def _fail_if_broken(checked: Any) -> None:
    __tracebackhide__ = True
    from .budgets.verdict import broken
    from .render.tables.verdicts import sentence

    said = [sentence(verdict) for verdict in checked.verdicts if broken(verdict.status)]
    if said:
        pytest.fail("\n".join(said), pytrace=False)
