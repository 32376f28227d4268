"""The farm in numbers."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FarmStatus"]


@dataclass(frozen=True)
class FarmStatus:
    """What is there and under way. ``farm`` is its name, ``version`` the tracker's."""

    farm: str = ""
    version: str = ""
    protocol_version: int = 0
    devices_connected: int = 0
    workers_connected: int = 0
    jobs_running: int = 0
    jobs_queued: int = 0
    #: Of the connected ones: a job would start at once.
    workers_warm: int = 0
    #: By the tracker's clock, as all its times are.
    now_unix_s: float = 0.0
