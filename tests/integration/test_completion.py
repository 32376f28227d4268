"""What real shells complete: commands, options, and names that the tracker has."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.farm_command import environment
from tests.support.fingerprints import BOARDS
from tests.support.records import make_job
from tests.support.stand_in_farm import StandInFarm
from tvm_farm.protos.device import RunnerInfo, RunnerMode
from tvm_farm.tracker.domain import Device, Pool

MODULES = {"farm": "tvm_farm", "tracker": "tvm_farm.tracker", "agent": "tvm_farm.agent"}

BASH = """
source {lines}
COMP_WORDS=({words}) COMP_CWORD={last}
_{program}_completion {program}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# zsh completes in a terminal alone: what it would offer is written by its compadd instead.
ZSH = """
compdef() {{ }}
compinit() {{ }}
source {lines}
compadd() {{ print -l -- ${{(P)@[-1]}} }}
_describe() {{ print -l -- ${{(P)@[3]}} }}
words=({words}) CURRENT=$(({last} + 1))
_{program}_completion
"""
FISH = "source {lines}; complete -C {line}"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with StandInFarm() as control:
        control.put_job(make_job("squeezenet-ab2cde"))
        fingerprint = BOARDS["raspberry pi 3"][0]
        control.devices = [Device("1", "rpi3-1", fingerprint, RunnerInfo(RunnerMode.FULL), device_class="pi3-class")]
        control.pools = [Pool("arm64", built_in=True, devices=("rpi3-1",)), Pool("mine")]
        yield control.address


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the three programs, and of what each says to each shell."""
    folder = tmp_path_factory.mktemp("programs")
    for name, module in MODULES.items():
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m {module} "$@"\n')
        program.chmod(0o755)
        for shell in ("bash", "zsh", "fish"):
            told = subprocess.run(
                [program, "completion", shell],
                env=environment(),
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            (folder / f"{name}.{shell}").write_text(told.stdout)
    return folder


def completed(shell: str, programs: Path, line: str, **env: str) -> list[str]:
    """What ``shell`` offers at the end of ``line``, and that it says nothing else."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    program, *_ = words = line.split(" ")
    script = {"bash": BASH, "zsh": ZSH, "fish": FISH}[shell].format(
        lines=programs / f"{program}.{shell}",
        words=" ".join(map(shlex.quote, words)),
        last=len(words) - 1,
        program=program,
        line=shlex.quote(line),
    )
    options = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        [shell, *options, "-c", script],
        env=environment(PATH=path, HOME=str(programs), **env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stderr == ""
    return [
        each.replace("\\:", "\0").partition(":")[0].partition("\t")[0].strip() for each in ended.stdout.splitlines()
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_names(shell: str, programs: Path, address: str) -> None:
    here = {"TVMFARM_TRACKER": address}
    assert completed(shell, programs, "farm dev", **here) == ["devices"]
    assert completed(shell, programs, "farm lease rp", **here) == ["rpi3-1"]
    assert completed(shell, programs, "agent st") == ["start"]
    assert completed(shell, programs, "tracker runtime ") == ["add", "list"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("farm tune m.onnx --pool ", ["arm64", "mine"]),
        ("farm tune m.onnx --class p", ["pi3-class"]),
        ("farm records query --device ", ["rpi3-1"]),
        ("farm jobs watch s", ["squeezenet-ab2cde"]),
        ("farm tasks show s", ["squeezenet-ab2cde"]),
        ("farm devices forget r", ["rpi3-1"]),
        ("farm jobs resume --tr", ["--trials", "--tracker"]),
        ("farm completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_names_of_each_kind(line: str, found: list[str], programs: Path, address: str) -> None:
    assert completed("bash", programs, line, TVMFARM_TRACKER=address) == found


def test_the_tracker_that_the_line_names_is_asked(programs: Path, address: str) -> None:
    here = f"farm --tracker {address} drain "
    assert completed("bash", programs, here, TVMFARM_TRACKER="127.0.0.1:1") == ["rpi3-1"]


def test_a_context_is_completed(programs: Path, tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    subprocess.run(
        [programs / "farm", "use", "--tracker", "lab", "lab"],
        env=environment(**environ),
        capture_output=True,
        check=True,
    )
    assert completed("bash", programs, "farm use l", **environ) == ["lab"]


def test_where_no_tracker_answers_nothing_is_said(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "tvm-farm").mkdir()
    (tmp_path / "tvm-farm" / "contexts.json").write_text("broken")
    for environ in ({"TVMFARM_TRACKER": "127.0.0.1:1"}, {"XDG_CONFIG_HOME": str(tmp_path)}):
        assert completed("bash", programs, "farm drain ", **environ) in ([], [""])


def test_a_tracker_that_does_not_answer_is_not_waited_for(programs: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address, began = f"127.0.0.1:{silent.getsockname()[1]}", time.monotonic()
        assert completed("bash", programs, "farm drain ", TVMFARM_TRACKER=address) in (
            [],
            [""],
        )
        # Far below the five seconds that a command waits for an answer's beginning; the rest is the machine's.
        assert time.monotonic() - began < 30
