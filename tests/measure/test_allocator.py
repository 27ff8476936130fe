"""Memory that passes free is kept for the next ones, and goes back afterwards."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch

from archprof.measure import allocator, device, disturbance
from archprof.results import environment
from archprof.results.conditions import Conditions

glibc = pytest.mark.skipif(not allocator.can_keep(), reason="the allocator is not glibc's")

#: How many pages the kernel hands out for one tensor of 64 MiB after another, and whether the heap shrinks again.
PASSES = """
import json, resource, sys
import torch
from archprof.measure import device
from archprof.results.conditions import Conditions

def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def one_pass():
    before = pages()
    torch.empty(16 << 20).fill_(1.0)
    return pages() - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

seen = {"before": [one_pass() for _ in range(3)]}
with device.applied(Conditions(keep_memory=sys.argv[1] == "keep")):
    seen["inside"] = [one_pass() for _ in range(12)]


    def place():
        return torch.empty(1 << 20).data_ptr()

    seen["settled"] = [place() for _ in range(60)][-20:]
    rearrange = device.rearranger(Conditions())
    seen["rearranged"] = [(rearrange(), place())[1] for _ in range(20)]
    rearrange = None
    held = resident()
seen["given_back"] = held - resident()
seen["after"] = [one_pass() for _ in range(3)]
print(json.dumps(seen))
"""


def passes(keep: str) -> dict[str, list[int]]:
    """In a process of its own: after it the C library is not quite as before."""
    done = subprocess.run([sys.executable, "-c", PASSES, keep], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@glibc
def test_kept_memory_costs_no_fresh_pages_from_pass_to_pass():
    seen = passes("keep")
    few = min(seen["before"]) / 10  # huge pages make them few, wherever they are on
    assert max(seen["inside"][-4:]) < few, "a pass needed fresh pages"
    assert seen["after"][0] > few
    assert seen["given_back"] >= 64 << 20


@glibc
def test_tensors_lie_elsewhere_after_each_rearrangement():
    seen = passes("keep")
    assert len(set(seen["settled"])) <= 2 < 8 <= len(set(seen["rearranged"]))


def test_a_gpu_has_no_memory_to_rearrange():
    assert device.rearranger(Conditions(device="cuda")) is device.nothing


def test_rearranging_leaves_the_random_numbers_alone():
    state, own = torch.get_rng_state(), random.getstate()
    device.rearranger(Conditions())()
    assert torch.equal(torch.get_rng_state(), state) and random.getstate() == own


@glibc
def test_released_memory_is_paid_for_in_each_pass():
    seen = passes("release")
    assert min(seen["inside"]) > min(seen["before"]) / 10


@pytest.mark.parametrize(
    ("conditions", "kept"),
    [(Conditions(), True), (Conditions(keep_memory=False), False), (Conditions(device="cuda"), False)],
)
def test_memory_is_kept_on_the_cpu_where_it_is_asked_for_and_to_be_had(monkeypatch, conditions, kept):
    entered = []

    @contextmanager
    def recorded():
        entered.append("in")
        try:
            yield
        finally:
            entered.append("out")

    monkeypatch.setattr(allocator, "kept", recorded)
    monkeypatch.setattr(allocator, "can_keep", lambda: True)
    with pytest.raises(ZeroDivisionError), device.applied(conditions):
        raise ZeroDivisionError
    assert entered == (["in", "out"] if kept else [])
    monkeypatch.setattr(allocator, "can_keep", lambda: False)
    assert not device.keeps_memory(conditions)


def test_the_environment_names_the_allocator_and_says_whether_it_keeps():
    found, other = device.environment(Conditions()), device.environment(Conditions(keep_memory=False))
    assert found["allocator"] == allocator.name() and found["keep_memory"] == allocator.can_keep()
    assert not other["keep_memory"]
    assert (found["fingerprint"] != other["fingerprint"]) == allocator.can_keep()


def test_another_librarys_malloc_is_left_alone(monkeypatch):
    monkeypatch.setattr(allocator, "name", lambda: "libjemalloc.so.2")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: pytest.fail("was called"))
    with allocator.kept():
        pass


@pytest.mark.parametrize(
    ("known", "words", "could"),
    [
        ({}, None, False),  # an older file
        ({"keep_memory": None}, None, False),  # a GPU
        ({"keep_memory": True, "allocator": "glibc 2.36"}, "kept for the next", False),
        ({"keep_memory": False, "allocator": "glibc 2.36"}, "left to glibc 2.36", True),
        ({"keep_memory": False, "allocator": "libjemalloc.so.2"}, "left to libjemalloc.so.2", False),
        ({"keep_memory": False, "allocator": None}, "left to the C library", False),
    ],
)
def test_what_became_of_memory_is_told_in_words(known, words, could):
    assert environment.memory_words(known) == words and environment.released(known) == could


def test_where_memory_is_full_it_stays_as_it_is(monkeypatch):
    def full(*shape, **options):
        raise RuntimeError("not enough memory: you tried to allocate 4194304 bytes.")

    monkeypatch.setattr(torch, "empty", full)
    device.rearranger(Conditions())()


def test_fresh_pages_disturb_a_block_only_while_memory_is_kept():
    base = {"wall": 0.0, "own": 0.0, "switches": 0.0, "waiting": 0.0, "faults": 100.0}
    after = base | {"wall": 0.5, "own": 0.5, "faults": 100.0 + 0.5 * 2 * disturbance.MOST_FAULTS}
    cause, evidence = disturbance.Witness(1, 1, memory_kept=True).disturbance(base, after)
    assert cause == "fresh memory (10,000 pages a second)" and evidence["faults"] == 10_000
    assert disturbance.Witness(1, 1).disturbance(base, after)[0] is None
    few = base | {"wall": 0.5, "own": 0.5, "faults": 200.0}
    assert disturbance.Witness(1, 1, memory_kept=True).disturbance(base, few)[0] is None


def test_the_counter_of_pages_is_read():
    assert disturbance.read_cpu()["faults"] > 0
