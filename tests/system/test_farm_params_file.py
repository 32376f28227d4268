"""The parameter files that TVM writes are the ones that ``farm bench`` reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tvm_farm.tracker.cli.models.params_file import read_param_types

pytestmark = pytest.mark.system


def test_shapes_and_dtypes_are_those_that_were_saved(tmp_path: Path) -> None:
    import tvm

    arrays = {
        "weight": np.zeros((2, 3), "float32"),
        "scalar": np.array(5, "int64"),
        "mask": np.ones(4, "bool"),
        "bytes": np.ones((4, 1), "uint8"),
        "half": np.ones(7, "float16"),
    }
    path = tmp_path / "params.bin"
    tvm.runtime.save_param_dict_to_file({name: tvm.runtime.tensor(array) for name, array in arrays.items()}, str(path))
    assert read_param_types(path) == {name: (array.shape, array.dtype.name) for name, array in arrays.items()}
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="ends too early"):
        read_param_types(path)
    path.write_bytes(b"something else altogether, long enough for a head")
    with pytest.raises(ValueError, match="no parameter file"):
        read_param_types(path)
