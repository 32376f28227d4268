"""What a board says is bounded where it comes in: figures that no board has, and words without an end."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tvm_farm.protos.farm.v1 import device_pb2, fleet_pb2, measurement_pb2
from tvm_farm.protos.measurement import BOARD_STEPS
from tvm_farm.tracker.domain import Outcome
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.wire.boards import read_join, read_measurement, read_telemetry

RUNNER, OK = device_pb2.RunnerInfo(mode=device_pb2.RUNNER_MODE_MICRO), measurement_pb2.OUTCOME_OK
LONG, CUT = "x" * 5000, "x" * 200

TOLD: list[tuple[str, Any, Any]] = [
    ("disk_fault", "its disk is full", "its disk is full"),
    ("disk_fault", LONG, CUT),
    ("disk_fault", "full\n\x1b[31m", "full  [31m"),
    ("disk_fault", "\n", " "),  # a fault all the same
    ("throttling", ["under-voltage"], ("under-voltage",)),
    ("throttling", [LONG, "a\tb"], (CUT, "a b")),
    ("throttling", ["hot"] * 5000, ("hot",) * 32),
    ("runtime_share", 0.4, 0.4),
    ("runtime_share", math.nan, 0.0),
    ("runtime_share", math.inf, 1.0),
    ("runtime_share", 7.0, 1.0),
    ("runtime_share", -1.0, 0.0),
    ("temperature_c", 41.5, 41.5),
    ("temperature_c", math.nan, None),
    ("temperature_c", 1e9, None),
    ("temperature_c", -273.2, None),
    ("load_1m", math.inf, None),
    ("load_1m", -1.0, None),
    ("cpu_percent", math.nan, None),
    ("cpu_percent", 100.0, 100.0),
    ("memory_available_bytes", 1 << 63, None),
    ("memory_available_bytes", 0, 0),
    ("at_unix_s", math.nan, 0.0),
    ("at_unix_s", math.inf, 0.0),
    ("frequency_khz", [1] * 5000, (1,) * 1024),
]


@pytest.mark.parametrize(("name", "said", "kept"), TOLD)
def test_telemetry_is_what_a_board_can_have(name: str, said: Any, kept: Any) -> None:
    message = device_pb2.Telemetry(**{name: said})
    kept = pytest.approx(kept) if isinstance(kept, float) else kept
    assert getattr(read_telemetry(message), name) == kept
    joined = read_join(fleet_pb2.Join(runner=RUNNER, telemetry=message)).telemetry
    around = read_measurement(measurement_pb2.Measurement(outcome=OK, before=message, after=message))
    for telemetry in (joined, around.before, around.after):
        assert telemetry is not None
        assert getattr(telemetry, name) == kept


@pytest.mark.parametrize("name", BOARD_STEPS)
@pytest.mark.parametrize(
    ("said", "kept"),
    [(1795938375.5, 1795938375.5), (0.0, 0.0), *((bad, 0.0) for bad in (math.nan, math.inf, -math.inf, -1.0, 1e308))],
)
def test_a_time_that_is_none_is_not_told(name: str, said: float, kept: float) -> None:
    message = measurement_pb2.Measurement(outcome=OK, timeline=measurement_pb2.Timeline(**{name: said}))
    assert getattr(read_measurement(message).timeline, name) == kept


def test_what_a_kernel_printed_ends() -> None:
    whole = "one\ntwo"
    assert read_measurement(measurement_pb2.Measurement(outcome=OK, detail=whole)).detail == whole
    assert len(read_measurement(measurement_pb2.Measurement(outcome=OK, detail="x" * 3_000_000)).detail) == 1 << 16


WORDS = ["name", "fingerprint.hostname", "fingerprint.board_model", "fingerprint.os", "runner.full_mode_missing"]


@pytest.mark.parametrize("word", [*WORDS, "code.refuses", "code.failure"])
@pytest.mark.parametrize(("said", "kept"), [("pi", "pi"), (LONG, CUT), ("a\r\x1b]0;b", "a  ]0;b")])
def test_a_board_describes_itself_in_lines(word: str, said: str, kept: str) -> None:
    message = fleet_pb2.Join(runner=RUNNER)
    *path, name = word.split(".")
    setattr(getattr(message, path[0]) if path else message, name, said)
    join = read_join(message)
    assert getattr(getattr(join, path[0]) if path else join, name) == kept


def test_lists_of_a_board_end() -> None:
    cluster = device_pb2.CpuCluster(name=LONG, governor="per\nformance")
    board = device_pb2.Fingerprint(cpu_features=["f"] * 5000, clusters=[cluster] * 5000)
    found = read_join(fleet_pb2.Join(runner=RUNNER, fingerprint=board)).fingerprint
    assert (len(found.cpu_features), len(found.clusters)) == (1024, 1024)
    assert (found.clusters[0].name, found.clusters[0].governor) == (CUT, "per formance")


def test_what_is_not_told_stays_untold() -> None:
    join = read_join(fleet_pb2.Join(runner=RUNNER))
    assert (join.telemetry, join.code, join.machine) == (None, None, None)
    measurement = read_measurement(measurement_pb2.Measurement(trial_id="t", outcome=OK))
    assert (measurement.before, measurement.after) == (None, None)


UNREAD = [(0, "Measurement.outcome is not set"), (999, "does not know the value 999: upgrade the tracker")]


@pytest.mark.parametrize(("outcome", "words"), UNREAD)
def test_an_outcome_that_says_nothing_here_is_a_failure_of_its_trial(outcome: int, words: str) -> None:
    steps = measurement_pb2.Timeline(started_s=1.0, finished_s=2.0)
    message = measurement_pb2.Measurement(trial_id="t", outcome=outcome, run_secs=[0.1], timeline=steps)  # type: ignore[arg-type]
    message.outputs.add(dtype="int8")
    failed = read_measurement(message)
    assert (failed.trial_id, failed.outcome, failed.run_secs, failed.outputs) == ("t", Outcome.RUN_ERROR, (), ())
    assert failed.detail.startswith("what the board answered cannot be read: farm.v1.")
    assert failed.detail.endswith(words)
    assert (failed.timeline.started_s, failed.timeline.finished_s) == (1.0, 2.0)


@pytest.mark.parametrize(("mode", "words"), [(0, "RunnerInfo.mode is not set"), (9, "upgrade the tracker")])
def test_a_board_without_a_mode_that_is_known_does_not_join(mode: int, words: str) -> None:
    runner = device_pb2.RunnerInfo(mode=mode)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match=words):
        read_join(fleet_pb2.Join(runner=runner))
