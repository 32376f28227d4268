"""The programs of examples/ against a real tracker: scripts as processes, the notebook in an event loop that runs."""

from __future__ import annotations

import ast
import inspect
import json
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.onnx_like import onnx_like
from tests.support.stand_in_agent import StandInAgent
from tests.support.stand_in_worker import StandInWorker, task_plans
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


class Lab:
    """A tracker with one board and a worker that finishes what it gets when it is told to."""

    def __init__(self, folder: Path) -> None:
        self.tracker = TrackerProcess(folder / "state")
        self.board = StandInAgent(self.tracker.address, "board")
        self.worker = StandInWorker(self.tracker.address)
        self.folder = folder
        for name in ("model", "second"):
            (folder / f"{name}.onnx").write_bytes(onnx_like(len(name)))

    def run(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(EXAMPLES / script), *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TVMFARM_TRACKER": self.tracker.address},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, times: int = 1) -> None:
        """The next ``times`` jobs, once each was started."""
        for number in range(times):
            wait_until(lambda number=number: len(self.worker.starts) > number, "a job at its worker")
            job_id = self.worker.starts[number]
            self.worker.progress(job_id, "tuning", 1.5, task_plans(job_id))
            self.worker.finish(job_id, self.tracker.upload(b"the package"))

    def close(self) -> None:
        self.worker.cut()
        self.board.cut()
        self.tracker.stop()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.close()


def test_a_script_tunes_a_model(lab: Lab) -> None:
    with lab.run("tune.py", "model.onnx", "x86_64", "30m", "tuned") as script:
        lab.finish()
        out, err = script.communicate(timeout=60)
    assert (script.returncode, err) == (0, "")
    assert out.endswith("the package is in tuned\n")
    assert (lab.folder / "tuned" / "file0").read_bytes() == b"the package"


def test_a_script_ends_with_a_sentence(lab: Lab) -> None:
    with lab.run("tune.py", "none.onnx", "x86_64", "30m", "tuned") as script:
        assert script.communicate(timeout=60) == ("", "tune.py: There is no file none.onnx.\n")


def test_a_script_tunes_several_at_once(lab: Lab) -> None:
    with lab.run("tune_all.py", "x86_64", "30m", "model.onnx", "second.onnx", "third.onnx") as script:
        lab.finish(2)
        out, err = script.communicate(timeout=60)
    assert err == ""
    assert out.splitlines() == [
        "model.onnx: model-tuned",
        "second.onnx: second-tuned",
        "third.onnx: There is no file third.onnx.",
    ]


async def test_the_notebook(lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Cell after cell, as Jupyter does: in a thread whose event loop runs, with await at the top level."""
    monkeypatch.chdir(lab.folder)
    monkeypatch.setenv("TVMFARM_TRACKER", lab.tracker.address)
    names: dict[str, object] = {"__name__": "notebook"}
    cells = json.loads((EXAMPLES / "tune.ipynb").read_text())["cells"]
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        assert cell["outputs"] == []
        if cell["id"] == "watch":
            lab.finish()
        code = compile("".join(cell["source"]), cell["id"], "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        found = types.FunctionType(code, names)()
        if inspect.iscoroutine(found):
            await found
    assert capsys.readouterr().out.endswith("True\n")
    assert (lab.folder / "model-tuned" / "file0").read_bytes() == b"the package"


@pytest.mark.parametrize("script", ["tune.py", "tune_all.py"])
def test_a_script_without_arguments_says_which_it_takes(script: str, tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / script)]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"python {script} " in done.stderr
    assert "Traceback" not in done.stderr
