"""Environments and times of saved runs."""

from __future__ import annotations

HERE = {"torch": "2.6.0", "device": "cpu", "threads": 2, "fingerprint": "abc", "date": "2026-01-01"}

STEADY = [0.0100, 0.0101, 0.0099, 0.0100, 0.0102, 0.0098, 0.0100, 0.0101]

SLOW = [value * 1.2 for value in STEADY]
