"""A farm as programs see it: values in and out, errors as sentences."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from types import TracebackType

from tvm_farm.tracker.client.artifacts import Artifacts
from tvm_farm.tracker.client.asking.request import JobRequest, job_request
from tvm_farm.tracker.client.asking.values import Fixed, Parameters, Shapes
from tvm_farm.tracker.client.connection import ScriptConnection
from tvm_farm.tracker.client.devices import Devices
from tvm_farm.tracker.client.handle import JobHandle
from tvm_farm.tracker.client.jobs import Jobs
from tvm_farm.tracker.client.link import Link
from tvm_farm.tracker.client.log import Log
from tvm_farm.tracker.client.measuring import Measuring
from tvm_farm.tracker.client.submission import submit
from tvm_farm.tracker.client.work import Work
from tvm_farm.tracker.domain import FarmStatus, JobKind
from tvm_farm.tracker.domain.engine import DEFAULT_TUNER

__all__ = ["Farm"]


class Farm:
    """A connection to one tracker, in parts for its audiences.

    ``tracker``: ``HOST:PORT``, a host, or the name of a farm that is heard by mDNS; by default what ``farm`` would use.
    A Link is taken as it is. Raises BadInput, and TrackerUnreachable where none answers.

    Calls block. What fails raises an error of tracker/client/errors.py, a FarmError each.

        with Farm("lab") as farm:
            job = farm.tune("resnet50.onnx", pool="arm64", budget="30m")
            print(job.wait().latency.tuned_s)
            job.package.download("resnet50-rpi4")
    """

    def __init__(self, tracker: str | Link | None = None) -> None:
        self._link = tracker if isinstance(tracker, Link) else ScriptConnection.to(tracker).link()
        #: Boards and pools: what there is, and what is ordered of it.
        self.devices = Devices(self._link)
        #: What is to be tuned, and what came of it.
        self.jobs = Jobs(self._link)
        #: The tuning log: every measurement that was ever made.
        self.log = Log(self._link)
        #: Files, by their digests.
        self.artifacts = Artifacts(self._link)
        #: Timings of kernels and models on boards, now.
        self.measuring = Measuring(self._link)
        #: What a tuning worker says and asks.
        self.work = Work(self._link)

    def tune(
        self,
        model: str | os.PathLike[str],
        *,
        pool: str,
        budget: float | str | None = None,
        trials: int | None = None,
        tuner: str = DEFAULT_TUNER,
        device_class: str = "",
        shapes: Shapes = (),
        fix: Fixed = (),
        parameters: Parameters = (),
        inputs: str | os.PathLike[str] | None = None,
        target: str | Mapping[str, object] = "",
        seed: int = 0,
        fresh: bool = False,
        priority: int = 0,
        templates: Iterable[str | os.PathLike[str]] = (),
    ) -> JobHandle:
        """Have ``model`` tuned on the devices of ``pool``, as `farm tune` does; returns as soon as that is asked for.

        - ``model``: an ONNX or TFLite file, a ``.pt2``, or an operator ``FILE.py:NAME``.
        - ``budget``: seconds of tuning, or "30m". ``trials``: candidates to measure. Whichever is used up first ends
          it; with neither it is 10 minutes.
        - ``tuner``: what proposes schedules.
        - ``device_class``: of the pool this class alone; by default each that it has is tuned, by a job of its own.
        - ``shapes``: {"x": (1, 3, 224, 224)} for inputs that the file leaves open, {"batch": 4} for dimensions that it
          names; a list of shapes makes a package that takes each.
        - ``fix``: {"sr": 16000} for inputs of an ONNX file that are to have one value.
        - ``parameters``: {"M": 1024} for those of an operator's function.
        - ``inputs``: an NPZ file with the arrays to compare answers on.
        - ``target``: fields of TVM's target over the device's own, {"mcpu": "cortex-a76"}.
        - ``seed``: of the search and of random inputs.
        - ``fresh``: measure also what the log has.
        - ``priority``: -4 to 4; each step doubles its part of the boards' time beside others.
        - ``templates``: Python files with templates of one's own.

        Raises BadInput for what cannot be tuned as far as that is known before, NoBoard where no board of the pool may
        take the work now, FarmError where the tracker fails.
        """
        return self.submit(
            job_request(
                JobKind.TUNE,
                model,
                pool=pool,
                budget=budget,
                trials=trials,
                tuner=tuner,
                device_class=device_class,
                shapes=shapes,
                fix=fix,
                parameters=parameters,
                inputs=inputs,
                target=target,
                seed=seed,
                fresh=fresh,
                priority=priority,
                templates=templates,
            )
        )

    def compile(
        self,
        model: str | os.PathLike[str],
        *,
        pool: str,
        device_class: str = "",
        shapes: Shapes = (),
        fix: Fixed = (),
        parameters: Parameters = (),
        inputs: str | os.PathLike[str] | None = None,
        target: str | Mapping[str, object] = "",
        seed: int = 0,
        priority: int = 0,
    ) -> JobHandle:
        """Have ``model`` compiled with the best schedules that the log has, as `farm compile` does; no tuning.

        The arguments mean what they mean for ``tune``.
        """
        return self.submit(
            job_request(
                JobKind.COMPILE,
                model,
                pool=pool,
                device_class=device_class,
                shapes=shapes,
                fix=fix,
                parameters=parameters,
                inputs=inputs,
                target=target,
                seed=seed,
                priority=priority,
            )
        )

    def submit(self, request: JobRequest) -> JobHandle:
        """Send a request of ``job_request``'s with its files. A lost connection is tried again once."""
        return JobHandle(self, self.jobs.group_of(submit(self, request)))

    def job(self, job_id: str) -> JobHandle:
        """The handle of a job, or of a group of jobs; ``job_id`` may be an unambiguous start. Raises BadInput where
        there is none.
        """
        return JobHandle(self, self.jobs.group(job_id))

    def __enter__(self) -> Farm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends what streams are still open, then the connection. May be called again."""
        self._link.close()

    @property
    def address(self) -> str:
        """The tracker's, ``host:port``."""
        return self._link.address

    @property
    def release_of_tracker(self) -> str:
        """Its version as of the last ``status``; "" before the first."""
        return self._link.release_of_tracker

    def status(self) -> FarmStatus:
        """Raises TrackerUnreachable, or FarmError when tracker and program cannot understand each other."""
        return self._link.status()

    def now_s(self) -> float:
        """Unix seconds now by the tracker's clock, as all its times are: the one here may be another."""
        return self._link.now_s()
