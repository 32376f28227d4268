"""A Farm's files: sent once, named by their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tvm_farm.protos.convert import from_message
from tvm_farm.protos.farm.v1 import artifacts_pb2, artifacts_pb2_grpc
from tvm_farm.tracker.client.errors import FarmError
from tvm_farm.tracker.client.link import Link
from tvm_farm.tracker.domain import Artifact

__all__ = ["Artifacts", "file_digest"]

_CHUNK_BYTES = 1 << 20


class Artifacts:
    def __init__(self, link: Link) -> None:
        self._link = link
        self._stub = artifacts_pb2_grpc.ArtifactsStub(link.channel)

    def put(self, path: Path) -> Artifact:
        """Send a file. Raises OSError where it cannot be read, FarmError when other bytes arrived."""
        digest, size = file_digest(path)

        def chunks() -> Iterator[artifacts_pb2.ArtifactUpload]:
            with path.open("rb") as file:
                while data := file.read(_CHUNK_BYTES):
                    yield artifacts_pb2.ArtifactUpload(data=data)

        with self._link.errors():
            stored = from_message(Artifact, self._stub.PutArtifact(chunks()))
        if stored.digest != digest:
            raise FarmError(f"{path} changed while it was sent to the tracker, or was damaged on the way. Try again.")
        return Artifact(digest=digest, size=size)

    def get(self, content: Artifact, path: Path) -> None:
        """Write what ``content`` names to ``path``. Raises OSError, or FarmError when the bytes are not those."""
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for data in [content.inline] if content.inline else self._download(content.digest):
                digest.update(data)
                file.write(data)
        if digest.hexdigest() != content.digest:
            raise FarmError(f"{path.name} arrived damaged (sha256 is not {content.digest[:12]}…). Fetch it again.")

    def _download(self, digest: str) -> Iterator[bytes]:
        request = artifacts_pb2.GetArtifactRequest(digest=digest)
        return self._link.stream(self._stub.GetArtifact, request, lambda part: bytes(part.data))


def file_digest(path: Path) -> tuple[str, int]:
    """sha256 in hex and size in bytes of a file, read in pieces. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while data := file.read(_CHUNK_BYTES):
            digest.update(data)
            size += len(data)
    return digest.hexdigest(), size
