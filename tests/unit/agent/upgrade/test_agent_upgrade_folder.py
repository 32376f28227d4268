"""Unpacked code: whole as it was sealed, or found out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tvm_farm.agent.upgrade.folder import code_folder, is_whole, sync_all, tidy, write_digest

DIGESTS = tuple(letter * 64 for letter in "abc")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / DIGESTS[0]
    (folder / "agent").mkdir(parents=True)
    (folder / "agent" / "cli.py").write_text("def main(): ...\n")
    (folder / "agent" / "empty.py").touch()
    write_digest(folder)
    sync_all(folder)
    return folder


def _half(folder: Path) -> None:
    (folder / "agent" / "cli.py").write_text("def main():")


CHANGES: dict[str, Callable[[Path], object]] = {
    "half of a file": _half,
    "a file is gone": lambda folder: (folder / "agent" / "empty.py").unlink(),
    "a file more": lambda folder: (folder / "agent" / "more.py").touch(),
    "a file by another name": lambda folder: (folder / "agent" / "empty.py").rename(folder / "agent" / "e.py"),
    "a file whose name is no text": lambda folder: Path(os.fsdecode(bytes(folder / "agent") + b"/\xff")).touch(),
    "no write_digest": lambda folder: (folder / "sealed.sha256").unlink(),
    "an empty write_digest": lambda folder: (folder / "sealed.sha256").write_bytes(b""),
    "a write_digest of no text": lambda folder: (folder / "sealed.sha256").write_bytes(b"\xff"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_found_out(code: Path, change: str) -> None:
    assert is_whole(code)
    CHANGES[change](code)
    assert not is_whole(code)


def test_what_is_not_there(tmp_path: Path) -> None:
    assert not is_whole(tmp_path / "none")


def test_tidy_keeps_what_runs_and_all_that_is_not_code(tmp_path: Path) -> None:
    root = code_folder(tmp_path)
    for name in (*DIGESTS, f"{DIGESTS[1]}.a1b2", "wheels"):
        (root / name).mkdir(parents=True)
    (root / "chosen.json").touch()
    tidy(root, {DIGESTS[0], ""})
    assert {path.name for path in root.iterdir()} == {DIGESTS[0], "wheels", "chosen.json"}
