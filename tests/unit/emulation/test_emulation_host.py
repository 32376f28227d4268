"""How ``make demo POOL=arm64`` comes to what it needs: with stand-ins for apt and sudo that write down their calls."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from emulation.host import EmulationError, Missing, install, missing_here

APT = """#!/bin/sh
echo "$(basename $0) $*" >> {folder}/calls
case "$*" in *{refused}*) exit 100 ;; esac
"""
SUDO = """#!/bin/sh
echo sudo >> {folder}/calls
exec "$@"
"""


def stand_ins(folder: Path, *names: str, refused: str = "nothing") -> str:
    """A PATH with the stand-ins alone, beside the system's own small programs."""
    for name in names:
        text = SUDO if name == "sudo" else APT
        (folder / name).write_text(text.format(folder=folder, refused=refused))
        (folder / name).chmod(0o755)
    for name in ("sh", "env", "basename"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    return str(folder)


@pytest.mark.parametrize(
    ("user", "programs", "said", "calls"),
    [
        (0, ["apt-get"], "Installing with apt: debootstrap qemu-user-static", ["apt-get", "apt-get"]),
        (
            1000,
            ["apt-get", "sudo"],
            "Installing with apt, as root by sudo: debootstrap qemu-user-static",
            ["sudo", "apt-get", "sudo", "apt-get"],
        ),
    ],
    ids=["root", "sudo"],
)
def test_it_says_what_it_installs_before_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, programs: list[str], said: str, calls: list[str]
) -> None:
    monkeypatch.setenv("PATH", stand_ins(tmp_path, *programs))
    monkeypatch.setattr(os, "geteuid", lambda: user)
    heard: list[str] = []

    def say(line: str) -> None:
        assert not (tmp_path / "calls").exists()
        heard.append(line)

    install(("debootstrap", "qemu-user-static"), say)
    assert heard == [said]
    called = (tmp_path / "calls").read_text().splitlines()
    assert [call.partition(" ")[0] for call in called] == calls
    assert called[-1].endswith("install -q -y --no-install-recommends debootstrap qemu-user-static")


@pytest.mark.parametrize(
    ("user", "programs", "refused", "sentence"),
    [
        (0, [], "nothing", "This host has no apt"),
        (1000, ["apt-get"], "nothing", "apt needs root, and there is no sudo here"),
        (0, ["apt-get"], "install", "apt failed"),
    ],
    ids=["no apt", "no sudo", "apt fails"],
)
def test_where_it_cannot_it_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, programs: list[str], refused: str, sentence: str
) -> None:
    monkeypatch.setenv("PATH", stand_ins(tmp_path, *programs, refused=refused))
    monkeypatch.setattr(os, "geteuid", lambda: user)
    with pytest.raises(EmulationError, match=sentence) as raised:
        install(("debootstrap",), lambda _: None)
    assert "apt-get install debootstrap" in str(raised.value)


def test_what_is_missing_is_named_by_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = missing_here()
    assert {"qemu-user-static", "util-linux"} <= set(missing.packages)
    assert str(missing).startswith("not installed: ")
    assert not Missing()
