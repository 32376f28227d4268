"""The dot products of bytes of AVX-512, in place of TVM's own under the same names.

TVM 0.27 calls VNNI's vpdpbusd with the types of older LLVM, which newer ones refuse to compile, and without VNNI adds
pairs of products in int16, which saturate: 255 * 127 twice is 64770. Here even and odd bytes are multiplied apart.
"""

from __future__ import annotations

import tvm.script
from tvm.s_tir import TensorIntrin

__all__ = ["register_dot_products"]

_FRAME = """
# from tvm.script import tirx as T

@T.prim_func(s_tir=True)
def dot(
    A: T.Buffer((4,), "uint8", offset_factor=1),
    B: T.Buffer((16, 4), "int8", offset_factor=1),
    C: T.Buffer((16,), "int32", offset_factor=1),
):
    with T.sblock("root"):
        T.reads(C[0:16], A[0:4], B[0:16, 0:4])
        T.writes(C[0:16])
"""
_WHAT = """
        for i in T.serial(0, 16):
            for k in T.serial(0, 4):
                with T.sblock("update"):
                    vi, vk = T.axis.remap("SR", [i, k])
                    C[vi] = C[vi] + T.cast(A[vk], "int32") * T.cast(B[vi, vk], "int32")
"""
_VNNI = """
        C[T.ramp(T.int32(0), 1, 16)] = T.call_llvm_pure_intrin(
            T.llvm_lookup_intrinsic_id("llvm.x86.avx512.vpdpbusd.512"),
            C.vload([0], dtype="int32x16"),
            T.reinterpret(T.broadcast(T.reinterpret(A.vload([0], "uint8x4"), dtype="int32"), 16), dtype="uint8x64"),
            B.vload([0, 0], dtype="int8x64"),
            dtype="int32x16",
        )
"""
#: 0x00ff00ff and 0xff00ff00 leave the even and the odd bytes.
_AVX512 = """
        C[T.ramp(T.int32(0), 1, 16)] = (
            C.vload([0], dtype="int32x16")
            + T.call_llvm_pure_intrin(
                T.llvm_lookup_intrinsic_id("llvm.x86.avx512.pmaddw.d.512"),
                T.call_llvm_pure_intrin(
                    T.llvm_lookup_intrinsic_id("llvm.x86.avx512.pmaddubs.w.512"),
                    T.reinterpret(
                        T.broadcast(
                            T.bitwise_and(T.reinterpret(A.vload([0], "uint8x4"), dtype="int32"), T.int32(16711935)), 16
                        ),
                        dtype="uint8x64",
                    ),
                    B.vload([0, 0], dtype="int8x64"),
                    dtype="int16x32",
                ),
                T.int16x32(1),
                dtype="int32x16",
            )
            + T.call_llvm_pure_intrin(
                T.llvm_lookup_intrinsic_id("llvm.x86.avx512.pmaddw.d.512"),
                T.call_llvm_pure_intrin(
                    T.llvm_lookup_intrinsic_id("llvm.x86.avx512.pmaddubs.w.512"),
                    T.reinterpret(
                        T.broadcast(
                            T.bitwise_and(T.reinterpret(A.vload([0], "uint8x4"), dtype="int32"), T.int32(-16711936)),
                            16,
                        ),
                        dtype="uint8x64",
                    ),
                    B.vload([0, 0], dtype="int8x64"),
                    dtype="int16x32",
                ),
                T.int16x32(1),
                dtype="int32x16",
            )
        )
"""


def register_dot_products() -> None:
    """Call after TVM has registered its own."""
    what = tvm.script.from_source(_FRAME + _WHAT)
    for name, how in (("dot_16x4_vnni", _VNNI), ("dot_16x4_avx512", _AVX512)):
        TensorIntrin.register(name, what, tvm.script.from_source(_FRAME + how), override=True)
