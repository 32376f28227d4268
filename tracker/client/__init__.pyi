# What __init__.py loads when it is asked for, for type checkers.
from tvm_farm.tracker.script import FarmBuilder, FarmDatabase, FarmRunner

__all__ = ["FarmBuilder", "FarmDatabase", "FarmRunner"]
