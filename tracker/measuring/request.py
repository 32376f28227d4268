"""A trial's request as the tracker carries it: what services look at, and the whole of it as it came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tvm_farm.protos.measurement import Artifact, ProgramKind, TimingPlan

__all__ = ["INLINE_BYTES", "Payload", "TrialRequest"]

#: Libraries up to this size travel with the request; larger ones a board fetches once by their digest.
INLINE_BYTES = 256 * 1024


class Payload(Protocol):
    """The message that the request came in. Only the wire looks inside."""

    @property
    def bytes(self) -> int:
        """What it holds in memory."""

    def without_files(self) -> Payload:
        """The same for a board that fetches library and parameters by their digests."""


@dataclass(frozen=True)
class TrialRequest:
    """``payload`` goes to a board as it is: taking it apart and putting it together would cost more than all else.

    ``named`` are the digests of the files that a board fetches from here; ``carried`` files that are to be stored
    here before a board is asked, and to be fetched like those. A small library is neither: it goes with the payload.
    ``memory_bytes``: what its tensors and files take on a board. ``wants_outputs``: values of its run come back.
    """

    trial_id: str
    kind: ProgramKind
    entry: str
    plan: TimingPlan
    run_timeout_s: float
    payload: Payload
    named: tuple[str, ...] = ()
    carried: tuple[Artifact, ...] = ()
    memory_bytes: int = 0
    hopeless_s: float = 0.0
    wants_outputs: bool = False
