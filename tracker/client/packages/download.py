"""Packages of jobs that are done, from the tracker into a folder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tvm_farm.tracker.client.errors import FarmError
from tvm_farm.tracker.client.packages.owned import CLASSES, owned_files, remove_files
from tvm_farm.tracker.client.packages.package import write_package
from tvm_farm.tracker.documents.jobs import classes_document
from tvm_farm.tracker.domain.job_group import JobGroup

if TYPE_CHECKING:
    from tvm_farm.tracker.client.farm import Farm

__all__ = ["download"]

#: What classes are made of: see tracker/domain/device_class.py.
_FOLDER = re.compile(r"[\w.-]*\w[\w.-]*")


def download(farm: Farm, group: JobGroup, folder: Path) -> None:
    """Write the package of one job into ``folder``; of several each into a folder in it that is named as its class,
    with a list of them. Nothing of packages that were there remains, other files do.

    Raises FarmError.
    """
    if not group.alone and (odd := [job.device_class for job in group.done if not _FOLDER.fullmatch(job.device_class)]):
        raise FarmError(f"The tracker names a class {odd[0]!r}, which is no name for a folder. Nothing was written.")
    before, after = owned_files(folder), set() if group.alone else {CLASSES}
    for job in group.done:
        assert job.result is not None
        place = folder if group.alone else folder / job.device_class
        write_package(job.result.files, place, farm.artifacts.get)
        after |= {str((place / file.name).relative_to(folder)) for file in job.result.files}
    try:
        if not group.alone:
            _write_list(group, folder)
        remove_files(folder, before - after)
    except OSError as error:  # a package's own are FarmErrors
        raise FarmError(f"Cannot write {folder / CLASSES} ({error.strerror}).") from error


def _write_list(group: JobGroup, folder: Path) -> None:
    whole = folder / f".{CLASSES}.new"
    whole.write_text(json.dumps(classes_document(group), indent=2) + "\n", encoding="utf-8")
    whole.replace(folder / CLASSES)
