"""The state folder of one kind of a board's cores."""

from __future__ import annotations

from pathlib import Path

from tvm_farm.agent.board.parts import Part
from tvm_farm.agent.start import _folder_of
from tvm_farm.protos.device import Fingerprint

PART = Part(Fingerprint(), "firestorm-m1-pro", (0,), "apple-part-0x025")


def test_cores_that_get_a_name_keep_their_identity(tmp_path: Path) -> None:
    (tmp_path / "apple-part-0x025").mkdir()
    (tmp_path / "apple-part-0x025" / "device-id").write_text("1")
    assert _folder_of(PART, tmp_path) == tmp_path / "firestorm-m1-pro"
    assert (tmp_path / "firestorm-m1-pro" / "device-id").read_text() == "1"
    assert not (tmp_path / "apple-part-0x025").exists()


def test_a_new_board_has_the_folder_of_its_name(tmp_path: Path) -> None:
    assert _folder_of(PART, tmp_path) == tmp_path / "firestorm-m1-pro"


def test_two_folders_are_two_identities(tmp_path: Path) -> None:
    for name in ("apple-part-0x025", "firestorm-m1-pro"):
        (tmp_path / name).mkdir()
    assert _folder_of(PART, tmp_path) == tmp_path / "firestorm-m1-pro"
    assert (tmp_path / "apple-part-0x025").is_dir()
