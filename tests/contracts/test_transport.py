"""What every way to a device promises."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.support.phone import ARMV7, Phone
from tests.support.ssh_server import MISSING, SshServer
from tvm_farm.agent.runner import LocalTransport, Transport, find_runner, open_transport
from tvm_farm.agent.runner.transport import Process

#: Everything that a terminal or a line discipline on the way would change.
BYTES = bytes(range(256)) * 4096


@pytest.fixture(
    params=[
        "local",
        pytest.param("ssh", marks=pytest.mark.skipif(bool(MISSING), reason=MISSING)),
        pytest.param("adb", marks=pytest.mark.skipif(bool(ARMV7.missing), reason=ARMV7.missing)),
    ]
)
async def transport(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Transport]:
    if request.param == "local":
        yield LocalTransport()
        return
    if request.param == "adb":
        phone = Phone(tmp_path, ARMV7)
        monkeypatch.setenv("PATH", phone.path)
        async with open_transport(phone.via, "owner") as opened:
            yield opened
        return
    async with SshServer(tmp_path) as server:
        monkeypatch.setenv("PATH", server.path)
        async with open_transport(server.via, "owner") as opened:
            yield opened


async def heard(transport: Transport, *argv: str, sent: bytes = b"") -> tuple[bytes, bytes, int]:
    process = await transport.spawn(argv)
    return await spoken(process, sent)


async def spoken(process: Process, sent: bytes = b"") -> tuple[bytes, bytes, int]:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None

    async def send(stdin: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            stdin.write(sent)
            await stdin.drain()
        stdin.close()

    _, said, complaint = await asyncio.gather(send(process.stdin), process.stdout.read(), process.stderr.read())
    return said, complaint, await process.wait()


async def test_bytes_go_there_and_back_unchanged(transport: Transport) -> None:
    said, complaint, status = await heard(transport, "cat", sent=BYTES)
    assert said == BYTES
    assert (complaint, status) == (b"", 0)


async def test_both_outputs_and_the_exit_status_come_back(transport: Transport) -> None:
    said, complaint, status = await heard(transport, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (said, complaint, status) == (b"out\n", b"err\n", 7)
    assert (await heard(transport, "sh", "-c", "exit 255"))[2] == 255  # ssh's own word for a lost connection


async def test_arguments_are_not_read_by_a_shell(transport: Transport) -> None:
    strange = ["a b", "$HOME", "it's", '"', "*", "", "\\", "#", "a\nb"]
    said, _, _ = await heard(transport, "sh", "-c", 'for each; do echo "[$each]"; done', "sh", *strange)
    assert said.decode() == "".join(f"[{each}]\n" for each in strange)


async def test_a_signal_is_told_from_an_exit_status(transport: Transport) -> None:
    assert (await heard(transport, "sh", "-c", "kill -9 $$"))[2] == -9


async def test_a_file_is_there(transport: Transport, tmp_path: Path) -> None:
    file = tmp_path / "kernel.so"
    file.write_bytes(BYTES)
    there = await transport.put(file)
    assert there.endswith(".so")
    assert await transport.put(file) == there
    assert (await heard(transport, "cat", there))[0] == BYTES


async def test_another_file_of_the_same_name_does_not_take_its_place(transport: Transport, tmp_path: Path) -> None:
    if transport.here:
        pytest.skip("files of this machine lie where they are")
    file = tmp_path / "kernel.so"
    file.write_bytes(b"one")
    one = await transport.put(file)
    file.write_bytes(b"another")
    another = await transport.put(file)
    assert one != another
    assert (await heard(transport, "cat", one, another))[0] == b"oneanother"


async def test_a_program_is_there(transport: Transport) -> None:
    there = await transport.install(find_runner())
    assert await transport.install(find_runner()) == there
    _, complaint, status = await heard(transport, there, "--nonsense", "1")
    assert b"--nonsense is not an option" in complaint
    assert status == 2


async def test_an_empty_and_a_missing_file(transport: Transport, tmp_path: Path) -> None:
    file = tmp_path / "empty"
    file.touch()
    assert (await heard(transport, "cat", await transport.put(file)))[0] == b""
    if not transport.here:
        with pytest.raises(FileNotFoundError):
            await transport.put(tmp_path / "nowhere")


async def test_the_end_of_its_input_ends_a_program(transport: Transport) -> None:
    process = await transport.spawn(["cat"])
    assert process.stdin is not None
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_a_runner_that_hangs_is_killed(transport: Transport) -> None:
    """Stopped, it reads no end of its input: only a signal reaches it there."""
    there = await transport.install(find_runner())
    process = await transport.spawn([there])
    assert process.stdout is not None
    await process.stdout.readexactly(5)
    [runner] = running(there)
    runner.suspend()
    process.kill()
    assert await asyncio.wait_for(process.wait(), 20) == -signal.SIGKILL
    assert not runner.is_running()


def running(program: str) -> list[psutil.Process]:
    """Of this process's own: other tests run the same program beside it."""
    return [each for each in psutil.Process().children(recursive=True) if program in each.cmdline()]


async def test_a_program_that_is_not_there(transport: Transport) -> None:
    if transport.here:
        with pytest.raises(FileNotFoundError):
            await transport.spawn(["/nowhere/program"])
    else:
        _, complaint, status = await heard(transport, "/nowhere/program")
        assert b"not found" in complaint
        assert status == 127
