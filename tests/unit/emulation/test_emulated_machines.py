"""What whole emulated machines are made of, as far as it needs no machine."""

from __future__ import annotations

import string
from pathlib import Path

import pytest

from emulation.host import EmulationError
from emulation.machines import INSTALL, KINDS, Switch, make_boot
from emulation.machines.card import modules_in_order
from emulation.made_once import made_once

DEPENDENCIES = """\
kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/fs/mbcache.ko kernel/lib/crc16.ko
kernel/fs/jbd2/jbd2.ko:
kernel/fs/mbcache.ko:
kernel/lib/crc16.ko:
kernel/crypto/crc32c_generic.ko:
"""


def test_the_line_that_is_typed_is_the_one_of_the_docs() -> None:
    page = Path(__file__).parents[3] / "docs" / "boards.md"
    assert f"board$ {INSTALL}\n" in page.read_text()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_machine_has_a_card_a_console_and_a_way_for_commands(kind) -> None:
    words = {name for each in kind.qemu for _, name, _, _ in string.Formatter().parse(each) if name}
    assert words == {"card", "console", "commands"}
    assert all(change[0] in ("-t", "-d", "-r") and "{file}" in change for change in kind.changes)


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (("ext4",), ["crc16", "mbcache", "jbd2", "ext4"]),
        (("crc32c-generic",), ["crc32c_generic"]),
        (("built_into_the_kernel", "mbcache"), ["mbcache"]),
        ((), []),
    ],
)
def test_modules_come_after_what_they_need(tmp_path: Path, names: tuple[str, ...], order: list[str]) -> None:
    (tmp_path / "modules.dep").write_text(DEPENDENCIES)
    assert [Path(each).stem for each in modules_in_order(tmp_path, names)] == order


def test_what_lacks_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("emulation.host._SYSTEM_PATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmulationError, match=r"Raspberry Pi 3 .* emulated here: not installed: .*qemu-system-arm"):
        make_boot(KINDS["rpi3"], print)


def test_what_was_not_made_whole_is_made_again(tmp_path: Path) -> None:
    def tear(folder: Path) -> None:
        (folder / "half").touch()
        raise EmulationError("no room")

    with pytest.raises(EmulationError, match="no room"):
        made_once(tmp_path / "tree", tear)
    assert not (tmp_path / "tree").exists()
    made = made_once(tmp_path / "tree", lambda folder: (folder / "whole").touch())
    assert [path.name for path in made.iterdir()] == ["whole"]
    assert made_once(tmp_path / "tree", tear) == made


def test_a_machine_that_asks_for_no_address_is_told(tmp_path: Path) -> None:
    import ipaddress

    switch = Switch(ipaddress.IPv4Interface("198.18.0.1/28"), first=ipaddress.IPv4Address("198.18.0.2"))
    with pytest.raises(EmulationError, match="adapter b8:27:eb:00:00:01 has asked for no address"):
        switch.wait_for_lease("b8:27:eb:00:00:01", 0.1)
