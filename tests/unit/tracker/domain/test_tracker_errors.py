"""Errors as sentences."""

from __future__ import annotations

import pytest

from tvm_farm.tracker.domain.errors import sentence


@pytest.mark.parametrize(
    ("clause", "told"),
    [
        ("there is no pool 'attic'", "There is no pool 'attic'."),
        ("shapes: one each", "Shapes: one each."),
        ("model.onnx is no model", "model.onnx is no model."),
        ("op.py:f names no operator", "op.py:f names no operator."),
        ("squeezenet-ab2c is done", "squeezenet-ab2c is done."),
        ("pi4 is away", "pi4 is away."),
        ("/var/lib/x cannot be read", "/var/lib/x cannot be read."),
        ("a (small) thing. Try again!", "A (small) thing. Try again!"),
        ("", ""),
    ],
)
def test_a_name_keeps_its_letters(clause: str, told: str) -> None:
    assert sentence(clause) == told
