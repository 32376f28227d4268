"""Arrays read and compared without numpy; numpy wrote them."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
ml_dtypes = pytest.importorskip("ml_dtypes")

from tvm_farm.tracker.cli.packages.arrays import Array, difference, read_arrays  # noqa: E402 - numpy may be missing

DTYPES = ["bool", "float16", "float32", "float64", "complex64", "bfloat16", "int8", "uint8", "int16", "int64", "uint64"]


def info(name: str, array: np.ndarray) -> dict[str, object]:
    return {"name": name, "shape": list(array.shape), "dtype": array.dtype.name}


def as_array(array: np.ndarray) -> Array:
    return Array(array.shape, array.dtype.name, array.tobytes())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 3), (4, 5)], ids=str)
def test_what_numpy_wrote_is_read(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    np.savez_compressed(tmp_path / "x.npz", **{"a/b": array, "other": array})
    assert read_arrays(tmp_path / "x.npz", [info("a/b", array)]) == {"a/b": as_array(array)}


def test_what_is_no_such_array_is_refused(tmp_path: Path) -> None:
    path, array = tmp_path / "x.npz", np.arange(6, dtype=np.float32).reshape(2, 3)
    np.savez(path, a=array, turned=np.asfortranarray(array), swapped=array.astype(">f4"))
    for wanted, said in (
        (info("b", array), "no NPZ file with these arrays"),
        ({**info("a", array), "shape": [3, 2]}, r"a is <f4\[2, 3\], not float32\[3, 2\]"),
        ({**info("a", array), "dtype": "float64"}, r"not float64\[2, 3\]"),
        ({**info("a", array), "dtype": "int32"}, r"not int32\[2, 3\]"),
        ({**info("a", array), "shape": [999, 999]}, "needs 3992004"),
        ({**info("a", array), "dtype": "float8_e4m3fn"}, "cannot be read here"),
        (info("turned", array), "not row-major"),
        (info("swapped", array), "not row-major"),
    ):
        with pytest.raises(ValueError, match=said):
            read_arrays(path, [wanted])
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(ValueError, match="no NPZ file"):
        read_arrays(tmp_path / "text", [info("a", array)])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': 1 + 1} " + bytes(30))
    with pytest.raises(ValueError, match="head is damaged"):
        read_arrays(path, [info("a", array)])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_floats_are_equal_within_the_tolerance(dtype: str) -> None:
    want = np.array([1.0, -2.0, 0.0, 100.0]).astype(dtype)
    near, far = want.copy(), want.copy()
    near[3] = 101
    far[2] = 0.5
    found = difference(as_array(want), as_array(near), 0.02, 0.1)
    assert (found.equal, found.finite) == (True, True)
    assert found.largest == float(near[3]) - 100
    found = difference(as_array(want), as_array(far), 0.02, 0.1)
    assert (found.equal, found.largest) == (False, 0.5)


def test_what_is_not_finite_is_so_in_the_same_places() -> None:
    want = np.array([np.nan, np.inf, -np.inf, 1], np.float32)
    assert difference(as_array(want), as_array(want.copy()), 0, 0).equal
    for at, value in ((0, 1.0), (1, -np.inf), (1, 3.0), (3, np.nan), (3, np.inf)):
        other = want.copy()
        other[at] = value
        assert not difference(as_array(want), as_array(other), 1, 1).equal, (at, value)
    nothing = np.full(3, np.nan, np.float32)
    found = difference(as_array(nothing), as_array(nothing), 0, 0)
    assert (found.equal, found.finite) == (True, False)


@pytest.mark.parametrize("dtype", ["int8", "uint64", "bool"])
def test_integers_are_the_same(dtype: str) -> None:
    want = np.array([0, 1, 1]).astype(dtype)
    assert difference(as_array(want), as_array(want.copy()), 1, 1).equal
    assert not difference(as_array(want), as_array(want[::-1].copy()), 1, 1).equal


def test_another_shape_or_dtype_is_different() -> None:
    want = np.zeros((2, 3), np.float32)
    assert not difference(as_array(want), as_array(want.reshape(3, 2)), 1, 1).equal
    assert not difference(as_array(want), as_array(want.astype(np.int32)), 1, 1).equal
