"""``farm check MODEL``: what there is and what is in the way, without a board; with a pool what binds each task."""

import json

import onnx
import pytest

pytest.importorskip("tvm")

from tests.support.check_models import hindered, picking, sorting, two_products, widening
from tests.support.whole_farm import WholeFarm
from tvm_farm.tracker.domain import JobKind, JobState

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

#: By whom does not matter here.
CONVERTED = [{"by_farm": 1}, {"by_tvm": 1}]
CONVERTED_TWICE = [{"by_farm": 2}, {"by_tvm": 2}]

OPERATOR = """
from tvm import te

def add(N=64, dtype="float32"):
    a, b = te.placeholder((N,), dtype, "a"), te.placeholder((N,), dtype, "b")
    return [a, b, te.compute((N,), lambda i: a[i] + b[i], "c")]
"""


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    """One without a board, and with the files that are looked at."""
    farm = WholeFarm(tmp_path_factory.mktemp("farm"))
    try:
        onnx.save(two_products(), farm.folder / "two.onnx")
        onnx.save(two_products("batch"), farm.folder / "open.onnx")
        onnx.save(hindered(), farm.folder / "hindered.onnx")
        onnx.save(picking(heavy=False), farm.folder / "picking.onnx")
        onnx.save(picking(heavy=True), farm.folder / "heavy.onnx")
        onnx.save(widening(), farm.folder / "wide.onnx")
        onnx.save(sorting(), farm.folder / "sorting.onnx")
        (farm.folder / "torn.onnx").write_bytes(b"no model at all")
        (farm.folder / "op.py").write_text(OPERATOR)
        yield farm
    finally:
        farm.close()


def checked(farm, *arguments, code=0):
    told = farm.farm("check", *arguments, "--json")
    assert told.returncode == code, told.stdout + told.stderr + farm.worker_log()
    return json.loads(told.stdout)


def fates(told):
    """Of each operator the counts that are not 0."""
    return {o.pop("name"): {fate: n for fate, n in o.items() if n and fate != "nodes"} for o in told["operators"]}


def test_a_model_is_told_without_a_pool(farm):
    told = checked(farm, "two.onnx")
    assert told["will_be_tuned"] is True
    assert told["inputs"] == [{"name": "x", "shape": [4, 32], "dtype": "float32"}]
    assert told["outputs"] == [{"name": "y", "shape": [4, 10], "dtype": "float32"}]
    found = fates(told)
    assert found["MatMul"] in CONVERTED_TWICE
    assert found["Reshape"] in CONVERTED
    assert {name for name, fate in found.items() if fate == {"folded": 1}} == {"Shape", "Gather", "Concat"}
    assert set(found["Celu"]) <= {"expanded", "by_farm"}
    [one] = told["classes"]
    assert (one["device_class"], one["peaks"], one["attainable_s"]) == ("", None, None)
    assert json.loads(one["target"])["kind"] == "llvm"
    # Two matrices; where Celu is expanded, its one constant.
    assert one["parameters"] in (32 * 48 + 48 * 10, 32 * 48 + 48 * 10 + 1)
    assert (one["parameter_bytes"], one["parameters_of"]) == (4 * one["parameters"], "package")
    assert one["judge"].startswith("ONNX Runtime")
    # By hand: a product reads two matrices and writes one, and multiplies and adds.
    second = next(task for task in one["tasks"] if task["flops"] == 2 * 4 * 48 * 10)
    assert (second["bytes_touched"], second["weight"]) == (4 * (4 * 48 + 48 * 10 + 4 * 10), 1)
    assert one["flops"] == sum(task["weight"] * task["flops"] for task in one["tasks"]) >= 2 * 4 * 48 * (32 + 10)
    # The input, what the first product gives and the answer; or before that what Celu makes of it, where it is apart.
    assert one["activation_bytes"] in (4 * (4 * 32 + 4 * 48 + 4 * 10), 4 * (4 * 32 + 2 * 4 * 48))

    [job] = [job for job in farm.jobs() if job.spec.kind is JobKind.CHECK]
    assert (job.state, job.spec.pool, job.trials, job.id) == (JobState.DONE, "", 0, one["job"])
    assert farm.records() == []
    shown = farm.farm("jobs", "show", job.id)
    assert shown.stdout.splitlines()[-1].startswith("two: will be tuned, ")
    again = farm.farm("jobs", "watch", job.id)
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, shown.stdout.splitlines()[-1])
    refused = farm.farm("jobs", "watch", job.id, "-o", "nothing")
    assert (refused.returncode, "made no package" in refused.stderr) == (2, True)


def test_outputs_beyond_a_message_are_refused(farm):
    told = farm.farm("check", "wide.onnx")
    assert told.returncode == 2, told.stdout + told.stderr
    assert "wide is not tuned: its output y takes 100 MiB, and a board's answer carries at most 60.0 MiB" in " ".join(
        (told.stdout + told.stderr).split()
    )


def test_all_that_is_refused_is_named(farm):
    told = checked(farm, "hindered.onnx", code=2)
    assert told["will_be_tuned"] is False
    [one] = told["classes"]
    assert [o["node"] for o in one["obstacles"]] == [
        "node wobble (my.own.Wobble)",
        "node again (my.own.Wobble)",
        "node inside (my.own.Inner)",
        "node shapeless (my.own.Shapeless)",
    ]
    assert [o["operator"] for o in one["obstacles"][2:]] == ["my.own.Inner", "my.own.Shapeless"]
    assert all(o["reason"] for o in one["obstacles"])
    found = fates(told)
    assert found["Shape"] == {"folded": 1}
    assert found["Exp"] in CONVERTED
    assert (found["Neg"], found["Abs"]) == ({"unknown": 1}, {"unknown": 1})
    assert (one["tasks"], one["parameters_of"]) == ([], "file")

    told = farm.farm("check", "hindered.onnx")
    assert told.returncode == 2
    text = " ".join(told.stdout.split())
    for node in (
        "wobble (my.own.Wobble)",
        "again (my.own.Wobble)",
        "inside (my.own.Inner)",
        "shapeless (my.own.Shapeless)",
    ):
        assert f"In the way: node {node}: " in text
    assert told.stdout.splitlines()[-1] == "hindered: will not be tuned, 4 things are in the way"
    # The first of them is what a tune would stop at.
    assert one["obstacles"][0]["reason"] in text


def test_an_open_input_is_in_the_way_until_it_is_fixed(farm):
    told = checked(farm, "open.onnx", code=2)
    assert told["inputs"] == [{"name": "x", "shape": ["batch", 32], "dtype": "float32"}]
    [obstacle] = told["classes"][0]["obstacles"]
    assert "open dimensions (batch,32); fix it with --shape x=" in obstacle["reason"]
    assert {fate for counts in fates(told).values() for fate in counts} == {"unknown"}
    fixed = checked(farm, "open.onnx", "--shape", "x=2,32")
    assert fixed["outputs"] == [{"name": "y", "shape": [2, 10], "dtype": "float32"}]


def test_several_shapes_are_looked_at_together(farm):
    told = checked(farm, "open.onnx", "--shape", "batch={2,4}")
    assert told["inputs"] == [{"name": "x", "shape": [4, 32], "dtype": "float32"}]
    [one] = told["classes"]
    # A product of 48 -> 10 for each shape.
    assert {960.0 * rows for rows in (2, 4)} <= {task["flops"] for task in one["tasks"]}
    assert "x=2,32; x=4,32" in one["notes"][0]


def test_a_model_without_a_kernel_to_schedule_names_its_operators(farm):
    told = checked(farm, "sorting.onnx", code=2)
    [obstacle] = told["classes"][0]["obstacles"]
    assert obstacle["reason"] == "sorting has no operator that could be tuned: TopK leaves no kernel to schedule"


def test_what_is_cut_off_the_end_is_told(farm):
    told = checked(farm, "picking.onnx")
    found = fates(told)
    assert found["MatMul"] in CONVERTED
    assert (found["NonZero"], found["Cast"]) == ({"cut": 1}, {"cut": 1})
    assert told["outputs"] == [{"name": "h", "shape": [4, 8], "dtype": "float32"}]
    assert "cut before node where (NonZero)" in told["classes"][0]["notes"][0]

    told = checked(farm, "heavy.onnx", code=2)
    [obstacle] = told["classes"][0]["obstacles"]
    assert "node second (MatMul)" in obstacle["reason"]
    found = fates(told)
    assert (found["MatMul"].pop("unknown"), found["NonZero"]) == (1, {"unknown": 1})
    assert found["MatMul"] in CONVERTED


def test_an_operator_is_told_by_its_tasks(farm):
    told = checked(farm, "op.py:add", "--with", "N=1000")
    [one] = told["classes"]
    assert [t["name"] for t in (*told["inputs"], *told["outputs"])] == ["a", "b", "c"]
    [task] = one["tasks"]
    assert (task["name"], task["flops"], task["bytes_touched"]) == ("add", 1000, 12_000)


def test_peaks_are_measured_once_a_class(farm):
    agent = farm.add_agent("board")
    farm.wait_for_devices(1)
    [one] = checked(farm, "two.onnx", "--pool", "x86_64")["classes"]
    measured = farm.records()
    assert {(r.workload_name, r.measurement.device_class) for r in measured} == {
        ("peak_arithmetic", one["device_class"]),
        ("peak_memory", one["device_class"]),
    }
    peaks = one["peaks"]
    assert (peaks["device_name"], peaks["from_log"]) == ("board", False)
    for record in measured:
        work = {"peak_arithmetic": "flops_per_s", "peak_memory": "bytes_per_s"}[record.workload_name]
        assert peaks[work] * min(record.measurement.run_secs) > 1e6  # operations or bytes of a call
    for task in one["tasks"]:
        compute, memory = task["flops"] / peaks["flops_per_s"], task["bytes_touched"] / peaks["bytes_per_s"]
        assert task["attainable_s"] == pytest.approx(max(compute, memory))
        assert task["bound"] == ("compute" if compute > memory else "memory")
    assert one["attainable_s"] == pytest.approx(sum(t["weight"] * t["attainable_s"] for t in one["tasks"]))

    # From then on the log has them: no board is asked, and none need be there.
    agent.stop()
    farm.wait_for_devices(0)
    [again] = checked(farm, "two.onnx", "--pool", "x86_64")["classes"]
    assert again["peaks"] == {**peaks, "from_log": True}
    assert len(farm.records()) == len(measured)
    shown = farm.farm("check", "two.onnx", "--pool", "x86_64")
    assert shown.stdout.splitlines()[-1].endswith(" at least")
    [fresh] = checked(farm, "two.onnx", "--pool", "x86_64", "--fresh")["classes"]
    assert (fresh["peaks"], "takes work now" in fresh["notes"][0]) == (None, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.onnx"], "There is no file none.onnx."),
        (["torn.onnx"], "is damaged, or no model that the farm takes (ONNX, TFLite, PyTorch's exported .pt2)"),
        (["two.onnx", "--pool", "attic"], "no pool 'attic'"),
        (["two.onnx", "--shape", "z=1"], "has no input named z"),
        (["two.onnx", "--with", "N=1"], "--with sets parameters of an operator"),
        (["op.py:sub"], "defines no sub"),
    ],
)
def test_bad_input_is_one_sentence(farm, arguments, said):
    refused = farm.farm("check", *arguments)
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
