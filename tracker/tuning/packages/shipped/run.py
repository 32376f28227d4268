"""Runs the model in this folder. It needs numpy, apache-tvm-ffi and TVM's runtime library; TVM itself it does not.
Rarer operators, such as sorting, are in libtvm_runtime_extra.so, which is taken from beside the runtime library.

    python run.py IN.npz OUT.npz    arrays by the inputs' names in, by the outputs' names out
    python run.py --check           compares the files with the manifest, and loads the parameters

The runtime library is found in an installed apache-tvm, at TVM_RUNTIME, or named with --runtime.

    from run import Model
    answers = Model()(image=x)      # a list, in the manifest's order
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import importlib.util
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import tvm_ffi


class Model:
    """The model of a package: call it with its inputs, in order or by name, and it returns a list of arrays.

    Of a package that takes several shapes the smallest one that fits answers. Where the manifest allows it, inputs
    between them are padded with zeros and outputs cropped.
    """

    def __init__(self, folder: str | Path = Path(__file__).parent, runtime: str | Path | None = None) -> None:
        self._folder = Path(folder)
        self.manifest: dict[str, Any] = json.loads((self._folder / "manifest.json").read_text(encoding="utf-8"))
        library = Path(runtime or _runtime())
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
        self._extra = library.with_name("libtvm_runtime_extra.so")
        if self._extra.is_file():
            ctypes.CDLL(str(self._extra), ctypes.RTLD_GLOBAL)
        load_params = tvm_ffi.get_global_func("runtime.LoadParamsFromFile")
        self._params = load_params(str(self._file(self.manifest["params"])))
        self._allocate = tvm_ffi.get_global_func("runtime.TVMTensorAllocWithScope")
        self._variants: list[dict[str, Any]] = self.manifest.get("variants") or [self.manifest]
        self._loaded: dict[str, Any] = {}

    def __call__(self, *inputs: Any, **named: Any) -> list[np.ndarray]:
        names = [info["name"] for info in self.manifest["inputs"]]
        if named and (inputs or set(named) != set(names)):
            raise ValueError(f"the model takes {', '.join(names)}")
        given = [np.asarray(array) for array in (inputs or [named[name] for name in names if named])]
        if len(given) != len(names):
            raise ValueError(f"the model takes {len(names)} inputs, not {len(given)}")
        shapes = [array.shape for array in given]
        variant = fitting(self._variants, shapes, self.manifest.get("padding"))
        tensors = [self._tensor(padded(x, i["shape"]), i) for x, i in zip(given, variant["inputs"], strict=True)]
        found = self._answer(variant, [*tensors, *[self._params[name] for name in variant["param_names"]]])
        answers = [_array(x) for x in ([found] if isinstance(found, tvm_ffi.Tensor) else found)]
        if [list(shape) for shape in shapes] == [info["shape"] for info in variant["inputs"]]:
            return answers
        return cropped(answers, shapes, variant, self.manifest["padding"])

    def _answer(self, variant: dict[str, Any], arguments: list[Any]) -> Any:
        try:
            return self._main(variant)(*arguments)
        except RuntimeError as error:
            if "Cannot find function" not in str(error) or self._extra.is_file():
                raise
            place = f"{self._extra.name}, which is not in {self._extra.parent}"
            raise RuntimeError(f"{error} It may be in {place}") from None

    def _main(self, variant: dict[str, Any]) -> Any:
        """The function of a variant. Its library stays loaded: the code must live as long as the function."""
        file = variant["library"]
        if file not in self._loaded:
            library = tvm_ffi.load_module(str(self._file(file)))["vm_load_executable"]()
            library["vm_initialization"](1, 0, 2)  # the CPU, its memory pooled
            self._loaded[file] = library, library[variant["entry"]]
        return self._loaded[file][1]

    def _file(self, name: str) -> Path:
        if Path(name).name != name:
            raise ValueError(f"the manifest names the file {name!r}, which is outside of the package")
        return self._folder / name

    def _tensor(self, array: np.ndarray, info: dict[str, Any]) -> Any:
        """A tensor of the runtime's own, aligned as kernels expect it."""
        whole = np.array(as_dtype(array, _dtype(info["dtype"]), info["name"]), order="C")
        shape, dtype, device = tvm_ffi.Shape(whole.shape), tvm_ffi.dtype(info["dtype"]), tvm_ffi.device("cpu", 0)
        tensor = self._allocate(shape, dtype, device, None)
        ctypes.memmove(tensor.data_ptr(), whole.ctypes.data, whole.nbytes)
        return tensor


def as_dtype(array: np.ndarray, dtype: np.dtype[Any], name: str) -> np.ndarray:
    """``array`` in ``dtype``. Raises ValueError where that is another kind of numbers, or cannot hold them."""
    if array.dtype.kind == "V" and dtype.isbuiltin != 1 and array.itemsize == dtype.itemsize:
        return array.view(dtype)  # numpy keeps dtypes that it lacks as bytes
    kinds = "biu" if dtype.kind in "biu" else "biufc" if dtype.kind == "c" else "biuf"
    if array.dtype == dtype:
        return array
    if array.dtype.kind not in kinds:
        raise ValueError(f"{name} is {array.dtype}; the model takes {dtype}")
    converted = array.astype(dtype)
    if kinds == "biu" and not np.array_equal(converted, array):
        raise ValueError(f"{name} holds {array.dtype} values that {dtype} cannot hold")
    return converted


def fitting(variants: list[dict[str, Any]], shapes: list[Any], padding: dict[str, Any] | None) -> dict[str, Any]:
    """The first of ``variants`` that takes inputs of ``shapes``, padded where ``padding`` allows it."""
    for exact in (True, False):
        for variant in variants if exact or padding else ():
            wanted = [info["shape"] for info in variant["inputs"]]
            axes = [() if exact or not padding else padding["inputs"].get(i["name"], ()) for i in variant["inputs"]]
            if all(_fits(*each) for each in zip(shapes, wanted, axes, strict=True)):
                return variant
    taken = " or ".join(str([info["shape"] for info in variant["inputs"]]) for variant in variants)
    up_to = "up to " if padding else ""
    raise ValueError(f"inputs have shapes {[list(shape) for shape in shapes]}; the model takes {up_to}{taken}")


def _fits(shape: Any, wanted: list[int], axes: Any) -> bool:
    return len(shape) == len(wanted) and all(
        size == most or (axis in axes and size < most)
        for axis, (size, most) in enumerate(zip(shape, wanted, strict=True))
    )


def padded(array: np.ndarray, shape: list[int]) -> np.ndarray:
    """``array`` with zeros behind, so that it has ``shape``."""
    if list(array.shape) == list(shape):
        return array
    return np.pad(array, [(0, wanted - size) for size, wanted in zip(array.shape, shape, strict=True)])


def cropped(
    answers: list[np.ndarray], shapes: list[Any], variant: dict[str, Any], padding: dict[str, Any]
) -> list[np.ndarray]:
    """The part of ``answers`` that inputs of ``shapes`` have made: an output's size follows one of an input's."""
    places = {info["name"]: number for number, info in enumerate(variant["inputs"])}
    found = []
    for answer, info in zip(answers, variant["outputs"], strict=True):
        for crop in padding["outputs"].get(info["name"], ()):
            place = places[crop["input"]]
            given, whole = shapes[place][crop["input_axis"]], variant["inputs"][place]["shape"][crop["input_axis"]]
            exact = given * info["shape"][crop["axis"]]
            size = -(-exact // whole) if crop["round"] == "up" else exact // whole
            answer = answer.take(range(size), crop["axis"])
        found.append(answer)
    return found


def save_arrays(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an NPZ file. ``numpy.savez`` would, but takes an array named ``file`` for its own argument."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array, order="C"), allow_pickle=False)


def _array(tensor: Any) -> np.ndarray:
    dtype = _dtype(str(tensor.dtype))
    size = dtype.itemsize * int(np.prod(tensor.shape, dtype=np.int64))
    data = ctypes.string_at(tensor.data_ptr(), size) if size else b""
    return np.frombuffer(bytearray(data), dtype).reshape(tuple(tensor.shape))


def _dtype(name: str) -> np.dtype[Any]:
    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes  # of bfloat16 and the like

        found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return found


def _runtime() -> Path:
    named = os.environ.get("TVM_RUNTIME")
    if named:
        return Path(named)
    spec = importlib.util.find_spec("tvm")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        library = Path(place, "lib", "libtvm_runtime.so")
        if library.is_file():
            return library
    raise FileNotFoundError("no libtvm_runtime.so: install apache-tvm, or name the file with --runtime or TVM_RUNTIME")


def _check(model: Model, folder: Path) -> None:
    for name, digest in model.manifest["digests"].items():
        if _sha256(folder / name) != digest:
            raise ValueError(f"{name} is not the file that was packaged: its sha256 differs")


def _archive(path: Path) -> np.lib.npyio.NpzFile:
    try:
        found = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile):
        found = None
    if not isinstance(found, np.lib.npyio.NpzFile):
        raise ValueError(f"{path} is no NPZ file: numpy.savez writes one, with an array by each input's name")
    return found


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _main() -> None:
    parser = argparse.ArgumentParser(description="Run the model in this folder.")
    parser.add_argument("source", nargs="?", type=Path, metavar="IN.npz", help="arrays by the inputs' names")
    parser.add_argument("destination", nargs="?", type=Path, metavar="OUT.npz", help="where the answers go")
    parser.add_argument("--check", action="store_true", help="compare the files with the manifest, load the parameters")
    parser.add_argument("--runtime", type=Path, metavar="FILE", help="libtvm_runtime.so, of the manifest's version")
    options = parser.parse_args()
    if not options.check and (options.source is None or options.destination is None):
        parser.error("name IN.npz and OUT.npz, or say --check")
    try:
        model = Model(runtime=options.runtime)
        if options.check:
            _check(model, Path(__file__).parent)
            print(f"{model.manifest['model']}: all files are as they were packaged, the parameters load")
            return
        with _archive(options.source) as archive:
            wanted = [info["name"] for info in model.manifest["inputs"]]
            missing = [name for name in wanted if name not in archive.files]
            if missing:
                raise ValueError(f"{options.source} has no array {missing[0]!r}")
            inputs = [archive[name] for name in wanted]
        names = [info["name"] for info in model.manifest["outputs"]]
        save_arrays(options.destination, dict(zip(names, model(*inputs), strict=True)))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        sys.exit(f"run.py: {error}")


if __name__ == "__main__":
    _main()
