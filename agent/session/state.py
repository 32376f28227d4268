"""What an agent knows about its work: the state that ``transition`` carries from event to event."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from tvm_farm.agent.session.effects import Exit
from tvm_farm.protos.measurement import Measurement, MeasureRequest

__all__ = ["Held", "Phase", "Session", "Turn", "Wire"]


class Wire(Enum):
    """The stream to the tracker: none, open, or open with the Join accepted."""

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
    """Who may execute, where the devices of one board do so at different times."""

    #: This device, until it passes the turn.
    OURS = "ours"
    #: Others still; this device asked for the turn.
    AWAITED = "awaited"
    #: Others, or nobody.
    OTHERS = "others"


@dataclass(frozen=True)
class Held:
    """A trial that waits to be run."""

    request: MeasureRequest
    #: The trial's files are on this board.
    ready: bool = False
    #: The trial was sent again while its cancelled run is still ending, which has the files until then.
    sent_again: bool = False


@dataclass(frozen=True)
class Session:
    """Everything the agent knows about its work. Times are of the caller's monotonic clock, in seconds."""

    #: Trials that may wait at once.
    slots: int
    #: Devices of one board take turns. A device that is alone on its board always has the turn.
    shares_board: bool = False
    turn: Turn = Turn.OURS
    wire: Wire = Wire.DOWN
    queue: tuple[Held, ...] = ()
    #: Id of the trial that is executed now; "": none is.
    running: str = ""
    #: The running trial was cancelled: nobody wants its result.
    disowned: bool = False
    #: Results that the tracker has not acknowledged.
    outbox: tuple[Measurement, ...] = ()
    #: The farm that was joined last; "" before the first.
    farm: str = ""
    #: Streams that ended since the last Joined.
    attempt: int = 0
    heartbeat_s: float = 5.0
    #: When the next heartbeat is due.
    heartbeat_at: float = math.inf
    #: When the tracker was last heard, or began to owe an answer.
    heard_at: float = 0.0
    #: Seconds to the next try, where they are not the backoff's; 0: they are.
    retry_after_s: float = 0.0
    #: Why the tracker refused the last join for now.
    refused: str = ""
    #: Why the disk takes no files, a clause; "" while it does. Meanwhile the device takes no trials.
    disk_fault: str = ""
    #: The runtime came after a Join was made, which therefore says what the runner was before.
    join_stale: bool = False
    #: Id of the upgrade that is being brought; "": none is.
    upgrade: str = ""
    #: What to end with, while the device drains; None: it does not drain.
    leaving: Exit | None = None
    #: When a draining device ends, though results are not acknowledged.
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
