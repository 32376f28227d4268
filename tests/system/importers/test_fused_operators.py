"""Operators of com.microsoft that ONNX Runtime's optimizer makes of transformers, held against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.imported import answers, one_node, runtime_answers
from tvm_farm.tracker.tuning.errors import InputError

pytest.importorskip("tvm")
pytestmark = pytest.mark.system

_random = np.random.default_rng(3)
MICROSOFT = "com.microsoft"


def real(*shape: int) -> np.ndarray:
    return _random.standard_normal(shape).astype(np.float32)


def whole(*values: Any) -> np.ndarray:
    return np.array(values, np.int32)


def words(*shape: int, below: int) -> np.ndarray:
    return _random.integers(0, below, shape).astype(np.int32)


#: Operator, inputs at run time, constants by position, number of outputs, attributes.
CASES = [
    ("Gelu", [real(2, 5)], {}, 1, {}),
    ("QuickGelu", [real(2, 5)], {}, 1, {"alpha": 1.3}),
    ("BiasGelu", [real(2, 3, 6), real(6)], {}, 1, {}),
    ("FastGelu", [real(2, 3, 6)], {1: real(6)}, 1, {}),
    ("SkipLayerNormalization", [real(2, 4, 8), real(2, 4, 8)], {2: real(8), 3: real(8), 4: real(8)}, 4, {}),
    ("SkipLayerNormalization", [real(2, 4, 8), real(1, 4, 8)], {2: real(8)}, 1, {"epsilon": 1e-6}),
    ("SkipSimplifiedLayerNormalization", [real(2, 4, 8), real(2, 4, 8)], {2: real(8), 3: real(8)}, 1, {}),
    (
        "EmbedLayerNormalization",
        [words(2, 5, below=9), words(2, 5, below=2)],
        {2: real(9, 8), 3: real(6, 8), 4: real(2, 8), 5: real(8), 6: real(8), 7: whole([1, 1, 1, 0, 0], [1] * 5)},
        2,
        {},
    ),
    ("FusedMatMul", [real(2, 3, 4), real(2, 5, 4)], {}, 1, {"transB": 1, "alpha": 0.5}),
    ("FusedMatMul", [real(3, 2, 4), real(4, 2, 5)], {}, 1, {"transBatchA": 1, "transBatchB": 1}),
    *(
        ("FusedGemm", [real(3, 4)], {1: real(5, 4), 2: real(5)}, 1, {"transB": 1, "activation": name, **more})
        for name, more in [
            ("Relu", {}),
            ("Tanh", {}),
            ("LeakyRelu", {"activation_alpha": 0.2}),
            ("HardSigmoid", {"activation_alpha": 0.3, "activation_beta": 0.4}),
        ]
    ),
    *(
        ("FusedConv", [real(1, 4, 6, 6), *z], {1: real(8, 4, 3, 3), 2: real(8)}, 1, {"pads": [1, 1, 1, 1], **more})
        for z, more in [
            ([], {"activation": "Clip", "activation_params": [-0.3, 0.6]}),
            ([real(1, 8, 6, 6)], {"activation": "Relu"}),
        ]
    ),
    (
        "RotaryEmbedding",
        [real(2, 5, 16)],
        {1: np.array([[0, 1, 2, 3, 4], [3, 4, 5, 6, 7]]), 2: real(10, 4), 3: real(10, 4)},
        1,
        {},
    ),
    ("RotaryEmbedding", [real(2, 5, 16)], {1: np.array([2]), 2: real(10, 4), 3: real(10, 4)}, 1, {"interleaved": 1}),
    ("RotaryEmbedding", [real(2, 3, 5, 8)], {1: np.array([2]), 2: real(10, 4), 3: real(10, 4)}, 1, {}),
    (
        "RotaryEmbedding",
        [real(2, 5, 16)],
        {1: np.array([2]), 2: real(10, 2), 3: real(10, 2)},
        1,
        {"rotary_embedding_dim": 4, "num_heads": 2},
    ),
    ("MultiHeadAttention", [real(2, 5, 16), real(2, 7, 16), real(2, 7, 24)], {}, 1, {"num_heads": 2}),
    (
        "MultiHeadAttention",
        [real(2, 5, 16), real(2, 7, 16), real(2, 7, 16)],
        {3: real(48)},
        1,
        {"num_heads": 2, "scale": 0.3},
    ),
    ("MultiHeadAttention", [real(2, 5, 16), real(2, 7, 16), real(2, 7, 16)], {4: whole(5, 7)}, 1, {"num_heads": 2}),
    (
        "MultiHeadAttention",
        [real(2, 5, 16), real(2, 7, 16), real(2, 7, 16)],
        {4: whole([1, 1, 0, 0, 1, 1, 1], [1] * 7), 5: real(1, 2, 5, 7)},
        1,
        {"num_heads": 2},
    ),
    (
        "MultiHeadAttention",
        [real(2, 3, 16), real(2, 3, 16), real(2, 3, 16)],
        {6: real(2, 2, 3, 8), 7: real(2, 2, 3, 8)},
        3,
        {"num_heads": 2, "unidirectional": 1},
    ),
    ("MultiHeadAttention", [real(2, 5, 16), real(2, 2, 7, 8), real(2, 2, 7, 8)], {}, 1, {"num_heads": 2}),
    ("Attention", [real(2, 5, 12)], {1: real(12, 48), 2: real(48), 3: whole(3, 5)}, 1, {"num_heads": 2}),
    ("Attention", [real(2, 5, 12)], {1: real(12, 48), 2: real(48), 3: whole(4, 5, 1, 0)}, 1, {"num_heads": 2}),
    (
        "Attention",
        [real(2, 5, 12)],
        {1: real(12, 48), 2: real(48), 4: real(2, 2, 2, 3, 8)},
        2,
        {"num_heads": 2, "unidirectional": 1},
    ),
    (
        "Attention",
        [real(2, 5, 12)],
        {1: real(12, 56), 2: real(56)},
        1,
        {"num_heads": 2, "qkv_hidden_sizes": [16, 16, 24]},
    ),
]


def grouped(length: int, past: int, ends: np.ndarray, total: int, rotary: bool, **attributes: Any) -> Any:
    """A GroupQueryAttention of 4 heads over 2, 16 wide."""
    batch = len(ends)
    inputs = [real(batch, length, 64), real(batch, length, 32), real(batch, length, 32)]
    inputs += [real(batch, 2, past, 16), real(batch, 2, past, 16)] if past else []
    tables = {7: real(12, 8), 8: real(12, 8)} if rotary else {}
    return (
        "GroupQueryAttention",
        inputs,
        {5: ends, 6: whole(total), **tables},
        3,
        {"num_heads": 4, "kv_num_heads": 2, "do_rotary": int(rotary), **attributes},
    )


CASES += [
    grouped(6, 0, whole(5, 5), 6, False),
    grouped(6, 0, whole(5, 3), 6, False),
    grouped(6, 0, whole(5, 5), 6, False, local_window_size=3),
    grouped(6, 0, whole(5, 5), 6, False, softcap=1.5, scale=0.2),
    grouped(6, 0, whole(5), 6, True),
    grouped(1, 5, whole(5, 3), 6, True),
    grouped(1, 5, whole(5, 3), 6, True, rotary_interleaved=1),
    grouped(2, 9, whole(7), 8, False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{','.join(case[4])}")
def test_it_answers_as_onnx_runtime(case):
    op, inputs, constants, outputs, attributes = case
    model = one_node(op, inputs, constants, opset=17, outputs=outputs, domain=MICROSOFT, **attributes)
    for found, expected in zip(answers(model, inputs), runtime_answers(model, inputs), strict=True):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)


def test_a_convolution_whose_channels_come_last_is_that_of_the_transposed_input():
    data, weight = real(1, 6, 6, 4), real(8, 4, 3, 3)
    last = one_node("NhwcConv", [data], {1: weight}, opset=17, domain=MICROSOFT, pads=[1, 1, 1, 1])
    first = one_node("Conv", [data.transpose(0, 3, 1, 2)], {1: weight}, opset=17, pads=[1, 1, 1, 1])
    [expected] = runtime_answers(first, [np.ascontiguousarray(data.transpose(0, 3, 1, 2))])
    np.testing.assert_allclose(answers(last, [data])[0], expected.transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-5)


def test_half_of_the_channels_gates_the_other_half():
    data, bias = real(2, 3, 8), real(8)
    model = one_node("BiasSplitGelu", [data, bias], opset=17, domain=MICROSOFT)
    left, right = np.split(data + bias, 2, axis=2)
    [gelu] = runtime_answers(one_node("Gelu", [right], opset=20), [np.ascontiguousarray(right)])
    np.testing.assert_allclose(answers(model, [data, bias])[0], left * gelu, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("inputs", "attributes", "sentence"),
    [
        ([real(2, 5, 2, 3, 8)], {}, "its inputs are packed"),
        ([real(2, 5, 16), real(2, 7, 16), real(2, 7, 16), real(48), whole(*[1] * 8)], {}, r"its mask of shape \[8\]"),
    ],
)
def test_what_an_attention_cannot_take_is_named(inputs, attributes, sentence):
    model = one_node("MultiHeadAttention", inputs, opset=17, domain=MICROSOFT, num_heads=2, **attributes)
    with pytest.raises(InputError, match=rf"\(com.microsoft.MultiHeadAttention\): {sentence}"):
        answers(model, inputs)
