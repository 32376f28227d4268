"""What an agent does next: ``transition(state, event, now)``, a step of a state machine.

No socket, clock, process or chance is in here. ``now`` is a monotonic clock in seconds. The driver
(agent.driver) feeds the machine what happened and carries out the effects, in order.

The rules, and where they stand:

- A device holds up to ``slots`` trials of a stream: one running, the others with their files on the way (trials).
- A trial runs once. Sent again while held, a trial is ignored; sent again while its result waits for the
  tracker's acknowledgement, the outbox answers (trials).
- When the link is lost, the kernel at hand finishes and its result waits in the outbox. Queued
  trials are dropped without a word: the tracker has placed them elsewhere by then (joining).
- Devices of one board execute by turns, each for one trial; what waits for its turn has not started (trials).
- While the disk takes no files, trials whose files are here are measured, and the rest goes back (trials).
- Draining gives back what is queued, finishes the kernel at hand, waits a bounded time for the
  acknowledgement, and ends (ending).
- An upgrade belongs to the stream on which the tracker orders it: the link's end gives it up, and the next stream
  orders it again. Once the upgrade is chosen the device drains, and its agent starts again with it (upgrade).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TypeAlias

from tvm_farm.agent.session.effects import Connect, Disconnect, Effect, Say, SendHeartbeat, SendJoin
from tvm_farm.agent.session.ending import give_back, leave_when_done, stop
from tvm_farm.agent.session.events import (
    DiskFailed,
    DiskMended,
    Event,
    FilesFailed,
    FilesReady,
    Finished,
    Heard,
    LinkDown,
    LinkUp,
    RunnerFailed,
    RuntimeCame,
    Stop,
    TurnCame,
    Unreadable,
    UpgradeFailed,
    UpgradeReady,
    UpgradeShare,
)
from tvm_farm.agent.session.joining import joined, link_down, refused, runtime_came, silent_at
from tvm_farm.agent.session.messages import CancelTrials, FromTracker, Joined, Refused
from tvm_farm.agent.session.state import Session, Turn, Wire
from tvm_farm.agent.session.trials import (
    asked,
    cancelled,
    disk_failed,
    files_failed,
    finished,
    runner_failed,
    start_next,
)
from tvm_farm.agent.session.upgrade import tell_upgrade, upgrade_failed, upgrade_ordered, upgrade_ready
from tvm_farm.protos.measurement import MeasureRequest
from tvm_farm.protos.upgrade import Upgrade

__all__ = ["begin", "transition", "wakes_at"]

#: The next state, and the effects to carry out in their order.
Step: TypeAlias = tuple[Session, list[Effect]]


def begin(slots: int, shares_board: bool = False) -> Step:
    """The first state and what to do first.

    ``slots`` is at least 1. ``shares_board``: the device asks for its turn before each run.
    """
    turn = Turn.OTHERS if shares_board else Turn.OURS
    return Session(slots=slots, shares_board=shares_board, turn=turn), [Connect(0.0)]


def wakes_at(state: Session) -> float:
    """When a Tick is due; math.inf where only another event can change anything."""
    if state.ended:
        return math.inf
    heartbeat = state.heartbeat_at if state.wire is Wire.JOINED else math.inf
    return min(heartbeat, silent_at(state), state.leave_by)


def transition(state: Session, event: Event, now: float) -> Step:
    """The next state and the effects to carry out, in order. Never raises, never blocks."""
    if state.ended:
        return state, []
    effects: list[Effect] = []
    state = _react(state, event, now, effects)
    state = start_next(state, effects)
    return leave_when_done(state, now, effects), effects


def _react(state: Session, event: Event, now: float, effects: list[Effect]) -> Session:
    if isinstance(event, LinkUp):
        effects.append(SendJoin())
        return replace(state, wire=Wire.JOINING, heard_at=now)
    if isinstance(event, LinkDown):
        return link_down(state, event, effects)
    if isinstance(event, Heard):
        return _heard(replace(state, heard_at=now), event.message, now, effects)
    if isinstance(event, Unreadable):
        effects += [give_back([event.trial_id], event.reason), Say("WARNING", f"gave back a trial: {event.reason}")]
        return replace(state, heard_at=now)
    if isinstance(event, FilesReady):
        queue = tuple(replace(h, ready=True) if h.request.trial_id == event.trial_id else h for h in state.queue)
        return replace(state, queue=queue)
    if isinstance(event, FilesFailed):
        return files_failed(state, event, effects)
    if isinstance(event, DiskFailed):
        return disk_failed(state, event, effects)
    if isinstance(event, DiskMended):
        effects += [Say("INFO", "the disk takes files again")]
        effects += [SendHeartbeat()] if state.wire is Wire.JOINED else []
        return replace(state, disk_fault="")
    if isinstance(event, Finished):
        return finished(state, event.measurement, now, effects)
    if isinstance(event, RunnerFailed):
        return runner_failed(state, event, now, effects)
    if isinstance(event, RuntimeCame):
        return runtime_came(state, effects)
    if isinstance(event, TurnCame):
        return replace(state, turn=Turn.OURS)
    if isinstance(event, UpgradeShare):
        return tell_upgrade(state, Upgrade(event.upgrade_id, share=event.share), effects)
    if isinstance(event, UpgradeFailed):
        return upgrade_failed(state, event, effects)
    if isinstance(event, UpgradeReady):
        return upgrade_ready(state, event, now, effects)
    if isinstance(event, Stop):
        return stop(state, event, now, effects)
    return _tick(state, now, effects)


def _heard(state: Session, message: FromTracker, now: float, effects: list[Effect]) -> Session:
    if isinstance(message, Joined):
        return joined(state, message, now, effects)
    if isinstance(message, Refused):
        return refused(state, message, effects)
    if isinstance(message, MeasureRequest):
        return asked(state, message, effects)
    if isinstance(message, CancelTrials):
        return cancelled(state, frozenset(message.trial_ids), effects)
    if isinstance(message, Upgrade):
        return upgrade_ordered(state, message, effects)
    done = frozenset(message.trial_ids)
    return replace(state, outbox=tuple(m for m in state.outbox if m.trial_id not in done))


def _tick(state: Session, now: float, effects: list[Effect]) -> Session:
    if now >= silent_at(state):
        silent_s = now - state.heard_at
        effects.append(Disconnect(f"the tracker owes an answer and was silent for {silent_s:.0f} s"))
        return replace(state, heard_at=now)
    if state.wire is Wire.JOINED and now >= state.heartbeat_at:
        effects.append(SendHeartbeat())
        return replace(state, heartbeat_at=now + state.heartbeat_s)
    return state
