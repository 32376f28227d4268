"""A job whose pool has no board for it yet, submitted once there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvm_farm.tracker.cli.terminal.waiting import once_there_is_a_board

if TYPE_CHECKING:
    from tvm_farm.tracker.client.asking.request import JobRequest
    from tvm_farm.tracker.client.farm import Farm
    from tvm_farm.tracker.client.handle import JobHandle

__all__ = ["submit_once_there_is_a_board"]


def submit_once_there_is_a_board(client: Farm, asked: JobRequest, wait_s: float | None) -> JobHandle:
    """The job of ``asked``; see ``terminal.waiting``. Files are sent again only when a board is there."""

    def there() -> bool:
        from tvm_farm.tracker.domain import errors
        from tvm_farm.tracker.scheduling.tuned_classes import tuned_classes

        try:
            return bool(tuned_classes(asked.spec, client.devices.list()))
        except errors.NoBoard:
            return False

    return once_there_is_a_board(lambda: client.submit(asked), wait_s, there)
