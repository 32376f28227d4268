"""Shapes are read as the TVM that the farm compiles with writes them."""

import pytest

tvm = pytest.importorskip("tvm")

from tests.support.networks import small_network  # noqa: E402
from tests.support.onnx_bytes import load_onnx  # noqa: E402
from tvm_farm.tracker.domain import ShapeKind, shapes_of  # noqa: E402
from tvm_farm.tracker.tuning.models.graph import lower, tasks_of  # noqa: E402

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


def test_a_matrix_product_of_te():
    from tvm import te

    a, b = te.placeholder((512, 256), name="a"), te.placeholder((256, 128), name="b")
    k = te.reduce_axis((0, 256), name="k")
    c = te.compute((512, 128), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), name="c")
    module = tvm.IRModule({"main": te.create_prim_func([a, b, c])})
    shapes = shapes_of(str(tvm.ir.save_json(module)))
    assert [(shape.kind.value, shape.dims, shape.dtype) for shape in shapes] == [
        ("tensor", "512x256", "float32"),
        ("tensor", "256x128", "float32"),
        ("tensor", "512x128", "float32"),
        ("loops", "512x128x256", ""),
    ]


def test_convolutions_of_a_network_are_found_by_the_shapes_of_its_file():
    """The farm puts channels into blocks; a person knows the tensors as the ONNX file has them."""
    target = tvm.target.Target({"kind": "llvm", "mcpu": "core-avx2", "num-cores": 2})
    model = load_onnx(small_network(seed=3, channels=16), {}, "small")
    found = {task.name: shapes_of(task.workload.module) for task in tasks_of(lower(model.module, target), target)}
    known = {shape.dims for shapes in found.values() for shape in shapes}
    assert {"1x3x12x12", "1x16x12x12", "1x10"} <= known
    assert any(shape.kind is ShapeKind.UNBLOCKED for shapes in found.values() for shape in shapes)
    assert all(shapes for shapes in found.values())
