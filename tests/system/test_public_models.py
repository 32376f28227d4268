"""Models that people ship today: each is tuned on a farm, every output equal to what its own runtime answers."""

import json

import pytest

pytest.importorskip("tvm")

from tests.support.public_models import ONNX_MODELS, TFLITE_MODELS, fetched
from tests.support.whole_farm import WholeFarm

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

#: Of the TFLite files those of unlike kinds: dense, float16, sparse, several outputs, audio.
_TFLITE = ("face-detection-back", "face-detection-full-range-sparse", "face-landmark", "iris-landmark", "basic-pitch")
#: Those that always run; the others are of the same kinds, larger, and run with `make test-slow`.
_QUICK = ("magika", "silero-vad", "tflite-face-detection-back")
_NAMED = [
    *((name, ONNX_MODELS[name], "ONNX Runtime ") for name in ONNX_MODELS),
    *((f"tflite-{name}", TFLITE_MODELS[name], "LiteRT ") for name in _TFLITE),
]
_EACH = [
    pytest.param(model, judge, id=name, marks=() if name in _QUICK else pytest.mark.slow)
    for name, model, judge in _NAMED
]


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    farm = WholeFarm(tmp_path_factory.mktemp("farm"), "board")
    yield farm
    farm.close()


@pytest.mark.parametrize(("model", "judge"), _EACH)
def test_it_is_tuned_and_equal_to_its_judge(farm, model, judge):
    path = fetched(model)
    options = [f"--shape={name}={','.join(map(str, dims))}" for name, dims in model.shapes.items()]
    options += [f"--fix={name}={value}" for name, value in model.values.items()]
    done = farm.farm("tune", str(path), "--pool", "x86_64", "--trials", "3", *options, "-o", "out", "--force", "--json")
    assert done.returncode == 0, done.stdout + done.stderr + farm.worker_log()
    result = json.loads(done.stdout)["result"]
    assert result["judge"].startswith(judge)
    assert (result["outputs_equal"], result["proven"]) == (True, True), result
    manifest = json.loads((farm.folder / "out" / "manifest.json").read_text())
    assert not {info["name"] for info in manifest["inputs"]} & set(model.values)
    checked = farm.farm("check", str(path), *options)
    assert checked.returncode == 0, checked.stdout + checked.stderr
