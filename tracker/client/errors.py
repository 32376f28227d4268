"""What can go wrong for whoever uses a Farm, and the exit code of each at the ``farm`` command."""

from __future__ import annotations

__all__ = [
    "EXIT_CODES",
    "BadInput",
    "ConnectionLost",
    "FarmError",
    "Interrupted",
    "JobCancelled",
    "JobFailed",
    "JobRefused",
    "NoBoard",
    "TrackerFull",
    "TrackerUnreachable",
    "WaitTimeout",
    "missing_part",
    "unknown",
]

EXIT_CODES = {
    0: "it worked",
    1: "the job or the farm failed, or outputs of the tuned model or of a kernel differ",
    2: "bad input: an option, a file, a name that does not exist",
    3: "no tracker found, or the tracker does not answer",
    4: "no board of the pool may take the work now: none is there, or all are lost, drained or leased to others",
    130: "interrupted; a job that was already submitted goes on",
}


#: What brings a package; all others come with the tracker.
_EXTRAS = {"rich": "client", "torch": "torch"}


def missing_part(error: ModuleNotFoundError) -> str:
    """What to say where an installation of a board or a desk is asked for what it does not have."""
    extra = _EXTRAS.get((error.name or "").partition(".")[0], "tracker")
    return f"This needs {error.name}, which is not installed: pip install 'tvm-farm[{extra}]'."


def unknown(error: ValueError) -> str:
    """What to say where a newer tracker tells what is not known here."""
    return f"Update this program: {error}."


class FarmError(Exception):
    """The job or the farm failed. The message is one sentence for a person, and what to do."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadInput(FarmError):
    """What was asked for cannot be: the person can mend it."""

    exit_code = 2


class NoBoard(FarmError):
    """No board of the pool may take the work now. The same request works once one may."""

    exit_code = 4


class JobFailed(FarmError):
    """A job that was waited for ended without a result."""


class JobCancelled(JobFailed):
    """It was cancelled."""


class JobRefused(JobFailed, BadInput):
    """What it was asked for cannot be tuned: the person can mend it."""


class WaitTimeout(FarmError, TimeoutError):
    """The time that was given for waiting is over. The job goes on."""


class TrackerFull(FarmError):
    """The tracker has no room to keep what was sent. The same call works once somebody has made room."""


class TrackerUnreachable(FarmError):
    """No tracker found, or it does not answer."""

    exit_code = 3


class ConnectionLost(TrackerUnreachable):
    """The tracker answered before and does not now: what was asked may be asked again."""


class Interrupted(FarmError):
    """Ctrl-C. The message says what goes on without us."""

    exit_code = 130
