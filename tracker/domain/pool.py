"""A named selection of devices by their labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Pool", "matches"]


@dataclass(frozen=True)
class Pool:
    """``selector``: labels that a device must bear, all of them. ``devices`` are names, connected or not."""

    name: str
    selector: dict[str, str] = field(default_factory=dict)
    built_in: bool = False
    devices: tuple[str, ...] = ()
    connected: int = 0


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a device with ``labels`` belongs to a pool with ``selector``."""
    return all(labels.get(key) == value for key, value in selector.items())
