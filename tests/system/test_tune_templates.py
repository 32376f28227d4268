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
        assert "equal to ONNX Runtime" in done.stdout
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
        assert "'magic' is not one of 'auto', 'ansor', 'autotvm'" in refused.stderr
    finally:
        farm.close()


GENERIC = """from tvm.s_tir.meta_schedule.testing.te_workload import conv3d_ndhwc


def generic():
    return conv3d_ndhwc(1, 4, 8, 8, 16, 16, 1, 1, 0)
"""


@pytest.mark.slow  # the choice alone: test_template_files.py
def test_auto_chooses_by_the_budget_and_stays_with_it(tmp_path):
    farm = WholeFarm(tmp_path, "board")
    try:
        (tmp_path / "op.py").write_text(GENERIC)
        words = ("tune", "op.py:generic", "--pool", "x86_64", "--tuner", "auto")
        done = farm.farm(*words, "--trials", "8", "-o", "few")
        assert done.returncode == 0, done.stdout + done.stderr + farm.worker_log()
        [few] = farm.jobs()
        # 136 trials in all: a job that begins with so many is searched by rules.
        done = farm.farm("jobs", "resume", few.id, "--trials", "+128", "-o", "more")
        assert done.returncode == 0, done.stdout + done.stderr + farm.worker_log()
        records = farm.records(job_id=few.id)
        assert len([record for record in records if record.engine == "autotvm"]) == 136
        assert {record.engine for record in records} == {"untuned", "autotvm"}

        done = farm.farm(*words, "--trials", "130", "--fresh", "-o", "many")
        assert done.returncode == 0, done.stdout + done.stderr + farm.worker_log()
        many = next(job for job in farm.jobs() if job.id != few.id)
        assert {record.engine for record in farm.records(job_id=many.id)} == {"untuned", "ansor"}
        shown = farm.farm("tasks", "show", f"{many.id}/0").stdout
        assert "the template reduction finds less from 128 trials on, ansor searches it" in " ".join(shown.split())
    finally:
        farm.close()
