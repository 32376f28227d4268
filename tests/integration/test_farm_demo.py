"""``farm demo`` stops what it started, however it is ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.support.farm_command import FarmTerminal, farm
from tests.support.onnx_like import onnx_like
from tests.support.waiting import wait_until


@pytest.mark.parametrize("ending", ["ctrl-c", signal.SIGTERM, signal.SIGHUP], ids=str)
def test_nothing_outlives_an_interrupted_demo(tmp_path: Path, ending: str | signal.Signals) -> None:
    model = tmp_path / "net.onnx"
    model.write_bytes(onnx_like(100))  # the demo ends before a worker has looked at it
    with FarmTerminal(
        "demo", "--model", str(model), "-o", str(tmp_path / "package"), cwd=tmp_path, columns=200
    ) as terminal:
        state = Path(terminal.await_text(r"its state in (\S+)")[1])
        terminal.await_text(r"Starting the tracker …\nThe tracker serves at 127.0.0.1:\d+; .*Starting the agent …")
        terminal.await_text(r"\$ farm tune net\.onnx --pool \S+ --budget 2m -o", timeout_s=60)
        started = psutil.Process(terminal.process.pid).children(recursive=True)
        names = " ".join(" ".join(process.cmdline()) for process in started)
        assert "tracker" in names
        assert "agent" in names
        assert state.is_dir()
        if isinstance(ending, signal.Signals):
            terminal.send(ending)
        else:
            terminal.press_ctrl_c()
        assert terminal.await_exit(60) == 130
    _, alive = psutil.wait_procs(started, timeout=10)
    assert alive == []
    assert not state.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_an_interrupt_while_the_model_is_prepared_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    package = tmp_path / "site" / "onnx"
    package.mkdir(parents=True)
    begun = tmp_path / "begun"
    (package / "__init__.py").write_text(
        f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(60)\n"
    )
    path = f"{package.parent}:{Path(__file__).parents[2]}"
    with FarmTerminal("demo", cwd=tmp_path, PYTHONPATH=path, TMPDIR=str(tmp_path / "temporary")) as terminal:
        wait_until(begun.exists, "the model being made")
        assert os.listdir(tmp_path / "temporary")
        terminal.press_ctrl_c()
        assert terminal.await_exit() == 130
    assert os.listdir(tmp_path / "temporary") == []
    assert "The logs are in" not in terminal.text


def test_a_demo_that_cannot_work_is_refused_before_anything_starts(tmp_path: Path) -> None:
    for arguments, said in (
        (["--model", "none.onnx"], "There is no file none.onnx"),
        (["--model", __file__], "is damaged, or no model that the farm takes"),
        (["--budget", "soon"], "is not a duration"),
        (["-o", "/proc/package"], "Cannot write"),
    ):
        refused = farm("demo", *arguments, cwd=tmp_path, TMPDIR=str(tmp_path))
        assert refused.returncode == 2, refused.stderr
        assert said in refused.stderr
        assert os.listdir(tmp_path) == []
