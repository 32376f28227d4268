"""The farm behind MetaSchedule's own interfaces, for a person's own tuning script.

``FarmBuilder`` builds in warm processes on this machine, ``FarmRunner`` measures on boards of the farm,
``FarmDatabase`` is the farm's tuning log. Each stands alone as far as its docstring says; together every measurement
enters the log.
"""

import tvm_ffi

from tvm_farm.tracker.client.errors import BadInput, ConnectionLost, FarmError, TrackerFull, TrackerUnreachable
from tvm_farm.tracker.script.builder import FarmBuilder
from tvm_farm.tracker.script.database import FarmDatabase
from tvm_farm.tracker.script.runner import FarmRunner

__all__ = ["FarmBuilder", "FarmDatabase", "FarmRunner"]

# What is raised in a callback comes out of TVM as what it was, not as a RuntimeError. By name: "KeyboardInterrupt" too.
for _kind in (BadInput, ConnectionLost, FarmError, KeyboardInterrupt, TrackerFull, TrackerUnreachable):
    tvm_ffi.register_error(_kind.__name__, _kind)
