"""The identity of a device: whole after power cuts, its own after cloning; and what tells its machine."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.board_trees import RASPBERRY_PI_4, grow
from tvm_farm.agent.board.machine import read_machine
from tvm_farm.agent.cli import main
from tvm_farm.agent.files.identity import keep_identity
from tvm_farm.agent.files.state_folder import open_state
from tvm_farm.protos.device import Machine

ID, OTHER = "0123456789abcdef" * 2, "f" * 32


@pytest.mark.parametrize(
    ("files", "expected", "said"),
    [
        ({}, None, ""),
        ({"device-id": f"{ID}\n"}, ID, ""),  # of an agent that kept no copy
        ({"device-id": f"{ID}\n", "device-id.copy": f"{ID}\n"}, ID, ""),
        ({"device-id": f"{ID}\n", "device-id.copy": ""}, ID, ""),
        ({"device-id": f"{ID}\n", "device-id.copy": f"{OTHER}\n"}, ID, ""),
        ({"device-id": "", "device-id.copy": f"{ID}\n"}, ID, "is damaged: the device id .* comes from its copy"),
        ({"device-id": "\0" * 33, "device-id.copy": f"{ID}\n"}, ID, "comes from its copy"),
        ({"device-id": ID[:7], "device-id.copy": f"{ID}\n"}, ID, "comes from its copy"),
        ({"device-id.copy": f"{ID}\n"}, ID, "is gone: .* comes from its copy; `agent new-identity` makes another"),
        ({"device-id": ""}, None, "device-id.damaged now: this board joins as a new device"),
        ({"device-id": "\0" * 33, "device-id.copy": "\0" * 33}, None, "joins as a new device"),
        ({"device-id": "é☃"}, None, "joins as a new device"),
        ({"device-id.new": ID[:9], "device-id": f"{ID}\n"}, ID, ""),  # cut while it was being written
        ({"device-id.copy.new": "", "device-id": f"{ID}\n"}, ID, ""),
    ],
)
def test_after_a_power_cut(
    tmp_path: Path, files: dict[str, str], expected: str | None, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    grow(tmp_path, files)
    with caplog.at_level(logging.INFO, "agent"), open_state(tmp_path) as state:
        known = state.device_id
    assert known == expected if expected else known not in ("", ID, OTHER)
    assert not said or re.search(said, caplog.text)
    assert bool(caplog.messages) == bool(said)
    if expected is None and "device-id" in files:
        assert (tmp_path / "device-id.damaged").read_text() == files["device-id"]
    # It is settled: the next start finds it whole, twice.
    caplog.clear()
    assert keep_identity(tmp_path) == known
    assert {(tmp_path / name).read_text() for name in ("device-id", "device-id.copy")} == {f"{known}\n"}
    assert caplog.messages == []


def test_a_new_identity_for_each_kind_of_cores(tmp_path: Path) -> None:
    before = [
        keep_identity(folder) for folder in (tmp_path, made(tmp_path / "cores/a72"), made(tmp_path / "cores/a53"))
    ]
    with open_state(tmp_path) as state:  # an agent runs
        ended = CliRunner().invoke(main, ["new-identity", "--state", str(tmp_path)])
        assert ended.exit_code == 0, ended.output
        assert all(known in ended.output for known in before)
        assert state.identity() not in before
    after = [keep_identity(tmp_path / folder) for folder in ("", "cores/a72", "cores/a53")]
    assert len({*before, *after}) == 6


def test_there_is_no_identity_to_renew(tmp_path: Path) -> None:
    ended = CliRunner().invoke(main, ["new-identity", "--state", str(tmp_path)])
    assert (ended.exit_code, ended.output) == (
        2,
        f"agent: no agent has run here, in {tmp_path}: give its folder with --state DIR\n",
    )


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


BOOT = {"proc/sys/kernel/random/boot_id": "6f2b1c7e-0000-4000-8000-000000000001\n"}
ETH0 = {
    "sys/class/net/eth0/address": "b8:27:eb:01:02:03\n",
    "sys/class/net/eth0/addr_assign_type": "0\n",
    "sys/class/net/eth0/device/uevent": "DRIVER=smsc95xx\n",
}


@pytest.mark.parametrize(
    ("files", "serial", "macs"),
    [
        (RASPBERRY_PI_4 | {"proc/device-tree/serial-number": "10000000a3b1c2d4\0"}, "10000000a3b1c2d4", ()),
        (
            {"proc/cpuinfo": "processor\t: 0\n\nSerial\t\t: 00000000a3b1c2d4\n"} | ETH0,
            "00000000a3b1c2d4",
            ("b8:27:eb:01:02:03",),
        ),
        ({"proc/cpuinfo": "processor\t: 0\n\nSerial\t\t: 0000000000000000\n"}, "", ()),
        (ETH0 | {"sys/class/net/eth0/addr_assign_type": "1\n"}, "", ()),  # made up at this boot
        (ETH0 | {"sys/class/net/eth0/address": "00:00:00:00:00:00\n"}, "", ()),
        (
            {"sys/class/net/docker0/address": "02:42:01:02:03:04\n", "sys/class/net/docker0/addr_assign_type": "0\n"},
            "",
            (),
        ),
        ({}, "", ()),
    ],
)
def test_what_tells_a_machine(tmp_path: Path, files: dict[str, str], serial: str, macs: tuple[str, ...]) -> None:
    told = read_machine(root=grow(tmp_path, BOOT | files))
    assert told == Machine(told.start_id, "6f2b1c7e-0000-4000-8000-000000000001", serial, macs, "")
    assert len(told.start_id) == 16
    assert read_machine(root=tmp_path) == told
    assert (told.via, read_machine("ssh:root@router", root=tmp_path).via) == ("", "ssh:root@router")
