"""Templates that a person sent with a job, beside the farm's own."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from tvm_farm.tracker.domain import Artifact, TemplateFile
from tvm_farm.tracker.tuning.engines.autotvm import Template, TemplateError, load_templates

__all__ = ["check_used", "own_templates"]


def own_templates(
    files: Sequence[TemplateFile], folder: Path, fetch: Callable[[Artifact, Path], None]
) -> list[Template]:
    """Those of ``files``, fetched into ``folder``. Raises TemplateError as ``load_templates``."""
    found: list[Template] = []
    for number, file in enumerate(files):
        path = folder / f"templates-{number}.py"
        fetch(file.content, path)
        for template in load_templates(importlib.util.decode_source(path.read_bytes()), file.name):
            if twin := next((each for each in found if each.name == template.name), None):
                raise TemplateError(f"{twin.file} and {file.name} both have a template {template.name}: rename one.")
            found.append(template)
    return found


def check_used(own: Sequence[Template], spaces: Sequence[str]) -> None:
    """``spaces``: of a job's tasks, as engines describe them. Raises TemplateError where none is of ``own``: whoever
    sends templates wants them searched.
    """
    if own and not any("file" in json.loads(space) for space in spaces if space):
        names = ", ".join(template.name for template in own)
        raise TemplateError(f"{own[0].file}: none of its templates matches an operator of this job: {names}.")
