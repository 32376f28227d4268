"""The farm's templates on real workloads: what matches, and that random points compute what the workload does."""

import json
import re
from random import Random

import numpy as np
import pytest

tvm = pytest.importorskip("tvm")

from tvm import te, topi  # noqa: E402
from tvm.s_tir import meta_schedule as ms  # noqa: E402
from tvm.s_tir.meta_schedule.testing import te_workload  # noqa: E402

from tvm_farm.tracker.tuning.engines.autotvm.errors import InvalidPoint, NoTemplate  # noqa: E402
from tvm_farm.tracker.tuning.engines.autotvm.programs import Programs  # noqa: E402
from tvm_farm.tracker.tuning.engines.autotvm.template import registered  # noqa: E402
from tvm_farm.tracker.tuning.engines.space import apply_trace, trace_json  # noqa: E402
from tvm_farm.tracker.tuning.models.passes.blocked_convolutions import (  # noqa: E402
    depthwise_on_blocks,
    from_blocks,
    from_plain,
)

pytestmark = pytest.mark.system
CPU = tvm.target.Target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v2", "num-cores": 2})
ARM = tvm.target.Target(
    {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72", "mattr": ["+neon"], "num-cores": 4}
)
CUDA = tvm.target.Target(
    {
        "kind": "cuda",
        "arch": "sm_80",
        "max_num_threads": 1024,
        "max_threads_per_block": 1024,
        "max_shared_memory_per_block": 49152,
        "thread_warp_size": 32,
    }
)
OPENCL = tvm.target.Target({"kind": "opencl"}, host="llvm")
MALI = tvm.target.Target({"kind": "opencl", "device": "mali"}, host="llvm")


def placed(*shape):
    return te.placeholder(shape, name=f"p{len(shape)}")


def biased(result, *inputs):
    """``result`` with a bias a channel block and a relu, as a network has it."""
    bias = te.placeholder((result.shape[1], result.shape[4]), name="bias")
    added = te.compute(result.shape, lambda n, o, h, w, b: result[n, o, h, w, b] + bias[o, b], name="added")
    return [*inputs, bias, topi.nn.relu(added)]


def of_blocks():
    data, weight = placed(1, 2, 9, 9, 8), placed(3, 2, 3, 3, 8, 8)
    return biased(from_blocks(data, weight, [1, 1], [1, 1, 1, 1], [1, 1]), data, weight)


def of_plain():
    data, weight = placed(1, 3, 15, 15), placed(2, 3, 3, 3, 8)
    return biased(from_plain(data, weight, [2, 2], [0, 0, 0, 0], [1, 1]), data, weight)


def depthwise_of_blocks():
    data, weight = placed(1, 3, 9, 9, 8), placed(3, 3, 3, 8)
    return biased(depthwise_on_blocks(data, weight, [1, 1], [1, 1, 1, 1], [1, 1]), data, weight)


def depthwise_nchw():
    data, weight = placed(1, 6, 12, 12), placed(6, 1, 3, 3)
    return [data, weight, topi.nn.depthwise_conv2d_nchw(data, weight, 1, 1, 1)]


def dense():
    data, weight, bias = placed(12, 40), placed(24, 40), placed(24)
    return [data, weight, bias, topi.nn.relu(topi.nn.dense(data, weight, bias))]


def batch_dense():
    data, weight = placed(2, 12, 20), placed(2, 24, 20)
    return [data, weight, topi.nn.batch_matmul(data, weight)]


def pool_of_blocks():
    data = placed(1, 2, 12, 12, 8)
    return [data, topi.nn.pool2d(data, [3, 3], [2, 2], [1, 1], [0, 0, 0, 0], "max", layout="NCHW8c")]


def mean_of_blocks():
    data = placed(1, 3, 13, 13, 8)
    return [data, topi.sum(data, axis=[2, 3], keepdims=True)]


def concatenated():
    one, other = placed(1, 2, 5, 5, 8), te.placeholder((1, 3, 5, 5, 8), name="other")
    return [one, other, topi.concatenate([one, other], 1)]


def chain():
    data = placed(7, 30)
    return [data, topi.nn.relu(topi.add(topi.exp(data), te.const(1.0, "float32")))]


WORKLOADS = {
    "matmul": ("matmul", lambda: te_workload.matmul_relu(48, 64, 80)),
    "dense": ("dense", dense),
    "batch_matmul": ("batch_matmul", lambda: te_workload.batch_matmul_nkkm(3, 12, 48, 24)),
    "batch_dense": ("batch_dense", batch_dense),
    "conv2d_nchw": ("conv2d_nchw", lambda: te_workload.conv2d_nchw_bias_bn_relu(1, 14, 14, 8, 12, 3, 3, 2, 1)),
    "conv2d_nhwc": ("conv2d_nhwc", lambda: te_workload.conv2d_nhwc_bn_relu(1, 14, 14, 8, 16, 3, 1, 1)),
    "conv2d_blocked": ("conv2d_blocked", of_blocks),
    "conv2d_to_blocked": ("conv2d_to_blocked", of_plain),
    "depthwise_nchw": ("depthwise_nchw", depthwise_nchw),
    "depthwise_nhwc": ("depthwise_nhwc", lambda: te_workload.depthwise_conv2d_nhwc(1, 10, 10, 16, 3, 1, 1)),
    "depthwise_blocked": ("depthwise_blocked", depthwise_of_blocks),
    "conv1d": ("reduction", lambda: te_workload.conv1d_nlc(1, 32, 8, 16, 3, 2, 1)),
    "conv3d": ("reduction", lambda: te_workload.conv3d_ndhwc(1, 4, 8, 8, 4, 8, 3, 2, 1)),
    "transposed_conv2d": ("reduction", lambda: te_workload.conv2d_transpose_nhwc(1, 4, 4, 8, 8, 4, 2, 1)),
    "capsules": ("reduction", lambda: te_workload.conv2d_capsule_nhwijc(1, 6, 6, 4, 8, 3, 2, 1)),
    "transposed_matmul": ("reduction", lambda: te_workload.transpose_batch_matmul(1, 16, 2, 8)),
    "pool": ("reduction", pool_of_blocks),
    "mean": ("reduction", mean_of_blocks),
    "softmax": ("rows", lambda: te_workload.softmax_mn(12, 40)),
    "norm": ("reduction", lambda: te_workload.norm_bmn(8, 12, 32)),
    "concatenate": ("elementwise", concatenated),
    "chain": ("elementwise", chain),
}


def module_of(name):
    return module(WORKLOADS[name][1]())


def module(tensors):
    return tvm.IRModule({"main": te.create_prim_func(list(tensors)).with_attr("global_symbol", "main")})


def run(scheduled, described):
    """What it makes of random inputs: all buffers, the result last."""
    rng = np.random.default_rng(1)
    infos = ms.arg_info.ArgInfo.from_entry_func(described, remove_preproc=False)
    shapes = [[int(size) for size in info.shape] for info in infos]
    buffers = [tvm.runtime.tensor(rng.uniform(-1, 1, shape).astype("float32")) for shape in shapes]
    tvm.tirx.build(scheduled, target=CPU)["main"](*buffers)
    return buffers[-1].numpy()


@pytest.mark.parametrize("name", WORKLOADS)
def test_random_points_compute_what_the_workload_does(name):
    original = module_of(name)
    programs = Programs(original, CPU, name, registered())
    assert programs.template.name == WORKLOADS[name][0]
    expected = run(original, original)
    rng, keys = Random(len(name)), set()
    for _ in range(4):
        point = programs.space.sample(rng)
        program = programs.realize(point)
        trace = trace_json(program.trace)
        assert programs.point_of(trace) == point
        replayed = apply_trace(original, trace).mod
        assert "tvm_farm" not in str(replayed)
        assert str(ms.utils.shash2hex(replayed)) == program.key
        np.testing.assert_allclose(run(replayed, original), expected, rtol=1e-4, atol=1e-4)
        keys.add(program.key)
    assert len(keys) > 1


def test_a_sum_of_everything_is_left_to_rules():
    with pytest.raises(NoTemplate, match="no template matches norm"):
        Programs(module(te_workload.norm_bmn(1, 64, 64)), CPU, "norm", registered())


def test_a_point_of_a_matmul_computes_what_numpy_does():
    programs = Programs(module(te_workload.matmul(32, 48, 64)), CPU, "matmul", registered())
    rng = np.random.default_rng(2)
    a, b = (rng.uniform(-1, 1, shape).astype("float32") for shape in ((32, 64), (64, 48)))
    for seed in range(3):
        program = programs.realize(programs.space.sample(Random(seed)))
        scheduled = apply_trace(module(te_workload.matmul(32, 48, 64)), trace_json(program.trace)).mod
        result = tvm.runtime.tensor(np.zeros((32, 48), "float32"))
        tvm.tirx.build(scheduled, target=CPU)["main"](tvm.runtime.tensor(a), tvm.runtime.tensor(b), result)
        np.testing.assert_allclose(result.numpy(), a @ b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["matmul", "conv2d_blocked", "depthwise_nhwc"])
def test_points_compile_for_arm(name):
    original = module_of(name)
    programs = Programs(original, ARM, name, registered())
    assert programs.template.name == WORKLOADS[name][0]
    for seed in range(2):
        program = programs.realize(programs.space.sample(Random(seed)))
        built = tvm.tirx.build(apply_trace(original, trace_json(program.trace)).mod, target=ARM)
        assert "v.4s" in built.inspect_source("asm") or ".4s" in built.inspect_source("asm")


ON_GPUS = {
    "matmul": "matmul_gpu",
    "dense": "matmul_gpu",
    "batch_matmul": "batch_matmul_gpu",
    "conv2d_nchw": "conv2d_nchw_gpu",
    "conv2d_nhwc": "conv2d_nhwc_gpu",
}


@pytest.mark.parametrize("target", [CUDA, OPENCL, MALI], ids=["cuda", "opencl", "mali"])
@pytest.mark.parametrize("name", ON_GPUS)
def test_points_for_gpus_are_kernels_within_limits(name, target):
    """No GPU is here to run them: the schedule binds threads, passes TVM's check of the device's limits, and becomes
    source where its compiler can be had."""
    original = module_of(name)
    programs = Programs(original, target, name, registered())
    assert programs.template.name == ON_GPUS[name]
    rng, valid = Random(3), 0
    for _ in range(16):
        try:
            program = programs.realize(programs.space.sample(rng))
        except InvalidPoint:
            continue
        valid += 1
        scheduled = apply_trace(original, trace_json(program.trace)).mod
        text = str(scheduled)
        assert "threadIdx.x" in text
        assert "blockIdx.x" in text
        assert ('scope="shared"' in text) == (target is not MALI)
        if target is not CUDA and valid <= 2:
            source = tvm.tirx.build(scheduled, target=target).imports[0].inspect_source()
            assert "__kernel" in source
            assert ("__local" in source) == (target is not MALI)
    assert valid >= 8


def without_threads(scheduled):
    """Loops in place of threads, one memory in place of three: what one thread after the other would compute. Nested
    loops over the same threads stay nested, so that each fetches for itself what all of them share."""
    text = re.sub(r'T\.thread_binding\((\d+), thread="[\w.]+"\)', r"T.serial(\1)", scheduled.script())
    return tvm.script.from_source(re.sub(r', scope="(?:shared|local)"', "", text))


@pytest.mark.parametrize("target", [CUDA, MALI], ids=["cuda", "mali"])
@pytest.mark.parametrize("name", ON_GPUS)
def test_points_for_gpus_compute_what_the_workload_does(name, target):
    original = module_of(name)
    programs = Programs(original, target, name, registered())
    expected = run(original, original)
    rng, judged = Random(4), 0
    while judged < 2:
        try:
            program = programs.realize(programs.space.sample(rng))
        except InvalidPoint:
            continue
        judged += 1
        serial = without_threads(apply_trace(original, trace_json(program.trace)).mod)
        assert "thread" not in str(serial)
        np.testing.assert_allclose(run(serial, original), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("target", [CUDA, MALI], ids=["cuda", "mali"])
def test_what_no_template_is_for_is_said(target):
    with pytest.raises(NoTemplate, match="no template matches softmax"):
        Programs(module_of("softmax"), target, "softmax", registered())


def test_the_space_is_told_as_json():
    told = json.loads(Programs(module_of("dense"), CPU, "dense", registered()).describe())
    assert (told["engine"], told["template"]) == ("autotvm", "dense")
    assert 0 < told["valid"] <= told["size"]
    assert {"tile_m", "tile_n", "unroll", "order", "pack"} == {knob["name"] for knob in told["knobs"]}
    assert any("registers" in limit for limit in told["limits"])
