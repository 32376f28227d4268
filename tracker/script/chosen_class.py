"""The tracker and the class of device that a script works with."""

from __future__ import annotations

from dataclasses import dataclass

import tvm

from tvm_farm.tracker.client.farm import Farm
from tvm_farm.tracker.client.one_class import one_class
from tvm_farm.tracker.client.user import user_name
from tvm_farm.tracker.tuning.building.compiler_target import compiler_target

__all__ = ["ChosenClass"]


@dataclass(frozen=True)
class ChosenClass:
    """``target`` is the class's own, as JSON; whoever opened it closes its ``client``."""

    client: Farm
    pool: str
    device_class: str
    target: str
    user: str

    @classmethod
    def open(cls, tracker: str | None, pool: str, device_class: str, user: str) -> ChosenClass:
        """``tracker``: see Farm. ``user`` "": who runs this process.

        Raises BadInput for a pool or a class that there is not or that is not one, TrackerUnreachable.
        """
        user = user or user_name()
        client = Farm(tracker)
        try:
            device = one_class(client.devices.list(pool), pool, device_class, user)
        except BaseException:
            client.close()
            raise
        return cls(client, pool, device.device_class, device.target, user)

    def tvm_target(self) -> tvm.target.Target:
        """What to compile for. Raises InputError for one that this TVM does not know."""
        return compiler_target(self.target)
