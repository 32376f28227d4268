"""Measure requests on their way through: sealed where they come in, handed on as they came."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from tvm_farm.protos.convert import from_message
from tvm_farm.protos.encoded import field_of
from tvm_farm.protos.farm.v1 import fleet_pb2, measurement_pb2
from tvm_farm.protos.measurement import Artifact, ProgramKind, TimingPlan
from tvm_farm.tracker.measuring.request import INLINE_BYTES, TrialRequest
from tvm_farm.tracker.wire.values import read

__all__ = ["RequestMessage", "seal", "with_requests"]


class RequestMessage:
    """A request's message, encoded."""

    __slots__ = ("encoded",)

    def __init__(self, message: measurement_pb2.MeasureRequest) -> None:
        self.encoded = message.SerializeToString()

    @property
    def bytes(self) -> int:
        return len(self.encoded)

    def without_files(self) -> RequestMessage:
        bare = measurement_pb2.MeasureRequest.FromString(self.encoded)
        bare.program.library.ClearField("inline")
        if bare.program.HasField("params"):
            bare.program.params.ClearField("inline")
        return RequestMessage(bare)


def with_requests(message: fleet_pb2.TrackerMessage, requests: Iterable[RequestMessage]) -> bytes:
    """``message`` encoded, with ``requests`` as its ``measure``."""
    parts = [message.SerializeToString()]
    for request in requests:
        parts += field_of(fleet_pb2.TrackerMessage.MEASURE_FIELD_NUMBER, request.encoded)
    return b"".join(parts)


@dataclass(frozen=True)
class _Program:
    """What the tracker wants to know of a Program."""

    kind: ProgramKind
    entry: str


@functools.lru_cache(1000)
def _plan(encoded: bytes) -> TimingPlan:
    return from_message(TimingPlan, measurement_pb2.TimingPlan.FromString(encoded))


@functools.lru_cache(100)
def _width(dtype: str) -> int:
    """Bytes of an element, at most."""
    bits = dtype.lstrip("abcdefghijklmnopqrstuvwxyz")
    return int(bits) // 8 if bits in ("8", "16", "32", "64") else 1 if dtype == "bool" else 8


def _memory_bytes(program: measurement_pb2.Program) -> int:
    tensors = sum([math.prod(argument.shape) * _width(argument.dtype) for argument in program.args])
    return tensors + program.library.size + program.params.size


def seal(message: measurement_pb2.MeasureRequest) -> TrialRequest:
    """Raises InvalidRequest for a kind of program that this version does not know, or that is not told."""
    program = message.program
    known = read(_Program, program)
    files = [program.library, program.params] if program.HasField("params") else [program.library]
    # Looking at the bytes of a message copies them: once.
    sizes = [len(file.inline) for file in files]
    store_first = sizes[0] > INLINE_BYTES or any(sizes[1:])
    return TrialRequest(
        trial_id=message.trial_id,
        kind=known.kind,
        entry=known.entry,
        plan=_plan(message.plan.SerializeToString()),
        run_timeout_s=message.limits.run_timeout_s,
        payload=RequestMessage(message),
        named=tuple([file.digest for file, size in zip(files, sizes, strict=True) if not size]),
        carried=tuple([from_message(Artifact, file) for file in files if file.inline]) if store_first else (),
        memory_bytes=_memory_bytes(program),
        hopeless_s=message.limits.hopeless_s,
        wants_outputs=bool(program.outputs),
    )
