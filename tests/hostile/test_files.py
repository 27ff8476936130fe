"""What stands where a result should go: devices, pipes, links, files of others, a full disk."""

from __future__ import annotations

import errno
import os
import stat
import threading

import pytest

from archprof.base import files
from archprof.base.errors import BadOutput

#: Major and minor numbers of Linux's memory devices.
NULL, FULL = (1, 3), (1, 7)


@pytest.fixture
def device(tmp_path):
    """Makes a device like /dev/null or /dev/full in a folder of the test's own."""

    def make(numbers):
        path = tmp_path / "device"
        try:
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(*numbers))
            os.close(os.open(path, os.O_WRONLY))
        except (OSError, AttributeError):
            pytest.skip("only root can make devices, and not on every file system")
        return path

    return make


def test_a_device_is_written_through(device):
    path = device(NULL)
    files.check([str(path)])
    files.write(str(path), "text")
    assert stat.S_ISCHR(path.stat().st_mode)
    assert [entry.name for entry in path.parent.iterdir()] == ["device"]


def test_a_full_device_is_one_line_and_stays(device):
    path = device(FULL)
    with pytest.raises(BadOutput, match=r"'.*device' cannot be written: No space left on device\."):
        files.write(str(path), "text")
    assert stat.S_ISCHR(path.stat().st_mode)


def test_two_outputs_may_share_a_device(device):
    path = str(device(NULL))
    files.check([path, path])


def test_a_pipe_is_written_through(tmp_path):
    path, read = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: read.append(path.read_text()), daemon=True)
    reader.start()
    files.check([str(path)])
    files.write(str(path), "text")
    reader.join(10)
    assert read == ["text"] and stat.S_ISFIFO(path.stat().st_mode)


def test_a_descriptor_of_this_process_is_written_through(tmp_path):
    target = tmp_path / "redirected"
    with target.open("wb") as file:
        before = target.stat().st_ino
        files.write(f"/dev/fd/{file.fileno()}", "text")
    assert target.read_text() == "text" and target.stat().st_ino == before


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="there is no /dev/shm")
def test_a_file_in_memory_is_a_file():
    path = f"/dev/shm/archprof-test-{os.getpid()}"
    try:
        for text in ("before", "after"):
            files.write(path, text)
            with open(path) as file:
                assert file.read() == text
    finally:
        os.unlink(path)


@pytest.mark.parametrize("exists", [True, False])
def test_a_links_target_is_written_and_the_link_stays(exists, tmp_path):
    (tmp_path / "deep").mkdir()
    target, link = tmp_path / "deep" / "target", tmp_path / "link"
    if exists:
        target.write_text("before")
    link.symlink_to("deep/target")
    files.check([str(link)])
    files.write(str(link), "after")
    assert link.is_symlink() and target.read_text() == "after" and not target.is_symlink()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["target"]


def test_links_in_a_circle_are_one_line(tmp_path):
    link = tmp_path / "link"
    link.symlink_to("link")
    with pytest.raises(BadOutput, match="cannot be written: Too many levels of symbolic links"):
        files.check([str(link)])
    with pytest.raises(BadOutput, match="cannot be written: Too many levels of symbolic links"):
        files.write(str(link), "text")
    assert link.is_symlink()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_permissions_of_a_file_are_kept(mode, tmp_path):
    target = tmp_path / "x"
    target.write_text("before")
    target.chmod(mode)
    files.write(str(target), "after")
    assert stat.S_IMODE(target.stat().st_mode) == mode and target.read_text() == "after"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files to others")
def test_the_owner_of_a_file_is_kept(tmp_path):
    target = tmp_path / "x"
    target.write_text("before")
    os.chown(target, 12345, 12346)
    files.write(str(target), "after")
    assert (target.stat().st_uid, target.stat().st_gid) == (12345, 12346)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "x/", ""])
def test_names_that_no_file_can_have_are_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for attempt in (lambda: files.check([name]), lambda: files.write(name, "text")):
        with pytest.raises(BadOutput) as refused:
            attempt()
        assert str(refused.value).isprintable()
    assert list(tmp_path.iterdir()) == []


def test_the_longest_name_that_a_file_can_have_will_do(tmp_path):
    name = "x" * 255
    files.check([str(tmp_path / name)])
    files.write(str(tmp_path / name), "text")
    assert (tmp_path / name).read_text() == "text"


def test_names_that_are_not_utf_8_will_do(tmp_path):
    name = os.fsdecode(b"caf\xe9.json")
    try:
        (tmp_path / name).touch()
    except OSError:
        pytest.skip("this file system keeps names in UTF-8")
    files.check([str(tmp_path / name)])
    files.write(str(tmp_path / name), f"see {name}")
    assert (tmp_path / name).read_text() == "see caf\\udce9.json"


@pytest.mark.parametrize("failing", ["write", "close"])
def test_a_disk_that_fills_leaves_the_old_file(failing, tmp_path, monkeypatch):
    target = tmp_path / "x"
    target.write_text("before")
    fdopen = os.fdopen

    class Full:
        """A file on a full disk; some file systems tell only when it is closed."""

        def __init__(self, handle, mode):
            self.file = fdopen(handle, mode)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()
            self.fail("close")

        def write(self, data):
            self.file.write(data[: len(data) // 2])
            self.fail("write")

        def fail(self, doing):
            if doing == failing:
                raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fdopen", Full)
    with pytest.raises(BadOutput, match=r"cannot be written: No space left on device\."):
        files.write(str(target), "after")
    assert target.read_text() == "before" and [path.name for path in tmp_path.iterdir()] == ["x"]
