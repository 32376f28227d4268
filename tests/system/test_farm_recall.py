"""The same job twice, and a job that goes on: through real tracker, worker, agent and runner."""

import pytest

pytest.importorskip("tvm")

from tests.support.networks import small_network
from tests.support.whole_farm import WholeFarm
from tvm_farm.tracker.domain import Job, JobState, Record

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]
TRIALS = 20


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    farm = WholeFarm(tmp_path_factory.mktemp("farm"), "board")
    (farm.folder / "small.onnx").write_bytes(small_network(seed=8, channels=16, size=28))
    yield farm
    farm.close()


def run(farm: WholeFarm, *command: str) -> str:
    done = farm.farm(*command)
    assert done.returncode == 0, done.stdout + done.stderr + farm.worker_log()
    return done.stdout


def tune(farm: WholeFarm, *options: str) -> Job:
    run(farm, "tune", "small.onnx", "--pool", "x86_64", *options, "--force", "-o", "tuned")
    job = farm.job(farm.jobs()[0].id)
    assert job.state is JobState.DONE
    return job


def tuned(farm: WholeFarm, job: Job) -> list[Record]:
    return [record for record in farm.records(job_id=job.id) if record.engine != "untuned"]


@pytest.fixture(scope="module")
def first(farm) -> Job:
    job = tune(farm, "--trials", str(TRIALS), "--seed", "3")
    assert (job.trials, job.recalled) == (TRIALS, 0)
    return job


def test_the_same_job_again_is_answered_from_the_log(farm, first):
    again = tune(farm, "--trials", str(TRIALS), "--seed", "3")
    records = farm.records(job_id=again.id)
    assert [record.trial_id for record in records if not record.copied_from] == []
    assert {record.copied_from for record in records} == {record.trial_id for record in farm.records(job_id=first.id)}
    assert (again.trials, again.recalled) == (TRIALS, TRIALS)
    assert {record.trace for record in tuned(farm, again)} == {record.trace for record in tuned(farm, first)}
    shown = run(farm, "jobs", "show", again.id)
    assert f"{TRIALS} of its trials: measured before, no board was asked" in shown
    timeline = run(farm, "jobs", "show", again.id, "--timeline")
    assert f"{TRIALS} of them: no builder, no board" in timeline
    assert "board" not in timeline.partition("who")[2]


def test_a_fresh_job_measures(farm, first):
    fresh = tune(farm, "--trials", "4", "--seed", "3", "--fresh")
    assert (fresh.trials, fresh.recalled) == (4, 0)
    assert not any(record.copied_from for record in farm.records(job_id=fresh.id))
    assert "nothing is answered from the log" in run(farm, "jobs", "show", fresh.id)


def test_another_job_of_the_workload_begins_with_what_is_known(farm, first):
    other = tune(farm, "--trials", str(TRIALS), "--seed", "4")
    assert 0 < other.recalled < TRIALS
    known = {record.trace for record in tuned(farm, first)}
    assert {record.trace for record in tuned(farm, other) if record.copied_from} <= known


def test_a_job_goes_on_from_its_records(farm, first):
    before = {record.trial_id for record in tuned(farm, first)}
    out = run(farm, "jobs", "resume", first.id, "--trials", "+16", "-o", "resumed")
    assert "equal to ONNX Runtime" in out
    job = farm.job(first.id)
    assert (job.state, job.trials, job.spec.max_trials) == (JobState.DONE, TRIALS + 16, TRIALS + 16)
    records = tuned(farm, job)
    assert len(records) == TRIALS + 16
    assert before < {record.trial_id for record in records}
    assert len({(record.workload, record.trace) for record in records}) == TRIALS + 16, "nothing was tried twice"
    assert "not as it was" not in farm.worker_log()
    assert (farm.folder / "resumed" / "manifest.json").exists()
    refused = farm.farm("jobs", "resume", first.id)
    assert refused.returncode == 2
    assert f"Job {first.id} has used up its budget: say how much more" in refused.stderr


def test_what_a_compaction_removed_is_not_measured_again_by_a_job_that_goes_on(farm, first):
    before = farm.job(first.id)
    run(farm, "records", "compact", "--keep", "1", "--yes")
    left = {record.trial_id for record in tuned(farm, before)}
    assert len(left) < before.trials
    run(farm, "jobs", "resume", first.id, "--trials", "+8", "--force", "-o", "resumed")
    assert farm.job(first.id).trials == before.trials + 8
    assert len({record.trial_id for record in tuned(farm, before)} - left) == 8
