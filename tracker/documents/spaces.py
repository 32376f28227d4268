"""What a job's worker said of the spaces in which its tasks are searched."""

from __future__ import annotations

import json
from typing import Any

from tvm_farm.tracker.domain import Job, Task

__all__ = ["by_rules", "space_of"]


def space_of(task: Task) -> dict[str, Any]:
    """What its worker said of its space; empty where it said nothing."""
    return dict(json.loads(task.space)) if task.space else {}


def by_rules(job: Job) -> tuple[list[Task], list[Task]]:
    """Of a job that takes templates: the tasks that none matched, and those where rules were thought the better."""
    spaces = [(task, space) for task in job.tasks if (space := space_of(task)) and "template" not in space]
    strangers = [task for task, space in spaces if "passed_over" not in space]
    return strangers, [task for task, space in spaces if "passed_over" in space]
