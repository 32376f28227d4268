"""Numbers as people read them."""

from __future__ import annotations

import pytest

from tvm_farm.tracker.cli.terminal import formats

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "—"),
        (-0.1, "—"),
        (NAN, "—"),
        (INF, "—"),
        (2e-13, "0.000200 ns"),
        (3e-10, "0.300 ns"),
        (3e-9, "3.00 ns"),
        (3.2e-7, "320 ns"),
        (3.39e-6, "3.39 µs"),
        (8.123e-4, "812 µs"),
        (9.994e-4, "999 µs"),
        (9.9996e-4, "1.00 ms"),
        (0.00812, "8.12 ms"),
        (0.009996, "10.0 ms"),
        (0.0121, "12.1 ms"),
        (0.2413, "241 ms"),
        (0.99996, "1.00 s"),
        (3.65, "3.65 s"),
        (61.2, "61.2 s"),
        (999.6, "16m 40s"),
        (86400, "1d 00h"),
    ],
)
def test_latency(seconds: float, text: str) -> None:
    assert formats.latency(seconds) == text


def test_every_latency_has_three_digits_that_say_something() -> None:
    for exponent in range(-90, 29):
        number = formats.latency(1.2345 * 10 ** (exponent / 10)).split()[0]
        digits = number.replace(".", "").replace(",", "").lstrip("0")
        assert len(digits) == 3, number


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
        (99 * 86400, "99d 00h"),
        (4e9, "46,296d 07h"),
        (-3, "0s"),
        (NAN, "—"),
        (INF, "—"),
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
        (999.6, "1.00 k"),
        (40_960, "41.0 k"),
        (1.82e6, "1.82 M"),
        (165_888, "166 k"),
        (3.65e9, "3.65 G"),
        (1.5e12, "1.50 T"),
        (1.5e18, "1,500 P"),
        (0.25, "0.25"),
        (-1, "—"),
        (NAN, "—"),
        (INF, "—"),
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
        (24 << 30, "24.0 GiB"),
        (5000 << 40, "5,000 TiB"),
        (-1, "—"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert formats.size(count) == text


def test_what_is_unknown_is_a_dash_and_never_a_zero() -> None:
    assert formats.gflops(0, 1) == formats.gflops(1e9, 0) == "—"
    assert formats.speedup(0, 1) == formats.speedup(1, 0) == formats.speedup(NAN, 1) == formats.speedup(1, INF) == "—"
    assert formats.gflops(NAN, 1) == formats.ago(NAN, 1) == formats.clock(NAN) == formats.clock(1e30) == "—"
    assert formats.ago(0, 100) == formats.clock(0) == formats.size(0) == formats.short_target("") == "—"


def test_figures() -> None:
    assert [formats.gflops(f, 0.001) for f in (2e9, 1.55e8, 1e6, 1e3)] == ["2,000", "155", "1.00", "0.00100"]
    assert formats.speedup(0.2413, 0.0121) == "19.9x"
    assert [formats.speedup(1.0, s) for s in (0.0001, 1.0, 25.0, 1e9)] == ["10,000.0x", "1.0x", "0.04x", "1e-09x"]
    assert [formats.percent(share) for share in (0, 0.001, 0.874, 1, NAN)] == ["0 %", "<1 %", "87 %", "100 %", "—"]
    assert formats.ago(100, 100.5) == "now"
    assert formats.ago(100, 225) == "2m 05s ago"
    assert formats.plural(1, "device") == "1 device"
    assert formats.plural(0, "device") == "0 devices"


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
