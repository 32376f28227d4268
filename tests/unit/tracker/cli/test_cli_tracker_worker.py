"""``tracker worker``: the command line that it becomes."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner

from tvm_farm.tracker.cli import tracker


@pytest.mark.parametrize(
    ("given", "address"), [("lab-server", "lab-server:9195"), ("lab:80", "lab:80"), ("[::1]", "[::1]:9195")]
)
def test_a_worker_is_told_a_whole_address(given: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda path, command: became.append(command))
    assert CliRunner().invoke(tracker, ["worker", "--tracker", given]).exit_code == 0
    [command] = became
    assert command[command.index("--tracker") + 1] == address


def test_what_is_no_address_is_refused_before_a_worker_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "execv", lambda path, command: pytest.fail("a worker was started"))
    refused = CliRunner().invoke(tracker, ["worker", "--tracker", "http://lab"])
    assert (refused.exit_code, "'http://lab' is not an address" in refused.output) == (2, True)
