"""Of several addresses the one that answers."""

from __future__ import annotations

import asyncio

import pytest

from tvm_farm.protos import reaching


async def test_an_address_that_never_answers_keeps_none_behind_it_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def reached(address: str, within_s: float) -> str:
        if address == "silent:1":
            await asyncio.Event().wait()
        return address

    monkeypatch.setattr(reaching, "_reached", reached)
    monkeypatch.setattr(reaching, "_NEXT_AFTER_S", 0.001)
    found = asyncio.wait_for(reaching.first_reached(["silent:1", "there:1"], within_s=1e9), 30)
    assert await found == "there:1"
