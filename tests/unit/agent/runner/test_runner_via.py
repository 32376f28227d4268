"""``--via``: what names a device, what does not, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tvm_farm.agent.runner import RunnerError, find_libc, parse_via


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("ssh:board", "-- board"),
        ("ssh:pi@board", "-- pi@board"),
        ("ssh:pi@board.local:2222", "-p 2222 -- pi@board.local"),
        ("ssh:pi@10.0.0.7:22", "-p 22 -- pi@10.0.0.7"),
        ("ssh:pi@[fe80::1%eth0]:22", "-p 22 -- pi@fe80::1%eth0"),
        ("ssh:[::1]", "-- ::1"),
        ("adb:0A1B-2C", "-s 0A1B-2C shell"),
        ("adb:10.0.0.7:5555", "-s 10.0.0.7:5555 shell"),
    ],
)
def test_a_device(text: str, command: str) -> None:
    transport = parse_via(text)
    assert transport.name == text.replace("[", "").replace("]", "") if text.startswith("ssh") else text
    assert command in " ".join(transport._command("true"))


@pytest.mark.parametrize(
    "text",
    [
        *("", "board", "ssh:", "ssh:pi@", "ssh:@board", "ssh:-oProxyCommand=x", "ssh:pi@-board", "ssh:pi@board:0"),
        *("ssh:pi@board:70000", "ssh:pi@board:", "ssh:pi@bo ard", "ssh:pi@board/x", "ssh:pi@board:22:22"),
        *("adb:", "adb:-s", "adb:a b", "serial:/dev/ttyUSB0"),
    ],
)
def test_no_device(text: str) -> None:
    with pytest.raises(ValueError, match=r"write ssh:user@host, ssh:user@host:port or adb:SERIAL"):
        parse_via(text)


def test_a_c_library_is_whole_or_none(tmp_path: Path) -> None:
    for name in ("ld-linux-aarch64.so.1", "libc.so.6"):
        (tmp_path / name).write_text(name)
        with pytest.raises(RunnerError, match="holds no C library"):
            find_libc(tmp_path)
    (tmp_path / "libm.so.6").write_text("m")
    found = find_libc(tmp_path)
    assert (found.loader.name, [path.name for path in found.libraries]) == (
        "ld-linux-aarch64.so.1",
        ["libc.so.6", "libm.so.6"],
    )
    before = found.digest
    (tmp_path / "libm.so.6").write_text("another")
    assert find_libc(tmp_path).digest != before
