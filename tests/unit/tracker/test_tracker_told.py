"""What a board says of itself, cut to what can be kept and shown."""

from __future__ import annotations

import math

import pytest

from protos.device import CpuCluster, Fingerprint, Telemetry
from tracker.domain.told import clause, sane_fingerprint, sane_telemetry


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("its disk is full", "its disk is full"),
        ("", ""),
        ("a\nb\x1b[31mc\x00", "a b [31mc "),
        ("x" * 10_000_000, "x" * 400),
    ],
)
def test_a_clause_is_one_line(told: str, kept: str) -> None:
    assert clause(told) == kept


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (Telemetry(1.0, 45.0, (1200,), ("throttled",), 0.5, 9, 3.0, 0.25, ""), None),
        (Telemetry(math.nan, math.inf, load_1m=-math.inf, cpu_percent=math.nan), Telemetry(0.0)),
        (Telemetry(runtime_share=math.nan), Telemetry()),
        (Telemetry(runtime_share=7.0), Telemetry()),
        (Telemetry(disk_fault="f\n" * 10**6), Telemetry(disk_fault="f " * 200)),
    ],
)
def test_telemetry_keeps_what_is_sane(told: Telemetry, kept: Telemetry | None) -> None:
    assert sane_telemetry(told) == (kept or told)


def test_a_list_without_end_is_cut() -> None:
    told = sane_telemetry(Telemetry(frequency_khz=(1,) * 10**6, throttling=("hot\n",) * 10**6))
    assert (len(told.frequency_khz), len(told.throttling), told.throttling[0]) == (1024, 1024, "hot ")


def test_a_fingerprint_keeps_what_it_is() -> None:
    clusters = (CpuCluster((0, 1), "ARM", "0xd03"),)
    told = Fingerprint("aarch64", "Pi", "h\nost", clusters, ("neon", "crc\r"), 9, "Debian", "6.1", "glibc 2.36")
    kept = sane_fingerprint(told)
    assert (kept.hostname, kept.cpu_features, kept.clusters, kept.memory_bytes) == (
        "h ost",
        ("neon", "crc "),
        clusters,
        9,
    )
