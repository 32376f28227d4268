"""Which device gets the next trial: the one that holds least, so that work spreads before prefetching deepens.

Devices that ail come after all others that have a free slot.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection

from tvm_farm.tracker.domain import Device, RunnerMode

__all__ = ["Placement", "Selection"]


class Selection:
    """Which devices a stream of trials may run on. Equal selections share one Placement."""

    __slots__ = ("device_class", "device_id", "pool", "whole_models")

    def __init__(self, pool: str, device_class: str = "", whole_models: bool = False, device_id: str = "") -> None:
        self.pool, self.device_class, self.whole_models, self.device_id = pool, device_class, whole_models, device_id

    def admits(self, device: Device) -> bool:
        """Whether ``device`` is of the pool, the class or the one named, and in full mode where whole models run.

        A synthetic device takes whole models too: it runs nothing of either.
        """
        if self.pool not in device.pools or self.device_class not in ("", device.device_class):
            return False
        if self.device_id not in ("", device.id):
            return False
        return not self.whole_models or device.runner.mode in (RunnerMode.FULL, RunnerMode.SYNTHETIC)

    @property
    def key(self) -> tuple[str, str, bool, str]:
        return self.pool, self.device_class, self.whole_models, self.device_id


class Placement:
    """The devices of one selection by how many trials they hold. Every call is O(slots of a device)."""

    def __init__(self) -> None:
        #: By device: slots, trials held, whether it wants more, whether it ails.
        self._states: dict[str, tuple[int, int, bool, bool]] = {}
        self._slots = 0
        #: By whether they ail, and then by how many trials they hold.
        self._free: dict[bool, list[OrderedDict[str, None]]] = {False: [], True: []}

    @property
    def devices(self) -> int:
        return len(self._states)

    @property
    def slots(self) -> int:
        return self._slots

    def __contains__(self, device_id: str) -> bool:
        return device_id in self._states

    def put(
        self, device_id: str, slots: int, held: int, wants_more: bool | None = None, *, ailing: bool = False
    ) -> None:
        """A device joined, or holds another number of trials than before, or feels otherwise.

        ``wants_more``: it has a free slot, as far as whoever places trials is concerned; None: as ``held`` says.
        """
        if wants_more is None:
            wants_more = held < slots
        state = slots, held, wants_more, ailing
        if self._states.get(device_id) == state:
            # It keeps its place among those that wait.
            return
        self.remove(device_id)
        self._states[device_id] = state
        self._slots += slots
        if wants_more:
            by_held = self._free[ailing]
            while len(by_held) <= held:
                by_held.append(OrderedDict())
            by_held[held][device_id] = None

    def remove(self, device_id: str) -> None:
        """A device left, or takes no new work. Unknown ones are ignored."""
        if (state := self._states.pop(device_id, None)) is not None:
            slots, held, wants_more, ailing = state
            self._slots -= slots
            if wants_more:
                del self._free[ailing][held][device_id]

    def least_held(self, avoid: Collection[str] = ()) -> str | None:
        """A device with a free slot that holds least, the longest waiting of such, none of ``avoid``.

        One that ails only where no other has a free slot; None where all are full.
        """
        for ailing in (False, True):
            for bucket in self._free[ailing]:
                for device_id in bucket:
                    if device_id not in avoid:
                        return device_id
        return None
