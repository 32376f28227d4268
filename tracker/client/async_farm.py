"""``Farm`` for programs with an event loop: the same calls, awaited.

Each call of the blocking client runs in a thread, each watched job has one of its own: the loop is never held up.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from tvm_farm.tracker.client.errors import FarmError
from tvm_farm.tracker.client.farm import Farm
from tvm_farm.tracker.client.handle import JobHandle, check_done
from tvm_farm.tracker.client.link import Stop
from tvm_farm.tracker.domain import FarmStatus, Job, JobGroup, JobResult

__all__ = ["AsyncFarm", "AsyncJobHandle", "AsyncJobPackage"]

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 8


def _submitting(
    method: Callable[Concatenate[Farm, P], JobHandle],
) -> Callable[Concatenate[AsyncFarm, P], Coroutine[Any, Any, AsyncJobHandle]]:
    """``method`` awaited. Who stops waiting for it has no job: what it submits all the same is cancelled."""

    async def submit(self: AsyncFarm, /, *args: P.args, **kwargs: P.kwargs) -> AsyncJobHandle:
        call = functools.partial(method, self.farm, *args, **kwargs)
        return AsyncJobHandle(self, await self.in_thread(call, undo=JobHandle.cancel))

    return functools.update_wrapper(submit, method)


class AsyncFarm:
    """A connection to one tracker, which is found when the ``async with`` begins. ``tracker``: as ``Farm`` takes it.

    ``tune`` and ``compile`` take what those of ``Farm`` take, and give an AsyncJobHandle. Who stops waiting for one of
    them has no job: what was submitted all the same is cancelled.

        async with AsyncFarm("lab") as farm:
            job = await farm.tune("resnet50.onnx", pool="arm64", budget="30m")
            async for snapshot in job.progress():
                print(snapshot.phase, snapshot.trials)
            print((await job.wait()).latency.tuned_s)
            await job.package.download("resnet50-rpi4")

    Raises what ``Farm`` does.
    """

    def __init__(self, tracker: str | None = None) -> None:
        self._tracker = tracker
        self._farm: Farm | None = None
        self._closed = False
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="farm")

    async def __aenter__(self) -> AsyncFarm:
        try:
            self._farm = await self.in_thread(functools.partial(Farm, self._tracker), undo=Farm.close)
        except BaseException:
            self._threads.shutdown(wait=False)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection, once calls that are under way have returned. May be called again."""
        farm, self._farm, self._closed = self._farm, None, True
        if farm is not None:
            await asyncio.shield(asyncio.to_thread(self._threads.shutdown))
            farm.close()

    @property
    def farm(self) -> Farm:
        """The blocking client, for what has no twin here: call it in a thread. Raises FarmError outside of the
        ``async with``.
        """
        if self._farm is None:
            raise FarmError("This AsyncFarm is not connected: use it as `async with AsyncFarm(…) as farm`.")
        return self._farm

    tune = _submitting(Farm.tune)
    compile = _submitting(Farm.compile)

    async def job(self, job_id: str) -> AsyncJobHandle:
        """The handle of a job, or of a group of jobs. Raises BadInput where there is none."""
        return AsyncJobHandle(self, await self.in_thread(functools.partial(self.farm.job, job_id)))

    async def status(self) -> FarmStatus:
        """Raises TrackerUnreachable, or FarmError when tracker and program cannot understand each other."""
        return await self.in_thread(self.farm.status)

    async def in_thread(self, call: Callable[[], T], *, undo: Callable[[T], object] | None = None) -> T:
        """What ``call`` returns or raises, in a thread. ``undo``: for a result that nobody waits for any more."""
        if self._closed:
            raise FarmError("This AsyncFarm was closed: make another one.")
        future = self._threads.submit(call)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if undo is not None:
                future.add_done_callback(functools.partial(_undone, undo))
            raise


def _undone(undo: Callable[[T], object], future: Future[T]) -> None:
    if future.cancelled() or future.exception() is not None:
        return
    try:
        undo(future.result())
    except FarmError as error:
        log.warning("%s was given up, and cannot be undone: %s", future.result(), error)


class AsyncJobHandle:
    """``JobHandle``, awaited; its methods mean what they mean there."""

    def __init__(self, farm: AsyncFarm, handle: JobHandle) -> None:
        self._farm = farm
        self._handle = handle

    def __repr__(self) -> str:
        return f"<Async{repr(self._handle)[1:]}"

    @property
    def id(self) -> str:
        return self._handle.id

    @property
    def group(self) -> JobGroup:
        """The jobs as they were when they were last heard of: their state, tasks and results."""
        return self._handle.group

    @property
    def package(self) -> AsyncJobPackage:
        return AsyncJobPackage(self._farm, self._handle)

    async def refresh(self) -> JobGroup:
        return await self._farm.in_thread(self._handle.refresh)

    async def progress(
        self, *, timeout_s: float | None = None, notice: Callable[[str], None] = log.warning
    ) -> AsyncIterator[Job]:
        """As ``JobHandle.progress``; ``notice`` is called in another thread."""
        async with aclosing(self._followed(timeout_s, notice)) as followed:
            async for job, _ in followed:
                yield job

    async def _followed(
        self, timeout_s: float | None, notice: Callable[[str], None] = log.warning
    ) -> AsyncGenerator[tuple[Job, JobGroup], None]:
        loop, stop = asyncio.get_running_loop(), Stop()
        heard: asyncio.Queue[tuple[Job, JobGroup] | BaseException | None] = asyncio.Queue()

        def watch() -> None:
            end: BaseException | None = None
            try:
                for each in self._handle.followed(timeout_s=timeout_s, notice=notice, stop=stop):
                    loop.call_soon_threadsafe(heard.put_nowait, each)
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                end = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(heard.put_nowait, end)

        thread = threading.Thread(target=watch, name=f"watch-{self.id}", daemon=True)
        thread.start()
        try:
            while (got := await heard.get()) is not None:
                if isinstance(got, BaseException):
                    raise got
                yield got
        finally:
            stop()
            await asyncio.shield(asyncio.to_thread(thread.join))

    async def wait(self, timeout_s: float | None = None) -> JobResult:
        self._handle.check_alone()
        [result] = (await self.wait_all(timeout_s)).values()
        return result

    async def wait_all(self, timeout_s: float | None = None) -> dict[str, JobResult]:
        group = self.group
        if not group.state.final:
            async with aclosing(self._followed(timeout_s)) as followed:
                async for _, latest in followed:
                    group = latest
        check_done(group)
        return group.results

    async def cancel(self) -> None:
        await self._farm.in_thread(self._handle.cancel)

    async def resume(self, *, trials: int | str | None = None, budget: float | str | None = None) -> AsyncJobHandle:
        await self._farm.in_thread(functools.partial(self._handle.resume, trials=trials, budget=budget))
        return self


class AsyncJobPackage:
    """``JobPackage``, awaited."""

    def __init__(self, farm: AsyncFarm, handle: JobHandle) -> None:
        self._farm = farm
        self._package = handle.package

    async def download(self, folder: str | os.PathLike[str], *, force: bool = False) -> Path:
        """As ``JobPackage.download``. Who stops waiting for it may still get the package."""
        return await self._farm.in_thread(functools.partial(self._package.download, folder, force=force))
