"""The artifact cache against a real folder and a tracker that is a dict."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tvm_farm.agent.errors import ArtifactError, LinkLostError
from tvm_farm.agent.files.artifacts import ArtifactCache
from tvm_farm.protos.measurement import Artifact


class Source:
    """What the tracker has, sent in pieces of 10 bytes; counts what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.offsets: list[int] = []
        #: The link is lost behind so many bytes of an answer.
        self.lost_behind: int | None = None
        self.knows_offsets = True
        self.was_asked = asyncio.Event()
        self.gate: asyncio.Event | None = None

    def offer(self, data: bytes) -> Artifact:
        digest = hashlib.sha256(data).hexdigest()
        self.files[digest] = data
        return Artifact(digest, len(data))

    async def fetch(self, digest: str, offset: int) -> AsyncIterator[tuple[int, bytes]]:
        self.asked.append(digest)
        self.offsets.append(offset)
        self.was_asked.set()
        if self.gate is not None:
            await self.gate.wait()
        data = self.files[digest]
        begun = offset if self.knows_offsets else 0
        for start in range(begun, len(data), 10):
            if self.lost_behind is not None and start - begun >= self.lost_behind:
                raise LinkLostError("the link is down")
            yield start, data[start : start + 10]


@pytest.fixture
def source() -> Source:
    return Source()


def cache_at(path: Path, source: Source, limit: int = 1000) -> ArtifactCache:
    return ArtifactCache(path, limit, source.fetch)


def names(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


async def test_a_file_arrives_once_and_whole(tmp_path: Path, source: Source) -> None:
    cache = cache_at(tmp_path, source)
    artifact = source.offer(b"kernel" * 20)
    first = await cache.hold(artifact, ".so")
    second = await cache.hold(artifact, ".so")
    assert first == second == tmp_path / f"{artifact.digest}.so"
    assert first.read_bytes() == b"kernel" * 20
    assert source.asked == [artifact.digest]
    assert cache.size_bytes == 120


async def test_one_fetch_serves_all_who_wait(tmp_path: Path, source: Source) -> None:
    cache = cache_at(tmp_path, source)
    artifact = source.offer(b"shared")
    source.gate = asyncio.Event()
    holds = [asyncio.create_task(cache.hold(artifact, ".so")) for _ in range(3)]
    await source.was_asked.wait()
    source.gate.set()
    await asyncio.gather(*holds)
    assert source.asked == [artifact.digest]


async def test_inline_bytes_are_written_and_verified(tmp_path: Path, source: Source) -> None:
    cache = cache_at(tmp_path, source)
    data = b"small"
    path = await cache.hold(Artifact(hashlib.sha256(data).hexdigest(), len(data), data), ".so")
    assert path.read_bytes() == data
    assert source.asked == []
    with pytest.raises(ArtifactError, match="damaged"):
        await cache.hold(Artifact("0" * 64, len(data), data), ".so")


@pytest.mark.parametrize(
    ("stated", "sent", "said"),
    [
        (Artifact(hashlib.sha256(b"right").hexdigest(), 5), b"wrong", "damaged"),
        (Artifact(hashlib.sha256(b"right").hexdigest(), 5), b"rig", "damaged"),
        (Artifact(hashlib.sha256(b"right").hexdigest(), 5), b"right and more", "longer"),
    ],
)
async def test_what_arrives_wrong_is_not_kept(
    tmp_path: Path, source: Source, stated: Artifact, sent: bytes, said: str
) -> None:
    source.files[stated.digest] = sent
    cache = cache_at(tmp_path, source)
    with pytest.raises(ArtifactError, match=said):
        await cache.hold(stated, ".so")
    assert names(tmp_path) == set()
    source.files[stated.digest] = b"right"
    assert (await cache.hold(stated, ".so")).read_bytes() == b"right"


@pytest.mark.parametrize("digest", ["", "abc", "../" * 21 + "x", "Z" * 64, "é" * 64])
async def test_a_digest_is_never_a_path(tmp_path: Path, source: Source, digest: str) -> None:
    with pytest.raises(ArtifactError, match="not a sha256"):
        await cache_at(tmp_path, source).hold(Artifact(digest, 1, b"x"), ".so")
    assert names(tmp_path) == set()


async def test_the_longest_unused_goes_first_and_what_is_in_use_stays(tmp_path: Path, source: Source) -> None:
    cache = cache_at(tmp_path, source, limit=100)
    a, b, c, d = (source.offer(letter * 40) for letter in (b"a", b"b", b"c", b"d"))
    await cache.hold(a, ".so")
    await cache.hold(b, ".so")
    cache.release(b, ".so")
    await cache.hold(c, ".so")  # a is older but in use: b goes
    assert names(tmp_path) == {f"{a.digest}.so", f"{c.digest}.so"}
    with pytest.raises(ArtifactError, match="does not fit into the cache"):
        await cache.hold(d, ".so")
    cache.release(a, ".so")
    await cache.hold(a, ".so")
    cache.release(a, ".so")
    cache.release(c, ".so")
    await cache.hold(d, ".so")  # a was used after c, but c was held longer: the one used first goes
    assert names(tmp_path) == {f"{a.digest}.so", f"{d.digest}.so"}


async def test_a_file_larger_than_the_cache_is_refused_before_it_is_fetched(tmp_path: Path, source: Source) -> None:
    cache = cache_at(tmp_path, source, limit=10)
    with pytest.raises(ArtifactError, match="--cache-mb"):
        await cache.hold(source.offer(b"x" * 11), ".so")
    assert source.asked == []


async def test_a_fetch_that_is_cancelled_leaves_nothing(tmp_path: Path, source: Source) -> None:
    cache = cache_at(tmp_path, source)
    artifact = source.offer(b"late")
    source.gate = asyncio.Event()
    hold = asyncio.create_task(cache.hold(artifact, ".so"))
    await source.was_asked.wait()
    hold.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hold
    assert names(tmp_path) == set()
    source.gate.set()
    assert (await cache.hold(artifact, ".so")).read_bytes() == b"late"


async def test_a_later_process_uses_what_is_there_unless_it_was_damaged(tmp_path: Path, source: Source) -> None:
    good, bad = source.offer(b"good"), source.offer(b"bad!")
    first = cache_at(tmp_path, source)
    await first.hold(good, ".so")
    damaged = await first.hold(bad, ".so")
    damaged.write_bytes(b"\0\0\0\0")
    (tmp_path / "incoming-half").write_bytes(b"cut off")
    source.asked.clear()

    second = cache_at(tmp_path, source)
    assert second.size_bytes == 8 + len(b"cut off")
    assert (await second.hold(good, ".so")).read_bytes() == b"good"
    assert (await second.hold(bad, ".so")).read_bytes() == b"bad!"
    assert source.asked == [bad.digest]
    assert names(tmp_path) == {f"{good.digest}.so", f"{bad.digest}.so", "incoming-half"}


@pytest.mark.parametrize("knows_offsets", [True, False])
async def test_a_download_goes_on_where_the_link_was_lost(tmp_path: Path, source: Source, knows_offsets: bool) -> None:
    """A tracker that knows no offsets begins again, and nothing is written twice."""
    data = bytes(range(100))
    artifact = source.offer(data)
    source.knows_offsets, source.lost_behind = knows_offsets, 40
    for process in (cache_at(tmp_path, source), cache_at(tmp_path, source)):
        with pytest.raises(LinkLostError):
            await process.hold(artifact, ".so")
    source.lost_behind = None
    third = cache_at(tmp_path, source)
    assert third.size_bytes == (80 if knows_offsets else 40)
    assert (await third.hold(artifact, ".so")).read_bytes() == data
    assert source.offsets == ([0, 40, 80] if knows_offsets else [0, 40, 40])
    assert third.size_bytes == 100
    assert names(tmp_path) == {f"{artifact.digest}.so"}


async def test_what_a_power_cut_spoiled_is_fetched_anew(tmp_path: Path, source: Source) -> None:
    artifact = source.offer(b"whole" * 20)
    (tmp_path / f"incoming-{artifact.digest}.so").write_bytes(b"\0" * 50)
    assert (await cache_at(tmp_path, source).hold(artifact, ".so")).read_bytes() == b"whole" * 20
    assert source.offsets == [50, 0]


async def test_half_a_download_makes_room_for_others(tmp_path: Path, source: Source) -> None:
    half, other = source.offer(b"h" * 80), source.offer(b"o" * 90)
    source.lost_behind = 40
    cache = cache_at(tmp_path, source, limit=100)
    with pytest.raises(LinkLostError):
        await cache.hold(half, ".so")
    source.lost_behind = None
    await cache.hold(other, ".so")
    assert names(tmp_path) == {f"{other.digest}.so"}
    assert cache.size_bytes == 90


async def test_a_full_disk_is_named(tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = cache_at(tmp_path, source)

    def full(src: str, dst: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ArtifactError, match="its disk is full"):
        await cache.hold(source.offer(b"data"), ".so")
    assert names(tmp_path) == set()
