"""A model tuned by templates on a whole farm: what is recorded, shown and shipped."""

import json

import pytest

tvm = pytest.importorskip("tvm")

from tests.support.networks import small_network  # noqa: E402
from tests.support.whole_farm import WholeFarm  # noqa: E402

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


def test_a_model_is_tuned_by_templates_and_its_spaces_can_be_asked_for(tmp_path):
    farm = WholeFarm(tmp_path, "board")
    try:
        (tmp_path / "small.onnx").write_bytes(small_network(seed=3))
        words = ("tune", "small.onnx", "--pool", "x86_64", "--tuner", "autotvm-ga", "--trials", "12", "-o", "one")
        done = farm.farm(*words)
        assert done.returncode == 0, done.stdout + done.stderr + farm.worker_log()
        assert "outputs equal" in done.stdout
        [job] = farm.jobs()
        records = farm.records(job_id=job.id)
        assert {record.engine for record in records} == {"untuned", "autotvm-ga"}
        by_template = [record for record in records if record.engine != "untuned"]
        assert len(by_template) == 12
        assert all("tvm_farm.config" in record.trace for record in by_template)

        told = json.loads(farm.farm("tasks", "show", job.id, "--json").stdout)
        assert all(task["space"]["template"] for task in told)
        shown = farm.farm("tasks", "show", f"{job.id}/0")
        assert shown.returncode == 0, shown.stderr
        assert told[0]["space"]["template"] in shown.stdout

        refused = farm.farm("tune", "small.onnx", "--pool", "x86_64", "--tuner", "magic")
        assert refused.returncode == 2
        assert "'magic' is not one of 'ansor', 'autotvm'" in refused.stderr
    finally:
        farm.close()
