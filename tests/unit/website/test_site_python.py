"""The page of the Python API names all that is public."""

from __future__ import annotations

import tvm_farm
from website.python import python_page


def test_every_public_name_is_told() -> None:
    lines = python_page().split("\n\n")
    assert {f"::: tvm_farm.{name}" for name in tvm_farm.__all__} <= set(lines)
    assert "::: tvm_farm.tracker.client.devices.Devices" in lines
