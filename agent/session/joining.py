"""How an agent's session joins a farm, and what it does when the link is lost or the tracker is silent."""

from __future__ import annotations

import math
from dataclasses import replace

from tvm_farm.agent.errors import RefusedError
from tvm_farm.agent.session.effects import (
    CancelRun,
    Connect,
    Disconnect,
    DropUpgrade,
    Effect,
    Exit,
    Say,
    Send,
    Settle,
)
from tvm_farm.agent.session.ending import end, releases
from tvm_farm.agent.session.events import LinkDown
from tvm_farm.agent.session.messages import Draining, Joined, Refused
from tvm_farm.agent.session.state import Session, Wire

__all__ = ["BACKOFF_LONGEST_S", "joined", "link_down", "refused", "runtime_came", "silent_at"]

#: The pause before the link is opened again: the first, doubled by each failure, and the longest.
BACKOFF_FIRST_S = 1.0
BACKOFF_LONGEST_S = 30.0
#: The heartbeats for which a tracker that owes an answer may be silent; after more it is taken for gone.
SILENT_HEARTBEATS = 3
#: The pause before another Join where nothing went wrong.
_AGAIN_S = 0.1


def link_down(state: Session, event: LinkDown, effects: list[Effect]) -> Session:
    """Drop what came with the stream, and open another after a pause that grows with each failure."""
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


def joined(state: Session, message: Joined, now: float, effects: list[Effect]) -> Session:
    """Begin to work for the farm: results that the last stream did not settle are sent again."""
    heartbeat_s = message.heartbeat_s if message.heartbeat_s > 0 else state.heartbeat_s
    pools = ", ".join(message.pools) or "none"
    effects.append(Say("INFO", f"joined farm {message.farm}; pools: {pools}; target: {message.target or 'none'}"))
    effects += [Say("WARNING", message.warning)] if message.warning else []
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
    return runtime_came(joined, effects) if state.join_stale else joined


def refused(state: Session, message: Refused, effects: list[Effect]) -> Session:
    """Try again later where the cause passes by itself, else end."""
    if message.retry_after_s > 0:
        text = f"the tracker refuses this agent for now: {message.reason}; next try in {message.retry_after_s:.0f} s"
        if message.reason != state.refused or state.attempt % 20 == 0:
            effects.append(Say("WARNING", text))
        effects.append(Disconnect("refused for now"))
        return replace(state, retry_after_s=message.retry_after_s, refused=message.reason)
    if state.running:
        effects.append(CancelRun())
    return end(state, Exit(RefusedError.exit_code, f"the tracker refuses this agent: {message.reason}"), effects)


def runtime_came(state: Session, effects: list[Effect]) -> Session:
    """Join again, with a Join that says what the runner is now. A Join that is under way is made again after it."""
    if state.leaving is not None:
        return state
    if state.wire is not Wire.JOINED:
        return replace(state, join_stale=True)
    effects.append(Disconnect("TVM's runtime came: joining again"))
    return replace(state, retry_after_s=_AGAIN_S)


def silent_at(state: Session) -> float:
    """When the tracker's silence is too long. The tracker owes an answer to a join and to every measurement."""
    owes = state.wire is Wire.JOINING or (state.wire is Wire.JOINED and state.outbox)
    return state.heard_at + SILENT_HEARTBEATS * state.heartbeat_s if owes else math.inf
