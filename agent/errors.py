"""The faults that can stop an agent, each with the exit code that a service supervisor sees."""

from __future__ import annotations

__all__ = [
    "EXIT_ABORTED",
    "EXIT_OK",
    "AgentError",
    "ArtifactError",
    "LinkLostError",
    "RefusedError",
    "RunnerUnusableError",
    "SettingsError",
    "SeveralTrackersError",
    "StateInUseError",
    "UpgradeError",
    "at_fault",
]

EXIT_OK = 0
#: A second signal: the agent left at once, with a kernel possibly unfinished.
EXIT_ABORTED = 130


class AgentError(Exception):
    """A fault that ends a command. The text is one sentence for a person: what happened and what to do."""

    exit_code = 1


class SettingsError(AgentError):
    """An option that cannot be used as it is."""

    exit_code = 2


class RefusedError(AgentError):
    """The tracker does not want this agent, and waiting will not change that."""

    exit_code = 3


class SeveralTrackersError(AgentError):
    """mDNS heard more than one farm and nobody said which."""

    exit_code = 4


class StateInUseError(AgentError):
    """Another agent works with the same state folder."""

    exit_code = 5


class RunnerUnusableError(AgentError):
    """The program that executes kernels is missing or does not start."""

    exit_code = 6


class ArtifactError(AgentError):
    """A library or parameter file did not reach this board whole. Never the kernel's fault."""


class UpgradeError(AgentError):
    """The agent that the farm sent cannot be run on this board."""


def at_fault(code: int) -> bool:
    """Whether an agent that ends with this exit code is to blame. A signal and the agent's neighbours are not its
    fault."""
    return code not in (EXIT_OK, EXIT_ABORTED, SeveralTrackersError.exit_code, StateInUseError.exit_code)


class LinkLostError(ArtifactError):
    """The tracker went away meanwhile. The same may be asked once the tracker is back."""
