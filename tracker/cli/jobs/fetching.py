"""Packages of jobs that are done, from the tracker into a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tvm_farm.tracker.cli.packages.package import CLASSES, write_package
from tvm_farm.tracker.cli.reports.wording import fetch_later
from tvm_farm.tracker.client.errors import FarmError, Interrupted
from tvm_farm.tracker.documents.jobs import classes_document
from tvm_farm.tracker.domain import JobGroup

if TYPE_CHECKING:
    from tvm_farm.tracker.client.farm import Farm

__all__ = ["fetch"]

#: What classes are made of: see tracker/domain/device_class.py.
_FOLDER = re.compile(r"[\w.-]*\w[\w.-]*")


def fetch(client: Farm, group: JobGroup, folder: Path) -> None:
    """Write the package of one job into ``folder``; of several each into a folder in it that is named as its class,
    with a list of them.

    Raises FarmError, and Interrupted, which say how to fetch them later.
    """
    if not group.alone and (odd := [job.device_class for job in group.done if not _FOLDER.fullmatch(job.device_class)]):
        raise FarmError(f"The tracker names a class {odd[0]!r}, which is no name for a folder. Nothing was written.")
    with _told(group, folder):
        for job in group.done:
            assert job.result is not None
            place = folder if group.alone else folder / job.device_class
            write_package(job.result.files, place, client.artifacts.get)
        if not group.alone:
            _write_list(group, folder)


@contextmanager
def _told(group: JobGroup, folder: Path) -> Iterator[None]:
    ended = "The job is done, the package not" if group.alone else "The jobs are done, not all packages"
    stands = "The job itself is done." if group.alone else "The jobs themselves are done."
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"\n{ended} fetched. {fetch_later(group)}") from None
    except OSError as error:  # of the list: a package's own are FarmErrors
        raise FarmError(f"Cannot write {folder / CLASSES} ({error.strerror}). {fetch_later(group)}") from error
    except FarmError as error:
        raise type(error)(f"{error.message} {stands} {fetch_later(group)}") from error


def _write_list(group: JobGroup, folder: Path) -> None:
    whole = folder / f".{CLASSES}.new"
    whole.write_text(json.dumps(classes_document(group), indent=2) + "\n", encoding="utf-8")
    whole.replace(folder / CLASSES)
