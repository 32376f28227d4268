"""A job on its way to the tracker: its files first, then what is asked."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tvm_farm.tracker.cli.models.subject import check_model
from tvm_farm.tracker.client.errors import BadInput, ConnectionLost

if TYPE_CHECKING:
    from tvm_farm.tracker.client.farm import Farm
    from tvm_farm.tracker.domain import Artifact, Job, JobSpec, Shape

__all__ = ["check_inputs", "submit"]


def check_inputs(inputs: Path | None, shapes: Sequence[Shape]) -> None:
    """Raises BadInput for a file of --inputs that cannot be read, or is to fit several shapes."""
    if inputs is not None:
        check_model(inputs, ())
        if any(shape.others for shape in shapes):
            raise BadInput("--inputs is for one shape, and --shape names several: leave one of them out.")


def submit(client: Farm, model: Path, spec: JobSpec, templates: Sequence[Path] = (), inputs: Path | None = None) -> Job:
    """Send the files, those in which the model keeps its weights too, and the job. A lost connection is retried once
    for each: a file sent twice is one artifact, and the request id keeps the job single.
    """
    import dataclasses

    from tvm_farm.tracker.cli.models.external_data import external_files
    from tvm_farm.tracker.domain import DataFile, TemplateFile

    request_id = uuid.uuid4().hex
    files = tuple(TemplateFile(path.name, _sent(client, path)) for path in templates)
    beside = () if spec.operator else external_files(model)
    data = tuple(DataFile(name, _sent(client, model.parent / name)) for name in beside)
    sent = None if inputs is None else _sent(client, inputs)
    spec = dataclasses.replace(spec, model=_sent(client, model), templates=files, data=data, inputs=sent)
    try:
        return client.jobs.submit(spec, request_id)
    except ConnectionLost:
        return client.jobs.submit(spec, request_id)


def _sent(client: Farm, path: Path) -> Artifact:
    try:
        try:
            return client.artifacts.put(path)
        except ConnectionLost:
            return client.artifacts.put(path)
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}.") from None
