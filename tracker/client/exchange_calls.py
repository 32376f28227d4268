"""Calls of the log's exchange: beside FarmClient, and with its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from tvm_farm.protos.convert import from_message, to_message
from tvm_farm.protos.farm.v1 import control_pb2, record_pb2
from tvm_farm.tracker.client.errors import BadInput
from tvm_farm.tracker.client.streams import Streams, stream
from tvm_farm.tracker.domain import Workload
from tvm_farm.tracker.domain.exchange import Compaction, HistoryFilter, HistoryLine, ImportPart, ImportReport

__all__ = ["ExchangeCalls"]

_TIMEOUT_S = 60.0


class ExchangeCalls(Streams):
    """A part of FarmClient."""

    _stub: Any

    def _errors(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def known_workload(self, key: str) -> Workload | None:
        """With its module; None where the farm does not know it."""
        try:
            with self._errors():
                message = self._stub.GetWorkload(control_pb2.GetWorkloadRequest(key=key), timeout=_TIMEOUT_S)
        except BadInput:
            return None
        return from_message(Workload, message)

    def import_parts(
        self, source: str, user: str, parts: Iterable[ImportPart], kept: Callable[[ImportReport], None]
    ) -> ImportReport:
        """Send ``parts``, the next one while one is stored; ``kept`` is told of each that is. What was new of all.

        What was kept before an error stays, and is known when it is sent again.
        """
        total = ImportReport()
        under_way: Any = None

        def finish() -> ImportReport:
            with self._errors():
                report = from_message(ImportReport, under_way.result())
            kept(report)
            return total.plus(report)

        try:
            for part in parts:
                if under_way is not None:
                    total = finish()
                opening = control_pb2.ImportPart(source=source, user=user, imported_unix_s=total.imported_unix_s)
                message = to_message(control_pb2.ImportPart, part)
                under_way = self._stub.ImportRecords.future(iter([opening, message]), timeout=_TIMEOUT_S)
            return finish() if under_way is not None else total
        finally:
            if under_way is not None:
                under_way.cancel()

    def unknown_trials(self, trial_ids: Iterable[str]) -> list[str]:
        """Those that the farm has no record of, in their order."""
        with self._errors():
            answer = self._stub.FindUnknownTrials(control_pb2.TrialIds(trial_ids=trial_ids), timeout=_TIMEOUT_S)
        return list(answer.trial_ids)

    @stream
    def history(self, wanted: HistoryFilter) -> Iterator[HistoryLine]:
        """The ones that were imported last come first."""
        with self._errors():
            call = self._stub.ListHistory(to_message(record_pb2.HistoryFilter, wanted))
            try:
                for message in call:
                    yield from_message(HistoryLine, message)
            finally:
                call.cancel()

    @stream
    def compact(self, keep: int, dry_run: bool) -> Iterator[Compaction]:
        """How far it is; leaving the iterator ends it there."""
        with self._errors():
            call = self._stub.CompactRecords(control_pb2.CompactRequest(keep=keep, dry_run=dry_run))
            try:
                for message in call:
                    yield from_message(Compaction, message)
            finally:
                call.cancel()
