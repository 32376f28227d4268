"""The process that runs one job: it gets ready, waits for its job, runs it, and ends.

It is forked from one that has TVM loaded and runs a tiny job before it gets its own, so that a person's
job starts at once.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

from tvm_farm.protos.program.log import log_to_stderr
from tvm_farm.tracker.client.farm import Farm
from tvm_farm.tracker.client.link import Link
from tvm_farm.tracker.domain import Job, JobFailure, JobFinished, WorkerAlive
from tvm_farm.tracker.tuning.building.forked import ForkedBuilders
from tvm_farm.tracker.tuning.errors import InputError, SessionOver, TuningError
from tvm_farm.tracker.tuning.jobs.model_session import ModelSession
from tvm_farm.tracker.tuning.jobs.operator_session import OperatorSession
from tvm_farm.tracker.tuning.jobs.session import first_line
from tvm_farm.tracker.tuning.process.warm_up import warm_up

__all__ = ["BUILD_TIMEOUT_S", "stand_by"]

log = logging.getLogger(__name__)

#: CPU time for one candidate; the median needs 0.1 s. What takes far longer is unrolled beyond any use.
BUILD_TIMEOUT_S = 2.5


def stand_by(builders: int, pipe: Connection, folder: Path) -> None:
    """Entry point of the process: gets ready, waits on ``pipe`` for one (address, job) and runs it.

    Says WorkerAlive there as soon as a job would start at once.

    Ends with a JobFinished on ``pipe``. All temporary files, those of its builders too, lie
    in ``folder``, which the worker removes. Where the job must be started anew from its records, the
    process ends without a word.

    Exits at once when the worker at the other end of ``pipe`` is gone.
    """
    for noisy in ("tvm.s_tir.meta_schedule", "tvm"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    tempfile.tempdir = str(folder)
    pool = ForkedBuilders(builders, BUILD_TIMEOUT_S)
    try:
        if warm_up(pool):
            pipe.send(WorkerAlive(warm=True))
        address, job = pipe.recv()
        threading.Thread(target=_exit_with_worker, args=(pipe,), daemon=True).start()
        _run(address, job, pool, pipe, folder)
    except (EOFError, ConnectionError):
        pass  # the worker is gone and nobody is left to tell
    finally:
        pool.close()


def _run(address: str, job: Job, pool: ForkedBuilders, pipe: Connection, folder: Path) -> None:
    def failed(error: str, detail: str, input_error: bool = False) -> None:
        pipe.send(JobFinished(job.id, JobFailure(error, input_error, detail)))

    log_to_stderr("info", job=job.id)
    try:
        with Farm(Link(address)) as client:
            kind = OperatorSession if job.spec.operator else ModelSession
            result = kind(client, job, pool, pipe, folder).run()
        pipe.send(JobFinished(job.id, result))
    except SessionOver as error:
        log.warning("%s", error)
    except InputError as error:
        # Where it was raised says nothing to whoever runs the tracker, unless another error is behind it.
        detail = traceback.format_exc() if error.__cause__ is not None else ""
        failed(str(error), input_error=True, detail=detail)
    except TuningError as error:
        failed(str(error), detail=traceback.format_exc())
    except OSError as error:
        failed(f"the tuning worker could not go on: {error}", detail=traceback.format_exc())
    except Exception as error:  # noqa: BLE001 - the job fails with a sentence, the tracker's log has the rest
        sentence = f"internal error while {job.spec.model_name} was tuned: {type(error).__name__}: {first_line(error)}"
        failed(sentence, detail=traceback.format_exc())


def _exit_with_worker(pipe: Connection) -> None:
    try:
        pipe.recv()
    except (EOFError, OSError):
        os._exit(1)
