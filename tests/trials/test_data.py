"""Where images come from: each source against what was put in, and everything that is refused."""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from archprof.base.errors import BadFile, BadOption, MissingPackage
from archprof.trials.data import fitted, held_out
from archprof.trials.finding import find
from archprof.trials.sources import folder

Image = pytest.importorskip("PIL.Image")

DRAW = np.random.default_rng(0)


def picture(path: Path, colour, size=(6, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def pets(tmp_path):
    """Two classes with a test part: cats are red, dogs are blue."""
    for part, count in (("train", 3), ("test", 2)):
        for name, colour in (("cat", (200, 0, 0)), ("dog", (0, 0, 100))):
            for number in range(count):
                picture(tmp_path / "pets" / part / name / f"{number}.png", colour)
    return tmp_path / "pets"


def arrays(path: Path, **changed) -> Path:
    made = {
        "x_train": DRAW.integers(0, 256, (20, 5, 5, 3), dtype=np.uint8),
        "y_train": np.arange(20) % 2,
        "x_test": DRAW.integers(0, 256, (6, 5, 5, 3), dtype=np.uint8),
        "y_test": np.arange(6) % 2,
    }
    made.update(changed)
    np.savez(path, **{name: value for name, value in made.items() if value is not None})
    return path


def refused(data, *said, kind=BadFile, shape=(3, 4, 4), hold_out=0.2):
    with pytest.raises(kind) as seen:
        find(str(data), hold_out).load(shape)
    for text in said:
        assert text in str(seen.value)


# --- digits ---------------------------------------------------------------------------------------------------------


def test_digits_are_split_class_by_class_and_grown():
    pytest.importorskip("sklearn")
    found = find("digits").load((3, 16, 16))
    assert len(found.train) + len(found.test) == 1797 and found.facts.classes == tuple("0123456789")
    assert found.train.images.shape[1:] == (1, 16, 16) and found.facts.image_shape == (1, 8, 8)
    counts = torch.bincount(found.test.labels) / (
        torch.bincount(found.train.labels) + torch.bincount(found.test.labels)
    )
    assert ((counts - 0.2).abs() < 0.005).all()
    again = find("digits").load((3, 16, 16))
    assert torch.equal(found.train.images, again.train.images)
    assert found.facts.fingerprint == again.facts.fingerprint != find("digits", 0.5).load((3, 16, 16)).facts.fingerprint


def test_digits_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    refused("digits", "scikit-learn, which is not installed", "pip install 'archprof[trial]'", kind=MissingPackage)


# --- folders --------------------------------------------------------------------------------------------------------


def test_a_folder_of_images_with_parts(pets):
    found = find(str(pets)).load((3, 4, 4))
    assert (len(found.train), len(found.test), found.facts.classes) == (6, 4, ("cat", "dog"))
    assert found.train.images[0, :, 0, 0].tolist() == [200, 0, 0] and found.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.facts.image_shape is None and found.facts.test_by_class == (2, 2)


def test_a_folder_without_parts_holds_some_out(pets):
    found = find(str(pets / "train"), 0.4).load((1, 4, 4))
    assert (len(found.train), len(found.test)) == (4, 2)
    assert found.train.images.shape == (4, 1, 4, 4) and set(found.train.images[:, 0, 0, 0].tolist()) == {60, 11}


def test_a_corrupted_image_is_named_left_out_and_counted(pets):
    (pets / "train" / "cat" / "1.png").write_bytes(b"\x89PNG not at all")
    (pets / "train" / "dog" / "2.jpg").write_bytes(b"")
    found = find(str(pets)).load((3, 4, 4))
    assert len(found.train) == 5 and found.train.labels.tolist() == [0, 0, 1, 1, 1]
    assert [text.split(":")[0] for text in found.facts.left_out] == ["cat/1.png", "dog/2.jpg"]


def test_many_images_are_decoded_in_processes(pets, monkeypatch):
    expected = find(str(pets)).load((3, 4, 4))
    monkeypatch.setattr(folder, "_FEW", 2)
    monkeypatch.setattr(folder, "_CHUNK", 2)
    (pets / "train" / "dog" / "bad.png").write_bytes(b"no")
    found = find(str(pets)).load((3, 4, 4))
    assert torch.equal(found.train.images, expected.train.images) and len(found.facts.left_out) == 1


def test_folders_that_are_refused(pets, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "there are no images in")
    picture(tmp_path / "flat" / "1.png", (1, 2, 3))
    refused(tmp_path / "flat", "holds images, but no folder for each class")
    picture(tmp_path / "one" / "cat" / "1.png", (1, 2, 3))
    refused(tmp_path / "one", "are of one class, 'cat'")
    picture(tmp_path / "half" / "train" / "cat" / "1.png", (1, 2, 3))
    refused(tmp_path / "half", "has a folder 'train', but none called test or val")
    picture(pets / "test" / "fish" / "1.png", (1, 2, 3))
    refused(pets, "'fish' has images for evaluation and none for training")
    picture(tmp_path / "few" / "cat" / "1.png", (1, 2, 3))
    picture(tmp_path / "few" / "dog" / "1.png", (1, 2, 3))
    refused(tmp_path / "few", "class 'cat' has 1 image; one for training and one for evaluation are needed")


def test_a_class_whose_images_are_all_corrupted(pets):
    for file in (pets / "test" / "dog").iterdir():
        file.write_bytes(b"no")
    refused(pets, "without the 2 files that cannot be read", "'dog' has images for training and none for evaluation")


# --- CIFAR-10 -------------------------------------------------------------------------------------------------------


def records(count, first=0):
    labels = (np.arange(count, dtype=np.uint8) + first) % 10
    pixels = DRAW.integers(0, 256, (count, 3072), dtype=np.uint8)
    return np.concatenate([labels[:, None], pixels], axis=1)


@pytest.fixture
def cifar(tmp_path):
    inner = tmp_path / "cifar" / "cifar-10-batches-bin"
    inner.mkdir(parents=True)
    made = {name: records(20, place) for place, name in enumerate(("data_batch_1.bin", "data_batch_2.bin"))}
    made["test_batch.bin"] = records(10)
    for name, rows in made.items():
        (inner / name).write_bytes(rows.tobytes())
    return tmp_path / "cifar", made


def test_cifar_from_its_folder_and_from_its_archive(cifar, tmp_path):
    path, made = cifar
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as archive:
        archive.add(path / "cifar-10-batches-bin", "../../cifar-10-batches-bin")  # a name that leads elsewhere
    for data in (path, path / "cifar-10-batches-bin", tmp_path / "cifar-10-binary.tar.gz"):
        found = find(str(data)).load((3, 32, 32))
        assert (len(found.train), len(found.test), found.facts.name) == (40, 10, "cifar10")
        row = made["data_batch_2.bin"][3]
        assert found.train.labels[23] == row[0] and found.facts.classes[0] == "airplane"
        assert found.train.images[23].flatten().tolist() == row[1:].tolist()


def test_cifar_s_pickles_are_refused_and_never_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(pickle, "load", lambda *_: pytest.fail("unpickled"))
    monkeypatch.setattr(pickle, "loads", lambda *_: pytest.fail("unpickled"))
    inner = tmp_path / "cifar-10-batches-py"
    inner.mkdir()
    (inner / "data_batch_1").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(inner, "cifar-10-batches-py")
    for data in (inner, tmp_path, tmp_path / "cifar-10-python.tar.gz"):
        refused(data, "Python version: pickles", "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz")


def test_cifar_files_that_are_refused(cifar, tmp_path):
    path, _ = cifar
    inner = path / "cifar-10-batches-bin"
    refused(inner / "test_batch.bin", "is one of CIFAR-10's files", "Name its folder")
    whole = (inner / "test_batch.bin").read_bytes()
    (inner / "test_batch.bin").write_bytes(whole[:-1])
    refused(path, "30,729 bytes are no whole number of records of 3,073")
    (inner / "test_batch.bin").write_bytes(bytes([99]) + whole[1:])
    refused(path, "a record is of class 99", "CIFAR-100")
    (inner / "test_batch.bin").unlink()
    refused(path, "lacks test_batch.bin")
    (tmp_path / "broken.tar.gz").write_bytes(b"not gzip")
    refused(tmp_path / "broken.tar.gz", "cannot be read")
    with tarfile.open(tmp_path / "other.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("readme"), io.BytesIO())
    refused(tmp_path / "other.tar", "lacks data_batch_1.bin")


# --- npz ------------------------------------------------------------------------------------------------------------


def test_npz_with_parts_and_without(tmp_path):
    found = find(str(arrays(tmp_path / "a.npz"))).load((3, 5, 5))
    assert (len(found.train), len(found.test), found.facts.name) == (20, 6, "a")
    with np.load(tmp_path / "a.npz") as file:
        assert found.train.images[4].permute(1, 2, 0).tolist() == file["x_train"][4].tolist()
    whole = {"x_train": None, "y_train": None, "x_test": None, "y_test": None}
    grey = DRAW.random((20, 5, 5))
    made = arrays(tmp_path / "b.npz", **whole, images=grey, labels=np.array(["b", "a"] * 10))
    found = find(str(made), 0.5).load((1, 5, 5))
    assert (len(found.train), len(found.test), found.facts.classes) == (10, 10, ("a", "b"))
    assert found.facts.split.startswith("50 % of each class held out")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"x_train": None}, "lacks arrays of known names; it has: y_train, x_test, y_test"),
        ({"x_train": np.zeros((0, 5, 5, 3), np.uint8), "y_train": np.zeros(0, int)}, "x_train holds no images"),
        ({"y_train": np.zeros(20, int), "y_test": np.zeros(6, int)}, "are of one class, '0'"),
        ({"y_test": np.arange(6) % 3}, "'2' has images for evaluation and none for training"),
        ({"y_train": np.arange(20) % 3}, "'2' has images for training and none for evaluation"),
        ({"x_test": np.zeros((6, 7, 5, 3), np.uint8)}, "images for training are 3x5x5, those for evaluation 3x7x5"),
        ({"x_train": np.zeros((20, 75), np.uint8)}, "x_train has the shape (20, 75)"),
        ({"x_train": np.full((20, 5, 5, 3), 2.0)}, "x_train is float64 from 2.0 to 2.0"),
        ({"y_train": np.arange(19) % 2}, "20 x_train, but 19 y_train"),
        ({"y_train": np.arange(20) / 2}, "y_train is float64 of shape (20,)"),
    ],
)
def test_npz_that_is_refused(tmp_path, changed, said):
    refused(arrays(tmp_path / "a.npz", **changed), said)


def test_npz_with_objects_or_garbage_is_refused(tmp_path):
    objects = np.empty(20, object)
    objects[:] = [{}] * 20
    refused(arrays(tmp_path / "a.npz", y_train=objects), "Python objects: a pickle")
    (tmp_path / "b.npz").write_bytes(b"PK\x03\x04 broken")
    refused(tmp_path / "b.npz", "cannot be read")
    (tmp_path / "c.npz").write_bytes(pickle.dumps({}))
    refused(tmp_path / "c.npz", "holds an array of Python objects")


# --- anything else --------------------------------------------------------------------------------------------------


def test_data_that_are_none(tmp_path):
    refused("digit", "there are no data 'digit'. Did you mean 'digits'?", kind=BadOption)
    (tmp_path / "a.pkl").write_bytes(b"x")
    refused(tmp_path / "a.pkl", "may run code when it is opened", "numpy.savez")
    (tmp_path / "a.txt").write_bytes(b"x")
    refused(tmp_path / "a.txt", "is none of the kinds of data that are read")
    refused("digits", "the share that is held out is 1;", kind=BadOption, hold_out=1.0)


def test_images_that_do_not_fit_into_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("archprof.measure.device.available_bytes", lambda _: 1000)
    refused(arrays(tmp_path / "a.npz"), "the images take 2.11 KiB in memory", kind=BadOption)


def test_images_of_another_size_are_resized_and_of_other_channels_refused():
    x = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4) * 16
    assert torch.equal(fitted(x, (1, 4, 4)), x)
    # shrunk to half with antialiasing: a triangle twice as wide, in the corner cut off and weighed anew
    assert fitted(x, (1, 2, 2)).shape == (1, 1, 2, 2)
    assert fitted(torch.full((2, 1, 8, 8), 9, dtype=torch.uint8), (1, 64, 64)).unique().tolist() == [9]
    grey = fitted(torch.tensor([[[[100]], [[50]], [[200]]]], dtype=torch.uint8), (1, 1, 1))
    assert grey.item() == round(0.299 * 100 + 0.587 * 50 + 0.114 * 200)
    with pytest.raises(BadOption, match="the images have 4 channels, the network takes 3"):
        fitted(torch.zeros(1, 4, 4, 4, dtype=torch.uint8), (3, 4, 4))


def test_held_out_is_at_least_one_of_each_and_never_all():
    labels = np.array([0] * 100 + [1] * 2)
    train, test = held_out(labels, 0.1, ("a", "b"))
    assert len(test) == 11 and sorted([*train, *test]) == list(range(102)) and set(labels[test]) == {0, 1}
    assert len(held_out(labels, 0.99, ("a", "b"))[0]) == 2
