"""A job whose pool has no board for it yet, submitted once there is one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tvm_farm.tracker.cli.jobs.submission import submit
from tvm_farm.tracker.cli.terminal.waiting import once_there_is_a_board

if TYPE_CHECKING:
    from tvm_farm.tracker.client.farm import Farm
    from tvm_farm.tracker.domain import Job, JobSpec

__all__ = ["submit_once_there_is_a_board"]


def submit_once_there_is_a_board(
    client: Farm,
    model: Path,
    spec: JobSpec,
    templates: Sequence[Path] = (),
    inputs: Path | None = None,
    *,
    wait_s: float | None,
) -> Job:
    """As ``submit``; see ``terminal.waiting``. Files are sent again only when a board is there."""

    def there() -> bool:
        from tvm_farm.tracker.domain import errors
        from tvm_farm.tracker.scheduling.tuned_classes import tuned_classes

        try:
            return bool(tuned_classes(spec, client.devices.list()))
        except errors.NoBoard:
            return False

    return once_there_is_a_board(lambda: submit(client, model, spec, templates, inputs), wait_s, there)
