"""One ``farm tune`` over two classes of device through real tracker, worker, agents and runners."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("tvm")

from tests.support.latencies import LATENCY
from tests.support.networks import small_network
from tests.support.packages import answer_of
from tests.support.whole_farm import WholeFarm
from tvm_farm.tracker.domain import JobState, Record

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


def seconds(record: Record) -> float:
    return float(np.median(record.measurement.run_secs))


def test_each_class_gets_its_package_and_the_second_begins_with_what_the_first_found(tmp_path: Path) -> None:
    model = small_network(seed=9)
    (tmp_path / "small.onnx").write_bytes(model)
    # One with TVM's runtime; two that time kernels alone, with one thread: another mode, another target.
    farm = WholeFarm(tmp_path, "full")
    try:
        for name in ("bare-1", "bare-2"):
            farm.add_agent(name, "--mode", "micro", "--threads", "1")
        farm.wait_for_devices(3)
        done = farm.farm("tune", "small.onnx", "--pool", "x86_64", "--trials", "65", "-o", "tuned")
        assert done.returncode == 0, done.stdout + done.stderr + farm.worker_log()

        second, first = farm.jobs()
        assert (first.id, second.id) == (f"{first.group}.1", f"{first.group}.2")
        assert [job.state for job in (first, second)] == [JobState.DONE] * 2
        assert [job.trials for job in (first, second)] == [33, 32]
        assert ("micro-1t" in first.device_class, "full-2t" in second.device_class) == (True, True)
        by_job = {job.id: farm.records(job_id=job.id) for job in (first, second)}
        for job in (first, second):
            assert {record.measurement.device_class for record in by_job[job.id]} <= {job.device_class, ""}
            assert {record.target for record in by_job[job.id]} == {job.target}

        # What a person sees: the shares, a table across, a closing line a class.
        said = " ".join(done.stderr.split())
        assert f"1. {first.device_class} (2 devices): 33 of 65 trials" in said
        assert f"2. {second.device_class} (1 device): 32 of 65 trials" in said
        closing = done.stdout.strip().splitlines()[-2:]
        assert re.fullmatch(
            rf"small on {re.escape(first.device_class)}: {LATENCY} -> {LATENCY} \([\d.]+x\), estimated .*", closing[0]
        )
        assert re.fullmatch(
            rf"small on {re.escape(second.device_class)}: {LATENCY} -> {LATENCY} "
            r"\([\d.]+x\), equal to ONNX Runtime \(.*\)",
            closing[1],
        )
        [row] = re.findall(r"^full-2t\S* .*$", done.stdout, re.MULTILINE)
        assert row.split()[-1] == "equal"
        assert re.search(r"^micro-1t .* estimated *$", done.stdout, re.MULTILINE)

        # Both packages answer as ONNX Runtime does, on this machine, whose CPU is that of both classes.
        x = np.random.default_rng(4).random((1, 3, 12, 12), dtype=np.float32)
        expected = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
        assert expected.std() > 0
        listed = json.loads((tmp_path / "tuned" / "classes.json").read_text())
        assert [entry["device_class"] for entry in listed["classes"]] == [first.device_class, second.device_class]
        for entry, job in zip(listed["classes"], (first, second), strict=True):
            package = tmp_path / "tuned" / entry["folder"]
            manifest = json.loads((package / "manifest.json").read_text())
            assert (manifest["device_class"], manifest["target"]) == (job.device_class, job.target)
            np.testing.assert_allclose(answer_of(package, x), expected, rtol=1e-3, atol=1e-4)

        # The best schedules of the first class were measured on the second before others.
        assert second.result is not None
        assert second.result.taught_by == (first.device_class,)
        assert "tasks began with what was fast on" in done.stdout
        taught = 0
        for workload in {task.workload for task in farm.job(second.id).tasks}:
            there = [r for r in by_job[first.id] if r.workload == workload and r.trace and r.measurement.run_secs]
            here = [r for r in by_job[second.id] if r.workload == workload and r.trace]
            if not there or not here:
                continue
            fastest = min(there, key=seconds)
            proposed_first = sorted(here, key=lambda record: record.measurement.timeline.proposed_s)
            taught += fastest.trace in {record.trace for record in proposed_first[:8]}
        assert taught == second.result.taught_tasks > 0
        assert first.result is not None
        assert first.result.taught_tasks == 0

        shown = farm.farm("jobs", "show", first.group)
        assert shown.returncode == 0, shown.stderr
        assert "2 jobs, one a class of device; 2 of them ended" in shown.stdout
    finally:
        farm.close()
