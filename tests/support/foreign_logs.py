"""Logs as other programs write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tvm_farm.tracker.domain import Workload
from tvm_farm.tracker.logs.metaschedule import FolderWriter

__all__ = ["ANSOR_LINE", "AUTOTVM_LINE", "FINE", "MODULE", "TARGET", "TRACE", "changed", "folder_of"]

AUTOTVM_LINE = {
    "input": ["llvm -mcpu=core-avx2", "dense_nopack.x86", [["TENSOR", [1, 64], "float32"], None], {}],
    "config": {"index": 3, "code_hash": None, "entity": [["tile_y", "sp", [-1, 1, 1]]]},
    "result": [[0.002, 0.001, 0.003], 0, 1.5, 1600000000.25],
    "version": 0.2,
    "tvm_version": "0.8.0",
}
ANSOR_LINE = {
    "i": [
        ['["6b7583cf23c7c37d3212cad9d06e58c1", 1, 64]', "llvm -mcpu=core-avx2", [8, 64, 64, 0, 0, 0, 0, 0], "", 0, []],
        [[], [["SP", 2, 0, 1, [1, 1, 1], 1], ["AN", 0, 1, 2]]],
    ],
    "r": [[0.004], 0, 0.5, 1600000001],
    "v": "v0.6",
}


def changed(line: dict[str, Any], **fields: Any) -> str:
    return json.dumps({**line, **fields})


MODULE = json.dumps(
    {"root_index": 0, "nodes": [{"type": "ir.IRModule", "data": {}}], "metadata": {"tvm_version": "0.27.0"}}
)


def folder_of(path: Path, records: list[Any], workloads: list[Any] | None = None) -> Path:
    """As MetaSchedule writes one, of one workload that is no real module."""
    writer = FolderWriter(path)
    writer.add_workload(Workload(f"0x{11:016x}", "matmul", MODULE, 0.0))
    writer.close()
    if workloads is not None:
        with (path / "database_workload.json").open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in workloads)
    lines = (record if isinstance(record, str) else json.dumps(record) for record in records)
    (path / "database_tuning_record.json").write_text("".join(f"{line}\n" for line in lines))
    return path


TRACE = [[["GetSBlock", [], ["C", "main"], ["b0"]]], []]
TARGET = {"keys": ["cpu"], "kind": "llvm", "mcpu": "znver3", "num-cores": 2, "tag": ""}
FINE = [0, [TRACE, [1e-05, 2e-05], TARGET, None]]
