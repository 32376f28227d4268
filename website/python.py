"""The page of the Python API: names, of which the site's generator takes signatures and docstrings from the source."""

from __future__ import annotations

import tvm_farm
from tvm_farm.tracker.client.artifacts import Artifacts
from tvm_farm.tracker.client.devices import Devices
from tvm_farm.tracker.client.jobs import Jobs
from tvm_farm.tracker.client.log import Log
from tvm_farm.tracker.client.measuring import Measuring

__all__ = ["python_page"]

#: What a Farm has as attributes.
_PARTS = (Devices, Jobs, Log, Artifacts, Measuring)


def python_page() -> str:
    """A line for each public name, then for each part of a Farm, in the words of mkdocstrings."""
    names = [f"tvm_farm.{name}" for name in tvm_farm.__all__]
    parts = [f"{part.__module__}.{part.__qualname__}" for part in _PARTS]
    return "\n\n".join(f"::: {name}" for name in (*names, *parts))
