"""A wheel on its way to a board: what is checked before anything is touched, and what a lost link leaves."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.agent_wheels import small
from tvm_farm.agent.errors import UpgradeError
from tvm_farm.agent.upgrade import choice, upgrades
from tvm_farm.agent.upgrade.choice import Choice, ChoiceFile
from tvm_farm.agent.upgrade.folder import code_folder, is_whole
from tvm_farm.agent.upgrade.upgrades import AgentUpgrades
from tvm_farm.protos.upgrade import Upgrade


class Tracker:
    """Has one wheel, and counts how often it is fetched."""

    def __init__(self, wheel: Path) -> None:
        self.data = wheel.read_bytes()
        self.fetched = 0

    def order(self) -> Upgrade:
        return Upgrade("u", "0.2.0", hashlib.sha256(self.data).hexdigest(), len(self.data))

    async def fetch(self, digest: str, offset: int) -> AsyncIterator[tuple[int, bytes]]:
        self.fetched += 1
        yield offset, self.data[offset:]


@pytest.fixture
def tracker(tmp_path: Path) -> Tracker:
    return Tracker(small(tmp_path / "w.whl"))


async def bring(tracker: Tracker, state: Path, order: Upgrade | None = None) -> None:
    mine = AgentUpgrades(state, taken=True)
    await mine.bring(order or tracker.order(), tracker.fetch, lambda share: None, ["farm:9195"])


@pytest.mark.parametrize("digest", ["", "..", "../precious", "A" * 64, "a" * 64 + "/../../precious"])
async def test_what_is_no_digest_touches_no_folder(digest: str, tracker: Tracker, tmp_path: Path) -> None:
    state = tmp_path / "state"
    kept = [code_folder(state) / "kept", state / "precious" / "kept"]
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    with pytest.raises(UpgradeError, match="is not a sha256 digest"):
        await bring(tracker, state, Upgrade("u", "0.2.0", digest, 10))
    assert all(path.exists() for path in kept)


async def test_a_link_lost_while_it_is_unpacked_loses_nothing(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacks, go_on = threading.Event(), threading.Event()
    unpack = upgrades._unpack_whole

    def slowly(wheel: Path, folder: Path) -> None:
        unpacks.set()
        go_on.wait(60)
        unpack(wheel, folder)

    monkeypatch.setattr(upgrades, "_unpack_whole", slowly)
    given_up = asyncio.create_task(bring(tracker, tmp_path))
    await asyncio.to_thread(unpacks.wait, 60)
    given_up.cancel()
    asyncio.get_running_loop().call_later(0.1, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await given_up
    folder = code_folder(tmp_path) / tracker.order().digest
    assert is_whole(folder)
    assert not ChoiceFile(folder.parent).read().digest
    await bring(tracker, tmp_path)
    assert tracker.fetched == 1
    assert ChoiceFile(folder.parent).read().digest == folder.name


async def test_what_it_requires_is_read_where_the_wheel_says_it(tmp_path: Path) -> None:
    wheel = small(tmp_path / "w.whl", **{f"{name}.dist-info/RECORD": "" for name in ("a", "z")})
    await bring(Tracker(wheel), tmp_path / "state")


async def test_what_runs_stays_whatever_is_chosen(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of its modules are loaded only now."""
    running = code_folder(tmp_path) / ("f" * 64)
    running.mkdir(parents=True)
    (running.parent / "chosen.json").write_text("half a ch")
    monkeypatch.setattr(upgrades, "launched_digest", lambda: running.name)
    await bring(tracker, tmp_path)
    assert running.is_dir()


class Refusing:
    """A disk that refuses so many writes of the choice, as a full one does until somebody makes room."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        self.left, self._write = times, choice.write_durably
        monkeypatch.setattr(choice, "write_durably", self.write)

    def write(self, path: Path, data: bytes) -> None:
        if self.left:
            self.left -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        self._write(path, data)


@pytest.fixture
def on_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChoiceFile:
    """One that this process runs, in its folder."""
    digest = "f" * 64
    choices = ChoiceFile(code_folder(tmp_path))
    (choices.folder / digest).mkdir(parents=True)
    choices.update(lambda _: Choice(digest, "0.2.0", trial=True, upgrade_id="u", installed="0.1.0"))
    monkeypatch.setenv("TVMFARM_AGENT_LAUNCHED", digest)
    monkeypatch.setenv("TVMFARM_AGENT_JOINED", "")
    monkeypatch.setattr(upgrades, "_AGAIN_S", 0.0)
    return choices


async def test_one_that_joins_while_the_disk_refuses_stands_once_it_does_not(
    on_trial: ChoiceFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Refusing(monkeypatch, 3)
    mine = AgentUpgrades(tmp_path, taken=True)
    mine.joined()
    mine.joined()  # another device of the board, or the same one again
    assert on_trial.read().trial
    for _ in range(100):
        await asyncio.sleep(0)
    assert disk.left == 0
    assert not on_trial.read().trial
    assert [r.message for r in caplog.records if "cannot be written" in r.message] == [
        f"{on_trial.folder} cannot be written (No space left on device): it is tried again that version 0.2.0 stands"
    ]


async def test_one_that_stands_asks_nothing_of_a_disk_that_refuses(
    on_trial: ChoiceFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mine = AgentUpgrades(tmp_path, taken=True)
    mine.joined()
    monkeypatch.setattr(ChoiceFile, "update", lambda *_: pytest.fail("the disk is asked"))
    mine.joined()
    assert not [r for r in caplog.records if r.levelname == "WARNING"]


async def test_one_that_joined_does_not_fall_by_its_end_though_the_disk_had_refused(
    on_trial: ChoiceFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Refusing(monkeypatch, 1)
    mine = AgentUpgrades(tmp_path, taken=True)
    mine.joined()
    mine.ended(1, "it was refused")
    assert (on_trial.read().trial, on_trial.read().failure) == (False, "")


async def test_one_that_never_joined_falls_by_its_end(on_trial: ChoiceFile, tmp_path: Path) -> None:
    AgentUpgrades(tmp_path, taken=True).ended(1, "it was refused")
    assert on_trial.read().failure == "it was refused"
