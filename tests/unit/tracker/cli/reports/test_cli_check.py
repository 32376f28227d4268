"""What a check tells: tables, closing lines, JSON and exit codes."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from tests.support.check_reports import BAD, GOOD, PEAKS, job
from tvm_farm.tracker.cli import farm
from tvm_farm.tracker.cli.reports.check_report import check_line, print_check, print_checks
from tvm_farm.tracker.client.errors import BadInput
from tvm_farm.tracker.domain import (
    Job,
    JobState,
    TaskOutlook,
)


def rendered(*jobs: Job, width: int = 80) -> list[str]:
    screen = Console(file=io.StringIO(), width=width)
    print_check(screen, jobs)
    return screen.file.getvalue().splitlines()  # type: ignore[attr-defined]


def row(lines: list[str], name: str) -> list[str]:
    [found] = [line.split() for line in lines if line.startswith(f"{name} ")]
    return found[1:]


@pytest.mark.parametrize(
    ("checked", "line"),
    [
        (job(GOOD), "squeezenet: will be tuned, 2 tasks, 200 MFLOP"),
        (job(replace(GOOD, peaks=PEAKS)), "squeezenet: will be tuned, 2 tasks, 200 MFLOP, 12.0 ms at least"),
        (
            job(replace(GOOD, peaks=PEAKS), group="squeezenet-ab2c"),
            "squeezenet on rpi4: will be tuned, 2 tasks, 200 MFLOP, 12.0 ms at least",
        ),
        (job(BAD), "squeezenet: will not be tuned, 2 things are in the way"),
        (job(replace(BAD, obstacles=BAD.obstacles[:1])), "squeezenet: will not be tuned, 1 thing is in the way"),
    ],
)
def test_the_closing_line(checked: Job, line: str) -> None:
    assert check_line(checked) == line


def test_operators_are_counted_by_what_becomes_of_them() -> None:
    lines = rendered(job(GOOD))
    assert next(line for line in lines if line.startswith("operator")).split() == ["operator", "nodes", *_SHOWN]
    assert (row(lines, "Conv"), row(lines, "all")) == (["26", "26"], ["29", "2", "1", "26"])
    assert "expanded" not in "".join(lines)


_SHOWN = ["folded", "farm", "TVM"]


def test_what_is_refused_comes_first_and_all_that_is_in_the_way_is_told() -> None:
    lines = rendered(job(BAD))
    assert [line.split()[0] for line in lines if line.startswith(("Conv", "my."))] == ["my.Wobble", "Conv"]
    text = " ".join(" ".join(lines).split())
    assert "In the way: node wobble (my.Wobble): nobody can import it." in text
    assert "In the way: input data has open dimensions (?,3); fix it with --shape data=…." in text
    assert "1,235,496 in the file, 4.71 MiB" in text


def test_with_peaks_each_task_is_bound_by_something() -> None:
    lines = rendered(job(replace(GOOD, peaks=PEAKS)))
    assert row(lines, "pool") == ["2", "—", "3.81", "MiB", "memory", "1.00", "ms"]
    assert row(lines, "conv") == ["1", "200", "M", "391", "KiB", "compute*", "10.0", "ms"]
    assert lines.index(next(x for x in lines if x.startswith("conv "))) < lines.index(
        next(x for x in lines if x.startswith("pool "))
    )
    assert next(line for line in lines if line.startswith("squeezenet (all calls)")).split()[-2:] == ["12.0", "ms"]
    text = " ".join(" ".join(lines).split())
    assert "20.0 GFLOP/s of float32, 4.00 GB/s of memory, measured on rpi-7 before" in text
    assert "*: the peak is of float32" in text


def test_nothing_is_wider_than_the_terminal() -> None:
    long = "fused_conv2d_add_relu_divide_tir_exp_subtract_relu_multiply_relu_add1_divide"
    tasks = (TaskOutlook(long, 12, 1.5e9, 123_456_789, "float32"),)
    lines = rendered(job(replace(GOOD, tasks=tasks, peaks=PEAKS)), job(replace(BAD)))
    assert max(map(len, lines)) <= 80
    whole = rendered(job(replace(GOOD, tasks=tasks, peaks=PEAKS)), width=200)
    assert any(line.startswith(long) for line in whole)


def test_one_class_in_the_way_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    others = [job(GOOD, group="g"), job(replace(BAD), device_class="pi5", group="g")]
    with pytest.raises(SystemExit) as ended:
        print_checks(others, as_json=False)
    assert ended.value.code == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("squeezenet on rpi4: will be tuned")
    assert lines[-1] == "squeezenet on pi5: will not be tuned, 2 things are in the way"


def test_a_file_that_is_no_model_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    broken = job(None, state=JobState.FAILED, error="it is no ONNX file", input_error=True)
    with pytest.raises(BadInput, match="no ONNX file"):
        print_checks([broken], as_json=True)
    assert json.loads(capsys.readouterr().out)["will_be_tuned"] is False


def test_an_operator_is_compared_with_nothing(tmp_path: Path) -> None:
    (tmp_path / "op.py").write_text("def mm():\n    return []\n")
    (tmp_path / "in.npz").write_bytes(b"x")
    refused = CliRunner().invoke(farm, ["check", f"{tmp_path}/op.py:mm", "--inputs", f"{tmp_path}/in.npz"])
    assert (refused.exit_code, "an operator has no other" in refused.output) == (2, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--class", "pi4"], "name the pool with --pool"), (["--fresh"], "name the pool with --pool")],
)
def test_options_that_need_a_pool(options: list[str], said: str) -> None:
    refused = CliRunner().invoke(farm, ["check", "net.onnx", *options])
    assert refused.exit_code == 2
    assert said in refused.output
