"""Files by the digest of what they hold."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from tvm_farm.tracker.domain import Artifact
from tvm_farm.tracker.domain.errors import InvalidRequest, NotFound, StateFolderUnusable, StoreFull

__all__ = ["CHUNK_BYTES", "ArtifactStore"]

#: A board on a slow link hears of each within seconds.
CHUNK_BYTES = 1 << 18
_DIGEST = re.compile(r"[0-9a-f]{64}")


class ArtifactStore:
    """A folder of artifacts. A file appears under its digest only when it is whole and on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        self._present: set[str] = set()
        try:
            self._incoming.mkdir(parents=True, exist_ok=True)
            for left_over in self._incoming.iterdir():
                left_over.unlink()
        except OSError as e:
            raise StateFolderUnusable(f"the artifact folder {folder} cannot be written: {e.strerror}") from e

    def __contains__(self, digest: str) -> bool:
        if digest not in self._present and _DIGEST.fullmatch(digest) and self._path(digest).exists():
            self._present.add(digest)
        return digest in self._present

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest

    def path(self, digest: str) -> Path:
        """The file of an artifact, to be read. Raises NotFound."""
        if digest not in self:
            raise NotFound(f"there is no artifact {digest or '(no digest given)'} in this farm")
        return self._path(digest)

    async def put(self, chunks: AsyncIterator[bytes]) -> Artifact:
        """Store what ``chunks`` hold and name it. Raises StoreFull, having kept nothing."""
        incoming: _Incoming | None = None
        try:
            incoming = await asyncio.to_thread(_Incoming, self._incoming)
            async for chunk in chunks:
                await asyncio.to_thread(incoming.write, chunk)
            artifact = incoming.artifact
            await asyncio.to_thread(incoming.keep, self._path(artifact.digest))
        except OSError as e:
            raise StoreFull(f"the artifact cannot be stored in {self._folder}: {e.strerror}") from e
        finally:
            if incoming is not None:
                incoming.discard()
        return artifact

    async def put_bytes(self, artifact: Artifact) -> Artifact:
        """Store an artifact that came inline; raises InvalidRequest when it is not what its digest says."""

        async def chunks() -> AsyncIterator[bytes]:
            yield artifact.inline

        if artifact.digest in self:
            return Artifact(artifact.digest, artifact.size)
        stored = await self.put(chunks())
        if stored.digest != artifact.digest:
            raise InvalidRequest(f"the inline artifact named {artifact.digest} has the digest {stored.digest}")
        return stored

    async def get(self, digest: str, offset: int = 0) -> AsyncIterator[bytes]:
        """The artifact from byte ``offset`` on, in chunks of at most CHUNK_BYTES; none behind its end. Raises
        NotFound.
        """
        with await asyncio.to_thread(self.path(digest).open, "rb") as file:
            # An offset of the wire may be more than a file can have.
            file.seek(min(offset, os.fstat(file.fileno()).st_size))
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk


class _Incoming:
    """A file on its way in. Unless it is kept, ``discard`` leaves nothing of it."""

    def __init__(self, folder: Path) -> None:
        fd, name = tempfile.mkstemp(dir=folder)
        self._path = Path(name)
        self._file = os.fdopen(fd, "wb")
        self._sha = hashlib.sha256()
        self._size = 0

    def write(self, chunk: bytes) -> None:
        self._sha.update(chunk)
        self._size += len(chunk)
        self._file.write(chunk)

    @property
    def artifact(self) -> Artifact:
        return Artifact(self._sha.hexdigest(), self._size)

    def keep(self, path: Path) -> None:
        """Whole and on the disk before it has its name."""
        self._file.flush()
        os.fsync(self._file.fileno())
        path.parent.mkdir(exist_ok=True)
        os.replace(self._path, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def discard(self) -> None:
        # Closing flushes what a full disk did not take.
        with contextlib.suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)
