"""Clusters of processes that are killed: whatever a network, a worker or the scheduler does, each result comes once."""

from collections import Counter

import pytest
from helpers import clusters, sweep_work

from archprof.base.errors import Unreachable
from archprof.runs.engines import machines
from archprof.runs.engines.cluster import Cluster
from archprof.runs.engines.keeper import Job

distributed = pytest.importorskip("distributed")

WORK = Job(sweep_work.work, 30.0)


@pytest.fixture(autouse=True)
def own_machine(tmp_path, monkeypatch):
    """A machine that nobody else measures on meanwhile."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_a_network_that_kills_worker_after_worker_is_an_entry(monkeypatch):
    monkeypatch.setattr(machines, "DEATHS", 1)  # of measuring: each death takes seconds
    with Cluster("local:1") as there:
        tasks = ["one", "end it", "two"]
        counted = {outcome.task: outcome for outcome in there.run(WORK, tasks)}
        every = machines.Machines(there, Job(sweep_work.board, 30.0), {})
        job = Job(sweep_work.work, 30.0, alone=True)
        measured = {outcome.task: outcome for _, outcome in every.run(job, {every.kinds[0]: tasks})}
    for found, deaths in ((counted, 3), (measured, 1)):
        assert set(found) == set(tasks)
        assert found["end it"].error == f"it took down {deaths} workers of the cluster"
        assert found["one"].error is None and found["two"].error is None


def test_a_scheduler_that_comes_back_is_gone_on_with_and_one_that_does_not_is_one_line(tmp_path):
    tasks = [*(f"task {n}" for n in range(30)), "span 1.0"]
    said, outcomes, kept = [], [], []
    outside = clusters.Outside(tmp_path)
    try:
        with Cluster(outside.address, tell=said.append) as there:
            for outcome in there.run(WORK, tasks):
                outcomes.append(outcome)
                if len(outcomes) == 10:
                    outside.stop()
                    outside.start()
            assert Counter(outcome.task for outcome in outcomes) == Counter(tasks)
            assert all(outcome.error is None for outcome in outcomes)
            assert f"waiting for the scheduler at {outside.address}, which is gone" in said
            there.patience = 1.0
            with pytest.raises(Unreachable, match="is gone, and did not come back within 1 s"):
                for outcome in there.run(WORK, tasks):
                    kept.append(outcome)
                    outside.stop()
            assert kept and len(kept) < len(tasks)
    finally:
        outside.stop()
    ran = {outcome.value for outcome in outcomes if outcome.task != "span 1.0"}
    assert sweep_work.ended(ran), "what ran the networks outlives the workers"
