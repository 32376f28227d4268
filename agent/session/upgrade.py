"""What an agent's session does about an upgrade that its tracker orders."""

from __future__ import annotations

from dataclasses import replace

from tvm_farm.agent.errors import EXIT_OK
from tvm_farm.agent.session.effects import BringUpgrade, DropUpgrade, Effect, Exit, Say, Send
from tvm_farm.agent.session.ending import drain
from tvm_farm.agent.session.events import UpgradeFailed, UpgradeReady
from tvm_farm.agent.session.state import Session, Wire
from tvm_farm.protos.upgrade import Upgrade

__all__ = ["tell_upgrade", "upgrade_failed", "upgrade_ordered", "upgrade_ready"]


def upgrade_ordered(state: Session, upgrade: Upgrade, effects: list[Effect]) -> Session:
    """Bring the upgrade in place of the one ordered before; an upgrade without an id calls that off."""
    if state.leaving is not None or upgrade.id == state.upgrade:
        return state
    effects += [DropUpgrade()] if state.upgrade else []
    effects += [BringUpgrade(upgrade)] if upgrade.id else []
    return replace(state, upgrade=upgrade.id)


def tell_upgrade(state: Session, upgrade: Upgrade, effects: list[Effect]) -> Session:
    """Tell the tracker how far the upgrade is, unless another one is ordered by now."""
    if state.wire is Wire.JOINED and state.upgrade == upgrade.id:
        effects.append(Send(upgrade))
    return state


def upgrade_ready(state: Session, event: UpgradeReady, now: float, effects: list[Effect]) -> Session:
    """Drain and start again with the upgrade: it is chosen, whatever was heard meanwhile."""
    if state.leaving is not None:
        return state
    state = tell_upgrade(state, Upgrade(event.upgrade_id, share=1.0, restarting=True), effects)
    effects.append(Say("INFO", "draining, to start again with the upgrade"))
    return drain(state, Exit(EXIT_OK, restart=True), [], "its agent is being upgraded", now, effects)


def upgrade_failed(state: Session, event: UpgradeFailed, effects: list[Effect]) -> Session:
    """Say why there is no upgrade, and go on as before."""
    effects.append(Say("WARNING", f"no upgrade: {event.reason}"))
    state = tell_upgrade(state, Upgrade(event.upgrade_id, failure=event.reason), effects)
    return replace(state, upgrade="") if state.upgrade == event.upgrade_id else state
