"""Options, the state folder: what a person types, and what they are told."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tvm_farm.agent.errors import SettingsError, StateInUseError
from tvm_farm.agent.files.state_folder import open_state
from tvm_farm.agent.runner import SyntheticModel
from tvm_farm.agent.settings import Settings, default_state_dir


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tracker": "farm:1", "farm": "lab"}, "leave out --farm"),
        ({"tracker": "farm:1", "mdns_interface": "10.0.0.1"}, "leave out --farm and --mdns-interface"),
        ({"mdns_interface": "nowhere0"}, "no IP address and no network interface"),
        ({"synthetic": SyntheticModel()}, "need --runner synthetic"),
        ({"runner": "synthetic", "mode": "full"}, "leave out --runtime, --mode and --threads"),
        ({"runner": "synthetic", "threads": 2}, "leave out --runtime, --mode and --threads"),
        ({"runner": "synthetic", "runtime_dir": Path("/opt")}, "leave out --runtime, --mode and --threads"),
        ({"mode": "micro", "runtime_dir": Path("/opt")}, "leave out --runtime"),
        ({"via": "adb:1", "runner": "synthetic"}, "leave out --via"),
        ({"via": "adb:1", "mode": "full"}, "name its folder with --runtime DIR"),
        ({"libc_dir": Path("/lib")}, "name one with --via"),
        ({"via": "telnet:board"}, "names no device: write ssh:user@host"),
    ],
)
def test_an_option_without_effect_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Settings(state_dir=Path("/state"), **options)


def test_slots_are_the_running_one_and_those_prefetched() -> None:
    assert Settings(state_dir=Path("/state"), prefetch=0).slots == 1
    assert Settings(state_dir=Path("/state"), prefetch=0).short_slots == 1
    assert Settings(state_dir=Path("/state"), prefetch=2).slots == 3
    assert Settings(state_dir=Path("/state"), prefetch=2).short_slots == 15


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"XDG_STATE_HOME": "/var/state"}, Path("/var/state/tvm-farm/agent")),
        ({"XDG_STATE_HOME": "relative"}, Path.home() / ".local/state/tvm-farm/agent"),
        ({}, Path.home() / ".local/state/tvm-farm/agent"),
    ],
)
def test_the_state_folder_follows_xdg(environ: dict[str, str], path: Path) -> None:
    assert default_state_dir(environ) == path


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whom no list of users has, as in a container that runs as any number."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)


@pytest.mark.usefixtures("homeless")
def test_a_user_without_a_home_names_the_state_folder() -> None:
    with pytest.raises(SettingsError, match="with --state: this user has no home folder: set HOME, or XDG_STATE_HOME"):
        default_state_dir({})


@pytest.mark.parametrize(
    ("via", "name"),
    [
        ("", "agent"),
        ("ssh:pi@board", "agent-ssh-pi@board"),
        ("ssh:pi@board:22", "agent-ssh-pi@board-22"),
        ("adb:../../etc", "agent-adb-..-..-etc"),
    ],
)
def test_each_device_has_a_state_folder(via: str, name: str) -> None:
    assert default_state_dir({"XDG_STATE_HOME": "/var"}, via) == Path("/var/tvm-farm") / name


def test_a_device_keeps_its_id(tmp_path: Path) -> None:
    root = tmp_path / "a" / "state"
    with open_state(root) as state:
        first = state.device_id
    with open_state(root) as state:
        assert state.device_id == first
    with open_state(tmp_path / "other") as state:
        assert state.device_id != first


HOLDS = """
import sys
from pathlib import Path
from tvm_farm.agent.files.state_folder import open_state

with open_state(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_agents_never_share_a_folder(tmp_path: Path) -> None:
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=path) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StateInUseError, match=rf"pid {other.pid}\b.*--state"), open_state(tmp_path):
            pass
    with open_state(tmp_path):  # free again, though the lock file is still there
        pass


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="--state DIR"), open_state(tmp_path / "file" / "state"):
        pass


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As on a full disk, files can be made and not filled: Python ignores the signal and the write fails.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        said = pytest.raises(SettingsError, match=r"cannot be used: File too large;.*--state DIR")
        with said as refused, open_state(tmp_path / "state"):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert refused.value.exit_code == 2
    with open_state(tmp_path / "state") as state:  # usable again once there is room
        assert len(state.device_id) == 32


def test_a_fault_of_the_work_is_not_blamed_on_the_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), open_state(tmp_path):
        raise FileNotFoundError("of the work")
