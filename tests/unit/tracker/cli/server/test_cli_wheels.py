"""Which wheels give a runtime, and what is said of the others. pip is the real one, its index a folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.runtime_wheels import library_bytes, make_wheel, make_wheels
from tvm_farm.tracker.cli.server.wheels import download, unpack
from tvm_farm.tracker.client.errors import BadInput, FarmError

Wheels = Callable[[Path], list[Path]]


def test_the_libraries_come_out_of_both_wheels(tmp_path: Path) -> None:
    wheels = [make_wheel(tmp_path, "apache-tvm"), make_wheel(tmp_path, "apache-tvm-ffi", glibcs=["2_24", "2_28"])]
    unpacked = unpack(wheels, "aarch64", tmp_path)
    assert unpacked.libc == "glibc 2.27"
    assert [file.name for file in unpacked.files] == [
        "libtvm_ffi.so",
        "libtvm_runtime.so",
        "libtvm_runtime_extra.so",
    ]
    for file in unpacked.files:
        assert file.read_bytes() == library_bytes(file.name, "aarch64")


def test_a_wheel_is_what_it_says_whatever_its_file_is_called(tmp_path: Path) -> None:
    wheels = [path.rename(tmp_path / f"{number}.zip") for number, path in enumerate(make_wheels(tmp_path))]
    assert len(unpack(wheels, "aarch64", tmp_path).files) == 3


def damaged(folder: Path) -> list[Path]:
    wheels = make_wheels(folder)
    data = bytearray(wheels[0].read_bytes())
    data[60] ^= 0xFF  # inside the first library
    wheels[0].write_bytes(data)
    return wheels


def text_file(folder: Path) -> list[Path]:
    (folder / "a.whl").write_text("no zip")
    return [folder / "a.whl"]


@pytest.mark.parametrize(
    ("wheels", "said"),
    [
        (lambda f: make_wheels(f)[:1], r"apache-tvm-ffi==0\.1\.14\.post1 is missing: the runtime is in the two"),
        (lambda f: make_wheels(f, "x86_64"), "is for x86_64, not for aarch64"),
        (
            lambda f: [make_wheel(f, "apache-tvm", version="0.26.0")],
            r"apache-tvm 0\.26\.0, and this farm compiles with 0\.27\.0\.post1: fetch apache-tvm==0\.27\.0\.post1",
        ),
        (
            lambda f: [make_wheel(f, "numpy", version="2.0")],
            "is numpy: the runtime is in apache-tvm and apache-tvm-ffi",
        ),
        (lambda f: [*make_wheels(f), make_wheel(f / "more", "apache-tvm")], "are both apache-tvm"),
        (
            lambda f: [make_wheels(f)[1], make_wheel(f / "x", "apache-tvm", leave_out="tvm/lib/libtvm_runtime.so")],
            "has no tvm/lib/libtvm_runtime.so",
        ),
        (damaged, "is damaged"),
        (text_file, "is not a wheel"),
        (lambda f: [f / "nowhere.whl"], "nowhere.whl cannot be read: No such file"),
    ],
)
def test_wheels_that_are_not_the_right_ones(tmp_path: Path, wheels: Wheels, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        unpack(wheels(tmp_path), "aarch64", tmp_path)


def test_pip_fetches_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arch in ("aarch64", "x86_64"):
        make_wheels(tmp_path / "index", arch)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    folder = tmp_path / "here"
    folder.mkdir()
    found = download("aarch64", folder)
    assert len(found) == 2
    assert unpack(found, "aarch64", folder).libc == "glibc 2.27"


def test_pip_that_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(FarmError, match=r"pip could not fetch the wheels for aarch64; .* --wheel apache_tvm-0\.27"):
        download("aarch64", tmp_path)


def test_a_python_without_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -I "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(FarmError, match=r"has no pip .*ensurepip.* --wheel"):
        download("aarch64", tmp_path)
