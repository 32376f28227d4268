"""Executes kernels on this board: a small native program (native/), and what drives it."""

from tvm_farm.agent.runner.contract import LocalRequest, Runner, RunnerError, RunReport
from tvm_farm.agent.runner.libraries import RuntimeLibraries, find_libc, find_runner, find_runtime
from tvm_farm.agent.runner.supervisor import NativeRunner
from tvm_farm.agent.runner.synthetic import SyntheticModel, SyntheticRunner
from tvm_farm.agent.runner.transport import DeviceAwayError, LocalTransport, Transport
from tvm_farm.agent.runner.via import FORMS, open_transport, parse_via

__all__ = [
    "FORMS",
    "DeviceAwayError",
    "LocalRequest",
    "LocalTransport",
    "NativeRunner",
    "RunReport",
    "Runner",
    "RunnerError",
    "RuntimeLibraries",
    "SyntheticModel",
    "SyntheticRunner",
    "Transport",
    "find_libc",
    "find_runner",
    "find_runtime",
    "open_transport",
    "parse_via",
]
