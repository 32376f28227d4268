"""What ends a command is told in one sentence, and what is a bug is not."""

from __future__ import annotations

import errno
import os

import click
import pytest
from click.testing import CliRunner

from tvm_farm.protos.convert import UnknownValue
from tvm_farm.tracker.cli.terminal.program import Program
from tvm_farm.tracker.client.errors import FarmError
from tvm_farm.tracker.client.link import Link

UNKNOWN = "farm.v1.Job.state: this version does not know the value 77"


def ended(error: Exception) -> tuple[int, str]:
    @click.command(cls=Program)
    def command() -> None:
        raise error

    result = CliRunner().invoke(command, [])
    if result.exception is error:
        raise error
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (FarmError("It broke."), 1, "It broke."),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/x"), 2, "/x: Permission denied."),
        (UnknownValue(UNKNOWN), 1, f"The tracker is newer. Update this program: {UNKNOWN}."),
    ],
    ids=str,
)
def test_what_a_person_can_mend_is_told(error: Exception, code: int, said: str) -> None:
    assert ended(error) == (code, f"Error: {said}\n")


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), OSError(errno.EIO, "of no file"), ZeroDivisionError()], ids=repr
)
def test_a_bug_is_none_of_these(error: Exception) -> None:
    with pytest.raises(type(error)):
        ended(error)


def test_a_script_is_told_that_its_tracker_is_newer() -> None:
    link = Link("127.0.0.1:1")
    with pytest.raises(FarmError, match=r"The tracker at 127\.0\.0\.1:1 is newer\. Update this program"), link.errors():
        raise UnknownValue(UNKNOWN)
    link.close()
