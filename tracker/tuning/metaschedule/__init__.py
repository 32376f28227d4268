"""The farm behind MetaSchedule's own interfaces, for a person's own tuning script.

``FarmBuilder`` builds in warm processes on this machine, ``FarmRunner`` measures on boards of the farm,
``FarmDatabase`` is the farm's tuning log. Each stands alone as far as its docstring says; together every measurement
enters the log.
"""

from tracker.tuning.metaschedule.builder import FarmBuilder
from tracker.tuning.metaschedule.database import FarmDatabase
from tracker.tuning.metaschedule.runner import FarmRunner

__all__ = ["FarmBuilder", "FarmDatabase", "FarmRunner"]
