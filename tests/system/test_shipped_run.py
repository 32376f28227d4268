"""``run.py`` of a package in a clean process, where kernels call TVM's rarer functions. numpy is the judge."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("tvm")

import tvm

from tests.support.check_models import sorting
from tvm_farm.tracker.tuning.building.builder import build_model
from tvm_farm.tracker.tuning.models.graph import lower
from tvm_farm.tracker.tuning.models.importers import ImportedModel, load_model
from tvm_farm.tracker.tuning.packages.package import Variant, write_package
from tvm_farm.tracker.tuning.packages.package_run import run_package
from tvm_farm.tracker.tuning.packages.untuned import host_target

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ImportedModel]:
    """The three largest of each row, and where they are."""
    folder = tmp_path_factory.mktemp("sorts")
    onnx.save(sorting(), folder / "sorts.onnx")
    model = load_model(folder / "sorts.onnx", {}, "sorts", {})
    target = tvm.target.Target(host_target())
    lowered = lower(model.module, target, as_written=True)
    place = folder / "package"
    place.mkdir()
    variant = Variant(build_model(lowered.module, target), lowered.params, model)
    write_package(place, [variant], name="sorts", target=str(target), device_class="", versions={})
    return place, model


def test_a_model_that_sorts_runs(package: tuple[Path, ImportedModel]) -> None:
    folder, model = package
    x = np.random.default_rng(0).permutation(45).reshape(5, 9).astype(np.float32)
    most, places = run_package(folder, [x], ["x"], model.outputs)
    wanted = np.argsort(-x, axis=1)[:, :3]
    np.testing.assert_array_equal(places, wanted)
    np.testing.assert_array_equal(most, np.take_along_axis(x, wanted, 1))


@pytest.mark.parametrize(("cores", "asked", "threads"), [(2, "", 2), (1, "", 1), (64, "", 0), (2, "1", 1)])
def test_it_takes_as_many_threads_as_it_was_tuned_for(
    package: tuple[Path, ImportedModel], tmp_path: Path, cores: int, asked: str, threads: int
) -> None:
    folder = shutil.copytree(package[0], tmp_path / "package")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["target"] = json.dumps({"kind": "llvm", "num-cores": cores})
    (folder / "manifest.json").write_text(json.dumps(manifest))
    told = "import numpy, tvm_ffi; from run import Model; Model()(numpy.zeros((5, 9), 'float32'))\n"
    told += "print(tvm_ffi.get_global_func('runtime.NumThreads')())"
    environ = {name: value for name, value in os.environ.items() if name != "TVM_NUM_THREADS"}
    environ |= {"TVM_NUM_THREADS": asked} if asked else {}
    ran = subprocess.run(
        [sys.executable, "-c", told], cwd=folder, env=environ, capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) == min(threads or cores, len(os.sched_getaffinity(0)))


def test_the_library_that_it_lacks_is_named(package: tuple[Path, ImportedModel], tmp_path: Path) -> None:
    folder, _ = package
    spec = importlib.util.find_spec("tvm")
    assert spec is not None
    [place] = spec.submodule_search_locations or ()
    shutil.copy(Path(place, "lib", "libtvm_runtime.so"), tmp_path)
    np.savez(tmp_path / "in.npz", x=np.zeros((5, 9), np.float32))
    # Beside the caller, as a shell completes it.
    command = [sys.executable, "-I", str(folder / "run.py"), "--runtime", "libtvm_runtime.so"]
    done = subprocess.run([*command, "in.npz", "out.npz"], capture_output=True, text=True, timeout=100, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("run.py: Cannot find function tvm.contrib.sort.topk")
    assert f"It may be in libtvm_runtime_extra.so, which is not in {tmp_path}" in done.stderr


def test_what_is_no_npz_file_is_told_in_a_sentence(package: tuple[Path, ImportedModel], tmp_path: Path) -> None:
    folder, _ = package
    command = [sys.executable, "-I", str(folder / "run.py")]
    (tmp_path / "text.npz").write_text("not at all")
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "empty.npz").touch()
    np.save(tmp_path / "one.npy", np.zeros(3))
    for name in ("text.npz", "torn.npz", "empty.npz", "one.npy"):
        done = subprocess.run([*command, name, "out.npz"], capture_output=True, text=True, timeout=100, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith(f"run.py: {name} is no NPZ file: "), done.stderr
    checked = subprocess.run([*command, "--check"], capture_output=True, text=True, timeout=100)
    assert (checked.returncode, checked.stdout) == (
        0,
        "sorts: all files are as they were packaged, the parameters load\n",
    )


def test_a_python_without_numpy_is_told_what_to_install(package: tuple[Path, ImportedModel]) -> None:
    bare = [sys.executable, "-I", "-S", str(package[0] / "run.py"), "--check"]
    ran = subprocess.run(bare, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (
        1,
        "run.py: No module named 'numpy': pip install numpy apache-tvm-ffi\n",
    )
