"""Runs a tuned package as README shows it: ``python load_package.py PACKAGE X.npy Y.npy [LIBTVM_RUNTIME]``.

By default with the library of the installed TVM, whose Python package is never imported.
"""

import ctypes
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import tvm_ffi

package, source, destination, *chosen = map(Path, sys.argv[1:])
if chosen:
    [runtime] = chosen
else:
    spec = importlib.util.find_spec("tvm")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    runtime = Path(spec.submodule_search_locations[0], "lib", "libtvm_runtime.so")


def aligned(values: np.ndarray) -> np.ndarray:
    """A copy whose data is aligned to 64 bytes, as kernels expect it."""
    room = np.empty(values.nbytes + 64, dtype=np.uint8)
    start = -room.ctypes.data % 64
    copy = room[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


x = aligned(np.load(source))

ctypes.CDLL(str(runtime), ctypes.RTLD_GLOBAL)
params = tvm_ffi.get_global_func("runtime.LoadParamsFromFile")(str(package / "params.bin"))
model = tvm_ffi.load_module(str(package / "model.so"))["vm_load_executable"]()
model["vm_initialization"](1, 0, 2)
names = json.loads((package / "manifest.json").read_text())["param_names"]
y = model["main"](tvm_ffi.from_dlpack(x), *[params[name] for name in names])

np.save(destination, np.from_dlpack(y))
assert "tvm" not in sys.modules
