"""An operator that sums over ranges which an input decides, some of them empty. numpy is the judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tvm")

import tvm

from tvm_farm.tracker.tuning.models.operator import load_operator

pytestmark = pytest.mark.system

OPERATOR = """
from tvm import te

def rows(reduce=te.{kind}):
    ends = te.placeholder((6,), "int32", "ends")
    values = te.placeholder((9, 4), "float32", "values")

    def row(i, j):
        r = te.reduce_axis((0, ends[i + 1] - ends[i]), "r")
        return reduce(values[ends[i] + r, j], axis=r)

    return [ends, values, te.compute((5, 4), row, "out")]
"""


@pytest.mark.parametrize(("kind", "of", "empty"), [("sum", np.sum, 0.0), ("max", np.max, np.finfo(np.float32).min)])
def test_an_empty_range_gives_what_the_sum_begins_with(tmp_path: Path, kind: str, of: object, empty: float) -> None:
    (tmp_path / "op.py").write_text(OPERATOR.format(kind=kind))
    [kernel] = load_operator(tmp_path / "op.py", "rows", {}).kernels
    ends = np.array([0, 0, 4, 4, 9, 9], np.int32)
    values = np.random.default_rng(1).standard_normal((9, 4)).astype(np.float32)
    expected = np.full((5, 4), empty, np.float32)
    for i in (1, 3):
        expected[i] = of(values[ends[i] : ends[i + 1]], axis=0)  # type: ignore[operator]
    out = tvm.runtime.tensor(np.full((5, 4), 77, np.float32))
    tvm.compile(kernel.module, tvm.target.Target("llvm"))["main"](*map(tvm.runtime.tensor, (ends, values)), out)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-5)
