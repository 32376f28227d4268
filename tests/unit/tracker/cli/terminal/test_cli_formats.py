"""Numbers as people read them."""

from __future__ import annotations

import pytest

from tvm_farm.tracker.cli.terminal import formats


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "—"),
        (3.2e-7, "0.32 µs"),
        (8.123e-4, "812.3 µs"),
        (9.9994e-4, "999.9 µs"),
        (9.9996e-4, "1.00 ms"),
        (0.00812, "8.12 ms"),
        (0.009996, "10.0 ms"),
        (0.0121, "12.1 ms"),
        (0.2413, "241.3 ms"),
        (0.99996, "1.00 s"),
        (3.65, "3.65 s"),
        (61.2, "61.20 s"),
    ],
)
def test_latency(seconds: float, text: str) -> None:
    assert formats.latency(seconds) == text


def test_the_closing_lines_unit_is_always_ms() -> None:
    assert [formats.milliseconds(s) for s in (3.6504, 0.2413, 0.0081, 0.000412, 3.39e-6, 7e-8, 0)] == [
        "3650.4 ms",
        "241.3 ms",
        "8.1 ms",
        "0.412 ms",
        "0.00339 ms",
        "0.0000700 ms",
        "0.000 ms",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (125, "2m 05s"),
        (3599.6, "1h 00m"),
        (3725, "1h 02m"),
        (97200, "1d 03h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "—"),
        (812, "812"),
        (999.4, "999"),
        (999.6, "1 k"),
        (40_960, "41 k"),
        (1.82e6, "1.82 M"),
        (165_888, "166 k"),
        (3.65e9, "3.65 G"),
        (1.5e12, "1.50 T"),
    ],
)
def test_amount(number: float, text: str) -> None:
    assert formats.amount(number) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "—"),
        (812, "812 B"),
        (1024, "1.00 KiB"),
        (82_816, "80.9 KiB"),
        (9_999_999, "9.54 MiB"),
        (2_469_606_195, "2.30 GiB"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert formats.size(count) == text


def test_what_is_unknown_is_a_dash_and_never_a_zero() -> None:
    assert formats.gflops(0, 1) == formats.gflops(1e9, 0) == "—"
    assert formats.speedup(0, 1) == formats.speedup(1, 0) == "—"
    assert formats.ago(0, 100) == formats.clock(0) == formats.gib(0) == formats.short_target("") == "—"


def test_figures() -> None:
    assert formats.gflops(2e9, 0.001) == "2,000.0"
    assert formats.speedup(0.2413, 0.0121) == "19.9x"
    assert formats.percent(0.874) == "87 %"
    assert formats.ago(100, 100.5) == "now"
    assert formats.ago(100, 225) == "2m 05s ago"
    assert formats.plural(1, "device") == "1 device"
    assert formats.plural(0, "device") == "0 devices"
    assert formats.gib(24 << 30) == "24.0 GiB"


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ('{"kind":"llvm","mcpu":"cortex-a72","mattr":["+neon"]}', "llvm cortex-a72"),
        ('{"kind":"cuda"}', "cuda"),
        ('{"tag":"raspberry-pi/4b"}', '{"tag":"raspberry-pi/4b"}'),
        ("llvm -mcpu=znver5", "llvm -mcpu=znver5"),
        ("[1]", "[1]"),
    ],
)
def test_short_target(target: str, text: str) -> None:
    assert formats.short_target(target) == text
