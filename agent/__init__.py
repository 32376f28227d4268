"""The agent: what runs on a board. It never imports tvm, numpy or the tracker."""

from __future__ import annotations

__all__ = ["__version__"]

#: Of the distribution; kept equal to pyproject.toml by a test, since reading metadata costs a board 20 ms.
__version__ = "0.1.0"
