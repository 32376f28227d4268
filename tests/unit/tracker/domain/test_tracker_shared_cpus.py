"""Agents that measure on the same CPUs of one machine, and those that do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tvm_farm.protos.device import CpuCluster, Fingerprint, Machine, RunnerInfo, RunnerMode
from tvm_farm.tracker.domain import Device
from tvm_farm.tracker.domain.machine import sharing_cpus

HERE = Machine("start-1", "boot-1", via="")


def device(name: str, *cpus: int, machine: Machine | None = HERE, mode: RunnerMode = RunnerMode.FULL) -> Device:
    fingerprint = Fingerprint(clusters=(CpuCluster(cpus),) if cpus else ())
    return Device(name, name, fingerprint, RunnerInfo(mode), machine=machine)


ONE = device("one", 0, 1, 2, 3)


@pytest.mark.parametrize(
    ("other", "shares"),
    [
        (device("two", 2, 3), True),
        (device("two"), True),
        (device("two", 4, 5), False),
        (device("two", 2, 3, machine=replace(HERE, boot_id="boot-2")), False),
        (device("two", 2, 3, machine=replace(HERE, via="ssh:root@router")), False),
        (device("two", 2, 3, machine=replace(HERE, via=None)), False),
        (device("two", 2, 3, machine=None), False),
        (device("two", 2, 3, mode=RunnerMode.SYNTHETIC), False),
    ],
    ids=[
        "some of them", "one that tells no CPUs takes all", "others of them", "another machine", "another board runs",
        "an agent too old to tell", "an agent older still", "a synthetic device",
    ],
)  # fmt: skip
def test_who_measures_on_the_same_cpus(other: Device, shares: bool) -> None:
    assert sharing_cpus([ONE, other]) == ({"one": ("two",), "two": ("one",)} if shares else {})


def test_two_machines_that_tell_no_boot_are_not_one() -> None:
    nameless = replace(HERE, boot_id="")
    assert sharing_cpus([device("one", 0, machine=nameless), device("two", 0, machine=nameless)]) == {}


def test_of_three_each_has_its_own_others() -> None:
    assert sharing_cpus([ONE, device("two", 0, 1), device("three", 2, 3)]) == {
        "one": ("three", "two"), "two": ("one",), "three": ("one",),
    }  # fmt: skip
