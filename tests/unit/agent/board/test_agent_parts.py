"""Which devices a board is: one, or one for each kind of its cores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.board_trees import MARS, RASPBERRY_PI_4, ROC_RK3399, X86_SERVER, grow
from tvm_farm.agent.board.fingerprint import read_fingerprint
from tvm_farm.agent.board.parts import parts_of
from tvm_farm.agent.errors import SettingsError
from tvm_farm.protos.device import CpuCluster, Fingerprint

A55 = ("0x41", "0xd05", "Cortex-A55")
A76 = ("0x41", "0xd0b", "Cortex-A76")
X1 = ("0x41", "0xd44", "Cortex-X1")
STRANGER = ("0x41", "0xfff", "ARM part 0xfff")


def board(*clusters: tuple[tuple[int, ...], tuple[str, str, str], int]) -> Fingerprint:
    return Fingerprint("aarch64", "board", clusters=tuple(CpuCluster(c, *core, 0, khz) for c, core, khz in clusters))


@pytest.mark.parametrize(
    ("fingerprint", "parts"),
    [
        pytest.param(board(((0, 1, 2, 3), A76, 2)), [("", ())], id="alike cores"),
        pytest.param(board(((0, 1), A76, 2), ((2, 3), A76, 1)), [("", ())], id="one kind at two clocks"),
        pytest.param(
            board(((0, 1, 2, 3), A55, 1_800), ((4, 5), A76, 2_256), ((6, 7), A76, 2_304)),
            [("a76", (4, 5, 6, 7)), ("a55", (0, 1, 2, 3))],
            id="RK3588: two clusters of one kind are one device",
        ),
        pytest.param(
            board(((0, 1, 2, 3), A55, 1), ((4, 5, 6), A76, 2), ((7,), X1, 3)),
            [("x1", (7,)), ("a76", (4, 5, 6)), ("a55", (0, 1, 2, 3))],
            id="three kinds",
        ),
        pytest.param(board(((0,), A55, 1), ((1,), STRANGER, 2)), [("arm-part-0xfff", (1,)), ("a55", (0,))], id="new"),
        pytest.param(Fingerprint("x86_64"), [("", ())], id="nothing is known"),
    ],
)
def test_parts(fingerprint: Fingerprint, parts: list[tuple[str, tuple[int, ...]]]) -> None:
    found = parts_of(fingerprint)
    assert [(part.name, part.cpus) for part in found] == parts
    assert sum(part.fingerprint.cores for part in found) == fingerprint.cores


@pytest.mark.parametrize("tree", [RASPBERRY_PI_4, MARS, X86_SERVER], ids=["Pi 4", "Mars", "x86"])
def test_most_boards_are_one_device(tmp_path: Path, tree: dict[str, str]) -> None:
    fingerprint = read_fingerprint(root=grow(tmp_path, tree), affinity=range(2))
    assert [(part.name, part.fingerprint) for part in parts_of(fingerprint)] == [("", fingerprint)]


def test_an_rk3399_is_two(tmp_path: Path) -> None:
    fingerprint = read_fingerprint(root=grow(tmp_path, ROC_RK3399), affinity=range(6))
    big, little = parts_of(fingerprint)
    assert (big.name, big.cpus, little.name, little.cpus) == ("a72", (4, 5), "a53", (0, 1, 2, 3))
    assert [cluster.name for cluster in big.fingerprint.clusters] == ["Cortex-A72"]
    assert [cluster.name for cluster in little.fingerprint.clusters] == ["Cortex-A53"]
    assert big.fingerprint.board_model == little.fingerprint.board_model == fingerprint.board_model


def test_one_kind_is_served_alone(tmp_path: Path) -> None:
    rock = read_fingerprint(root=grow(tmp_path / "rock", ROC_RK3399), affinity=range(6))
    assert parts_of(rock, "a53") == parts_of(rock)[1:]
    with pytest.raises(SettingsError, match="no cores of the kind 'a57': its cores are a72 and a53"):
        parts_of(rock, "a57")
    with pytest.raises(SettingsError, match="its cores do not tell their kind"):
        parts_of(Fingerprint("x86_64"), "a57")
    strange = parts_of(board(((0,), A55, 1), ((1,), STRANGER, 2)))
    assert parts_of(board(((0,), A55, 1), ((1,), STRANGER, 2)), "arm-part-0xfff") == strange[:1]
    pi = read_fingerprint(root=grow(tmp_path / "pi", RASPBERRY_PI_4), affinity=range(4))
    [only] = parts_of(pi, "a72")
    assert (only.cpus, only.fingerprint) == ((0, 1, 2, 3), pi)


def test_cores_that_get_a_name_are_found_by_what_they_were_called_before() -> None:
    m1_pro = board(
        ((0, 1), ("0x61", "0x024", "Icestorm-M1-Pro"), 2), ((2, 3), ("0x61", "0x025", "Firestorm-M1-Pro"), 3)
    )
    assert [(part.name, part.former_name) for part in parts_of(m1_pro)] == [
        ("firestorm-m1-pro", "apple-part-0x025"),
        ("icestorm-m1-pro", "apple-part-0x024"),
    ]
    assert parts_of(m1_pro, "apple-part-0x024") == parts_of(m1_pro)[1:]
