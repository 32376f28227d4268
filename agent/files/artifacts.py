"""Files from the tracker on this board: received in pieces, verified, kept while there is room."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import io
import os
import re
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeAlias

from tvm_farm.agent.errors import ArtifactError, LinkLostError
from tvm_farm.agent.files.disk import FULL, PROBE, DiskError, is_disk_fault
from tvm_farm.agent.files.durable import replace_durably
from tvm_farm.agent.files.threads import in_thread
from tvm_farm.protos import quantities
from tvm_farm.protos.measurement import Artifact

__all__ = ["ArtifactCache", "Fetch"]

#: Takes a digest and the bytes of the file that are here already; yields pieces with their positions.
Fetch: TypeAlias = Callable[[str, int], AsyncIterator[tuple[int, bytes]]]

_PIECE = 1 << 20
_UNFINISHED = "incoming-"


class ArtifactCache:
    """A folder of files named by their sha256, at most ``limit_bytes`` in all; the longest unused go first.

    ``fetch(digest, offset)`` yields a file's bytes in pieces with their positions, from ``offset`` or from 0 on. A
    fetch may raise ArtifactError; the bytes that came before stay, and the next fetch begins behind them, also in
    another process. Files that an earlier process left whole are used again, verified once: a board may have lost power
    while writing.

    A disk that is full before the limit is reached costs what is unused here, then what ``spare`` gives up; it says
    whether it gave up something. ``durable``: a file is on the disk before it counts as here.
    """

    def __init__(
        self,
        root: Path,
        limit_bytes: int,
        fetch: Fetch,
        *,
        spare: Callable[[], bool] | None = None,
        durable: bool = False,
    ) -> None:
        self._root = root
        self._spare = spare
        self._durable = durable
        self._limit = limit_bytes
        self._fetch = fetch
        #: Bytes of each file by its name, the longest unused first.
        self._sizes: OrderedDict[str, int] = OrderedDict()
        #: Bytes of all files.
        self.size_bytes = 0
        self._verified: set[str] = set()
        self._in_use: Counter[str] = Counter()
        self._locks: dict[str, asyncio.Lock] = {}
        self._adopt()

    async def hold(self, artifact: Artifact, suffix: str) -> Path:
        """The file of ``artifact``, kept until ``release``. Its name ends in ``suffix``.

        Raises ArtifactError, which names the digest and the cause: not on the tracker, wrong digest, no room in the
        cache. Raises DiskError where the disk does not take the file.
        """
        name = _name(artifact, suffix)
        self._in_use[name] += 1
        try:
            async with self._locks.setdefault(name, asyncio.Lock()):
                return await self._bring(artifact, name)
        except OSError as error:
            self.release(artifact, suffix)
            told = quantities.size(artifact.size)
            what = f"artifact {artifact.digest[:12]} of {told} could not be written to {self._root}"
            if not is_disk_fault(error):
                raise ArtifactError(f"{what}: {error.strerror or error}") from error
            raise DiskError(what, error, artifact.size) from error
        except BaseException:
            self.release(artifact, suffix)
            raise

    def release(self, artifact: Artifact, suffix: str) -> None:
        """End one ``hold``. The file stays until its room is needed."""
        name = _name(artifact, suffix)
        self._in_use[name] -= 1
        if self._in_use[name] <= 0:
            del self._in_use[name]
            self._locks.pop(name, None)

    async def _bring(self, artifact: Artifact, name: str) -> Path:
        path = self._root / name
        if name in self._sizes and name not in self._verified:
            if await asyncio.to_thread(_sha256_of, path) == artifact.digest:
                self._verified.add(name)
            else:
                self._forget(name)
        if name not in self._sizes:
            self._make_room(artifact, f"{_UNFINISHED}{name}")
            await self._receive(artifact, path)
            self._sizes[name] = artifact.size
            self.size_bytes += artifact.size
            self._verified.add(name)
        self._sizes.move_to_end(name)
        return path

    async def _receive(self, artifact: Artifact, path: Path) -> None:
        unfinished = path.with_name(f"{_UNFINISHED}{path.name}")  # the lock of the name lets one task at a time write
        self.size_bytes -= self._sizes.pop(unfinished.name, 0)
        try:
            with self._opened(unfinished) as file:
                await self._complete(artifact, file)
            if self._durable:
                await in_thread(functools.partial(replace_durably, unfinished, path))
            else:
                os.replace(unfinished, path)
        except (LinkLostError, asyncio.CancelledError):
            self._set_aside(unfinished)
            raise
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise

    def _opened(self, path: Path) -> io.FileIO:
        while True:
            try:
                self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
                return path.open("a+b", buffering=0)
            except OSError as error:
                if error.errno not in FULL or not self.drop_unused():
                    raise

    async def _complete(self, artifact: Artifact, file: io.FileIO) -> None:
        here = os.fstat(file.fileno()).st_size
        try:
            await self._write(artifact, file, here)
        except LinkLostError:
            raise
        except ArtifactError:
            if not here:
                raise
            # The board lost power while it wrote what was here.
            file.truncate(0)
            await self._write(artifact, file, 0)

    async def _write(self, artifact: Artifact, file: io.FileIO, received: int) -> None:
        """Add to ``file``, of ``received`` bytes, what it lacks of ``artifact``. Raises ArtifactError."""
        digest = await asyncio.to_thread(_digest_of, file) if received else hashlib.sha256()
        async for position, piece in self._pieces(artifact, received):
            if position == 0 and received:
                file.truncate(0)
                digest, received = hashlib.sha256(), 0
            received += len(piece)
            if received > artifact.size:
                raise ArtifactError(f"artifact {artifact.digest[:12]} is longer than its stated {artifact.size} bytes")
            digest.update(piece)
            await self._put(file, piece, at_once=bool(artifact.inline))
        if digest.hexdigest() != artifact.digest:
            raise ArtifactError(
                f"artifact {artifact.digest[:12]} arrived damaged: its {received} of {artifact.size} bytes "
                f"have the digest {digest.hexdigest()[:12]}"
            )

    async def _pieces(self, artifact: Artifact, received: int) -> AsyncIterator[tuple[int, bytes]]:
        if artifact.inline or not artifact.size:
            yield 0, artifact.inline
        elif received < artifact.size:
            async for piece in self._fetch(artifact.digest, received):
                yield piece

    async def _put(self, file: io.FileIO, piece: bytes, *, at_once: bool) -> None:
        """Write ``piece``, beside the event loop unless ``at_once``: a slow disk keeps no heartbeat waiting."""
        left = memoryview(piece)
        while left:
            write = functools.partial(file.write, left)
            try:
                # A raw file may take less than all, and says so: a disk that is nearly full.
                left = left[write() if at_once else await in_thread(write) :]
            except OSError as error:
                if error.errno not in FULL or not self.drop_unused():
                    raise

    def drop_unused(self) -> bool:
        """Remove the file that was unused for longest, or one that ``spare`` gives up. False where none is unused."""
        for name in list(self._sizes):
            if not self._in_use[name]:
                self._forget(name)
                return True
        return self._spare is not None and self._spare()

    def _set_aside(self, unfinished: Path) -> None:
        """Keep an unfinished file, whose room other files may take as any file's."""
        if size := unfinished.stat().st_size:
            self._sizes[unfinished.name] = size
            self.size_bytes += size
        else:
            unfinished.unlink()

    def _make_room(self, artifact: Artifact, unfinished: str) -> None:
        """Remove unused files until ``artifact`` fits. The part that is here, ``unfinished``, stays."""
        missing = artifact.size - self._sizes.get(unfinished, 0)
        if self.size_bytes + missing <= self._limit:
            return
        for name in list(self._sizes):
            if not self._in_use[name] and name != unfinished:
                self._forget(name)
                if self.size_bytes + missing <= self._limit:
                    return
        raise ArtifactError(
            f"artifact {artifact.digest[:12]} of {quantities.size(artifact.size)} does not fit into the cache of "
            f"{quantities.size(self._limit)}, of which {quantities.size(self.size_bytes)} are in use: raise "
            "--cache-mb on this device"
        )

    def _forget(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)
        self.size_bytes -= self._sizes.pop(name, 0)
        self._verified.discard(name)

    def _adopt(self) -> None:
        found = []
        with contextlib.suppress(OSError):  # no folder yet, or a disk that the first write tells of
            for path in self._root.iterdir():
                if path.name != PROBE and path.is_file():
                    status = path.stat()
                    found.append((status.st_mtime, path.name, status.st_size))
        self._sizes.update({name: size for _, name, size in sorted(found)})
        self.size_bytes = sum(self._sizes.values())


def _name(artifact: Artifact, suffix: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", artifact.digest):
        raise ArtifactError(f"{artifact.digest[:80]!r} is not a sha256 digest")
    return artifact.digest + suffix


def _sha256_of(path: Path) -> str:
    try:
        with path.open("rb", buffering=0) as file:
            return _digest_of(file).hexdigest()
    except OSError:  # unreadable is the same as damaged: the file is fetched anew
        return ""


def _digest_of(file: io.FileIO) -> hashlib._Hash:
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(_PIECE):
        digest.update(piece)
    return digest
