"""What a target's silicon allows, as far as templates leave out what cannot be fast or cannot run at all."""

from __future__ import annotations

from dataclasses import dataclass

import tvm

__all__ = ["Hardware", "kinds_of"]

_GPUS = frozenset(("cuda", "opencl", "rocm", "metal", "vulkan", "webgpu"))
_CPUS = frozenset(("llvm", "c"))


@dataclass(frozen=True)
class Hardware:
    """``vector_bits`` and ``vector_registers`` of a core of a CPU; of a GPU its limits for one block of threads.

    ``shared_bytes`` is 0 where shared memory is no faster than global memory (Mali).
    """

    cores: int
    vector_bits: int
    vector_registers: int
    threads: int = 0
    shared_bytes: int = 0

    def lanes(self, dtype: str) -> int:
        """Elements of a vector register."""
        return max(1, self.vector_bits // int(tvm.DataType(dtype).bits))

    @staticmethod
    def of(target: tvm.target.Target) -> Hardware:
        kind = str(target.kind.name)
        attributes = target.attrs
        if kind in _GPUS:
            mali = "mali" in kinds_of(target)
            threads = int(attributes.get("max_num_threads", 256))
            shared = int(attributes.get("max_shared_memory_per_block", 0 if mali else 16384))
            return Hardware(1, 128, 0, threads=threads, shared_bytes=0 if mali else shared)
        bits = 128
        if kind == "llvm":
            bits = max(128, int(tvm.get_global_func("target.llvm_get_vector_width")(target)))
        triple = str(attributes.get("mtriple", "")) or "x86_64"
        wide = bits >= 512 or triple.startswith(("aarch64", "arm64", "riscv64"))
        return Hardware(int(attributes.get("num-cores", 1)), bits, 32 if wide else 16)


def kinds_of(target: tvm.target.Target) -> frozenset[str]:
    """The names by which a template may ask for ``target``: cpu or gpu, TVM's kind (llvm, cuda, opencl), and x86, arm,
    riscv or the device (mali, adreno)."""
    kind = str(target.kind.name)
    names = {kind, "gpu" if kind in _GPUS else "cpu" if kind in _CPUS else kind}
    names.update(str(target.attrs[key]) for key in ("device",) if key in target.attrs)
    names.update(map(str, target.keys))
    if kind == "llvm":
        triple = str(target.attrs.get("mtriple", "")) or "x86_64"
        families = {"x86": ("x86", "i386", "i686"), "arm": ("aarch64", "arm"), "riscv": ("riscv",)}
        names.update(family for family, starts in families.items() if triple.startswith(starts))
    return frozenset(names)
