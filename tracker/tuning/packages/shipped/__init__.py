"""What lies in every package as it is here: a program that people own and run without the farm."""

from pathlib import Path

__all__ = ["RUN"]

#: Source of ``run.py``.
RUN = Path(__file__).with_name("run.py")
