"""TVM's runtimes that boards can have: those that were added, and that of the tracker's own host.

Which artifacts make up a runtime is kept in a small file beside the artifacts rather than in the database: a handful
of lines that change when a person adds one, that no query joins with anything, and that name files of that folder.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

from tvm_farm.tracker.domain import Artifact, Runtime, RuntimeLibrary, RuntimeOffer, RuntimeRequest
from tvm_farm.tracker.domain.errors import InvalidRequest, StateFolderUnusable, StoreFull
from tvm_farm.tracker.domain.runtime import LIBRARIES, TVM_FFI_VERSION, TVM_VERSION, glibc_of, unfit
from tvm_farm.tracker.services.artifacts import CHUNK_BYTES, ArtifactStore
from tvm_farm.tracker.services.host_runtime import HostRuntime, find_host_runtime
from tvm_farm.tracker.store.encoding import decode, encode

__all__ = ["Runtimes"]

log = logging.getLogger(__name__)

#: Architectures for which wheels of apache-tvm exist. Boards of others run in micro mode.
_PUBLISHED = ("aarch64", "x86_64")


class Runtimes:
    """One runtime an architecture. ``file`` remembers them; raises StateFolderUnusable when it cannot be read."""

    def __init__(
        self, artifacts: ArtifactStore, file: Path, find_host: Callable[[], HostRuntime | None] = find_host_runtime
    ) -> None:
        self._artifacts = artifacts
        self._file = file
        self._find_host = find_host
        self._added = _read(file)
        self._host: asyncio.Future[Runtime | None] | None = None
        self._writing = asyncio.Lock()

    async def offer(self, request: RuntimeRequest) -> RuntimeOffer:
        """The runtime for a board, or why there is none."""
        found = {runtime.arch: runtime for runtime in await self.all()}.get(request.arch)
        if found is None:
            reason = _without(request.arch)
        elif not (reason := unfit(found, request.libc)):
            return RuntimeOffer(found, tvm_version=TVM_VERSION)
        return RuntimeOffer(reason=reason, tvm_version=TVM_VERSION)

    async def all(self) -> list[Runtime]:
        """Those that boards can have, by architecture. One that was added comes before this host's own.

        One of another release than the farm's, added to an older tracker, is none of them.
        """
        if self._host is None:
            # Not at the start: a farm whose boards have TVM never needs it. Once for all that ask meanwhile.
            self._host = asyncio.ensure_future(self._take_host())
        host = await asyncio.shield(self._host)
        offered = {host.arch: host} if host else {}
        offered.update((r.arch, r) for r in self._added.values() if _of_this_release(r))
        return [offered[arch] for arch in sorted(offered)]

    async def put(self, runtime: Runtime) -> Runtime:
        """Keep ``runtime`` for its architecture from now on, replacing an earlier one.

        Raises InvalidRequest, one sentence, when it is of another release or not whole, StoreFull when it cannot be
        written; then nothing is changed.
        """
        self._check(runtime)
        async with self._writing:
            kept = replace(runtime, added_unix_s=time.time())
            added = {**self._added, kept.arch: kept}
            try:
                await asyncio.to_thread(_write, self._file, added)
            except OSError as e:
                raise StoreFull(f"{self._file} cannot be written: {e.strerror}") from e
            self._added = added
        log.info("TVM %s's runtime for %s boards was added", kept.tvm_version, kept.arch)
        return kept

    def _check(self, runtime: Runtime) -> None:
        what = f"the runtime for '{runtime.arch}'"
        if runtime.arch not in _PUBLISHED:
            raise InvalidRequest(f"{what} cannot be used: TVM's runtime exists for {' and '.join(_PUBLISHED)}")
        if not _of_this_release(runtime):
            raise InvalidRequest(
                f"{what} is of apache-tvm {runtime.tvm_version} and apache-tvm-ffi {runtime.tvm_ffi_version}; this "
                f"farm works with {TVM_VERSION} and {TVM_FFI_VERSION}: add those"
            )
        if glibc_of(runtime.libc) is None:
            raise InvalidRequest(f"{what} does not say which glibc it needs: '{runtime.libc}'")
        if [library.name for library in runtime.libraries] != [library.name for library in LIBRARIES]:
            raise InvalidRequest(f"{what} is not {', '.join(library.name for library in LIBRARIES)}, in this order")
        for library in runtime.libraries:
            if library.artifact.digest not in self._artifacts:
                raise InvalidRequest(f"{library.name} of {what} was not sent before: add the runtime again")

    async def _take_host(self) -> Runtime | None:
        try:
            host = await asyncio.to_thread(self._find_host)
            if host is None:
                return None
            libraries = [RuntimeLibrary(name, await self._take(path)) for name, path in host.files.items()]
        except (OSError, StoreFull):
            # A board without runtime still runs kernels: no reason to refuse it.
            log.exception("the TVM runtime of this host cannot be offered to boards")
            self._host = None  # the next board may find room on the disk
            return None
        return Runtime(host.arch, host.libc, TVM_VERSION, TVM_FFI_VERSION, tuple(libraries))

    async def _take(self, path: Path) -> Artifact:
        async def chunks() -> AsyncIterator[bytes]:
            with await asyncio.to_thread(path.open, "rb") as file:
                while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                    yield chunk

        return await self._artifacts.put(chunks())


def _without(arch: str) -> str:
    if arch in _PUBLISHED:
        return f"this farm has no TVM runtime for {arch}: run `tracker runtime add {arch}`"
    return f"TVM's runtime is not published for {arch or 'a board that does not say what it is'}"


def _of_this_release(runtime: Runtime) -> bool:
    return (runtime.tvm_version, runtime.tvm_ffi_version) == (TVM_VERSION, TVM_FFI_VERSION)


def _read(file: Path) -> dict[str, Runtime]:
    try:
        lines = file.read_text().splitlines()
        runtimes = [decode(Runtime, line) for line in lines]
    except FileNotFoundError:
        return {}
    except OSError as e:
        raise StateFolderUnusable(f"{file} cannot be read: {e.strerror}") from e
    except (ValueError, TypeError, AttributeError) as e:
        raise StateFolderUnusable(f"{file} is damaged ({e}): remove it and add the runtimes again") from e
    return {runtime.arch: runtime for runtime in runtimes}


def _write(file: Path, runtimes: dict[str, Runtime]) -> None:
    """Whole and on the disk before it takes the place of the one before."""
    fresh = file.with_suffix(".new")
    with fresh.open("w") as out:
        out.writelines(encode(runtime) + "\n" for runtime in runtimes.values())
        out.flush()
        os.fsync(out.fileno())
    os.replace(fresh, file)
