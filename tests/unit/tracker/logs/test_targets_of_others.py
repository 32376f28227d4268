"""Targets as stock scripts write them, and what of them is the same here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tvm_farm.tracker.domain.target import overridden
from tvm_farm.tracker.logs.targets import farm_target, plain_target, what_differs

ZEN = {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "znver4", "num-cores": 2}
PI = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72", "mattr": ["+neon"], "num-cores": 4}


def without(target: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in target.items() if name not in names}


@pytest.mark.parametrize(
    ("stock", "own"),
    [
        # A script names mcpu alone.
        ({"keys": ["cpu"], "tag": "", **without(ZEN, "mtriple")}, ZEN),
        (without(ZEN, "mtriple", "num-cores"), ZEN),
        ({**ZEN, "mtriple": "x86_64-unknown-linux-gnu"}, ZEN),
        (without(PI, "mtriple", "mattr"), PI),
        (ZEN, ZEN),
    ],
)
def test_what_a_script_leaves_out_is_as_on_the_class(stock: dict[str, Any], own: dict[str, Any]) -> None:
    assert farm_target(stock, [], [json.dumps(own)]) == json.dumps(own)


@pytest.mark.parametrize(
    ("stock", "differs"),
    [
        (without({**ZEN, "mcpu": "znver3"}, "mtriple"), {"mcpu": "znver3"}),
        ({**ZEN, "mattr": ["+avx2"]}, {"mattr": ["+avx2"]}),
        (without(ZEN, "mcpu"), {"mcpu": None}),
        ({**without(ZEN, "mtriple"), "num-cores": 8}, {"num-cores": 8}),
    ],
)
def test_the_advice_gives_the_target_of_the_record(stock: dict[str, Any], differs: dict[str, Any]) -> None:
    """A job finds records by the text of their target, so it must be that text which the option makes."""
    own = json.dumps(ZEN)
    kept = farm_target(stock, [own], [own])
    advice = what_differs(kept, own)
    assert advice is not None
    assert json.loads(advice) == differs
    assert overridden(own, advice) == kept


@pytest.mark.parametrize("stock", [{**PI}, {**ZEN, "kind": "cuda"}])
def test_what_no_board_of_the_class_runs(stock: dict[str, Any]) -> None:
    own = json.dumps(ZEN)
    kept = farm_target(stock, [], [own])
    assert plain_target(json.loads(kept)) == plain_target(stock)
    assert what_differs(kept, own) is None


def test_without_a_class_nothing_is_filled_in() -> None:
    stock = without(ZEN, "mtriple")
    assert json.loads(farm_target(stock, [json.dumps(ZEN)])) == stock
    assert farm_target({"tag": "", **dict(reversed(ZEN.items()))}, [json.dumps(ZEN)]) == json.dumps(ZEN)
