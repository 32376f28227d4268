"""Readings that are numbers: each is listed once with what it may be and how it is told."""

from __future__ import annotations

import typing

import pytest

from tvm_farm.protos.device import FIGURES, Telemetry
from tvm_farm.tracker.cli.terminal.formats import readings

#: A part of the board's preparation, not of how it feels.
_OTHERS = {"runtime_share"}


def test_every_number_of_a_board_is_a_figure() -> None:
    hints = typing.get_type_hints(Telemetry)
    assert set(FIGURES) | _OTHERS == {name for name, hint in hints.items() if hint in (float | None, int | None)}


@pytest.mark.parametrize("name", FIGURES)
def test_a_gauge_tells_what_it_is(name: str) -> None:
    figure = FIGURES[name]
    assert figure.least < figure.most
    assert bool(figure.metric) == bool(figure.about)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (Telemetry(), []),
        (Telemetry(temperature_c=41.54), ["41.5 °C"]),
        (
            Telemetry(cpu_percent=0.0, load_1m=0.5, memory_available_bytes=3 << 30),
            ["CPU 0 %", "load 0.50", "3.00 GiB free"],
        ),
        (Telemetry(memory_available_bytes=30 << 20), ["30.0 MiB free"]),
        (Telemetry(frequency_khz=(1_500_000, 600_000)), ["1.50 0.60 GHz"]),
        (Telemetry(temperature_c=80.0, throttling=("throttled", "hot")), ["80.0 °C", "throttled: throttled, hot"]),
    ],
)
def test_how_a_board_feels_in_words(told: Telemetry, words: list[str]) -> None:
    assert readings(told) == words
