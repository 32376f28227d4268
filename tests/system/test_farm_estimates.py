"""``farm records best MODEL``: what a model would gain, from the log alone; no trial, no board."""

import json

import pytest

pytest.importorskip("tvm")

from tests.support.networks import small_network
from tests.support.whole_farm import WholeFarm
from tvm_farm.tracker.domain import JobKind, JobState

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    """One that has tuned a small network and has no board any more."""
    farm = WholeFarm(tmp_path_factory.mktemp("farm"), "board")
    try:
        (farm.folder / "small.onnx").write_bytes(small_network(seed=3))
        done = farm.farm("tune", "small.onnx", "--pool", "x86_64", "--trials", "8", "-o", "tuned")
        assert done.returncode == 0, done.stdout + done.stderr + farm.worker_log()
        [agent] = farm.agents
        agent.stop()
        farm.wait_for_devices(0)
        yield farm
    finally:
        farm.close()


def test_the_log_knows_what_a_tuned_model_gains(farm):
    before = {record.trial_id for record in farm.records()}
    told = farm.farm("records", "best", "small.onnx", "--pool", "x86_64", "--json")
    assert told.returncode == 0, told.stdout + told.stderr + farm.worker_log()
    [one] = json.loads(told.stdout)["classes"]
    [job] = [job for job in farm.jobs() if job.spec.kind is JobKind.ESTIMATE]
    assert (job.id, job.state, job.trials, job.result.files) == (one["job"], JobState.DONE, 0, ())
    assert {record.trial_id for record in farm.records()} == before

    # The same as the log says, task by task: of each workload the fastest there is, and its baseline.
    tuned = next(job for job in farm.jobs() if job.spec.kind is JobKind.TUNE)
    tuned = farm.job(tuned.id)
    assert [task["name"] for task in one["tasks"]] == [task.name for task in tuned.tasks]
    for task, known in zip(one["tasks"], tuned.tasks, strict=True):
        fastest = min(s for s in (known.untuned_s, known.best_s) if s)
        assert (task["weight"], task["untuned_s"], task["best_s"]) == (known.weight, known.untuned_s, fastest)
    assert one["compared"] == one["known"] == len(tuned.tasks)
    assert one["best_s"] == pytest.approx(sum(task["weight"] * task["best_s"] for task in one["tasks"]))

    shown = farm.farm("jobs", "show", job.id)
    assert shown.stdout.splitlines()[-1].endswith(f"from the log of {len(tuned.tasks)} of {len(tuned.tasks)} tasks")
    refused = farm.farm("jobs", "watch", job.id, "-o", "nothing")
    assert (refused.returncode, "made no package" in refused.stderr) == (2, True)
    again = farm.farm("jobs", "watch", job.id)
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, shown.stdout.splitlines()[-1])


def test_what_was_never_measured_is_told(farm):
    (farm.folder / "wider.onnx").write_bytes(small_network(seed=3, channels=16))
    told = farm.farm("records", "best", "wider.onnx", "--pool", "x86_64")
    assert told.returncode == 0, told.stdout + told.stderr + farm.worker_log()
    assert "never measured on this class" in told.stdout
    line = told.stdout.splitlines()[-1]
    assert line.startswith("wider: ")

    other = farm.farm("records", "best", "small.onnx", "--pool", "x86_64", "--target", '{"mcpu": "core-avx2"}')
    assert other.returncode == 0, other.stderr + farm.worker_log()
    assert "nothing is known of its" in other.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["small.onnx"], "name a pool with --pool"),
        (["small.onnx", "--pool", "x86_64", "-n", "3"], "leave out --workload and -n"),
        (["small.onnx", "--pool", "x86_64", "--workload", "ab"], "leave out --workload and -n"),
        (["none.onnx", "--pool", "x86_64"], "There is no file none.onnx."),
        (["small.onnx", "--pool", "attic"], "no pool 'attic'"),
        (["small.onnx", "--pool", "x86_64", "--class", "pi4"], "is of class pi4: it has "),
        (["--shape", "x=1,3"], "--shape fixes an input of a MODEL, and none is named"),
        (
            ["broken.onnx", "--pool", "x86_64"],
            "is damaged, or no model that the farm takes (ONNX, TFLite, PyTorch's exported .pt2)",
        ),
    ],
)
def test_bad_input_is_one_sentence(farm, arguments, said):
    (farm.folder / "broken.onnx").write_bytes(b"no model at all")
    refused = farm.farm("records", "best", *arguments)
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
