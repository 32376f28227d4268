"""``farm tune`` of a TFLite file through real tracker, worker, agent and runner: LiteRT judges the answers."""

import numpy as np
import pytest

pytest.importorskip("tvm")
pytest.importorskip("ai_edge_litert")

from tests.support.packages import answer_of
from tests.support.tflite_networks import mobile_network
from tests.support.whole_farm import WholeFarm
from tvm_farm.tracker.tuning.models.importers import load_model

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def one_board(tmp_path_factory):
    farm = WholeFarm(tmp_path_factory.mktemp("farm"), "board")
    yield farm
    farm.close()


@pytest.mark.slow
def test_a_full_int8_network_is_tuned_and_answers_as_litert(one_board):
    path = one_board.folder / "mobile.tflite"
    path.write_bytes(mobile_network(3, quantized=True, blocks=1))
    done = one_board.farm("tune", "mobile.tflite", "--pool", "x86_64", "--trials", "6", "-o", "tuned")
    assert done.returncode == 0, done.stdout + done.stderr + one_board.worker_log()
    assert ", equal to LiteRT (max |diff| " in done.stdout.splitlines()[-1]
    image = np.random.default_rng(2).integers(-128, 128, (1, 32, 32, 3)).astype(np.int8)
    model = load_model(path, {}, "mobile.tflite")
    (expected,) = model.judge.answers([image], [model.outputs[0].name])
    given = answer_of(one_board.folder / "tuned", image)
    assert given.dtype == np.int8
    assert np.abs(given.astype(int) - expected.astype(int)).max() <= 1


def test_a_torn_file_stops_the_job_in_one_sentence(one_board):
    (one_board.folder / "torn.tflite").write_bytes(mobile_network(3, quantized=False, blocks=1)[:400])
    done = one_board.farm("tune", "torn.tflite", "--pool", "x86_64", "--trials", "4")
    assert done.returncode != 0
    assert "torn is not a TFLite file that LiteRT reads" in " ".join((done.stdout + done.stderr).split())
