"""Artifacts on a disk without room, and what is asked of one."""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tvm_farm.tracker.domain.errors import StoreFull
from tvm_farm.tracker.services.artifacts import ArtifactStore


async def chunks() -> AsyncIterator[bytes]:
    yield b"data"


async def test_not_even_room_for_a_name_is_told_like_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore(tmp_path)

    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "mkstemp", full)
        with pytest.raises(StoreFull, match=r"cannot be stored in .*: No space left on device"):
            await store.put(chunks())
    stored = await store.put(chunks())
    assert stored.digest == hashlib.sha256(b"data").hexdigest()
    assert stored.digest in store


@pytest.mark.parametrize(("offset", "rest"), [(0, b"data"), (3, b"a"), (4, b""), (5, b""), (2**64 - 1, b"")])
async def test_from_any_byte_that_can_be_asked_for(offset: int, rest: bytes, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    stored = await store.put(chunks())
    assert b"".join([chunk async for chunk in store.get(stored.digest, offset)]) == rest
