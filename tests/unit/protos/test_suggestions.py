"""What a misspelt word may have meant."""

from __future__ import annotations

import pytest

from tvm_farm.protos.suggestions import did_you_mean, no_such

POOLS = ("arm64", "armv7", "riscv64", "x86_64")


@pytest.mark.parametrize(
    ("word", "question"),
    [
        ("arm46", " Did you mean 'arm64' or 'armv7'?"),
        ("ARM64", " Did you mean 'arm64' or 'armv7'?"),
        ("x86", " Did you mean 'x86_64'?"),
        ("attic", ""),
        ("", ""),
    ],
)
def test_words_like_it_are_asked_for(word: str, question: str) -> None:
    assert did_you_mean(word, POOLS) == question


def test_an_unknown_name_is_a_clause() -> None:
    assert no_such("device", "rpi44", ["rpi4", "rock"]) == "there is no device 'rpi44'. Did you mean 'rpi4'?"
    assert no_such("device", "attic", ["rpi4"]) == "there is no device 'attic'"
