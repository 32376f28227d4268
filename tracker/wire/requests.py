"""Measure requests on their way through: sealed where they come in, handed on as they came."""

from __future__ import annotations

from dataclasses import dataclass

from protos.convert import from_message
from protos.farm.v1 import measurement_pb2
from protos.measurement import Artifact, ProgramKind, TimingPlan
from tracker.services.sealed import INLINE_BYTES, SealedRequest
from tracker.wire.values import read

__all__ = ["RequestMessage", "seal"]


class RequestMessage:
    """A request's message, as a copy of its own: a part keeps all that it came with in memory."""

    __slots__ = ("bytes", "message")

    def __init__(self, message: measurement_pb2.MeasureRequest) -> None:
        self.message = measurement_pb2.MeasureRequest()
        self.message.CopyFrom(message)
        self.bytes = message.ByteSize()

    def without_files(self) -> RequestMessage:
        bare = measurement_pb2.MeasureRequest()
        bare.CopyFrom(self.message)
        bare.program.library.ClearField("inline")
        if bare.program.HasField("params"):
            bare.program.params.ClearField("inline")
        return RequestMessage(bare)


@dataclass(frozen=True)
class _Program:
    """What the tracker wants to know of a Program."""

    kind: ProgramKind | None
    entry: str


def seal(message: measurement_pb2.MeasureRequest) -> SealedRequest:
    """Raises InvalidRequest for a kind of program that this version does not know."""
    program = message.program
    known = read(_Program, program)
    files = [program.library, program.params] if program.HasField("params") else [program.library]
    store_first = len(program.library.inline) > INLINE_BYTES or bool(program.params.inline)
    return SealedRequest(
        trial_id=message.trial_id,
        kind=known.kind,
        entry=known.entry,
        plan=from_message(TimingPlan, message.plan),
        run_timeout_s=message.limits.run_timeout_s,
        payload=RequestMessage(message),
        named=tuple(file.digest for file in files if not file.inline),
        carried=tuple(from_message(Artifact, file) for file in files if file.inline) if store_first else (),
    )
