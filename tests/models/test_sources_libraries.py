"""torchvision and timm as sources: the same counts as the zoo's, no downloads, errors told apart."""

import sys

import pytest

import archprof
from archprof import models
from archprof.base.errors import BadOption, MissingPackage, UnknownModel
from archprof.models.zoo.registry import plain

#: The zoo's name -> torchvision's spelling, where building the same network takes saying so.
TORCHVISION = {
    "mobilenetv2": "mobilenet_v2",
    "googlenet": "googlenet(aux_logits=false)",  # without weights torchvision adds the heads used in training
    "inception_v3": "inception_v3(aux_logits=false)",
} | {
    name: name
    for name in (
        "alexnet",
        "densenet121",
        "densenet161",
        "densenet169",
        "densenet201",
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "resnext50_32x4d",
        "resnext101_32x8d",
        "squeezenet1_0",
        "squeezenet1_1",
        "vgg11",
        "vgg11_bn",
        "vgg13",
        "vgg13_bn",
        "vgg16",
        "vgg16_bn",
        "vgg19",
        "vgg19_bn",
    )
}

TIMM = {"se_resnet50": "seresnet50"} | {
    name: name
    for name in (
        "densenet121",
        "densenet201",
        "inception_resnet_v2",
        "inception_v3",
        "inception_v4",
        "resnet18",
        "resnet50",
        "resnet152",
        "resnext50_32x4d",
        "resnext101_32x8d",
        "vgg11",
        "vgg16_bn",
        "vgg19",
    )
}


@pytest.fixture(scope="module")
def timm(torchvision):
    """timm imports torchvision."""
    return pytest.importorskip("timm")


@pytest.fixture
def no_downloads(monkeypatch):
    """Any connection fails the test."""
    import socket

    def connect(*args, **kwargs):
        raise AssertionError("something reached for the network")

    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(socket.socket, "connect", connect)


def counts(model, **options):
    profile = archprof.profile(model, **options)
    assert not profile.uncounted
    return profile.parameters, profile.macs, profile.activations, profile.input_shape


@pytest.mark.parametrize("name", TORCHVISION)
def test_the_zoo_counts_like_torchvision(torchvision, no_downloads, name):
    assert counts(f"torchvision:{TORCHVISION[name]}") == counts(name)


@pytest.mark.parametrize("name", TIMM)
def test_the_zoo_counts_like_timm(timm, no_downloads, name):
    assert counts(f"timm:{TIMM[name]}") == counts(name)


def test_no_shared_network_is_left_out(torchvision):
    theirs = {plain(name) for name in models.libraries.Torchvision().names()}
    assert {name for name in archprof.models.zoo.architectures() if plain(name) in theirs} == set(TORCHVISION)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        ("efficientnet_b3", (3, 300, 300)),
        ("inception_v3", (3, 299, 299)),
        ("swin_v2_t", (3, 256, 256)),
        ("vit_h_14", (3, 224, 224)),  # its best weights want 518, and the network as it is built without them 224
        ("vit_b_16@384", (3, 384, 384)),
        ("resnet18@160", (3, 160, 160)),
        ("fcn_resnet50", (3, 520, 520)),
        ("r3d_18", (3, 16, 112, 112)),
        ("mvit_v2_s", (3, 16, 224, 224)),
    ],
)
def test_torchvisions_own_sizes(torchvision, no_downloads, model, shape):
    profile = archprof.profile(f"torchvision:{model}")
    assert profile.input_shape == shape and profile.macs > 0


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        ("efficientnet_b3", (3, 288, 288)),
        ("vit_tiny_patch16_384", (3, 384, 384)),
        ("vit_tiny_patch16_224@160", (3, 160, 160)),
        ("resnet50.tv_in1k@160", (3, 160, 160)),
        ("resnet18(in_chans=1)", (1, 224, 224)),
    ],
)
def test_timms_own_sizes(timm, no_downloads, model, shape):
    profile = archprof.profile(f"timm:{model}")
    assert profile.input_shape == shape and profile.macs > 0


def test_families_group_networks(timm):
    assert models.find("timm:convnext_tiny").family == "convnext"
    assert models.find("torchvision:resnet50").family == "resnet"


def test_torchvisions_weights_are_published(torchvision):
    (row,) = archprof.compare(["torchvision:resnet50"], latency=False).architectures
    assert row.source == "torchvision" and row.top().percent == 76.13


@pytest.mark.parametrize(
    ("model", "error", "says"),
    [
        ("timm:resnet5O", UnknownModel, "timm has no model 'resnet5O'. Did you mean 'resnet50'"),
        ("timm:resnet50.no_such_weights", UnknownModel, "timm knows no weights 'no_such_weights' of 'resnet50'."),
        ("timm:hf-hub:someone/something", UnknownModel, "timm has no model"),
        ("timm:resnet50(pretrained=true)", BadOption, "'pretrained' concerns weights"),
        ("timm:resnet50(checkpoint_path=x)", BadOption, "'checkpoint_path' concerns weights"),
    ],
)
def test_what_timm_does_not_offer(timm, no_downloads, model, error, says):
    with pytest.raises(error) as raised:
        archprof.profile(model)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("model", "error", "says"),
    [
        ("torchvision:resnt50", UnknownModel, "torchvision has no model 'resnt50'. Did you mean 'resnet50'"),
        ("torchvision:resnet50(weights=DEFAULT)", BadOption, "'weights' concerns weights"),
    ],
)
def test_what_torchvision_does_not_offer(torchvision, no_downloads, model, error, says):
    with pytest.raises(error) as raised:
        archprof.profile(model)
    assert says in str(raised.value)


def test_wildcards_over_libraries(timm):
    names = models.expand(["timm:convnext_*"])
    assert len(names) > 10 and all(name.startswith("timm:convnext_") for name in names)
    assert "timm:convnext_tiny" in names


def forget(monkeypatch, package):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_not_installed_is_told_from_broken(monkeypatch, tmp_path, package):
    forget(monkeypatch, package)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackage) as missing:
        models.find(f"{package}:resnet50")
    assert str(missing.value) == f"{package} is not installed. Install it: pip install {package}"

    monkeypatch.delitem(sys.modules, package)
    (tmp_path / f"{package}.py").write_text("raise RuntimeError('operator nms does not exist')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingPackage) as broken:
        models.find(f"{package}:resnet50")
    assert str(broken.value).startswith(
        f"{package} is installed, but importing it fails: RuntimeError: operator nms does not exist."
    )
    forget(monkeypatch, package)

    (tmp_path / f"{package}.py").write_text("import something_it_needs\n")
    with pytest.raises(MissingPackage, match="importing it fails: ModuleNotFoundError: No module named 'something_it"):
        models.find(f"{package}:resnet50")
    forget(monkeypatch, package)
