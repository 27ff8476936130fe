"""The zoo: one family, one file, each reading like its paper's table."""

from .registry import Architecture, architecture, architectures, find, plain

__all__ = ["Architecture", "architecture", "architectures", "find", "plain"]
