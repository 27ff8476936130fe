"""The grammar of inputs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archprof.base.errors import BadOption
from archprof.models import input_spec
from archprof.models.input_spec import DTYPES, InputSpec


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("x=float32[3,224,224]", InputSpec("x", "float32", (3, 224, 224))),
        ("float32[3,224,224]", InputSpec("", "float32", (3, 224, 224))),
        (" ids = int64[128] < 30522 ", InputSpec("ids", "int64", (128,), 30522)),
        ("mask=bool[128]", InputSpec("mask", "bool", (128,))),
        ("t=int64[]<1000", InputSpec("t", "int64", (), 1000)),
        ("int8[4]<128", InputSpec("", "int8", (4,), 128)),
        ("uint8[4]<256", InputSpec("", "uint8", (4,), 256)),
    ],
)
def test_parts(text, means):
    assert input_spec.parse(text) == means


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "malformed input ''"),
        ("3,224,224", "malformed input"),
        ("x=float33[3]", "unknown type 'float33'. Did you mean 'float32'"),
        ("x=float32[3,-1]", "[3,-1] is not a list of positive whole numbers"),
        ("x=float32[3,0]", "not a list of positive whole numbers"),
        ("x=float32[3]<5", "only whole numbers have a bound, not float32"),
        ("ids=int64[3]<many", "the bound 'many' is not a positive whole number"),
        ("ids=int64[3]<0", "the bound '0'"),
        ("ids=int8[3]<129", "int8 does not hold a number as large as 128"),
        ("2x=float32[3]", "'2x' is not the name of an argument"),
    ],
)
def test_what_is_wrong_is_said(text, says):
    with pytest.raises(BadOption) as raised:
        input_spec.parse(text)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@given(
    name=st.sampled_from(["", "x", "input_ids"]),
    dtype=st.sampled_from(DTYPES),
    shape=st.lists(st.integers(1, 4096), max_size=4),
    below=st.none() | st.integers(1, 100),
)
def test_what_is_written_is_read_back(name, dtype, shape, below):
    spec = InputSpec(name, dtype, tuple(shape), below if "int" in dtype else None)
    assert input_spec.parse(str(spec)) == spec


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_refused(text):
    try:
        assert isinstance(input_spec.parse(text), InputSpec)
    except BadOption as error:
        assert error.message


def test_an_argument_stands_once():
    twice = [input_spec.parse("x=float32[3]"), input_spec.parse("x=int64[3]")]
    with pytest.raises(BadOption, match="'x' is given twice"):
        input_spec.checked(twice)
    unnamed = (InputSpec("", "float32", (3,)), InputSpec("", "float32", (3,)))
    assert input_spec.checked(unnamed) == unnamed


def test_tensors_have_the_batch_in_front():
    import torch

    from archprof.counting.inputs import given_inputs

    args, kwargs = given_inputs(
        [input_spec.parse(text) for text in ("float16[3,8,8]", "ids=int64[128]<10", "mask=bool[128]")], 4
    )
    (image,) = args
    assert (image.shape, image.dtype, image.is_meta) == ((4, 3, 8, 8), torch.float16, True)
    ids, mask = kwargs["ids"], kwargs["mask"]
    assert (ids.shape, ids.dtype, ids.is_meta) == ((4, 128), torch.int64, False)
    assert set(ids.unique().tolist()) == set(range(10))
    assert mask.shape == (4, 128) and bool(mask.all())
