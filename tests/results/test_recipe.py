"""Recipes: rates that can be worked out by hand, TOML there and back, and what is refused."""

from __future__ import annotations

import pytest

from archprof.base.errors import BadFile, BadOption
from archprof.results.recipe import Recipe, checked, from_toml, to_toml, words
from archprof.trials import shipped


@pytest.mark.parametrize(
    ("recipe", "epoch", "rate"),
    [
        (Recipe(lr=0.1), 9.9, 0.1),
        (Recipe(lr=0.1, schedule="step", step_epochs=3), 2.9, 0.1),
        (Recipe(lr=0.1, schedule="step", step_epochs=3), 3.0, 0.01),
        (Recipe(lr=0.1, schedule="step", step_epochs=3, step_factor=0.5), 6.5, 0.025),
        (Recipe(lr=0.1, warmup_epochs=4), 1.0, 0.025),
        (Recipe(lr=0.1, warmup_epochs=4), 4.0, 0.1),
        (Recipe(lr=0.1, schedule="cosine"), 0.0, 0.1),
        (Recipe(lr=0.1, schedule="cosine"), 5.0, 0.05),  # the middle of ten epochs
        (Recipe(lr=0.1, schedule="cosine"), 10.0, 0.0),
        (Recipe(lr=0.1, schedule="cosine", warmup_epochs=2), 6.0, 0.05),  # the middle of the eight after warm-up
    ],
)
def test_rates(recipe, epoch, rate):
    assert recipe.rate(epoch) == pytest.approx(rate, abs=1e-12)


def test_only_a_cosine_depends_on_the_end():
    assert Recipe(schedule="step").grows and Recipe(warmup_epochs=1).grows and not Recipe(schedule="cosine").grows


@pytest.mark.parametrize("recipe", [Recipe(), Recipe("rmsprop", 0.01, 0.9, flip=True, mean=(0.5,), deviation=(0.25,))])
def test_toml_there_and_back(recipe):
    assert from_toml(to_toml(recipe), "it") == recipe


@pytest.mark.parametrize("name", shipped.names())
def test_those_that_ship_are_read_and_say_where_they_are_from(name):
    recipe = shipped.find(name)
    assert recipe.epochs == 50 and shipped.text(name).startswith("# ")


def test_the_recipes_of_the_sources():
    ten = shipped.find("resnet10_cifar")
    assert (ten.optimizer, ten.epochs, ten.crop_padding, ten.flip) == ("adam", 50, 4, True)
    mobile = shipped.find("mobilenetv2_28")
    assert (mobile.optimizer, mobile.schedule, mobile.warmup_epochs > 0) == ("rmsprop", "cosine", True)
    assert shipped.usual("mobilenetv1(activation=gelu)@64") == "mobilenetv1" and shipped.usual("alexnet") is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lr": 0.0}, "learning rate is 0; expected a number above 0"),
        ({"lr": -1.0}, "learning rate is -1;"),
        ({"lr": float("nan")}, "learning rate is nan;"),
        ({"optimizer": "adma"}, "unknown optimizer 'adma'. Did you mean 'adamax', 'adam'"),
        ({"schedule": "cosin"}, "Did you mean 'cosine'"),
        ({"momentum": 0.9}, "momentum has no effect on adam"),
        ({"momentum": 1.0, "optimizer": "sgd"}, "momentum is 1;"),
        ({"step_epochs": 5}, "step_epochs has no effect on schedule constant"),
        ({"warmup_epochs": 10}, "warmup_epochs is 10 of 10 epochs"),
        ({"batch_size": 0}, "batch_size is 0;"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1;"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1;"),
        ({"crop_ratio": 0.0}, "crop_ratio is 0;"),
        ({"dtype": "float16"}, "unknown dtype of training 'float16'"),
        ({"mean": (0.5,)}, "mean and deviation go together"),
        ({"mean": (0.5,), "deviation": (0.0,)}, "a deviation is not above 0"),
        ({"mean": (0.5,), "deviation": (0.5,), "normalise": False}, "have no effect where images are not normalised"),
    ],
)
def test_refused(given, said):
    with pytest.raises(BadOption) as seen:
        Recipe(**given)
    assert said in str(seen.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr = ", "is not TOML"),
        ("learning_rate = 1.0", "a recipe has no key 'learning_rate'"),
        ("optimiser = 'adam'", "Did you mean 'optimizer'"),
        ("lr = 'fast'", "lr is 'fast'; expected a number"),
        ("epochs = 1.5", "epochs is 1.5; expected a whole number"),
        ("flip = 1", "flip is 1; expected true or false"),
        ("lr = 0", "learning rate is 0"),
        ("mean = ['a']", "mean is ['a']; expected numbers"),
    ],
)
def test_files_that_are_refused(text, said):
    with pytest.raises(BadFile) as seen:
        from_toml(text, "'r.toml'")
    assert said in str(seen.value) and "'r.toml'" in str(seen.value)


def test_a_recipe_is_named_or_a_file(tmp_path):
    with pytest.raises(BadOption, match=r"unknown recipe 'resnet_tyni'. Did you mean 'resnet_tiny'"):
        shipped.find("resnet_tyni")
    with pytest.raises(BadFile, match="cannot be read"):
        shipped.find(str(tmp_path / "none.toml"))
    (tmp_path / "r.toml").write_text("lr = 1\n")
    assert shipped.find(str(tmp_path / "r.toml")).lr == 1.0 and checked({}, "it") == Recipe()


def test_words_say_what_a_reader_needs():
    assert words(Recipe("sgd", 0.1, 0.9, schedule="cosine", warmup_epochs=1, flip=True, epochs=5)) == (
        "sgd, momentum 0.9, learning rate 0.1, cosine schedule, batch 64, warm-up over 1 epoch, flips, 5 epochs"
    )
