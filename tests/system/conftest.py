"""A Raspberry Pi that runs this checkout's agent, for the tests of machines that boot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulation.machines import KINDS, Machine, Snapshot, installed
from tests.support.pi_farm import PiFarm


@pytest.fixture(scope="session")
def pi_snapshot() -> Snapshot:
    return installed(KINDS["rpi3"], print)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[PiFarm]:
    """A farm that has a runtime for such boards."""
    with PiFarm.of(tmp_path) as lab:
        added = lab.farm.add_runtime("aarch64")
        assert added.returncode == 0, added.stderr
        yield lab


@pytest.fixture
def pi(lab: PiFarm, pi_snapshot: Snapshot) -> Machine:
    """Its first machine, not powered on yet."""
    return lab.machine(pi_snapshot)
