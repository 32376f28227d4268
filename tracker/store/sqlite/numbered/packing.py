"""How traces and timings lie in the store: a form that files on disks depend on.

Traces of one workload differ in little but their tile sizes. Each is deflated with another one of its workload as
dictionary, its base, which leaves about 260 of 2,700 bytes; a base is deflated alone, so nothing is more than one
step away from its text.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence

__all__ = ["digest", "pack", "pack_secs", "unpack", "unpack_secs"]

_RAW = -zlib.MAX_WBITS
#: Half the time of zlib's 6 for a fourteenth more bytes.
_LEVEL = 3
#: For more bytes than these hashlib gives Python's lock away, and waits for it longer than it hashes.
_HELD = 2047


def digest(text: str) -> bytes:
    """16 bytes that stand for ``text``."""
    encoded, hashed = text.encode(), hashlib.blake2b(digest_size=16)
    for start in range(0, len(encoded), _HELD):
        hashed.update(encoded[start : start + _HELD])
    return hashed.digest()


def pack(text: str, base: str | None) -> bytes:
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW, 9, zlib.Z_DEFAULT_STRATEGY, (base or "").encode())
    return deflate.compress(text.encode()) + deflate.flush()


def unpack(packed: bytes, base: str | None) -> str:
    """What ``pack`` was given. ``base`` must be the same."""
    inflate = zlib.decompressobj(_RAW, (base or "").encode())
    return (inflate.decompress(packed) + inflate.flush()).decode()


def pack_secs(run_secs: Sequence[float]) -> bytes:
    """Eight bytes a timing, little-endian."""
    return struct.pack(f"<{len(run_secs)}d", *run_secs)


def unpack_secs(packed: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(packed) // 8}d", packed)
