"""The most memory that values take at one time, of steps that run one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Peak", "Step", "peak_of"]


@dataclass(frozen=True)
class Step:
    """One call: it ``reads`` values and ``makes`` others, each of so many bytes. A value is any name."""

    name: str
    reads: frozenset[object] = frozenset()
    makes: Mapping[object, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Peak:
    """``at``: the name of the first step during which ``bytes_alive`` are alive; "" without steps."""

    bytes_alive: int
    at: str = ""


def peak_of(steps: Sequence[Step], given: Mapping[object, int], kept: frozenset[object]) -> Peak:
    """A value lives from the step that makes it to the last one that reads it, one that nobody reads during its own.

    ``given``: values that are there before and after, with their bytes. ``kept``: those that are there afterwards.
    """
    last = {value: number for number, step in enumerate(steps) for value in step.reads}
    alive, always = 0, sum(given.values())
    sizes: dict[object, int] = {}
    peak = Peak(always)
    for number, step in enumerate(steps):
        sizes.update(step.makes)
        alive += sum(step.makes.values())
        if always + alive > peak.bytes_alive or not peak.at:
            peak = Peak(always + alive, step.name)
        ended = {value for value in {*step.reads, *step.makes} if last.get(value, number) <= number}
        alive -= sum(sizes.pop(value, 0) for value in ended - kept)
    return peak
