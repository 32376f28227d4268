"""The table of outcomes: each is in it, and what follows from its columns holds."""

from __future__ import annotations

import pytest

from tvm_farm.tracker.domain import Outcome
from tvm_farm.tracker.domain.outcomes import MEANINGS, meaning


def test_every_outcome_has_its_row() -> None:
    assert set(MEANINGS) == set(Outcome)


@pytest.mark.parametrize("outcome", Outcome, ids=lambda outcome: outcome.value)
def test_columns_agree(outcome: Outcome) -> None:
    row = meaning(outcome)
    assert row.boardless or not row.unbuilt
    assert not (row.suspect and row.boardless)
    assert row.measured or not (row.teaches or row.own_fault)
