"""Which machine a device is, where several say that they are it: a disk was cloned with the agent's state folder."""

from __future__ import annotations

from collections import defaultdict, deque
from enum import Enum

from tvm_farm.protos.device import Machine
from tvm_farm.tracker.domain import Device, Join
from tvm_farm.tracker.domain.machine import is_same_machine, machine_name
from tvm_farm.tracker.measuring.board import Board

__all__ = ["Claim", "Identities", "refusal"]

#: Starts of a device's agents that are remembered after another took their place.
_STARTS = 32
#: What was heard by then may have been on its way, or unread, when its sender lost its power.
_UNDERWAY_S = 2.0
#: Agents that wait to hear whether they are clones, the rest of them forgotten.
_ASKED = 4096


class Claim(Enum):
    """What a join's word for who it is comes to."""

    HOLDS = "holds"
    #: The stream there is may be what the same machine left behind when it lost its power.
    UNSURE = "unsure"
    CLONE = "clone"


class Identities:
    """Judges who joins as a device that is known. Kept in memory alone, but for the clone that a Device names."""

    def __init__(self) -> None:
        self._replaced: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_STARTS))
        #: (device id, start id) -> when it first asked to join where another was connected.
        self._asked: dict[tuple[str, str], float] = {}

    def judge(self, join: Join, known: Device | None, board: Board | None, now: float) -> Claim:
        """``known``: what the device was before; ``board``: its stream, if it has one; ``now``: the fleet's monotonic.

        Two machines are told from one that restarted by what one cannot do: be heard on its old stream after its new
        start asked to join.
        """
        mine = join.machine or Machine()
        if known is not None and _is_the_clone(mine, known):
            return Claim.CLONE
        asked = (join.device_id, mine.start_id)
        if board is not None and not self._follows(join, board):
            first = self._asked.setdefault(asked, now)
            if len(self._asked) > _ASKED:
                del self._asked[next(iter(self._asked))]
            heard = board.silent_since > first + _UNDERWAY_S
            return Claim.CLONE if mine.start_id and heard else Claim.UNSURE
        self._asked.pop(asked, None)
        if board is not None and board.device.machine and board.device.machine.start_id != mine.start_id:
            self._replaced[join.device_id].append(board.device.machine.start_id)
        return Claim.HOLDS

    def forget(self, device_id: str) -> None:
        """The device is none any more."""
        self._replaced.pop(device_id, None)
        self._asked = {asked: first for asked, first in self._asked.items() if asked[0] != device_id}

    def _follows(self, join: Join, board: Board) -> bool:
        """Whether whoever joins may take the place of ``board`` at once: it is the same machine, for all they tell."""
        mine, theirs = join.machine, board.device.machine
        if mine is None or theirs is None or not (mine.start_id and theirs.start_id):  # an agent older than that
            return join.fingerprint.hostname == board.device.fingerprint.hostname
        if mine.start_id == theirs.start_id:
            return True
        # A process whose place another start took has ended, if they are of one machine.
        return mine.start_id not in self._replaced[join.device_id] and is_same_machine(mine, theirs)


def _is_the_clone(mine: Machine, known: Device) -> bool:
    if known.clone is None or not is_same_machine(mine, known.clone.machine):
        return False
    return known.machine is None or not is_same_machine(mine, known.machine)


def refusal(claim: Claim, join: Join, holder: Device) -> str:
    """Why ``join`` is refused, and what to do about it, for the log of the board that asked."""
    there = machine_name(holder.fingerprint.hostname, holder.machine)
    here = machine_name(join.fingerprint.hostname, join.machine)
    if claim is Claim.UNSURE:
        return (
            f"device id {join.device_id} is in use by {there}: if that is another machine than {here}, one was cloned "
            "from the other; run `agent new-identity` on one of them"
        )
    return (
        f"device id {join.device_id} belongs to another machine, {there}, and {here} is its clone: run "
        "`agent new-identity` here, and this one is a device of its own"
    )
