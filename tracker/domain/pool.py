"""A named selection of devices by their labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tvm_farm.protos.device import RunnerMode

__all__ = ["BUILT_IN_POOLS", "Pool", "matches"]


@dataclass(frozen=True)
class Pool:
    """``selector``: labels that a device must bear, all of them. ``devices`` are names, connected or not."""

    name: str
    selector: dict[str, str] = field(default_factory=dict)
    built_in: bool = False
    devices: tuple[str, ...] = ()
    connected: int = 0


#: Pools that every farm has: one an architecture, and the modelled devices apart from them.
BUILT_IN_POOLS = (
    Pool("arm64", {"arch": "aarch64"}, built_in=True),
    Pool("armv7", {"arch": "armv7l"}, built_in=True),
    Pool("riscv64", {"arch": "riscv64"}, built_in=True),
    Pool("synthetic", {"runner": RunnerMode.SYNTHETIC.value}, built_in=True),
    Pool("x86_64", {"arch": "x86_64"}, built_in=True),
)


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a device with ``labels`` belongs to a pool with ``selector``.

    A synthetic device runs nothing, so it belongs only where the selector asks for such by ``runner``.
    """
    if labels.get("runner") == RunnerMode.SYNTHETIC.value and "runner" not in selector:
        return False
    return all(labels.get(key) == value for key, value in selector.items())
