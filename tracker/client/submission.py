"""A job on its way to the tracker: its files first, then what is asked."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tvm_farm.protos.measurement import Artifact
from tvm_farm.tracker.client.errors import BadInput, ConnectionLost
from tvm_farm.tracker.domain.job import DataFile, Job, TemplateFile

if TYPE_CHECKING:
    from tvm_farm.tracker.client.asking.request import JobRequest
    from tvm_farm.tracker.client.farm import Farm

__all__ = ["submit"]


def submit(farm: Farm, request: JobRequest) -> Job:
    """Send the files, those in which the model keeps its weights too, and the job. A lost connection is retried once
    for each: a file sent twice is one artifact, and the request id keeps the job single.
    """
    model, spec, request_id = request.model, request.spec, uuid.uuid4().hex
    templates = tuple(TemplateFile(path.name, _sent(farm, path)) for path in request.templates)
    data = tuple(DataFile(name, _sent(farm, model.parent / name)) for name in request.data)
    inputs = None if request.inputs is None else _sent(farm, request.inputs)
    spec = replace(spec, model=_sent(farm, model), templates=templates, data=data, inputs=inputs)
    try:
        return farm.jobs.submit(spec, request_id)
    except ConnectionLost:
        return farm.jobs.submit(spec, request_id)


def _sent(farm: Farm, path: Path) -> Artifact:
    try:
        try:
            return farm.artifacts.put(path)
        except ConnectionLost:
            return farm.artifacts.put(path)
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}.") from None
