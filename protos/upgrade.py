"""The agent's own code on its way from the tracker to a board, as both hold it: mirrors of device.proto."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AgentCode", "Upgrade"]


@dataclass(frozen=True)
class AgentCode:
    """Which of the agent's code a board runs. ``digest`` of the wheel that came from the farm, "": the installed one.

    ``refuses``: why it takes no other one from the farm, a clause; "" where it does. ``failed_upgrade``: id of the last
    upgrade, where that did not stand, and ``failure`` why, a clause.
    """

    digest: str = ""
    refuses: str = ""
    failed_upgrade: str = ""
    failure: str = ""


@dataclass(frozen=True)
class Upgrade:
    """An order that a board runs the agent of a wheel, of ``size`` bytes, and how far it is.

    ``share``: 0..1 of the wheel that is on the board; None: it was not begun. ``restarting``: the wheel is there whole.
    ``failure``: why it is over and the board runs what it ran before, a clause. An ``id`` of "": nothing is ordered.
    """

    id: str = ""
    version: str = ""
    digest: str = ""
    size: int = 0
    user: str = ""
    since_unix_s: float = 0.0
    share: float | None = None
    restarting: bool = False
    failure: str = ""
