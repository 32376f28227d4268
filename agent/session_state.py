"""What an agent knows about its work: the state that agent.session carries from event to event."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from tvm_farm.agent.effects import Exit
from tvm_farm.protos.measurement import Measurement, MeasureRequest

__all__ = ["Held", "Phase", "Session", "Turn", "Wire"]


class Wire(Enum):
    DOWN = "down"
    JOINING = "joining"
    JOINED = "joined"


class Phase(str, Enum):
    """The state as a person would name it."""

    JOINING = "joining"
    IDLE = "idle"
    MEASURING = "measuring"
    DRAINING = "draining"
    LOST = "lost"


class Turn(Enum):
    """Whether this device may execute, where another one of its board executes at other times."""

    OURS = "ours"
    AWAITED = "awaited"
    OTHERS = "others"


@dataclass(frozen=True)
class Held:
    """A trial waiting for its turn. ``ready``: its files are on this board.

    ``behind_itself``: its cancelled run is still ending, and has its files until then.
    """

    request: MeasureRequest
    ready: bool = False
    behind_itself: bool = False


@dataclass(frozen=True)
class Session:
    """Everything the agent knows about its work. Times are of the caller's monotonic clock."""

    slots: int
    #: Devices of one board take turns; one that is alone on its board always has it.
    shares_board: bool = False
    turn: Turn = Turn.OURS
    wire: Wire = Wire.DOWN
    queue: tuple[Held, ...] = ()
    running: str = ""
    #: The running trial was cancelled: nobody wants its result.
    disowned: bool = False
    outbox: tuple[Measurement, ...] = ()
    farm: str = ""
    attempt: int = 0
    heartbeat_s: float = 5.0
    heartbeat_at: float = math.inf
    #: When the tracker was last heard, or began to owe an answer.
    heard_at: float = 0.0
    retry_after_s: float = 0.0
    #: Why the tracker refused the last join for now.
    refused: str = ""
    #: Why the disk takes no files, a clause: the device takes no trials.
    disk_fault: str = ""
    #: The runtime came after a Join was made: it says what the runner was.
    join_stale: bool = False
    #: Id of the upgrade that is being brought.
    upgrade: str = ""
    #: Set while draining: what to end with.
    leaving: Exit | None = None
    leave_by: float = math.inf
    ended: bool = False

    @property
    def phase(self) -> Phase:
        if self.leaving is not None:
            return Phase.DRAINING
        if self.wire is Wire.JOINED:
            return Phase.MEASURING if self.running else Phase.IDLE
        return Phase.LOST if self.farm and self.wire is Wire.DOWN else Phase.JOINING

    @property
    def held(self) -> int:
        """Trials that the tracker counts as being here and unanswered."""
        return len(self.queue) + bool(self.running and not self.disowned)
