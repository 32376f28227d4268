"""Lines of other programs' logs: what is understood, and what is said of the rest."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.support.foreign_logs import ANSOR_LINE, AUTOTVM_LINE, FINE, MODULE, TARGET, TRACE, changed, folder_of
from tvm_farm.tracker.logs.history import ANSOR, AUTOTVM, read_history
from tvm_farm.tracker.logs.lines import BadLine, numbered_lines
from tvm_farm.tracker.logs.metaschedule import FolderWriter, read_records, read_workloads, source_name
from tvm_farm.tracker.logs.module_graph import ModuleGraph
from tvm_farm.tracker.logs.targets import plain_target


def test_a_line_of_autotvm() -> None:
    text = json.dumps(AUTOTVM_LINE)
    line = read_history(text, "pi4")
    assert (line.format, line.target, line.device_class) == (AUTOTVM, "llvm -mcpu=core-avx2", "pi4")
    assert line.task == 'dense_nopack.x86 [["TENSOR", [1, 64], "float32"], null]'
    assert (line.cost_s, line.error_no, line.measured_unix_s, line.line) == (0.002, 0, 1600000000.25, text)


def test_a_line_of_ansor() -> None:
    text = json.dumps(ANSOR_LINE)
    line = read_history(text)
    assert (line.format, line.target, line.device_class) == (ANSOR, "llvm -mcpu=core-avx2", "")
    assert line.task == '["6b7583cf23c7c37d3212cad9d06e58c1", 1, 64]'
    assert (line.cost_s, line.error_no, line.measured_unix_s, line.line) == (0.004, 0, 1600000001.0, text)


@pytest.mark.parametrize(
    ("line", "cost_s", "error_no"),
    [
        (changed(AUTOTVM_LINE, result=[[1e9], 4, 10.0, 5.0]), 0.0, 4),
        (changed(ANSOR_LINE, r=[[1e10], 7, 10.0, 5.0]), 0.0, 7),
        (changed(ANSOR_LINE, r=[[1e10], 0, 10.0, 5.0]), 0.0, 0),
    ],
)
def test_what_failed_has_no_cost(line: str, cost_s: float, error_no: int) -> None:
    read = read_history(line)
    assert (read.cost_s, read.error_no) == (cost_s, error_no)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("no json at all", "it is no JSON"),
        ('{"input": [', "it is no JSON"),
        ("[1, 2]", "no line of an AutoTVM or Ansor log"),
        ('{"level": "info"}', "no line of an AutoTVM or Ansor log"),
        (changed(AUTOTVM_LINE, version=0.1), "AutoTVM's log version 0.1, and 0.2 is understood"),
        (changed(AUTOTVM_LINE, version=None), "AutoTVM's log version None"),
        (changed(ANSOR_LINE, v="v0.5"), "Ansor's log version v0.5; AutoTVM's 0.2 and Ansor's v0.6 are read"),
        (changed(ANSOR_LINE, v=0.1), "AutoTVM's log version 0.1"),
        (changed(AUTOTVM_LINE, result=[[0.1]]), "a part of it is missing or not what it should be"),
        (changed(AUTOTVM_LINE, config={}), "a part of it is missing"),
        (changed(AUTOTVM_LINE, result=[["soon"], 0, 1, 1]), "not what it should be"),
        (changed(ANSOR_LINE, i=[["w"], [[], []]]), "a part of it is missing"),
        (changed(ANSOR_LINE, i=[[3, "llvm"], [[], []]]), "its task or target is no text"),
        ("[" * 100_000, "it is no JSON"),
    ],
)
def test_what_is_no_line_is_said_in_a_clause(line: str, words: str) -> None:
    with pytest.raises(BadLine) as error:
        read_history(line)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("result", [[[1e-3], -1, 10.0, 5.0], [[1e-3], 0, 10.0, float("nan")]], ids=["error", "time"])
def test_a_number_that_no_store_takes_is_a_bad_line(result: list[object]) -> None:
    with pytest.raises(BadLine, match="its error number or its time is none"):
        read_history(changed(ANSOR_LINE, r=result))


def test_lines_have_their_numbers_and_a_bad_one_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\r\n\n\xff\xfe\nfour")
    assert [(number, str(line)) for number, line in numbered_lines(path)] == [
        (1, "one"),
        (3, "it is not UTF-8 (invalid start byte at byte 0)"),
        (4, "four"),
    ]


def test_a_compressed_log_that_breaks_off_gives_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.log.gz"
    whole = gzip.compress(b"".join(b'{"line": %d, "noise": "%d"}\n' % (n, hash(str(n))) for n in range(5000)))
    path.write_bytes(whole)
    assert [number for number, _ in numbered_lines(path)] == list(range(1, 5001))
    path.write_bytes(whole[: len(whole) // 2])
    *good, (number, last) = numbered_lines(path)
    assert len(good) == number - 1 > 100
    assert all(isinstance(line, str) for _, line in good)
    assert "damaged from here on" in str(last)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "of an older TVM, which wrote modules in another form"),
        ('{"root": 1, "nodes": [], "attrs": {"tvm_version": "0.15.0"}}', "of TVM 0.15.0, which wrote .* another form"),
        ('{"root": 1, "nodes": [], "attrs": {"tvm_version": "\\u001b[2J"}}', "of an older TVM"),
        ("[]", "another form"),
        ('{"root_index": 0, "nodes": []}', "no IRModule"),
        ("x", "Expecting value"),
    ],
)
def test_what_is_no_module_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ModuleGraph(text)


def test_a_folder_of_metaschedule_is_read_record_by_record(tmp_path: Path) -> None:
    bad = ["{", [5, FINE[1]], [1, FINE[1]], [0, [TRACE, "fast", TARGET, None]], [0, [[], [1.0], TARGET, None]], [0]]
    failed = [[0, [TRACE, [1e10], TARGET, None]], [0, [TRACE, None, TARGET, None]]]
    folder = folder_of(tmp_path / "tuned", [FINE, *failed, *bad], [["12", "no base64"]])
    one, (number, error) = read_workloads(folder)
    assert not isinstance(one, tuple)
    assert (one.workload.key, one.workload.module, one.tvm_version) == ("0x000000000000000b", MODULE, "0.27.0")
    assert (number, "base64" in str(error)) == (2, True)
    spelled = '{"kind": "llvm", "num-cores": 2, "mcpu": "znver3"}'
    fine, *rest = read_records(folder, [one, None], "pi4", lambda target: spelled, "ada")
    assert fine is not None
    assert not isinstance(fine, tuple)
    assert (fine.workload, fine.engine, fine.user, fine.job_id) == (one.workload.key, "metaschedule", "ada", "")
    assert (fine.target, json.loads(fine.trace), fine.measurement.run_secs) == (
        spelled,
        TRACE,
        (1e-05, 2e-05),
    )
    assert fine.measurement.device_class == "pi4"
    # No plan of the farm's has no calls: nothing is ever answered from it.
    assert (fine.plan.number, fine.plan.repeat) == (0, 2)
    assert rest[:2] == [None, None]
    said = [f"{item[0]} {item[1]}" for item in rest[2:] if isinstance(item, tuple)]
    assert [line.split()[0] for line in said] == ["4", "5", "6", "7", "8", "9"]
    for line, words in zip(
        said, ["no JSON", "no workload 5", "line 2 of", "no numbers", "not a", "not a"], strict=True
    ):
        assert words in line


def test_a_record_is_known_again_when_its_folder_grew_or_was_moved(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    small = folder_of(tmp_path / "tuned", [FINE])
    grown = folder_of(tmp_path / "elsewhere" / "tuned", [FINE, [0, [TRACE, [3.0], TARGET, None]]])
    other = folder_of(tmp_path / "other", [[0, [TRACE, [3.0], TARGET, None]]])
    assert source_name(small) == source_name(grown) != source_name(other)
    assert source_name(small).startswith("imported-tuned-")

    def first_id(folder: Path, device_class: str) -> str:
        [workload] = read_workloads(folder)
        assert not isinstance(workload, tuple)
        record = next(read_records(folder, [workload], device_class, plain_target, ""))
        assert record is not None
        assert not isinstance(record, tuple)
        return record.trial_id

    assert first_id(small, "a") == first_id(grown, "a") != first_id(small, "b")


def test_a_folder_is_not_written_over(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "tuned", [FINE])
    with pytest.raises(FileExistsError, match=r"database_workload\.json"):
        FolderWriter(folder)
    half = FolderWriter(tmp_path / "half")
    half.discard()
    assert list((tmp_path / "half").iterdir()) == []
