"""The grammar of model names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archprof.base.errors import BadSpec
from archprof.models import spec


@pytest.mark.parametrize(
    ("text", "source", "target", "options", "resolution"),
    [
        ("resnet50", "zoo", "resnet50", {}, None),
        ("  ResNet-50 ", "zoo", "ResNet-50", {}, None),
        ("mobilenetv1(width=0.5)", "zoo", "mobilenetv1", {"width": 0.5}, None),
        (
            "resnet18(num_classes=10, activation=gelu)",
            "zoo",
            "resnet18",
            {"num_classes": 10, "activation": "gelu"},
            None,
        ),
        ("mobilenetv1@192", "zoo", "mobilenetv1", {}, 192),
        (
            "m(a=[1, 2], b='x,y', c=(3, 4), d=True, e=none)@64",
            "zoo",
            "m",
            {"a": [1, 2], "b": "x,y", "c": (3, 4), "d": True, "e": None},
            64,
        ),
        ("torchvision:resnet50", "torchvision", "resnet50", {}, None),
        ("timm:convnext_*", "timm", "convnext_*", {}, None),
        ("package.module:Net(depth=3)", "package.module", "Net", {"depth": 3}, None),
        ("path/to/file.py:make", "file", "path/to/file.py:make", {}, None),
        ("exported.pt2", "exported", "exported.pt2", {}, None),
        ("Exported.PT2", "exported", "Exported.PT2", {}, None),
        ("folder/model.onnx", "exported", "folder/model.onnx", {}, None),
        ("mymodels:nets.bin", "mymodels", "nets.bin", {}, None),
        ("x()", "zoo", "x", {}, None),
    ],
)
def test_parts(text, source, target, options, resolution):
    parsed = spec.parse(text)
    assert (parsed.source, parsed.target, parsed.keywords, parsed.resolution) == (source, target, options, resolution)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the model name is empty"),
        ("resnet50(", "malformed model name 'resnet50('"),
        ("resnet50)", "malformed"),
        ("resnet50@big", "'@big' is not a resolution"),
        ("resnet50@0", "'@0' is not a resolution"),
        ("timm:", "a source before it and a name after it"),
        (":resnet50", "a source before it and a name after it"),
        ("resnet50(3)", "'3' is not an option"),
        ("resnet50(width=)", "is not an option"),
        ("resnet50(a=1,a=2)", "'a' is given twice"),
        ("models.py", "expected models.py:callable"),
        ("models.py:3x", "'3x' is not a name in a file"),
    ],
)
def test_what_leaves_the_grammar_is_said(text, says):
    with pytest.raises(BadSpec) as raised:
        spec.parse(text)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_refused_in_one_line(text):
    try:
        assert spec.parse(text).target
    except BadSpec as error:
        assert error.message


values = st.one_of(
    st.integers(-99, 99),
    st.floats(-9, 9).map(lambda x: round(x, 3)),
    st.booleans(),
    st.none(),
    st.sampled_from(["gelu", "a b", "x,y", "(", "="]),
)


@given(st.dictionaries(st.sampled_from(["width", "num_classes", "a1"]), values), st.none() | st.integers(1, 999))
def test_what_is_written_is_read_back(options, resolution):
    written = ", ".join(f"{key}={value!r}" for key, value in options.items())
    at = "" if resolution is None else f"@{resolution}"
    parsed = spec.parse(f"net({written}){at}")
    assert parsed.keywords == options
    assert parsed.resolution == resolution
