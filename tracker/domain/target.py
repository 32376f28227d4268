"""From what a board is to the TVM target that its kernels are compiled for.

Sources: LLVM's ``X86.td``, ``AArch64Processors.td`` and ``Host.cpp`` for names and CPU numbers, Linux's
``arch/arm64/include/asm/cputype.h`` for MIDR parts, the x86-64 psABI for its levels. A board whose CPU number promises
a feature that its kernel does not list (a virtual machine that masks it) falls back to what is listed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from tvm_farm.protos.device import CpuCluster, Fingerprint
from tvm_farm.tracker.domain.errors import InvalidRequest

__all__ = ["ANY_CPU", "DerivedTarget", "derive_target", "overridden"]

#: A CPU with vectors of 256 bits and fused multiply-add: what a model is looked at for where no board is named.
ANY_CPU = json.dumps({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v3", "num-cores": 4})


@dataclass(frozen=True)
class DerivedTarget:
    """``target`` is JSON for ``tvm.target.Target``; ``origin`` says in one sentence how it was found."""

    target: str
    origin: str


_V2 = ("cx16", "popcnt", "sse4_1", "sse4_2", "ssse3")
_V3 = (*_V2, "abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe")
_V4 = (*_V3, "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl")
_ICELAKE = (*_V4, "avx512_bitalg", "avx512_vbmi2", "avx512_vnni", "avx512ifma", "avx512vbmi", "gfni", "vaes")
_ZEN4 = (*_ICELAKE, "avx512_bf16")
_PSABI = (("x86-64-v4", _V4), ("x86-64-v3", _V3), ("x86-64-v2", _V2))

#: LLVM name -> flags of /proc/cpuinfo that a kernel compiled for it may use.
_X86_NEEDS: dict[str, tuple[str, ...]] = {
    "sandybridge": (*_V2, "avx"),
    "ivybridge": (*_V2, "avx", "f16c"),
    "haswell": _V3,
    "broadwell": _V3,
    "skylake": (*_V3, "adx"),
    "skylake-avx512": _V4,
    "cascadelake": (*_V4, "avx512_vnni"),
    "cooperlake": (*_V4, "avx512_bf16", "avx512_vnni"),
    "icelake-client": _ICELAKE,
    "icelake-server": _ICELAKE,
    "tigerlake": (*_ICELAKE, "avx512_vp2intersect"),
    "goldmont": (*_V2, "movbe"),
    "goldmont-plus": (*_V2, "movbe"),
    "tremont": (*_V2, "gfni", "movbe"),
    "gracemont": (*_V3, "avx_vnni", "gfni", "vaes"),
    "rocketlake": _ICELAKE,
    "alderlake": (*_V3, "avx_vnni", "gfni", "vaes"),
    "raptorlake": (*_V3, "avx_vnni", "gfni", "vaes"),
    "meteorlake": (*_V3, "avx_vnni", "gfni", "vaes"),
    "arrowlake": (*_V3, "avx_vnni", "gfni", "vaes"),
    "lunarlake": (*_V3, "avx_vnni", "gfni", "vaes"),
    "sapphirerapids": (*_ZEN4, "amx_bf16", "amx_int8", "amx_tile", "avx512_fp16", "avx_vnni"),
    "emeraldrapids": (*_ZEN4, "amx_bf16", "amx_int8", "amx_tile", "avx512_fp16", "avx_vnni"),
    "graniterapids": (*_ZEN4, "amx_bf16", "amx_fp16", "amx_int8", "amx_tile", "avx512_fp16", "avx_vnni"),
    "znver1": (*_V3, "sse4a"),
    "znver2": (*_V3, "sse4a"),
    "znver3": (*_V3, "sse4a", "vaes"),
    "znver4": (*_ZEN4, "sse4a"),
    "znver5": (*_ZEN4, "avx512_vp2intersect", "avx_vnni", "sse4a"),
}

_INTEL_6 = {
    0x2A: "sandybridge", 0x2D: "sandybridge", 0x3A: "ivybridge", 0x3E: "ivybridge",
    0x3C: "haswell", 0x3F: "haswell", 0x45: "haswell", 0x46: "haswell",
    0x3D: "broadwell", 0x47: "broadwell", 0x4F: "broadwell", 0x56: "broadwell",
    0x4E: "skylake", 0x5E: "skylake", 0x8E: "skylake", 0x9E: "skylake", 0xA5: "skylake", 0xA6: "skylake",
    0x6A: "icelake-server", 0x6C: "icelake-server", 0x7D: "icelake-client", 0x7E: "icelake-client",
    0x8C: "tigerlake", 0x8D: "tigerlake", 0x8F: "sapphirerapids", 0xCF: "emeraldrapids",
    0xAD: "graniterapids", 0xAE: "graniterapids", 0x97: "alderlake", 0x9A: "alderlake",
    0xA7: "rocketlake", 0xBE: "gracemont", 0x5C: "goldmont", 0x5F: "goldmont", 0x7A: "goldmont-plus",
    0x86: "tremont", 0x96: "tremont", 0x9C: "tremont", 0xC5: "arrowlake", 0xC6: "arrowlake", 0xBD: "lunarlake",
    0xB7: "raptorlake", 0xBA: "raptorlake", 0xBF: "raptorlake", 0xAA: "meteorlake", 0xAC: "meteorlake",
}  # fmt: skip

#: (MIDR implementer, part) -> LLVM name.
_ARM_PARTS = {
    ("0x41", "0xc05"): "cortex-a5", ("0x41", "0xc07"): "cortex-a7", ("0x41", "0xc08"): "cortex-a8",
    ("0x41", "0xc09"): "cortex-a9", ("0x41", "0xc0d"): "cortex-a17", ("0x41", "0xc0e"): "cortex-a17",
    ("0x41", "0xc0f"): "cortex-a15", ("0x41", "0xd02"): "cortex-a34", ("0x41", "0xd03"): "cortex-a53",
    ("0x41", "0xd04"): "cortex-a35", ("0x41", "0xd05"): "cortex-a55", ("0x41", "0xd06"): "cortex-a65",
    ("0x41", "0xd07"): "cortex-a57", ("0x41", "0xd08"): "cortex-a72", ("0x41", "0xd09"): "cortex-a73",
    ("0x41", "0xd0a"): "cortex-a75", ("0x41", "0xd0b"): "cortex-a76", ("0x41", "0xd0c"): "neoverse-n1",
    ("0x41", "0xd0d"): "cortex-a77", ("0x41", "0xd0e"): "cortex-a76ae", ("0x41", "0xd40"): "neoverse-v1",
    ("0x41", "0xd41"): "cortex-a78", ("0x41", "0xd42"): "cortex-a78ae", ("0x41", "0xd44"): "cortex-x1",
    ("0x41", "0xd46"): "cortex-a510", ("0x41", "0xd47"): "cortex-a710", ("0x41", "0xd48"): "cortex-x2",
    ("0x41", "0xd49"): "neoverse-n2", ("0x41", "0xd4a"): "neoverse-e1", ("0x41", "0xd4b"): "cortex-a78c",
    ("0x41", "0xd4c"): "cortex-x1c", ("0x41", "0xd4d"): "cortex-a715", ("0x41", "0xd4e"): "cortex-x3",
    ("0x41", "0xd4f"): "neoverse-v2", ("0x41", "0xd80"): "cortex-a520", ("0x41", "0xd81"): "cortex-a720",
    ("0x41", "0xd82"): "cortex-x4", ("0x41", "0xd84"): "neoverse-v3", ("0x41", "0xd85"): "cortex-x925",
    ("0x41", "0xd87"): "cortex-a725", ("0x41", "0xd8e"): "neoverse-n3", ("0x42", "0x516"): "thunderx2t99",
    ("0x43", "0x0a1"): "thunderxt88", ("0x43", "0x0af"): "thunderx2t99", ("0x46", "0x001"): "a64fx",
    ("0x48", "0xd01"): "tsv110", ("0x4e", "0x004"): "carmel", ("0x51", "0x001"): "oryon-1",
    ("0x51", "0x201"): "kryo", ("0x51", "0x205"): "kryo", ("0x51", "0x211"): "kryo",
    ("0x51", "0x800"): "cortex-a73", ("0x51", "0x801"): "cortex-a53", ("0x51", "0x802"): "cortex-a75",
    ("0x51", "0x803"): "cortex-a55", ("0x51", "0x804"): "cortex-a76", ("0x51", "0x805"): "cortex-a55",
    ("0x51", "0xc00"): "falkor", ("0x51", "0xc01"): "saphira", ("0x6d", "0xd49"): "neoverse-n2",
    ("0xc0", "0xac3"): "ampere1", ("0xc0", "0xac4"): "ampere1a",
    # Of an M1 and its kin, which LLVM also calls apple-m1: only the name of the A14 is in its list of CPUs.
    **{("0x61", f"0x02{digit}"): "apple-a14" for digit in "01234589"},
    **{("0x61", f"0x03{digit}"): "apple-a15" for digit in "01234589"},
    ("0x61", "0x048"): "apple-a16", ("0x61", "0x049"): "apple-a16",
}  # fmt: skip

#: Of these the 32-bit ones.
ARMV7_PARTS = {"cortex-a5", "cortex-a7", "cortex-a8", "cortex-a9", "cortex-a15", "cortex-a17"}
#: 64-bit ones that may run 32-bit programs, and that LLVM compiles such for.
ARMV8_PARTS_IN_32_BIT = {
    "cortex-a35", "cortex-a53", "cortex-a55", "cortex-a57", "cortex-a72", "cortex-a73", "cortex-a75", "cortex-a76",
    "cortex-a77", "cortex-a78", "cortex-a78ae", "cortex-a78c", "cortex-x1", "neoverse-n1",
}  # fmt: skip

#: Feature of /proc/cpuinfo -> LLVM attribute, for kernels that ask the target by name.
_AARCH64_ATTRIBUTES = {
    "asimd": "neon", "asimddp": "dotprod", "asimdhp": "fullfp16", "i8mm": "i8mm", "bf16": "bf16", "sve": "sve",
    "sve2": "sve2",
}  # fmt: skip
_HAS_SVE = {"a64fx", "neoverse-v1", "neoverse-v2", "neoverse-n2", "cortex-a510", "cortex-a710", "cortex-a715"}
_HAS_SVE |= {"cortex-x2", "cortex-x3", "cortex-a520", "cortex-a720", "cortex-x4", "neoverse-v3", "cortex-x925"}
_HAS_SVE |= {"cortex-a725", "neoverse-n3"}


def derive_target(fingerprint: Fingerprint, threads: int) -> DerivedTarget:
    """The target of a board whose parallel kernels get ``threads`` threads (0: all of its CPUs).

    Raises InvalidRequest for an architecture that no target is known for.
    """
    derive = _BY_ARCH.get(fingerprint.arch)
    if derive is None:
        known = ", ".join(sorted(_BY_ARCH))
        raise InvalidRequest(
            f"no target is known for architecture '{fingerprint.arch}' of {fingerprint.hostname or 'this board'}; "
            f"this tracker serves {known}"
        )
    options, origin = derive(fingerprint)
    target = {"kind": "llvm", **options, "num-cores": threads or max(1, fingerprint.cores)}
    return DerivedTarget(json.dumps(target), origin)


def overridden(derived: str, wanted: str) -> str:
    """``derived`` with the fields of ``wanted``, a JSON object, in place of its own; null takes one away.

    Raises InvalidRequest for what is no object, and for a target that none of the boards of ``derived`` could run.
    """
    if not wanted:
        return derived
    try:
        fields = json.loads(wanted)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the target {wanted} is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InvalidRequest(f'the target {wanted} is not a JSON object, as {{"mcpu": "cortex-a76"}} is')
    own = json.loads(derived)
    target = {name: value for name, value in {**own, **fields}.items() if value is not None}
    if target.get("kind") != own["kind"]:
        raise InvalidRequest(f"the target is of kind {target.get('kind')}, and the boards run {own['kind']} kernels")
    if (arch := _arch(target)) != _arch(own):
        raise InvalidRequest(f"the target is for {arch or 'no architecture'}, and the boards are {_arch(own)}")
    return json.dumps(target)


def _arch(target: dict[str, object]) -> str:
    return str(target.get("mtriple", "")).partition("-")[0]


def _strongest(fingerprint: Fingerprint) -> CpuCluster:
    return max(fingerprint.clusters, key=lambda c: (c.max_khz, len(c.cpus)), default=CpuCluster())


def _x86_64(fingerprint: Fingerprint) -> tuple[dict[str, object], str]:
    cluster = _strongest(fingerprint)
    features = set(fingerprint.cpu_features)
    level = next((name for name, needs in _PSABI if features.issuperset(needs)), "x86-64")
    known = _x86_name(cluster)
    if known is None:
        mcpu, origin = level, f"{cluster.name or 'the CPU'} ({cluster.part or 'no number'}) is not in the table"
        origin += f": {level} by the features it lists"
    elif missing := sorted(set(_X86_NEEDS[known]) - features):
        mcpu = level
        origin = f"CPU number {cluster.part} is {known}, but {', '.join(missing)} is not offered: {level}"
    else:
        mcpu, origin = known, f"CPU number {cluster.part} of {cluster.implementer} is {known}, its features are offered"
    return {"mtriple": "x86_64-linux-gnu", "mcpu": mcpu}, origin


def _x86_name(cluster: CpuCluster) -> str | None:
    numbers = cluster.part.split("/")
    if len(numbers) != 3 or not all(n.isdigit() for n in numbers):
        return None
    family, model, stepping = map(int, numbers)
    if cluster.implementer == "GenuineIntel" and family == 6:
        if model == 0x55:
            return "skylake-avx512" if stepping < 5 else "cascadelake" if stepping < 10 else "cooperlake"
        return _INTEL_6.get(model)
    if cluster.implementer == "AuthenticAMD":
        if family == 0x17:
            return "znver1" if model < 0x30 else "znver2"
        if family == 0x19:
            return "znver4" if 0x10 <= model < 0x20 or 0x60 <= model < 0xB0 else "znver3"
        if family == 0x1A:
            return "znver5"
    if cluster.implementer == "HygonGenuine" and family == 0x18:
        return "znver1"
    return None


def _aarch64(fingerprint: Fingerprint) -> tuple[dict[str, object], str]:
    cluster = _strongest(fingerprint)
    features = set(fingerprint.cpu_features)
    mcpu = _ARM_PARTS.get((cluster.implementer, cluster.part))
    if mcpu is None:
        mcpu, origin = "generic", f"MIDR part {cluster.part or '?'} of {cluster.implementer or '?'} is not in the table"
    else:
        origin = f"MIDR part {cluster.part} of {cluster.implementer} is {mcpu}"
        if len(fingerprint.clusters) > 1:
            origin += ", the fastest of this board's clusters"
    attributes = ["+" + name for flag, name in _AARCH64_ATTRIBUTES.items() if flag in features]
    if mcpu in _HAS_SVE and "sve" not in features:
        attributes += ["-sve", "-sve2"]
        origin += ", without SVE, which is not offered"
    options: dict[str, object] = {"mtriple": "aarch64-linux-gnu", "mcpu": mcpu}
    if attributes:
        options["mattr"] = attributes
    return options, origin


def _armv7l(fingerprint: Fingerprint) -> tuple[dict[str, object], str]:
    cluster = _strongest(fingerprint)
    mcpu = _ARM_PARTS.get((cluster.implementer, cluster.part), "")
    if mcpu in ARMV7_PARTS | ARMV8_PARTS_IN_32_BIT:
        origin = f"MIDR part {cluster.part} of {cluster.implementer} is {mcpu}"
    else:
        mcpu, origin = "", "32-bit ARM, part not in the table"
    options: dict[str, object] = {"mtriple": "armv7l-linux-gnueabihf", "mcpu": mcpu or "generic"}
    # A 64-bit part in 32-bit state lists asimd; a 32-bit one lists neon. Both have 32 double registers.
    features = set(fingerprint.cpu_features)
    if features & {"neon", "asimd"}:
        options["mattr"] = ["+neon"]
    elif "vfpd32" in features:
        options["mattr"] = ["-neon"]
    else:
        options["mattr"] = ["-neon", "-d32"]
        origin += ", with 16 double registers"
    options["mfloat-abi"] = "hard"
    return options, origin


def _riscv64(fingerprint: Fingerprint) -> tuple[dict[str, object], str]:
    options: dict[str, object] = {
        "mtriple": "riscv64-linux-gnu",
        "mcpu": "generic-rv64",
        "mattr": ["+m", "+a", "+f", "+d", "+c"],
        "mabi": "lp64d",
    }
    return options, "RV64GC, which every Linux board of this architecture has"


_BY_ARCH = {"x86_64": _x86_64, "aarch64": _aarch64, "armv7l": _armv7l, "riscv64": _riscv64}
