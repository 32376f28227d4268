"""What ``--wait`` waits for, and how it ends."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tvm_farm.tracker.cli.terminal.waiting import once_there_is_a_board
from tvm_farm.tracker.client.errors import BadInput, ConnectionLost, FarmError, NoBoard

LOST = NoBoard("All boards are lost.")
LEASED = NoBoard("All boards are ada's.")
AWAY = ConnectionLost("No tracker answers.")


def attempts(*ends: FarmError | str) -> Callable[[], str]:
    left = list(ends)

    def attempt() -> str:
        end = left.pop(0)
        if isinstance(end, FarmError):
            raise end
        return end

    return attempt


def wait(wait_s: float | None, *ends: FarmError | str) -> str:
    return once_there_is_a_board(attempts(*ends), wait_s, look_every_s=0.0)


def test_it_is_made_again_until_there_is_a_board(capsys: pytest.CaptureFixture[str]) -> None:
    assert wait(math.inf, LOST, LOST, AWAY, LEASED, "job") == "job"
    assert capsys.readouterr().err.splitlines() == [
        "Waiting for a board. All boards are lost.",
        "Waiting for a board. No tracker answers.",
        "Waiting for a board. All boards are ada's.",
    ]


def test_without_it_the_refusal_tells_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NoBoard, match=r"^All boards are lost\. Wait for one with --wait\.$") as refused:
        wait(None, LOST)
    assert (refused.value.exit_code, capsys.readouterr().err) == (4, "")


def test_it_ends_with_its_time() -> None:
    with pytest.raises(NoBoard, match=r"^All boards are lost\. Waited 0s\.$"):
        wait(1e-9, LOST)


@pytest.mark.parametrize("error", [BadInput("There is no pool."), AWAY])
def test_what_no_waiting_mends_is_told_at_once(error: FarmError) -> None:
    with pytest.raises(type(error)):
        wait(math.inf, error)


def test_no_attempt_is_made_before_it_may_work() -> None:
    looks = iter([False, AWAY, True])

    def ready() -> bool:
        look = next(looks)
        if isinstance(look, FarmError):
            raise look
        return look

    assert once_there_is_a_board(attempts(LOST, "job"), math.inf, ready, look_every_s=0.0) == "job"
    assert next(looks, None) is None
