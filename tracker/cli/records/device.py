"""Which device of the log a person means: one of the farm, or one that it has forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvm_farm.tracker.cli.boards.devices import one_device
from tvm_farm.tracker.client.errors import BadInput

if TYPE_CHECKING:
    from tvm_farm.tracker.client.farm import Farm

__all__ = ["logged_device"]


def logged_device(client: Farm, name: str) -> str:
    """What ``RecordFilter.device`` takes: the id of a device of the farm, else a name or an id that the log has.

    Raises BadInput where neither has it.
    """
    from tvm_farm.tracker.domain import RecordFilter

    found = client.devices.list()
    try:
        return one_device(found, name).id
    except BadInput:
        several = any(device.name.startswith(name) or device.id.startswith(name) for device in found)
        if several or next(iter(client.log.records(RecordFilter(device=name, limit=1))), None) is None:
            raise
        return name
