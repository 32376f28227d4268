"""Ids of trials: unlike each other, and in the order of their time."""

from __future__ import annotations

from tvm_farm.tracker.domain import new_trial_id


def test_ids_of_one_moment_differ_and_are_32_hex_digits() -> None:
    ids = {new_trial_id(1.7e9) for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(id_) == 32 and int(id_, 16) for id_ in ids)


def test_later_ids_sort_behind() -> None:
    times = [1.0, 1.7e9, 1.7e9 + 0.001, 1.8e9, 9e9]
    ids = [new_trial_id(now) for now in times]
    assert ids == sorted(ids)
