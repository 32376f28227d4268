"""The contract of builders: candidates in, shared libraries or the words of a failure out, as they are done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from tvm_farm.protos.measurement import Artifact, Outcome, Preparation

__all__ = ["BuildRequest", "Builders", "BuildersEnded", "Built"]


@dataclass(frozen=True)
class BuildRequest:
    """One candidate to build."""

    id: str
    #: As ``tvm.ir.save_json`` writes it.
    module: str = field(repr=False)
    #: As JSON.
    target: str = field(repr=False)
    #: Its task, "" of none: a candidate is given up when it takes several times what others of its task took.
    task: str = ""


@dataclass(frozen=True)
class Built:
    """What came of a request."""

    id: str
    outcome: Outcome
    #: Where the outcome is OK. Builders of this host have the bytes in it, ``inline``. One that builds elsewhere sends
    #: the file to the tracker (``FarmClient.put_artifact``) and hands over its name alone: a board gets it from there.
    library: Artifact | None = None
    #: For a person, where there is no library.
    detail: str = ""
    #: Those of the builder.
    steps: Preparation = field(default_factory=Preparation)
    #: CPU seconds that it took, or had been given when it ran out of them; 0 where nobody knows.
    cpu_s: float = 0.0


@dataclass(frozen=True)
class BuildersEnded:
    """No builder is left."""


class Builders(Protocol):
    """Processes that build one candidate after another, each within a limit of CPU time.

    A candidate that cannot be built is a value: a build error or timeout where it is to blame, a host fault where the
    builder's host is. It costs no other candidate. Every request is answered once, in no order, unless it is dropped.
    """

    @property
    def workers(self) -> int:
        """Candidates that are built at once."""
        ...

    def submit(self, request: BuildRequest) -> None:
        """Queue a candidate. Raises SessionOver when no builder is left."""
        ...

    def deliver_to(self, sink: Callable[[Built | BuildersEnded], None]) -> None:
        """Call ``sink``, from a thread of theirs, with what is built from now on; before that nothing is delivered.

        What an earlier sink still had queued is dropped; a candidate of its that is being built at this moment may yet
        arrive. A last BuildersEnded follows when they are closed or have died. Raises SessionOver.
        """
        ...

    def close(self) -> None:
        """End every builder at once; what was queued is dropped. May be called again."""
        ...
