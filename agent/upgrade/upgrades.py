"""The upgrades of this agent's process, which the devices of one board share."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from tvm_farm.agent.errors import ArtifactError, LinkLostError, UpgradeError, at_fault
from tvm_farm.agent.files.artifacts import ArtifactCache, Fetch
from tvm_farm.agent.files.durable import flush_folder
from tvm_farm.agent.files.threads import in_thread
from tvm_farm.agent.upgrade.choice import Choice, ChoiceFile, fell, joined, ordered
from tvm_farm.agent.upgrade.folder import code_folder, is_whole, sync_all, tidy, write_digest
from tvm_farm.agent.upgrade.launch import has_joined, installation, launched_digest, remember_joined
from tvm_farm.protos import quantities
from tvm_farm.protos.measurement import Artifact
from tvm_farm.protos.upgrade import AgentCode, Upgrade
from tvm_farm.protos.version import __version__
from tvm_farm.protos.wheel import MAX_WHEEL_BYTES, unpack_agent_wheel

__all__ = ["AgentUpgrades"]

log = logging.getLogger("agent")

#: The pause before a download that broke off goes on, and before a word that the disk refused is written again.
_AGAIN_S = 2.0


class AgentUpgrades:
    """The agent's code that runs now, and how another comes to be chosen.

    ``state``: the agent's state folder. ``taken`` False: no upgrade is taken, and the installed agent runs.
    """

    def __init__(self, state: Path, *, taken: bool) -> None:
        self._root = code_folder(state)
        self._choices = ChoiceFile(self._root)
        self._digest = launched_digest()
        choice = self._choices.read()
        #: What a Join says of the code that runs.
        self.code = AgentCode(
            digest=self._digest,
            refuses="" if taken else "its agent was started with --no-upgrade",
            failed_upgrade=choice.failed_upgrade,
            failure=choice.failure,
        )
        self._one_at_a_time = asyncio.Lock()
        #: The digest that this process chose for its next start, which is near; "": none.
        self._chosen = ""
        #: Set while the disk refuses to take the word that the code has joined.
        self._settles: asyncio.TimerHandle | None = None

    async def bring(
        self, upgrade: Upgrade, fetch: Fetch, told: Callable[[float], None], trackers: Sequence[str]
    ) -> None:
        """Fetch the wheel, check it, and choose it for the next start.

        A lost link is waited for: what came before stays, also in another process. ``told`` hears how much of the wheel
        is here, 0..1. ``trackers``: host:port texts of the tracker that sent the order. Raises UpgradeError, a clause
        that says why the wheel cannot be run; nothing is changed then.
        """
        if self.code.refuses:
            raise UpgradeError(self.code.refuses)
        if not re.fullmatch(r"[0-9a-f]{64}", upgrade.digest):  # the name of a folder, which is cleared
            raise UpgradeError(f"{upgrade.digest[:80]!r} is not a sha256 digest")
        async with self._one_at_a_time:
            if self._chosen == upgrade.digest:
                return  # for another device of this board
            choice = self._choices.read()
            try:
                folder = self._root / upgrade.digest
                if not await in_thread(lambda: is_whole(folder)):
                    tidy(self._root, {choice.digest, choice.previous, self._digest})  # wheels that fell
                    await in_thread(lambda: shutil.rmtree(folder, ignore_errors=True))
                    await self._unpack(upgrade, fetch, told)
                await in_thread(lambda: _check(folder))
                # Not in a thread: whoever gives this up meanwhile finds the wheel chosen, or not.
                self._choices.update(lambda c: self._ordered(c, upgrade, tuple(trackers)))
                self._chosen = upgrade.digest
            except OSError as error:
                raise UpgradeError(f"{self._root} cannot be written: {error.strerror or error}") from error

    def _ordered(self, choice: Choice, upgrade: Upgrade, trackers: tuple[str, ...]) -> Choice:
        installed = choice.installed if self._digest else installation()
        return ordered(choice, upgrade.id, upgrade.digest, upgrade.version, installed, trackers)

    async def _unpack(self, upgrade: Upgrade, fetch: Fetch, told: Callable[[float], None]) -> None:
        """Raises UpgradeError or OSError."""

        async def counted(digest: str, offset: int) -> AsyncIterator[tuple[int, bytes]]:
            told(offset / upgrade.size)
            async for position, piece in fetch(digest, offset):
                yield position, piece
                told((position + len(piece)) / upgrade.size)

        if not 0 < upgrade.size <= MAX_WHEEL_BYTES:
            raise UpgradeError(f"its wheel of {upgrade.size} bytes is none of an agent")
        log.info("fetching version %s of the agent, %s", upgrade.version, quantities.size(upgrade.size))
        cache = ArtifactCache(self._root / "wheels", MAX_WHEEL_BYTES, counted)
        artifact = Artifact(upgrade.digest, upgrade.size)
        while True:
            try:
                wheel = await cache.hold(artifact, ".whl")
                break
            except LinkLostError:
                await asyncio.sleep(_AGAIN_S)
            except ArtifactError as error:
                raise UpgradeError(str(error)) from error
        # Seconds on a slow card: whoever gives this up meanwhile finds the wheel whole the next time.
        await in_thread(lambda: _unpack_whole(wheel, self._root / upgrade.digest))
        wheel.unlink()

    def joined(self) -> None:
        """A tracker accepted the Join of the code that runs: that code stands, and code older than its forerunner goes.

        A disk that refuses the word is asked again until it takes it. Called in the event loop.
        """
        if not self._root.is_dir():
            return
        remember_joined(self._digest)
        if self._settles is None:
            self._settle(told=False)

    def _settle(self, *, told: bool) -> None:
        self._settles = None
        before = self._choices.read()
        if joined(before, self._digest) == before:
            return  # there is no word for the disk to take
        try:
            choice = self._choices.update(lambda c: joined(c, self._digest))
        except OSError as error:
            if not told:
                problem = error.strerror or str(error)
                log.warning(
                    "%s cannot be written (%s): it is tried again that version %s stands",
                    self._root,
                    problem,
                    before.version or __version__,
                )
            again = functools.partial(self._settle, told=True)
            self._settles = asyncio.get_running_loop().call_later(_AGAIN_S, again)
            return
        if choice != before:
            tidy(self._root, {choice.digest, choice.previous})
            log.info("version %s of the agent stands: it runs from now on", choice.version)

    def ended(self, code: int, reason: str) -> None:
        """The agent ends with ``code``. Code on trial has fallen by that, unless the end is not its fault."""
        if not self._digest or not at_fault(code):
            return
        # The agent that launched this code says the same in other words.
        with contextlib.suppress(OSError):
            if has_joined(self._digest):
                self._choices.update(lambda c: joined(c, self._digest))
                return
            self._choices.update(lambda c: fell(c, self._digest, reason or f"it ended with exit code {code}"))


def _check(folder: Path) -> None:
    """Raises UpgradeError where a package that the unpacked wheel requires is not installed here."""
    # A board needs these imports once in its life, and ``email``, which they bring, is 3 MB.
    from importlib.metadata import Distribution

    from tvm_farm.agent.upgrade.requirements import lacking

    about = Distribution.at(next(folder.glob("*.dist-info/METADATA")).parent).metadata
    python = about.get_all("Requires-Python") or [""]
    if found := lacking(about.get_all("Requires-Dist") or [], python[0]):
        raise UpgradeError(found)


def _unpack_whole(wheel: Path, folder: Path) -> None:
    """Unpack ``wheel`` so that ``folder`` is whole, on the disk, or not there. Raises UpgradeError or OSError."""
    # A process that is killed over this leaves a folder by another name, which ``tidy`` clears.
    fresh = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        unpack_agent_wheel(wheel, fresh)
        write_digest(fresh)
        sync_all(fresh)
        os.rename(fresh, folder)
        flush_folder(folder.parent)
    except ValueError as error:
        raise UpgradeError(f"its wheel cannot be used: {error}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
