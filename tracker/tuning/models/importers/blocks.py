"""What an exception leaves open in a ``relax.BlockBuilder``.

TVM's function scope ends its block in ``emit_func_output`` alone. Without that the builder complains in the log when it
is collected, long after the sentence that refused the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tvm import relax

__all__ = ["end_function", "ended_function"]


@contextmanager
def ended_function(builder: relax.BlockBuilder) -> Iterator[None]:
    """To stand around what is done in a function of ``builder`` before ``emit_func_output``, dataflow included."""
    try:
        yield
    except BaseException:
        end_function(builder)
        raise


def end_function(builder: relax.BlockBuilder) -> None:
    """End the block and the scope of a function that will not be emitted."""
    builder._end_block()
    builder.end_scope()
