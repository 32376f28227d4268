"""How many trials a board is given at once: by its slots, and by how long its trials take."""

from __future__ import annotations

import pytest

from tvm_farm.protos.device import Fingerprint, RunnerInfo, RunnerMode
from tvm_farm.tracker.domain import Device
from tvm_farm.tracker.measuring.board import Board


def board(slots: int, short_slots: int) -> Board:
    return Board(
        Device("d", "d", Fingerprint(), RunnerInfo(RunnerMode.FULL)), slots, lambda order: None, 0.0, 0.0, short_slots
    )


def after_trials_of(seconds: float, slots: int, short_slots: int) -> Board:
    tried = board(slots, short_slots)
    for number in range(40):
        tried.ended("t", float(number), seconds)
    return tried


@pytest.mark.parametrize(
    ("seconds", "slots", "short_slots", "depth"),
    [
        (1.0, 2, 8, 2),
        (0.1, 2, 8, 2),
        (0.04, 2, 8, 3),
        (0.01, 2, 8, 8),
        (0.0001, 2, 8, 8),
        (0.01, 2, 0, 2),  # an agent that asks for none
        (0.01, 1, 1, 1),
        (0.05, 4, 8, 4),
    ],
)
def test_about_a_tenth_of_a_second_of_work(seconds: float, slots: int, short_slots: int, depth: int) -> None:
    assert after_trials_of(seconds, slots, short_slots).depth == depth


def test_it_starts_with_its_slots_and_learns() -> None:
    tried = board(2, 8)
    assert tried.depth == 2
    tried.ended("t", 1.0, 0.01)
    assert tried.depth == 8
    for number in range(2, 40):
        tried.ended("t", float(number), 3.0)
    assert tried.depth == 2


def test_trials_that_did_not_run_say_nothing() -> None:
    tried = after_trials_of(0.01, 2, 8)
    tried.ended("t", 100.0, None)
    assert tried.depth == 8


def wanted(tried: Board, *held: int) -> list[bool]:
    answers = []
    for count in held:
        tried.held = {str(n) for n in range(count)}
        answers.append(tried.wants_more)
    return answers


def test_slots_are_filled_one_by_one() -> None:
    assert wanted(board(3, 3), 0, 1, 2, 3, 2, 1) == [True, True, True, False, True, True]


def test_many_short_ones_are_filled_up_when_half_are_done() -> None:
    tried = after_trials_of(0.01, 2, 8)
    assert wanted(tried, 0, 7, 8, 7, 5, 4, 5, 7, 8) == [True, True, False, False, False, True, True, True, False]
