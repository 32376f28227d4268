"""What an agent does next: a state machine without sockets, clocks, processes or chance.

``transition(state, event, now)`` is the whole of it. ``now`` is a monotonic clock in seconds. The
board (agent.board) feeds it what happened and carries out the effects, in order.

The rules a reader looks for here:

- A device holds up to ``slots`` trials of a stream: one running, the others with their files on the way.
- A trial runs once. Sent again while held it is ignored; sent again when its result waits for the
  tracker's acknowledgement it is answered from the outbox.
- When the link is lost, the kernel at hand finishes and its result waits in the outbox. Queued
  trials are dropped without a word: the tracker has placed them elsewhere by then.
- Devices of one board execute by turns, each for one trial; what waits for its turn has not started.
- While the disk takes no files, what has its files here is measured, and the rest goes back.
- Draining gives back what is queued, finishes the kernel at hand, waits a bounded time for the
  acknowledgement, and ends.
- An upgrade is what the tracker says on this stream: it is given up with the link, and ordered again with the next.
  Once it is chosen the device drains, and its agent starts again with it.
"""

from __future__ import annotations

import math
from dataclasses import replace

from tvm_farm.agent.effects import (
    AskTurn,
    CancelRun,
    Connect,
    Disconnect,
    DropUpgrade,
    Effect,
    Exit,
    Fetch,
    PassTurn,
    Release,
    Say,
    Send,
    SendHeartbeat,
    SendJoin,
    Settle,
    StartRun,
)
from tvm_farm.agent.errors import RefusedError, RunnerUnusableError
from tvm_farm.agent.events import (
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
from tvm_farm.agent.messages import (
    CancelTrials,
    Draining,
    FromTracker,
    Joined,
    Refused,
    Started,
)
from tvm_farm.agent.session_end import LAST_WORDS_S, drain, end, give_back, leave_when_done, releases, stop
from tvm_farm.agent.session_state import Held, Phase, Session, Turn, Wire
from tvm_farm.agent.session_upgrade import tell_upgrade, upgrade_failed, upgrade_ordered, upgrade_ready
from tvm_farm.protos.measurement import Measurement, MeasureRequest, Outcome
from tvm_farm.protos.upgrade import Upgrade

__all__ = [
    "BACKOFF_LONGEST_S",
    "Phase",
    "Session",
    "begin",
    "transition",
    "wakes_at",
]

BACKOFF_FIRST_S = 1.0
BACKOFF_LONGEST_S = 30.0
#: A tracker that owes an answer and is silent for so many heartbeats is taken for gone.
SILENT_HEARTBEATS = 3
#: Before a join that nothing went wrong for.
_AGAIN_S = 0.1


Step = tuple[Session, list[Effect]]


def begin(slots: int, shares_board: bool = False) -> Step:
    """The first state and what to do first. ``slots`` >= 1. ``shares_board``: it asks for its turn before a run."""
    turn = Turn.OTHERS if shares_board else Turn.OURS
    return Session(slots=slots, shares_board=shares_board, turn=turn), [Connect(0.0)]


def wakes_at(state: Session) -> float:
    """When a Tick is due, math.inf when only an event can change anything."""
    if state.ended:
        return math.inf
    heartbeat = state.heartbeat_at if state.wire is Wire.JOINED else math.inf
    return min(heartbeat, _silent_at(state), state.leave_by)


def transition(state: Session, event: Event, now: float) -> Step:
    """The next state and the effects to carry out, in order. Never raises, never blocks."""
    if state.ended:
        return state, []
    effects: list[Effect] = []
    state = _react(state, event, now, effects)
    state = _start_next(state, effects)
    return leave_when_done(state, now, effects), effects


def _react(state: Session, event: Event, now: float, effects: list[Effect]) -> Session:
    if isinstance(event, LinkUp):
        effects.append(SendJoin())
        return replace(state, wire=Wire.JOINING, heard_at=now)
    if isinstance(event, LinkDown):
        return _link_down(state, event, effects)
    if isinstance(event, Heard):
        return _heard(replace(state, heard_at=now), event.message, now, effects)
    if isinstance(event, Unreadable):
        effects += [give_back([event.trial_id], event.reason), Say("WARNING", f"gave back a trial: {event.reason}")]
        return replace(state, heard_at=now)
    if isinstance(event, FilesReady):
        queue = tuple(replace(h, ready=True) if h.request.trial_id == event.trial_id else h for h in state.queue)
        return replace(state, queue=queue)
    if isinstance(event, FilesFailed):
        return _files_failed(state, event, effects)
    if isinstance(event, DiskFailed):
        return _disk_failed(state, event, effects)
    if isinstance(event, DiskMended):
        effects += [Say("INFO", "the disk takes files again")]
        effects += [SendHeartbeat()] if state.wire is Wire.JOINED else []
        return replace(state, disk_fault="")
    if isinstance(event, Finished):
        return _finished(state, event.measurement, now, effects)
    if isinstance(event, RunnerFailed):
        return _runner_failed(state, event, now, effects)
    if isinstance(event, RuntimeCame):
        return _runtime_came(state, effects)
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


def _link_down(state: Session, event: LinkDown, effects: list[Effect]) -> Session:
    effects += releases(state.queue)
    effects += [DropUpgrade()] if state.upgrade else []
    attempt = state.attempt + 1
    delay = min(BACKOFF_LONGEST_S, BACKOFF_FIRST_S * 2 ** min(state.attempt, 10)) * (0.5 + 0.5 * event.jitter)
    if state.retry_after_s:
        delay = state.retry_after_s
    elif attempt <= 3 or attempt % 10 == 0:
        lost = "lost the tracker" if state.wire is Wire.JOINED else "cannot reach the tracker"
        effects.append(Say("WARNING", f"{lost}: {event.reason}; next try in {delay:.1f} s, and so on for ever"))
    effects.append(Connect(delay))
    return replace(
        state,
        wire=Wire.DOWN,
        queue=(),
        attempt=attempt,
        heartbeat_at=math.inf,
        retry_after_s=0.0,
        join_stale=False,
        upgrade="",
    )


def _heard(state: Session, message: FromTracker, now: float, effects: list[Effect]) -> Session:
    if isinstance(message, Joined):
        return _joined(state, message, now, effects)
    if isinstance(message, Refused):
        return _refused(state, message, effects)
    if isinstance(message, MeasureRequest):
        return _asked(state, message, effects)
    if isinstance(message, CancelTrials):
        return _cancelled(state, frozenset(message.trial_ids), effects)
    if isinstance(message, Upgrade):
        return upgrade_ordered(state, message, effects)
    done = frozenset(message.trial_ids)
    return replace(state, outbox=tuple(m for m in state.outbox if m.trial_id not in done))


def _joined(state: Session, message: Joined, now: float, effects: list[Effect]) -> Session:
    heartbeat_s = message.heartbeat_s if message.heartbeat_s > 0 else state.heartbeat_s
    pools = ", ".join(message.pools) or "none"
    effects.append(Say("INFO", f"joined farm {message.farm}; pools: {pools}; target: {message.target or 'none'}"))
    effects.append(Settle())
    effects += [Send(measurement) for measurement in state.outbox]
    if state.leaving is not None:
        effects.append(Send(Draining()))
    joined = replace(
        state,
        wire=Wire.JOINED,
        farm=message.farm,
        refused="",
        attempt=0,
        heartbeat_s=heartbeat_s,
        heartbeat_at=now + heartbeat_s,
        join_stale=False,
    )
    return _runtime_came(joined, effects) if state.join_stale else joined


def _refused(state: Session, message: Refused, effects: list[Effect]) -> Session:
    if message.retry_after_s > 0:
        text = f"the tracker refuses this agent for now: {message.reason}; next try in {message.retry_after_s:.0f} s"
        if message.reason != state.refused or state.attempt % 20 == 0:
            effects.append(Say("WARNING", text))
        effects.append(Disconnect("refused for now"))
        return replace(state, retry_after_s=message.retry_after_s, refused=message.reason)
    if state.running:
        effects.append(CancelRun())
    return end(state, Exit(RefusedError.exit_code, f"the tracker refuses this agent: {message.reason}"), effects)


def _asked(state: Session, request: MeasureRequest, effects: list[Effect]) -> Session:
    trial = request.trial_id
    for waiting in state.outbox:
        if waiting.trial_id == trial:
            effects.append(Send(waiting))
            return state
    if any(held.request.trial_id == trial for held in state.queue) or (state.running == trial and not state.disowned):
        return state
    refusal = ""
    if state.leaving is not None:
        refusal = "this device is draining"
    elif state.disk_fault:
        refusal = state.disk_fault
    elif len(state.queue) >= state.slots:
        # The one running does not count: after a gap it may be of a stream that the tracker has forgotten.
        refusal = f"{len(state.queue)} trials wait on this device, all it said it would take"
    if refusal:
        effects.append(give_back([trial], refusal))
        return state
    behind_itself = state.running == trial
    if not behind_itself:
        effects.append(Fetch(request))
    return replace(state, queue=(*state.queue, Held(request, behind_itself=behind_itself)))


def _cancelled(state: Session, trials: frozenset[str], effects: list[Effect]) -> Session:
    effects += releases(h for h in state.queue if h.request.trial_id in trials)
    disowned = state.disowned
    if state.running in trials and not disowned:
        effects.append(CancelRun())
        disowned = True
    return replace(
        state,
        queue=tuple(h for h in state.queue if h.request.trial_id not in trials),
        outbox=tuple(m for m in state.outbox if m.trial_id not in trials),
        disowned=disowned,
    )


def _files_failed(state: Session, event: FilesFailed, effects: list[Effect]) -> Session:
    if all(held.request.trial_id != event.trial_id for held in state.queue):
        return state
    effects += [
        Release(event.trial_id),
        give_back([event.trial_id], event.reason),
        Say("WARNING", f"gave back trial {event.trial_id}: {event.reason}"),
    ]
    return replace(state, queue=tuple(h for h in state.queue if h.request.trial_id != event.trial_id))


def _disk_failed(state: Session, event: DiskFailed, effects: list[Effect]) -> Session:
    """What is here is measured still; the tracker hears why nothing else can be before it has the rest back."""
    if event.fault != state.disk_fault:
        effects.append(Say("WARNING", f"takes no trials until its disk takes files: {event.reason or event.fault}"))
        effects += [SendHeartbeat()] if state.wire is Wire.JOINED else []
    back = [held for held in state.queue if not held.ready]
    effects += releases(back)
    if back and state.wire is Wire.JOINED:
        effects.append(give_back([held.request.trial_id for held in back], event.reason or event.fault))
    return replace(state, queue=tuple(held for held in state.queue if held.ready), disk_fault=event.fault)


def _finished(state: Session, measurement: Measurement, now: float, effects: list[Effect]) -> Session:
    disowned = state.disowned
    effects.append(Release(measurement.trial_id))
    effects += [Fetch(held.request) for held in state.queue if held.behind_itself]
    queue = tuple(replace(held, behind_itself=False) if held.behind_itself else held for held in state.queue)
    state = _pass_turn(replace(state, queue=queue, running="", disowned=False), effects)
    if state.leaving is not None:
        state = replace(state, leave_by=now + LAST_WORDS_S)
    if disowned:
        return state
    if measurement.outcome is not Outcome.OK:
        text = f"trial {measurement.trial_id}: {measurement.outcome.value}"
        effects.append(Say("INFO", f"{text}: {measurement.detail}" if measurement.detail else text))
    if not state.outbox:
        state = replace(state, heard_at=now)
    if state.wire is Wire.JOINED:
        # While others are at hand nobody waits for this one: fewer messages leave the CPUs to kernels.
        effects.append(Send(measurement, patient=any(held.ready for held in queue)))
    return replace(state, outbox=(*state.outbox, measurement))


def _runner_failed(state: Session, event: RunnerFailed, now: float, effects: list[Effect]) -> Session:
    text = "this device leaves the farm for now" if event.device_away else "no kernel can run any more, it drains"
    effects.append(Say("WARNING" if event.device_away else "ERROR", f"{text}: {event.reason}"))
    back = [state.running] if state.running and not state.disowned else []
    effects += [Release(state.running)] if state.running else []
    ending = Exit(RunnerUnusableError.exit_code, event.reason, event.device_away and state.leaving is None)
    state = replace(state, running="", disowned=False, leaving=None)
    return drain(state, ending, back, event.reason, now, effects)


def _runtime_came(state: Session, effects: list[Effect]) -> Session:
    """What it says of itself in a Join has changed, perhaps while one is on its way."""
    if state.leaving is not None:
        return state
    if state.wire is not Wire.JOINED:
        return replace(state, join_stale=True)
    effects.append(Disconnect("TVM's runtime came: joining again"))
    return replace(state, retry_after_s=_AGAIN_S)


def _tick(state: Session, now: float, effects: list[Effect]) -> Session:
    if now >= _silent_at(state):
        silent_s = now - state.heard_at
        effects.append(Disconnect(f"the tracker owes an answer and was silent for {silent_s:.0f} s"))
        return replace(state, heard_at=now)
    if state.wire is Wire.JOINED and now >= state.heartbeat_at:
        effects.append(SendHeartbeat())
        return replace(state, heartbeat_at=now + state.heartbeat_s)
    return state


def _silent_at(state: Session) -> float:
    """When the tracker's silence is too long: it owes an answer to a join and to every measurement."""
    owes = state.wire is Wire.JOINING or (state.wire is Wire.JOINED and state.outbox)
    return state.heard_at + SILENT_HEARTBEATS * state.heartbeat_s if owes else math.inf


def _start_next(state: Session, effects: list[Effect]) -> Session:
    if state.running:
        return state
    held = next((held for held in state.queue if held.ready), None)
    if held is None:
        return _pass_turn(state, effects)
    if state.turn is Turn.OTHERS:
        effects.append(AskTurn())
        return replace(state, turn=Turn.AWAITED)
    if state.turn is Turn.AWAITED:
        return state
    effects += [StartRun(held.request), Send(Started(held.request.trial_id))]
    rest = tuple(other for other in state.queue if other is not held)
    return replace(state, queue=rest, running=held.request.trial_id, disowned=False)


def _pass_turn(state: Session, effects: list[Effect]) -> Session:
    if not state.shares_board or state.turn is not Turn.OURS:
        return state
    effects.append(PassTurn())
    return replace(state, turn=Turn.OTHERS)
