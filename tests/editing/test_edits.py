"""Edits as text: what they mean, and the one line for what means nothing."""

from __future__ import annotations

import pytest

from archprof.base.errors import ArchprofError
from archprof.editing.edits import LONGEST, MOST, ArgumentEdit, LayerEdit, parse, parsed

MEANT = [
    ("width=0.75", ArgumentEdit("width=0.75", (("width", 0.75),))),
    ("width = 0.75, classes=9", ArgumentEdit("width = 0.75, classes=9", (("width", 0.75), ("classes", 9)))),
    ("@160", ArgumentEdit("@160", (), 160)),
    ("layer3.*: separable", LayerEdit("layer3.*: separable", "layer3.*", "separable", "mobilenet")),
    ("*:separable=plain", LayerEdit("*:separable=plain", "*", "separable", "plain")),
    (" a.b : kernel = 3 ", LayerEdit("a.b : kernel = 3", "a.b", "kernel", (3,))),
    ("a: kernel=1x7", LayerEdit("a: kernel=1x7", "a", "kernel", (1, 7))),
    ("a: stride=2", LayerEdit("a: stride=2", "a", "stride", (2,))),
    ("a: groups=depthwise", LayerEdit("a: groups=depthwise", "a", "groups", "depthwise")),
    ("a: groups=8", LayerEdit("a: groups=8", "a", "groups", 8)),
    ("a: activation=silu", LayerEdit("a: activation=silu", "a", "activation", "silu")),
    ("a: norm=none", LayerEdit("a: norm=none", "a", "norm", "none")),
    ("a: identity", LayerEdit("a: identity", "a", "identity", None)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "meant"), MEANT, ids=[text for text, _ in MEANT])
def test_what_is_meant(text, meant):
    assert parse(text) == meant


BAD = [
    ("", "malformed edit ''"),
    ("   ", "malformed edit"),
    ("x", "expected 'LAYERS: EDIT'"),
    (":", "malformed edit"),
    ("a:", "malformed edit"),
    (": kernel=1", "malformed edit"),
    ("a\x1b[2J: kernel=1", "malformed edit 'a\\x1b[2J: kernel=1'"),
    ("a: kernel=1\n", None),
    ("a" * 600, "malformed edit"),
    ("a: kernal=1", "Did you mean 'kernel'?"),
    ("a: channels=64", "layers cannot be edited by 'channels'"),
    ("a: channels=64", "is an argument of the network: 'width=0.75'"),
    ("a: kernel", "'kernel' takes a whole number, or several such as 1x7, not nothing"),
    ("a: kernel=0", "not '0'"),
    ("a: kernel=-3", "not '-3'"),
    ("a: kernel=1x2x3x4", "not '1x2x3x4'"),
    ("a: kernel=99999999999", "not '99999999999'"),
    ("a: separable=plane", "mobilenet, xception or plain"),
    ("a: activation=rleu", "not 'rleu'"),
    ("a: norm=batch", "'norm' takes none, not 'batch'"),
    ("a: identity=1", "'identity' takes no value, not '1'"),
    ("a b: kernel=1", "'a b' is not the name of layers"),
    ("a;b: kernel=1", "'a;b' is not the name of layers"),
    ("width=", "malformed edit 'width='"),
    ("width=0.5, width=1", "given twice"),
    ("width=1e999", "is not a finite number"),
    ("width=__import__('os')", "malformed"),
    ("@0", "malformed"),
    ("@1.5", "malformed"),
    ("@160@192", "malformed"),
]


@pytest.mark.parametrize(("text", "said"), BAD, ids=[repr(text)[:40] for text, _ in BAD])
def test_what_means_nothing_is_one_printable_line(text, said):
    if said is None:  # blanks around it are nobody's mistake
        assert parse(text).word == "kernel"
        return
    with pytest.raises(ArchprofError) as raised:
        parse(text)
    message = str(raised.value)
    assert said in message and message.isprintable() and len(message) < 1000


@pytest.mark.parametrize("texts", [[], [1], [None], ["@160"] * (MOST + 1), ["a" * LONGEST]], ids=str)
def test_what_is_no_list_of_edits(texts):
    with pytest.raises(ArchprofError):
        parsed(texts)


def test_one_text_is_one_edit():
    assert parsed("@160") == (ArgumentEdit("@160", (), 160),)
