"""Runs a tuned package as README shows it: ``python load_package.py PACKAGE X.npy Y.npy``. TVM is not imported."""

import importlib.util
import sys
from pathlib import Path

package, source, destination = map(Path, sys.argv[1:])
spec = importlib.util.find_spec("tvm")
assert spec is not None
assert spec.submodule_search_locations is not None
runtime = Path(spec.submodule_search_locations[0], "lib", "libtvm_runtime.so")

# --- README
import ctypes  # noqa: E402
import json

import numpy as np
import tvm_ffi

ctypes.CDLL(str(runtime), ctypes.RTLD_GLOBAL)  # libtvm_runtime.so, 3.4 MB
manifest = json.loads((package / "manifest.json").read_text())
params = tvm_ffi.get_global_func("runtime.LoadParamsFromFile")(str(package / "params.bin"))
model = tvm_ffi.load_module(str(package / "model.so"))["vm_load_executable"]()
model["vm_initialization"](1, 0, 2)
x = np.load(source)
# --- README

if True:
    shape, dtype = tvm_ffi.Shape(x.shape), tvm_ffi.dtype(x.dtype.name)
    alloc = tvm_ffi.get_global_func("runtime.TVMTensorAllocWithScope")
    aligned = alloc(shape, dtype, tvm_ffi.device("cpu", 0), None)
    np.from_dlpack(aligned)[...] = x
    y = model["main"](aligned, *[params[name] for name in manifest["param_names"]])

np.save(destination, np.from_dlpack(y))
assert "tvm" not in sys.modules
