"""What an agent's session does with trials: taken or given back, fetched, run by turns, answered."""

from __future__ import annotations

from dataclasses import replace

from tvm_farm.agent.errors import RunnerUnusableError
from tvm_farm.agent.session.effects import (
    AskTurn,
    CancelRun,
    Effect,
    Exit,
    Fetch,
    PassTurn,
    Release,
    Say,
    Send,
    SendHeartbeat,
    StartRun,
)
from tvm_farm.agent.session.ending import LAST_WORDS_S, drain, give_back, releases
from tvm_farm.agent.session.events import DiskFailed, FilesFailed, RunnerFailed
from tvm_farm.agent.session.messages import Started
from tvm_farm.agent.session.state import Held, Session, Turn, Wire
from tvm_farm.protos.measurement import Measurement, MeasureRequest, Outcome

__all__ = ["asked", "cancelled", "disk_failed", "files_failed", "finished", "runner_failed", "start_next"]


def asked(state: Session, request: MeasureRequest, effects: list[Effect]) -> Session:
    """Take the trial, answer it from the outbox, or give it back with the reason."""
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
        # The running trial does not count: after a gap it may be of a stream that the tracker has forgotten.
        refusal = f"{len(state.queue)} trials wait on this device, all it said it would take"
    if refusal:
        effects.append(give_back([trial], refusal))
        return state
    sent_again = state.running == trial
    if not sent_again:
        effects.append(Fetch(request))
    return replace(state, queue=(*state.queue, Held(request, sent_again=sent_again)))


def cancelled(state: Session, trials: frozenset[str], effects: list[Effect]) -> Session:
    """Forget ``trials``, and end the running kernel where it belongs to one of them."""
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


def files_failed(state: Session, event: FilesFailed, effects: list[Effect]) -> Session:
    """Give the trial back: its files do not come."""
    if all(held.request.trial_id != event.trial_id for held in state.queue):
        return state
    effects += [
        Release(event.trial_id),
        give_back([event.trial_id], event.reason),
        Say("WARNING", f"gave back trial {event.trial_id}: {event.reason}"),
    ]
    return replace(state, queue=tuple(h for h in state.queue if h.request.trial_id != event.trial_id))


def disk_failed(state: Session, event: DiskFailed, effects: list[Effect]) -> Session:
    """Keep the trials whose files are here, and give the rest back. The tracker hears of the disk before that."""
    if event.fault != state.disk_fault:
        effects.append(Say("WARNING", f"takes no trials until its disk takes files: {event.reason or event.fault}"))
        effects += [SendHeartbeat()] if state.wire is Wire.JOINED else []
    back = [held for held in state.queue if not held.ready]
    effects += releases(back)
    if back and state.wire is Wire.JOINED:
        effects.append(give_back([held.request.trial_id for held in back], event.reason or event.fault))
    return replace(state, queue=tuple(held for held in state.queue if held.ready), disk_fault=event.fault)


def finished(state: Session, measurement: Measurement, now: float, effects: list[Effect]) -> Session:
    """Answer the trial that ran, unless it was cancelled."""
    disowned = state.disowned
    effects.append(Release(measurement.trial_id))
    effects += [Fetch(held.request) for held in state.queue if held.sent_again]
    queue = tuple(replace(held, sent_again=False) if held.sent_again else held for held in state.queue)
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
        # While other trials are at hand nobody waits for this result: fewer messages leave the CPUs to kernels.
        effects.append(Send(measurement, patient=any(held.ready for held in queue)))
    return replace(state, outbox=(*state.outbox, measurement))


def runner_failed(state: Session, event: RunnerFailed, now: float, effects: list[Effect]) -> Session:
    """Give every trial back and end, for now or for good."""
    text = "this device leaves the farm for now" if event.device_away else "no kernel can run any more, it drains"
    effects.append(Say("WARNING" if event.device_away else "ERROR", f"{text}: {event.reason}"))
    back = [state.running] if state.running and not state.disowned else []
    effects += [Release(state.running)] if state.running else []
    ending = Exit(RunnerUnusableError.exit_code, event.reason, event.device_away and state.leaving is None)
    state = replace(state, running="", disowned=False, leaving=None)
    return drain(state, ending, back, event.reason, now, effects)


def start_next(state: Session, effects: list[Effect]) -> Session:
    """Run the first trial whose files are here, where none runs and the turn is this device's."""
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
