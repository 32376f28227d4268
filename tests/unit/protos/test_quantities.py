"""How quantities are told where no table is."""

from __future__ import annotations

import pytest

from tvm_farm.protos.quantities import size


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "0.977 KiB"), (61 << 20, "61.0 MiB"), (1023 << 20, "0.999 GiB")],
)
def test_a_size_is_told_in_powers_of_1024(count: int, text: str) -> None:
    assert size(count) == text
