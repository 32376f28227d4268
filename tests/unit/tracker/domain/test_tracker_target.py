"""From fingerprints to TVM targets, as a table. That TVM takes them is shown in tests/system."""

from __future__ import annotations

import json

import pytest

from tests.support.fingerprints import AARCH64_FEATURES, BOARDS, ZEN4_FEATURES, board
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.domain.target import derive_target, overridden


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_board(name: str) -> None:
    fingerprint, expected = BOARDS[name]
    derived = derive_target(fingerprint, threads=3)
    assert json.loads(derived.target) == {"kind": "llvm", **expected, "num-cores": 3}
    assert derived.origin


def test_num_cores_are_those_of_the_board_where_the_runner_names_none() -> None:
    fingerprint, _ = BOARDS["raspberry pi 4"]
    assert json.loads(derive_target(fingerprint, 0).target)["num-cores"] == 4


@pytest.mark.parametrize(
    ("part", "mcpu"),
    [
        ("23/1/2", "znver1"),
        ("23/49/0", "znver2"),
        ("25/1/1", "znver3"),
        ("25/97/2", "znver4"),
        ("25/17/1", "znver4"),
    ],
)
def test_amd_numbers(part: str, mcpu: str) -> None:
    derived = derive_target(board("x86_64", "AuthenticAMD", part, ZEN4_FEATURES), 1)
    assert json.loads(derived.target)["mcpu"] == mcpu


@pytest.mark.parametrize(
    ("missing", "mcpu"),
    [
        ({"avx512_bf16"}, "x86-64-v4"),
        ({"avx512f"}, "x86-64-v3"),
        ({"avx512f", "avx2"}, "x86-64-v2"),
        ({"avx512f", "avx2", "sse4_2"}, "x86-64"),
    ],
)
def test_a_masked_feature_costs_the_cpu_name_and_is_told(missing: set[str], mcpu: str) -> None:
    derived = derive_target(board("x86_64", "AuthenticAMD", "25/17/1", ZEN4_FEATURES - missing), 1)
    assert json.loads(derived.target)["mcpu"] == mcpu
    assert all(feature in derived.origin for feature in missing)


def test_sve_that_is_masked_is_switched_off() -> None:
    derived = derive_target(board("aarch64", "0x41", "0xd40", AARCH64_FEATURES), 1)
    target = json.loads(derived.target)
    assert target["mcpu"] == "neoverse-v1"
    assert {"-sve", "-sve2"} <= set(target["mattr"])


def test_the_fastest_cluster_names_the_cpu() -> None:
    fingerprint, expected = BOARDS["rk3399"]
    assert len(fingerprint.clusters) == 2
    assert expected["mcpu"] == "cortex-a72"


def test_an_unknown_architecture_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match=r"s390x.*aarch64, armv7l, riscv64, x86_64"):
        derive_target(board("s390x", "", "", set()), 1)


DERIVED = '{"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72", "mattr": ["+neon"], "num-cores": 2}'


@pytest.mark.parametrize(
    ("wanted", "changes"),
    [
        ("", {}),
        ("{}", {}),
        ('{"mcpu": "cortex-a76"}', {"mcpu": "cortex-a76"}),
        ('{"mattr": ["+neon", "+dotprod"], "num-cores": 1}', {"mattr": ["+neon", "+dotprod"], "num-cores": 1}),
        ('{"mattr": null}', {"mattr": None}),
        ('{"mtriple": "aarch64-linux-android"}', {"mtriple": "aarch64-linux-android"}),
    ],
)
def test_a_person_changes_fields_of_the_derived_target(wanted: str, changes: dict[str, object]) -> None:
    expected = {**json.loads(DERIVED), **changes}
    assert json.loads(overridden(DERIVED, wanted)) == {k: v for k, v in expected.items() if v is not None}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("mcpu=cortex-a76", "is not JSON"),
        pytest.param("[" * 100_000, "is not JSON", id="nested without end"),
        ('["cortex-a76"]', "is not a JSON object"),
        ('{"kind": "cuda"}', "is of kind cuda, and the boards run llvm kernels"),
        ('{"mtriple": "x86_64-linux-gnu"}', "is for x86_64, and the boards are aarch64"),
        ('{"mtriple": null}', "is for no architecture"),
    ],
)
def test_a_target_that_no_such_board_can_run_is_refused(wanted: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        overridden(DERIVED, wanted)
