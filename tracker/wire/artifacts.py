"""Service Artifacts, for whoever sends or fetches files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from tvm_farm.protos.convert import to_message
from tvm_farm.protos.farm.v1 import artifacts_pb2, artifacts_pb2_grpc, measurement_pb2
from tvm_farm.tracker.services.artifacts import ArtifactStore

__all__ = ["ArtifactsServicer"]


class ArtifactsServicer(artifacts_pb2_grpc.ArtifactsServicer):
    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts

    async def PutArtifact(
        self, requests: AsyncIterator[artifacts_pb2.ArtifactUpload], context: Any
    ) -> measurement_pb2.Artifact:
        stored = await self._artifacts.put(upload.data async for upload in requests)
        return to_message(measurement_pb2.Artifact, stored)

    async def GetArtifact(self, request: artifacts_pb2.GetArtifactRequest, context: Any) -> None:
        async for chunk in self._artifacts.get(request.digest):
            await context.write(artifacts_pb2.ArtifactDownload(data=chunk))
