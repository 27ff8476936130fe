"""The C library's memory: kept from one pass to the next, as torch keeps a GPU's, and cut up anew for each round.

Left alone, glibc gives a large block back to the kernel as soon as it is free, and the end of its heap whenever enough
of it is (mallopt(3): M_MMAP_THRESHOLD, M_TRIM_THRESHOLD). The next pass asks for the same memory and pays for every
page anew. How many pages depends on what else happens to lie in the heap, so that one network in one process may take
half as long again from one moment to the next; of large batches it can be most of the time.

Once memory is kept, each tensor of a pass lies where it lay in the pass before. Where that is decides, among other
things, which others it displaces from the caches: by that alone the ratio of two networks changed by up to 12 %,
for as long as a run lasts. A run therefore draws many layouts (Mytkowicz et al. 2009; Curtsinger and Berger 2013).
"""

from __future__ import annotations

import ctypes
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache

import torch

# What mallopt's settings are called in malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4

#: Nothing is given back: the heap's end stays (-1: no threshold), and no block has a mapping of its own.
KEPT = {_TRIM_THRESHOLD: -1, _MMAP_MAX: 0}

#: As glibc is after it freed one block of 32 MiB, which is as far as it adjusts itself. What it was before cannot be
#: asked, and after the first mallopt it adjusts no more.
USUAL = {_TRIM_THRESHOLD: 64 << 20, _MMAP_THRESHOLD: 32 << 20, _MMAP_MAX: 65536}

#: So many blocks of random sizes up to so many bytes are taken, and every other one is left free: pieces as large as a
#: small network's feature maps, so that all that is larger is shifted by some of them and smaller tensors fit between.
PIECES = 12
LARGEST_PIECE = 4 << 20


class _Symbol(ctypes.Structure):
    """Dl_info of dladdr(3)."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


@cache
def name() -> str | None:
    """Whose malloc this process calls: 'glibc 2.36', or the file of a preloaded one; None where that cannot be told."""
    try:
        program, found = ctypes.CDLL(None), _Symbol()
        if not program.dladdr(ctypes.cast(program.malloc, ctypes.c_void_p), ctypes.byref(found)):
            return None
    except (OSError, AttributeError, TypeError):
        return None
    file = os.path.basename(os.fsdecode(found.file or b""))
    if file.startswith("libc.so.") and "CS_GNU_LIBC_VERSION" in os.confstr_names:
        return os.confstr("CS_GNU_LIBC_VERSION")
    return file or None


def can_keep() -> bool:
    """Whether `kept` does something here: the allocator is glibc's."""
    return (name() or "").startswith("glibc")


@contextmanager
def kept() -> Iterator[None]:
    """Memory that is freed inside stays with this process for the next that asks; after that it goes back.

    Blocks that are larger than 64 MiB and allocated in other threads than the first are still mapped one by one.
    Does nothing where the allocator is not glibc's.
    """
    if not can_keep():
        yield
        return
    library = ctypes.CDLL(None)
    _set(library, KEPT)
    try:
        yield
    finally:
        _set(library, USUAL)
        library.malloc_trim(0)


def _set(library: ctypes.CDLL, options: dict[int, int]) -> None:
    for option, value in options.items():
        library.mallopt(option, value)


def rearranger(draw: random.Random) -> Callable[[], None]:
    """What cuts the free memory up differently each time that it is called, as long as it is kept.

    The pieces are never written to, so they cost addresses: up to 24 MiB.
    """
    held: list[torch.Tensor] = []

    def rearrange() -> None:
        held.clear()
        with suppress(RuntimeError):  # memory is full: it stays as it is
            held.extend(torch.empty(draw.randrange(LARGEST_PIECE), dtype=torch.uint8) for _ in range(PIECES))
        del held[::2]

    return rearrange
