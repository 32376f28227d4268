"""The log's way to stock TVM and back: what stock wrote compiles here, what the farm wrote replays there."""

import base64
import json
import re
import struct
from random import Random

import pytest

tvm = pytest.importorskip("tvm")
import tvm_ffi  # noqa: E402
from tvm.s_tir import meta_schedule as ms  # noqa: E402
from tvm.s_tir.meta_schedule.testing import te_workload  # noqa: E402
from tvm.te import create_prim_func  # noqa: E402

from tests.support.networks import small_network  # noqa: E402
from tests.support.onnx_bytes import load_onnx  # noqa: E402
from tests.support.whole_farm import WholeFarm  # noqa: E402
from tvm_farm.tracker.domain import JobState  # noqa: E402
from tvm_farm.tracker.tuning.building.intrinsics import register_intrinsics  # noqa: E402
from tvm_farm.tracker.tuning.engines.space import Space, apply_trace  # noqa: E402
from tvm_farm.tracker.tuning.models.graph import lower, tasks_of, workload_key  # noqa: E402

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    farm = WholeFarm(tmp_path_factory.mktemp("farm"), "board")
    (farm.folder / "small.onnx").write_bytes(small_network(seed=5))
    yield farm
    farm.close()


@pytest.fixture(scope="module")
def device(farm):
    [device] = json.loads(farm.farm("devices", "--json").stdout)
    return device


@pytest.fixture(scope="module")
def target(device):
    target = tvm.target.Target(device["target"])
    register_intrinsics(target)
    return target


@pytest.fixture(scope="module")
def tasks(target):
    return tasks_of(lower(load_onnx(small_network(seed=5), {}, "small").module, target), target)


def stock_folder(path, tasks, target):
    """A JSONDatabase as stock TVM writes it, of a few points of each task's space; its records."""
    path.mkdir()
    database = ms.database.JSONDatabase(work_dir=str(path))
    random = Random(0)
    for task in tasks:
        workload = database.commit_workload(task.module)
        space = Space(task.module, target, task.name, 0)
        for number in range(3):
            schedule = space.sample(random)
            if schedule is not None:
                info = ms.arg_info.ArgInfo.from_entry_func(task.module, remove_preproc=False)
                # The first task takes all of the time: what the log says of the others is not measured again.
                seconds = [1.0 + number, 2.0] if task is tasks[0] else [1e-12 * (number + 1), 2e-12]
                record = ms.database.TuningRecord(schedule.trace, workload, seconds, target, info)
                database.commit_tuning_record(record)
    return list(database.get_all_tuning_records())


def of_folder(path):
    """By workload key and times, the scheduled modules of a folder as stock TVM replays them."""
    found = {}
    for record in ms.database.JSONDatabase(work_dir=str(path)).get_all_tuning_records():
        times = tuple(float(seconds) for seconds in record.run_secs)
        module = record.as_measure_candidate().sch.mod
        found.setdefault((workload_key(record.workload.mod), times), []).append((module, record))
    return found


def test_what_stock_tvm_wrote_compiles_here(farm, device, target, tasks):
    # A stock script names no mtriple: TVM compiles for the machine on which it runs.
    named = {name: value for name, value in json.loads(device["target"]).items() if name != "mtriple"}
    stock = stock_folder(farm.folder / "stock", tasks, tvm.target.Target(named))
    # Without its class it is nobody's measurement, with it `farm compile` uses it.
    said = farm.farm("records", "import", "stock")
    assert said.returncode == 0, said.stderr
    assert f"Imported {len(stock)} records of TVM {tvm.__version__}" in said.stdout
    said = farm.farm("records", "import", "stock", "--device-class", device["device_class"])
    assert said.returncode == 0, said.stderr
    assert "`farm compile` and `farm tune` take them" in said.stdout
    assert "another target" not in said.stdout
    imported = [record for record in farm.records() if record.measurement.device_class == device["device_class"]]
    assert len(imported) == len(stock)
    assert {record.workload for record in imported} == {task.workload.key for task in tasks}
    assert {record.target for record in imported} == {device["target"]}
    compiled = farm.farm("compile", "small.onnx", "--pool", "x86_64")
    assert compiled.returncode == 0, compiled.stdout + compiled.stderr
    job = farm.jobs()[0]
    assert job.state is JobState.DONE
    taken = sum(not task.kept_untuned for task in job.result.tasks)
    if told := re.search(r"the tuned model \((\d+) of \d+ tasks with a schedule\) was not faster", job.result.note):
        # Random points of a space may be slower than no schedule; they were compiled and ran all the same.
        taken = int(told[1])
    assert taken >= len(tasks) - 1, f"{taken} of {len(tasks)} tasks were taken from the imported log"
    assert "does not apply" not in farm.worker_log()


def test_stock_tvm_replays_what_the_farm_wrote_to_the_same_schedule(farm, device, target, tasks):
    stock_folder(farm.folder / "again", tasks, target)
    farm.farm("records", "import", "again", "--device-class", device["device_class"])
    tuned = farm.farm("tune", "small.onnx", "--pool", "x86_64", "--trials", "8")
    assert tuned.returncode == 0, tuned.stdout + tuned.stderr
    said = farm.farm("records", "export", "out", "--device-class", device["device_class"])
    assert said.returncode == 0, said.stderr
    there = of_folder(farm.folder / "out")
    modules = {task.workload.key: task.module for task in tasks}
    engines = set()
    mine = [r for r in farm.records(device_class=device["device_class"]) if r.trace and r.measurement.run_secs]
    for record in mine:
        replayed = there[record.workload, record.measurement.run_secs]
        expected = apply_trace(modules[record.workload], record.trace).mod
        assert any(tvm_ffi.structural_equal(module, expected) for module, _ in replayed)
        engines.add(record.engine)
    assert engines == {"ansor", "metaschedule"}
    assert sum(map(len, there.values())) == len(mine)
    for (key, _), found in there.items():
        for _, record in found:
            info = ms.arg_info.ArgInfo.from_entry_func(modules[key], remove_preproc=False)
            assert [str(each.as_json()) for each in record.args_info] == [str(each.as_json()) for each in info]
            assert dict(record.target.export()) == dict(target.export())
    database = ms.database.JSONDatabase(work_dir=str(farm.folder / "out"))
    for key, module in modules.items():
        best = database.query_tuning_record(module, target, "main")
        fastest = min(sum(r.measurement.run_secs) / len(r.measurement.run_secs) for r in mine if r.workload == key)
        assert sum(map(float, best.run_secs)) / len(best.run_secs) == pytest.approx(fastest)
        assert database.query_schedule(module, target, "main") is not None


def test_workloads_are_written_as_stock_tvm_writes_them(tmp_path):
    from tvm_farm.tracker.domain import Workload
    from tvm_farm.tracker.logs.metaschedule import FolderWriter, read_workloads

    matmul = create_prim_func(te_workload.matmul(n=8, m=8, k=8))
    module = tvm.ir.IRModule({"main": matmul.with_attr("global_symbol", "main")})
    key = workload_key(module)
    writer = FolderWriter(tmp_path / "farm")
    writer.add_workload(Workload(key, "matmul", tvm.ir.save_json(module)))
    writer.close()
    (tmp_path / "stock").mkdir()
    ms.database.JSONDatabase(work_dir=str(tmp_path / "stock")).commit_workload(module)
    lines = [json.loads((tmp_path / side / "database_workload.json").read_text()) for side in ("farm", "stock")]
    assert lines[0][0] == lines[1][0]
    packed = [base64.b64decode(line[1]) for line in lines]
    assert [struct.unpack_from("<Q", data)[0] == len(data) - 8 for data in packed] == [True, True]
    assert json.loads(packed[0][8:]) == json.loads(packed[1][8:])
    [read] = read_workloads(tmp_path / "stock")
    assert (read.workload.key, read.workload.name, read.tvm_version) == (key, "C", tvm.__version__)
