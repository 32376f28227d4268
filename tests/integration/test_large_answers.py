"""Answers too large for an agent's stream, over a real tracker: beside it, once, and acknowledged as any other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tvm")

from tests.support import kernels
from tests.support.agent_process import AgentProcess
from tests.support.measure_client import MeasureClient
from tests.support.slow_link import SlowLink
from tests.support.tracker_process import TrackerProcess
from tvm_farm.protos.farm.v1 import fleet_pb2, measurement_pb2

SIZE = 256


async def test_a_large_answer_comes_whole_over_a_slow_link(tmp_path: Path) -> None:
    tracker = TrackerProcess(tmp_path / "tracker")
    try:
        async with SlowLink(tracker.port, 300_000, forth=True) as slow:
            options = ("--tracker", f"127.0.0.1:{slow.port}", "--state", str(tmp_path / "board"), "--mode", "micro")
            async with AgentProcess("start", *options, "--name", "board") as agent:
                await agent.says("joined farm")
                answers = await asyncio.to_thread(measured, tracker)
        for answer in answers:
            assert answer.outcome == measurement_pb2.OUTCOME_OK, answer.detail
            product = np.frombuffer(answer.outputs[0].data, "float32").reshape(SIZE, SIZE)
            np.testing.assert_allclose(product, np.ones((SIZE, SIZE)) * SIZE * 2.0)
        assert "lost the tracker" not in agent.text
    finally:
        tracker.stop()


def measured(tracker: TrackerProcess) -> list[measurement_pb2.Measurement]:
    ones = np.ones((SIZE, SIZE), "float32")
    tensor = {"shape": [SIZE, SIZE], "dtype": "float32"}
    args = [measurement_pb2.Argument(**tensor, data=values.tobytes()) for values in (ones, 2 * ones, 0 * ones)]
    client = MeasureClient(tracker.address)
    try:
        for trial in ("a", "b", "c"):
            client.trial(trial, library=kernels.matmul(SIZE).read_bytes(), args=args, outputs=[2])
        answers = client.wait_for("a", "b", "c")
        assert client.times == {"a": 1, "b": 1, "c": 1}
        return answers
    finally:
        client.close()


def test_a_board_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    """It left meanwhile, and says it again when it is back."""
    tracker = TrackerProcess(tmp_path / "tracker")
    try:
        report = fleet_pb2.ReportRequest(device_id="nobody")
        report.message.measurements.add(trial_id="t")
        assert tracker.calls.fleet.Report(report) == fleet_pb2.ReportReply()
    finally:
        tracker.stop()
