"""Runs the model in this folder. It needs numpy, apache-tvm-ffi and TVM's runtime library; TVM itself it does not.

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
    """The model of a package: call it with its inputs, in order or by name, and it returns a list of arrays."""

    def __init__(self, folder: str | Path = Path(__file__).parent, runtime: str | Path | None = None) -> None:
        self._folder = Path(folder)
        self.manifest: dict[str, Any] = json.loads((self._folder / "manifest.json").read_text(encoding="utf-8"))
        ctypes.CDLL(str(runtime or _runtime()), ctypes.RTLD_GLOBAL)
        load_params = tvm_ffi.get_global_func("runtime.LoadParamsFromFile")
        params = load_params(str(self._folder / self.manifest["params"]))
        self._params = [params[name] for name in self.manifest["param_names"]]
        self._allocate = tvm_ffi.get_global_func("runtime.TVMTensorAllocWithScope")
        self._main: Any = None

    def __call__(self, *inputs: Any, **named: Any) -> list[np.ndarray]:
        infos = self.manifest["inputs"]
        given = list(inputs) if not named else [named[info["name"]] for info in infos]
        if len(given) != len(infos):
            raise ValueError(f"the model takes {len(infos)} inputs, not {len(given)}")
        if self._main is None:
            library = tvm_ffi.load_module(str(self._folder / self.manifest["library"]))["vm_load_executable"]()
            library["vm_initialization"](1, 0, 2)  # the CPU, its memory pooled
            # The module keeps its code in memory: it must live as long as its function.
            self._library, self._main = library, library[self.manifest["entry"]]
        tensors = [self._tensor(np.asarray(array), info) for array, info in zip(given, infos, strict=True)]
        found = self._main(*tensors, *self._params)
        answers = [found] if isinstance(found, tvm_ffi.Tensor) else list(found)
        return [_array(tensor) for tensor in answers]

    def _tensor(self, array: np.ndarray, info: dict[str, Any]) -> Any:
        """A tensor of the runtime's own, aligned as kernels expect it."""
        if list(array.shape) != info["shape"]:
            raise ValueError(f"{info['name']} has shape {list(array.shape)}; the model takes {info['shape']}")
        bare = array.dtype.kind == "V"  # how numpy keeps dtypes that it lacks
        whole = np.array(array, order="C") if bare else np.array(array, _dtype(info["dtype"]), order="C")
        shape, dtype, device = tvm_ffi.Shape(whole.shape), tvm_ffi.dtype(info["dtype"]), tvm_ffi.device("cpu", 0)
        tensor = self._allocate(shape, dtype, device, None)
        ctypes.memmove(tensor.data_ptr(), whole.ctypes.data, whole.nbytes)
        return tensor


def save_arrays(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an NPZ file. ``numpy.savez`` would, but takes an array named ``file`` for its own argument."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


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
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise ValueError(f"{name} is not the file that was packaged: its sha256 differs")


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
            return
        with np.load(options.source, allow_pickle=False) as archive:
            missing = [info["name"] for info in model.manifest["inputs"] if info["name"] not in archive.files]
            if missing:
                raise ValueError(f"{options.source} has no array {missing[0]!r}")
            inputs = [archive[info["name"]] for info in model.manifest["inputs"]]
        names = [info["name"] for info in model.manifest["outputs"]]
        save_arrays(options.destination, dict(zip(names, model(*inputs), strict=True)))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        sys.exit(f"run.py: {error}")


if __name__ == "__main__":
    _main()
