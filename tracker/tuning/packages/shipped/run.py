"""Runs the model in this folder, or the kernels of an operator. It needs numpy, apache-tvm-ffi and TVM's runtime
library; TVM itself it does not. Rarer operators, such as sorting, are in libtvm_runtime_extra.so, which is taken
from beside the runtime library.

    python run.py IN.npz OUT.npz    arrays by the inputs' names in, by the outputs' names out
    python run.py --check           compares the files with the manifest, and loads them

The runtime library is found in an installed apache-tvm, at TVM_RUNTIME, or named with --runtime. It uses as many
threads as the kernels were tuned for, or TVM_NUM_THREADS.

    from run import Model
    answers = Model()(image=x)      # a list, in the manifest's order

Of an operator arrays are named KERNEL.ARGUMENT, as in inputs.npz, or ARGUMENT alone:

    from run import Kernel
    [out] = Kernel()(a, b)          # Kernel("double") of a package with several
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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

try:
    import numpy as np
    import tvm_ffi
except ModuleNotFoundError as missing:
    if __name__ != "__main__":
        raise
    sys.exit(f"run.py: {missing}: pip install numpy apache-tvm-ffi")


class _Package:
    """What is in the folder, and TVM's runtime to run it with."""

    def __init__(self, folder: str | Path, runtime: str | Path | None) -> None:
        self._folder = Path(folder)
        self.manifest: dict[str, Any] = json.loads((self._folder / "manifest.json").read_text(encoding="utf-8"))
        # By itself the runtime takes one thread for two CPUs that share a core. It looks when its first kernel runs.
        os.environ.setdefault("TVM_NUM_THREADS", str(_threads(self.manifest)))
        library = Path(runtime or _runtime()).absolute()  # a name without a folder is sought elsewhere
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
        self._extra = library.with_name("libtvm_runtime_extra.so")
        if self._extra.is_file():
            ctypes.CDLL(str(self._extra), ctypes.RTLD_GLOBAL)
        self._allocate = tvm_ffi.get_global_func("runtime.TVMTensorAllocWithScope")

    def _called(self, function: Any, arguments: list[Any]) -> Any:
        try:
            return function(*arguments)
        except RuntimeError as error:
            if "Cannot find function" not in str(error) or self._extra.is_file():
                raise
            place = f"{self._extra.name}, which is not in {self._extra.parent}"
            raise RuntimeError(f"{error} It may be in {place}") from None

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

    def check(self) -> str:
        """What was checked, in words. Raises ValueError where a file is not as it was packaged."""
        for name, digest in self.manifest["digests"].items():
            if _sha256(self._folder / name) != digest:
                raise ValueError(f"{name} is not the file that was packaged: its sha256 differs")
        loaded = "the kernels load" if "kernels" in self.manifest else "the parameters load"
        return f"{self.manifest['model']}: all files are as they were packaged, {loaded}"


class Model(_Package):
    """The model of a package: call it with its inputs, in order or by name, and it returns a list of arrays.

    Of a package that takes several shapes the smallest one that fits answers. Where the manifest allows it, inputs
    between them are padded with zeros and outputs cropped.
    """

    def __init__(self, folder: str | Path = Path(__file__).parent, runtime: str | Path | None = None) -> None:
        super().__init__(folder, runtime)
        load_params = tvm_ffi.get_global_func("runtime.LoadParamsFromFile")
        self._params = load_params(str(self._file(self.manifest["params"])))
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
        params = [self._params[name] for name in variant["param_names"]]
        found = self._called(self._main(variant), [*tensors, *params])
        answers = [_array(x) for x in ([found] if isinstance(found, tvm_ffi.Tensor) else found)]
        if [list(shape) for shape in shapes] == [info["shape"] for info in variant["inputs"]]:
            return answers
        return cropped(answers, shapes, variant, self.manifest["padding"])

    def _main(self, variant: dict[str, Any]) -> Any:
        """The function of a variant. Its library stays loaded: the code must live as long as the function."""
        file = variant["library"]
        if file not in self._loaded:
            library = tvm_ffi.load_module(str(self._file(file)))["vm_load_executable"]()
            library["vm_initialization"](1, 0, 2)  # the CPU, its memory pooled
            self._loaded[file] = library, library[variant["entry"]]
        return self._loaded[file][1]

    def run(self, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Arrays by the outputs' names, for those by the inputs' names. Raises KeyError for one that is missing."""
        found = self(*[given[info["name"]] for info in self.manifest["inputs"]])
        return dict(zip([info["name"] for info in self.manifest["outputs"]], found, strict=True))


class Kernel(_Package):
    """A kernel of an operator's package: call it with its inputs, in order or by name, and it returns its outputs.

    ``name``: which one, where the package has several. An input that is left out has its value of inputs.npz. An output
    is zero before the call, or what is given for it by its name. Arrays are copied to memory that is aligned as kernels
    expect it.
    """

    def __init__(
        self, name: str = "", folder: str | Path = Path(__file__).parent, runtime: str | Path | None = None
    ) -> None:
        super().__init__(folder, runtime)
        kernels = {kernel["name"]: kernel for kernel in self.manifest["kernels"]}
        if name not in kernels and (name or len(kernels) > 1):
            raise ValueError(f"there is no kernel {name!r}: the package has {', '.join(kernels)}")
        self.about: dict[str, Any] = kernels[name] if name else next(iter(kernels.values()))
        self._library = tvm_ffi.load_module(str(self._file(self.about["library"])))
        self._values: dict[str, np.ndarray] = {}
        if "inputs.npz" in self.manifest["digests"]:
            with _archive(self._file("inputs.npz")) as archive:
                self._values = self.own(archive)

    def __call__(self, *inputs: Any, **named: Any) -> list[np.ndarray]:
        arguments = self.about["arguments"]
        wanted = [info["name"] for info in arguments if not info["output"]]
        if len(inputs) > len(wanted) or named.keys() - {info["name"] for info in arguments}:
            raise ValueError(f"{self.about['name']} takes {', '.join(wanted)}")
        given = {**self._values, **dict(zip(wanted, inputs, strict=False)), **named}
        tensors = [self._tensor(self._array(given, info), info) for info in arguments]
        self._called(self._library[self.about["entry"]], tensors)
        return [_array(tensor) for tensor, info in zip(tensors, arguments, strict=True) if info["output"]]

    def _array(self, given: Mapping[str, Any], info: dict[str, Any]) -> np.ndarray:
        if info["name"] not in given and not info["output"]:
            raise ValueError(f"{self.about['name']} has no value for {info['name']}")
        array = np.asarray(given.get(info["name"], np.zeros(info["shape"], _dtype(info["dtype"]))))
        if list(array.shape) != info["shape"]:
            raise ValueError(f"{info['name']} has the shape {list(array.shape)}; the kernel takes {info['shape']}")
        return array

    def own(self, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Those of its arguments, of arrays that are named KERNEL.ARGUMENT, or ARGUMENT alone."""
        found = {}
        for info in self.about["arguments"]:
            for name in (info["name"], f"{self.about['name']}.{info['name']}"):
                if name in given:
                    found[info["name"]] = given[name]
        return found

    def run(self, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Arrays by KERNEL.ARGUMENT of the outputs, for those of the inputs, named as ``own`` has them."""
        outputs = [f"{self.about['name']}.{info['name']}" for info in self.about["arguments"] if info["output"]]
        return dict(zip(outputs, self(**self.own(given)), strict=True))


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


def _threads(manifest: dict[str, Any]) -> int:
    """How many the kernels were tuned for, where this process may use so many CPUs."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(here, int(json.loads(manifest["target"]).get("num-cores", here))))


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


def _parts(runtime: Path | None) -> list[Model | Kernel]:
    """The model, or all kernels of an operator."""
    manifest = json.loads(Path(__file__).with_name("manifest.json").read_text(encoding="utf-8"))
    if manifest.get("kind") != "operator":
        return [Model(runtime=runtime)]
    return [Kernel(kernel["name"], runtime=runtime) for kernel in manifest["kernels"]]


def _main() -> None:
    parser = argparse.ArgumentParser(description="Run what is in this folder.")
    parser.add_argument("source", nargs="?", type=Path, metavar="IN.npz", help="arrays by the inputs' names")
    parser.add_argument("destination", nargs="?", type=Path, metavar="OUT.npz", help="where the answers go")
    parser.add_argument("--check", action="store_true", help="compare the files with the manifest, and load them")
    parser.add_argument("--runtime", type=Path, metavar="FILE", help="libtvm_runtime.so, of the manifest's version")
    options = parser.parse_args()
    if not options.check and (options.source is None or options.destination is None):
        parser.error("name IN.npz and OUT.npz, or say --check")
    try:
        parts = _parts(options.runtime)
        if options.check:
            print(parts[0].check())
            return
        answers: dict[str, np.ndarray] = {}
        with _archive(options.source) as archive:
            for part in parts:
                answers.update(part.run(archive))
        save_arrays(options.destination, answers)
    except KeyError as error:
        sys.exit(f"run.py: {options.source or 'the manifest'} has no {error}")
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        sys.exit(f"run.py: {error}")


if __name__ == "__main__":
    _main()
