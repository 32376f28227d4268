"""How an agent's session ends: the kernel at hand is finished, the rest is given back."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from tvm_farm.agent.errors import EXIT_ABORTED, EXIT_OK
from tvm_farm.agent.session.effects import CancelRun, Connect, Effect, Exit, Release, Say, Send
from tvm_farm.agent.session.events import Stop
from tvm_farm.agent.session.messages import Draining, GiveBack
from tvm_farm.agent.session.state import Held, Session, Wire

__all__ = ["LAST_WORDS_S", "drain", "end", "give_back", "leave_when_done", "releases", "stop"]

#: How long a draining agent waits for its last results to be acknowledged.
LAST_WORDS_S = 10.0


def stop(state: Session, event: Stop, now: float, effects: list[Effect]) -> Session:
    """Drain, or end at once where somebody insists for the second time."""
    if state.leaving is not None and (state.leaving.restart or not event.insists):
        # Whoever asks a draining agent to stop wants no other start.
        return replace(state, leaving=replace(state.leaving, restart=state.leaving.restart and not event.insists))
    if state.leaving is not None:
        if state.running:
            effects.append(CancelRun())
        return end(state, Exit(EXIT_ABORTED, "a second signal: left at once"), effects)
    rest = "; finishing the kernel at hand, a second signal ends it" if state.running else ""
    effects.append(Say("INFO", f"draining{rest}"))
    return drain(state, Exit(EXIT_OK), [], "the agent was asked to stop", now, effects)


def drain(state: Session, ending: Exit, back: Iterable[str], reason: str, now: float, effects: list[Effect]) -> Session:
    """Give back the trials ``back`` and all that is queued, and end with ``ending`` once the rest is answered."""
    queued = [held.request.trial_id for held in state.queue]
    effects += releases(state.queue)
    if state.wire is Wire.JOINED:
        effects.append(Send(Draining()))
        if trials := [*back, *queued]:
            effects.append(give_back(trials, reason))
    leave_by = math.inf if state.running else now + LAST_WORDS_S
    return replace(state, queue=(), leaving=ending, leave_by=leave_by)


def leave_when_done(state: Session, now: float, effects: list[Effect]) -> Session:
    """End a draining session whose results are acknowledged, or whose time is over."""
    if state.leaving is None or state.ended or state.running:
        return state
    if state.outbox and now < state.leave_by:
        return state
    if state.outbox:
        text = f"{len(state.outbox)} results were not acknowledged; the tracker will have those trials measured again"
        effects.append(Say("WARNING", text))
    return end(state, state.leaving, effects)


def end(state: Session, ending: Exit, effects: list[Effect]) -> Session:
    """End the session now: a stream is not opened again."""
    effects[:] = [effect for effect in effects if not isinstance(effect, Connect)]
    effects.append(ending)
    return replace(state, ended=True)


def releases(queue: Iterable[Held]) -> list[Release]:
    """The effects that end the fetches of ``queue``."""
    return [Release(held.request.trial_id) for held in queue if not held.sent_again]


def give_back(trials: Iterable[str], reason: str) -> Send:
    """The effect that gives ``trials`` back for ``reason``, a clause."""
    return Send(GiveBack(tuple(trials), reason))
