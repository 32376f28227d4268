"""What each outcome of a trial means, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from tvm_farm.protos.measurement import Outcome

__all__ = ["MEANINGS", "Meaning", "meaning"]


@dataclass(frozen=True)
class Meaning:
    #: The candidate is itself to blame, whichever board of its class has it: the log may answer the same one.
    own_fault: bool = False
    #: Its board may be to blame, where this happens many times in a row.
    suspect: bool = False
    #: Nothing was built.
    unbuilt: bool = False
    #: No board takes part in it.
    boardless: bool = False
    #: It says something about the candidate.
    measured: bool = True
    #: A search learns from it.
    teaches: bool = True


MEANINGS = MappingProxyType(
    {
        Outcome.OK: Meaning(),
        Outcome.BUILD_ERROR: Meaning(own_fault=True, unbuilt=True, boardless=True),
        Outcome.BUILD_TIMEOUT: Meaning(own_fault=True, unbuilt=True, boardless=True),
        Outcome.RUN_ERROR: Meaning(suspect=True),
        Outcome.RUN_TIMEOUT: Meaning(suspect=True),
        Outcome.CRASH: Meaning(own_fault=True, suspect=True),
        Outcome.OUT_OF_MEMORY: Meaning(suspect=True),
        Outcome.WRONG_RESULT: Meaning(own_fault=True),
        Outcome.CANCELLED: Meaning(boardless=True, measured=False, teaches=False),
        # Three lost boards say little about a schedule: it is recorded and not learned from.
        Outcome.UNPLACEABLE: Meaning(boardless=True, teaches=False),
        # Another host, or this one in an hour, builds the same candidate.
        Outcome.HOST_FAULT: Meaning(unbuilt=True, boardless=True, teaches=False),
    }
)


def meaning(outcome: Outcome) -> Meaning:
    return MEANINGS[outcome]
