"""What crosses the pipe between agent and runner.

A frame is ``u32 size, u8 type, payload`` of ``size`` bytes, at most 1 GiB. Numbers are little-endian,
a ``text`` is ``u32 size`` and UTF-8 bytes without zeros, a ``dtype`` is DLPack's ``u8 code, u8 bits, u16 lanes``.

=============  ====  =======================================================================================
frame          type  payload
=============  ====  =======================================================================================
RUN            1     u32 sequence; u8 kind (1 kernel, 2 model); f64 run_timeout_s, hopeless_s (0: none);
                     u64 memory_bytes;
                     u32 number, repeat, min_repeat_ms, cooldown_ms, repeats_to_cooldown, cache_flush_bytes;
                     text library path, params path ("" for none), entry;
                     u32 count and that many arguments; u32 count and that many u32 output positions
CANCEL         2     u32 sequence of the RUN to stop
HELLO          129   "TVMF"; u32 version, mode (1 full, 2 micro), threads; text version of libtvm_ffi
RESULT         130   u32 sequence; u32 outcome (farm.v1.Outcome); i32 signal;
                     f64 started, finished (0: it did not begin) and sent, by CLOCK_MONOTONIC;
                     text detail; only with OK a body: u32 count and that many outputs (dtype, u8 ndim,
                     i64 shape, u64 size, bytes), u32 count and that many f64 seconds a call, u8 cut short
=============  ====  =======================================================================================

An argument is ``dtype, u8 ndim, i64 shape, u8 source`` and then, by source: 1 ``u64 seed``, 2 ``u64 size, bytes``,
3 ``text name`` of a tensor of the parameter file. A seed makes element ``i`` from the ``i``-th number of
splitmix64(seed): floats are its highest bits over a power of two, as many as the significand holds (53, 24, 11, 8
for 64, 32, 16 and brain float), so in [0, 1); integers are its upper 32 bits scaled to 0..9; bool its highest bit.

The runner says HELLO once, then answers each RUN with one RESULT, in their order. While a RUN executes, up to
MAX_WAITING more may come and wait for its end, so that the next kernel begins without a word from the agent. A CANCEL
of a waiting RUN is answered at once, and a CANCEL that comes too late is ignored. The end of its input ends the runner
and the kernel at hand; a frame that breaks these rules ends both too, with a sentence on standard error.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from tvm_farm.protos import quantities
from tvm_farm.protos.device import RunnerMode
from tvm_farm.protos.measurement import Argument, MeasureRequest, Outcome, OutputTensor, ProgramKind

__all__ = [
    "FRAME_HEAD",
    "HELLO",
    "MAX_WAITING",
    "PROTOCOL_VERSION",
    "RESULT",
    "Hello",
    "ProtocolError",
    "RequestError",
    "Result",
    "decode_hello",
    "decode_result",
    "encode_cancel",
    "encode_run",
]

PROTOCOL_VERSION = 3
MAX_WAITING = 8
FRAME_HEAD = struct.Struct("<IB")
_RUN, _CANCEL, HELLO, RESULT = 1, 2, 129, 130
_MAGIC = b"TVMF"
_MAX_FRAME = 1 << 30
_MAX_COUNT = 4096
_MAX_NDIM = 16
_MAX_NUMBER = (1 << 31) - 1
_LONGEST_TIMEOUT_S = 1e7

_CODES = {"int": 0, "uint": 1, "float": 2, "bfloat": 4, "bool": 6}
_DTYPES: dict[str, tuple[int, int]] = {
    "bool": (_CODES["bool"], 8),
    "bfloat16": (_CODES["bfloat"], 16),
    **{f"float{bits}": (_CODES["float"], bits) for bits in (16, 32, 64)},
    **{f"{kind}{bits}": (_CODES[kind], bits) for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
}
_NAMES = {code: name for name, code in _DTYPES.items()}

_KINDS = {ProgramKind.KERNEL: 1, ProgramKind.MODEL: 2}
_MODES = {1: RunnerMode.FULL, 2: RunnerMode.MICRO}
_OUTCOMES = {
    1: Outcome.OK,
    4: Outcome.RUN_ERROR,
    5: Outcome.RUN_TIMEOUT,
    6: Outcome.CRASH,
    7: Outcome.OUT_OF_MEMORY,
    9: Outcome.CANCELLED,
}


class RequestError(Exception):
    """A request that no runner can execute: one sentence that names the field."""


class ProtocolError(Exception):
    """The runner said what its protocol does not know."""


@dataclass(frozen=True)
class Hello:
    version: int
    mode: RunnerMode
    threads: int
    tvm_ffi_version: str


@dataclass(frozen=True)
class Result:
    """Times are of the executing machine's CLOCK_MONOTONIC; ``started_s`` 0: it did not begin."""

    sequence: int
    outcome: Outcome
    signal: int
    started_s: float
    finished_s: float
    sent_s: float
    detail: str
    outputs: tuple[OutputTensor, ...]
    run_secs: tuple[float, ...]
    cut_short: bool = False


def encode_run(sequence: int, request: MeasureRequest, library: str, params: str) -> list[bytes]:
    """The RUN frame, in pieces so that large tensors are not copied. Raises RequestError."""
    program, plan, limits = request.program, request.plan, request.limits
    if not 0 < limits.run_timeout_s <= _LONGEST_TIMEOUT_S:
        raise RequestError(f"run_timeout_s is {limits.run_timeout_s:g}, and it lies above 0")
    if not limits.hopeless_s >= 0:
        raise RequestError(f"hopeless_s is {limits.hopeless_s:g}, and it is 0 or lies above")
    kind = _KINDS[program.kind]
    pieces = [
        struct.pack("<IBddQ", sequence, kind, limits.run_timeout_s, limits.hopeless_s, limits.memory_bytes),
        struct.pack(
            "<6I",
            _number("number", plan.number, 1),
            _number("repeat", plan.repeat, 1),
            _number("min_repeat_ms", plan.min_repeat_ms, 0),
            _number("cooldown_ms", plan.cooldown_ms, 0),
            _number("repeats_to_cooldown", plan.repeats_to_cooldown, 1),
            _number("cache_flush_bytes", plan.cache_flush_bytes, 0),
        ),
        _text("library", library),
        _text("params", params),
        _text("entry", program.entry),
        _count("arguments", program.args),
    ]
    for position, argument in enumerate(program.args):
        pieces += _argument(position, argument)
    pieces.append(_count("outputs", program.outputs))
    for output in program.outputs:
        if program.kind is ProgramKind.KERNEL and not 0 <= output < len(program.args):
            raise RequestError(f"output {output} is no position among {len(program.args)} arguments")
        pieces.append(struct.pack("<I", _number("output", output, 0)))
    size = sum(map(len, pieces))
    if size > _MAX_FRAME:
        raise RequestError(
            f"the request holds {quantities.size(size)} of data, at most {quantities.size(_MAX_FRAME)} cross the pipe"
        )
    return [FRAME_HEAD.pack(size, _RUN), *pieces]


def encode_cancel(sequence: int) -> bytes:
    return FRAME_HEAD.pack(4, _CANCEL) + struct.pack("<I", sequence)


def decode_hello(payload: bytes) -> Hello:
    """Raises ProtocolError."""
    reader = _Reader(payload)
    if reader.take(4) != _MAGIC:
        raise ProtocolError("the program at the other end is no runner")
    version, mode, threads = reader.unpack("<III")
    if version != PROTOCOL_VERSION:
        raise ProtocolError(f"the runner speaks version {version} of its protocol, this agent {PROTOCOL_VERSION}")
    if mode not in _MODES:
        raise ProtocolError(f"the runner has an unknown mode, {mode}")
    return Hello(version, _MODES[mode], threads, reader.text())


def decode_result(payload: bytes) -> Result:
    """Raises ProtocolError."""
    reader = _Reader(payload)
    sequence, number, signal, started_s, finished_s, sent_s = reader.unpack("<IIiddd")
    if number not in _OUTCOMES:
        raise ProtocolError(f"the runner reported an unknown outcome, {number}")
    outcome, detail = _OUTCOMES[number], reader.text()
    outputs: tuple[OutputTensor, ...] = ()
    run_secs: tuple[float, ...] = ()
    cut_short = False
    if outcome is Outcome.OK:
        outputs = tuple(reader.output() for _ in range(reader.unpack("<I")[0]))
        run_secs = reader.unpack(f"<{reader.unpack('<I')[0]}d")
        (cut_short,) = reader.unpack("<?")
    reader.end()
    return Result(sequence, outcome, signal, started_s, finished_s, sent_s, detail, outputs, run_secs, cut_short)


def _number(name: str, value: int, least: int) -> int:
    if not least <= value <= _MAX_NUMBER:
        raise RequestError(f"{name} is {value}, and it lies in {least}..{_MAX_NUMBER}")
    return value


def _text(name: str, value: str) -> bytes:
    if "\0" in value:
        raise RequestError(f"{name} holds a zero character")
    data = value.encode("utf-8", "surrogateescape")
    return struct.pack("<I", len(data)) + data


def _count(name: str, items: Sequence[object]) -> bytes:
    if len(items) > _MAX_COUNT:
        raise RequestError(f"{len(items)} {name} are more than {_MAX_COUNT}")
    return struct.pack("<I", len(items))


def _argument(position: int, argument: Argument) -> list[bytes]:
    name = f"argument {position}"
    if argument.dtype not in _DTYPES:
        raise RequestError(f"{name} has dtype {argument.dtype!r}; known are {', '.join(sorted(_DTYPES))}")
    if len(argument.shape) > _MAX_NDIM or any(not 0 <= size < 1 << 48 for size in argument.shape):
        raise RequestError(f"{name} has shape {argument.shape}: at most {_MAX_NDIM} dimensions, none negative or vast")
    code, bits = _DTYPES[argument.dtype]
    nbytes = bits // 8
    for size in argument.shape:
        nbytes *= size
    if nbytes >= 1 << 48:
        raise RequestError(f"{name} of shape {argument.shape} would take {nbytes} bytes")
    head = struct.pack(f"<BBHB{len(argument.shape)}q", code, bits, 1, len(argument.shape), *argument.shape)
    if argument.data is not None:
        if len(argument.data) != nbytes:
            raise RequestError(f"{name} has {len(argument.data)} bytes of data, its shape and dtype need {nbytes}")
        return [head, struct.pack("<BQ", 2, nbytes), argument.data]
    if argument.param is not None:
        return [head, b"\x03", _text(name, argument.param)]
    if argument.fill_seed is not None:
        if not 0 <= argument.fill_seed < 1 << 64:
            raise RequestError(f"{name} has the seed {argument.fill_seed}, and a seed has 64 bits")
        return [head, struct.pack("<BQ", 1, argument.fill_seed)]
    raise RequestError(f"{name} does not say where its values come from")


class _Reader:
    """Reads a payload piece by piece; every method raises ProtocolError where it ends too early."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._at = 0

    def take(self, size: int) -> bytes:
        taken = self._payload[self._at : self._at + size]
        if len(taken) != size:
            raise ProtocolError(f"a frame ends {size - len(taken)} bytes too early")
        self._at += size
        return taken

    def unpack(self, layout: str) -> tuple:  # type: ignore[type-arg]
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def text(self) -> str:
        return self.take(self.unpack("<I")[0]).decode("utf-8", "replace")

    def output(self) -> OutputTensor:
        code, bits, lanes, ndim = self.unpack("<BBHB")
        shape = self.unpack(f"<{ndim}q")
        if (code, bits) not in _NAMES or lanes != 1:
            raise ProtocolError(f"an output has an unknown dtype: code {code}, {bits} bits, {lanes} lanes")
        return OutputTensor(shape, _NAMES[code, bits], self.take(self.unpack("<Q")[0]))

    def end(self) -> None:
        if self._at != len(self._payload):
            raise ProtocolError(f"a frame has {len(self._payload) - self._at} bytes too many")
