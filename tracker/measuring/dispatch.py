"""Which trial goes to which board next.

Streams of equal selection share one view of the boards that they may use, so a trial finds the board that holds
least, and a freed slot the stream whose turn it is, without a look at every board or trial.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator

from tvm_farm.tracker.domain import Capacity
from tvm_farm.tracker.measuring.board import Board, Boards
from tvm_farm.tracker.measuring.effects import Deliver, Emit, Send
from tvm_farm.tracker.measuring.histogram import Histogram
from tvm_farm.tracker.measuring.moment import Moment
from tvm_farm.tracker.measuring.stream import Stream
from tvm_farm.tracker.measuring.trial import PendingTrial, TrialState
from tvm_farm.tracker.scheduling.fair_share import FairShare
from tvm_farm.tracker.scheduling.memory import SHARE, fits, no_room
from tvm_farm.tracker.scheduling.placement import Placement, Selection

__all__ = ["Dispatch"]

log = logging.getLogger(__name__)


#: A board that gives back this many trials in a row goes into quarantine.
QUARANTINE_REFUSALS = 3
#: The first quarantine and the longest; each is twice the one before, until the board answers a trial.
QUARANTINE_S = (2.0, 60.0)
#: So long a trial waits for a board to have memory for it.
MEMORY_PATIENCE_S = 60.0


class _Group:
    """Streams of equal selection and the boards they share.

    ``holder``: the user whose streams they are, where that one has a board under lease; else "".
    """

    def __init__(self, selection: Selection, holder: str) -> None:
        self.selection = selection
        self.holder = holder
        self.placement = Placement()
        self.streams: dict[str, Stream] = {}

    def admits(self, board: Board) -> bool:
        return board.takes_work and board.device.open_to(self.holder) and self.selection.admits(board.device)

    def tell_capacity(self, emit: Emit, *streams: Stream) -> None:
        capacity = Capacity(self.placement.devices, self.placement.slots)
        for stream in streams or self.streams.values():
            emit(Deliver(stream, capacity))


class Dispatch:
    """Queues in, orders to boards out. ``waited`` counts how long trials were queued."""

    def __init__(self, boards: Boards, emit: Emit) -> None:
        self._boards = boards
        self._emit = emit
        self._groups: dict[tuple[object, str], _Group] = {}
        self._group_of: dict[str, _Group] = {}
        #: By device class: boards that differ are no substitute for each other.
        self._shares: dict[str, FairShare] = {}
        self.waited = Histogram()

    def streams(self) -> Iterator[Stream]:
        for group in self._groups.values():
            yield from group.streams.values()

    def open(self, stream: Stream) -> None:
        """The stream is told its capacity and takes part from now on."""
        self._enter(stream, self._boards.lease_holders())

    def close(self, stream: Stream) -> None:
        self._exit(stream)
        if all(other.account != stream.account for other in self.streams()):
            for share in self._shares.values():
                share.close(stream.account)

    def _share(self, board: Board) -> FairShare:
        share = self._shares.get(board.device.device_class)
        if share is None:
            share = self._shares[board.device.device_class] = FairShare()
        return share

    def _enter(self, stream: Stream, holders: Collection[str]) -> None:
        # One group for all whom no lease concerns: each group costs every trial of its boards a little.
        key = (stream.selection.key, stream.user if stream.user in holders else "")
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(stream.selection, key[1])
            for board in self._boards.connected():
                self._offer(group, board)
        group.streams[stream.id] = stream
        self._group_of[stream.id] = group
        group.tell_capacity(self._emit, stream)

    def _exit(self, stream: Stream) -> None:
        group = self._group_of.pop(stream.id)
        del group.streams[stream.id]
        if not group.streams:
            del self._groups[group.selection.key, group.holder]

    def offer(self, board: Board, now: Moment) -> None:
        """A board takes work, or is in other pools or under another lease than before."""
        holders = self._boards.lease_holders()
        for stream in list(self.streams()):
            if self._group_of[stream.id].holder != (stream.user if stream.user in holders else ""):
                self._exit(stream)
                self._enter(stream, holders)
        for group in self._groups.values():
            before = board.id in group.placement
            self._offer(group, board)
            if before != (board.id in group.placement):
                group.tell_capacity(self._emit)
        self.fill(board, now)
        # It may have gone from under some of them: what waited for it may go to those that gave it back.
        self.pump_all(now)

    def _offer(self, group: _Group, board: Board) -> None:
        if group.admits(board):
            group.placement.put(board.id, board.slots, len(board.held), board.wants_more, ailing=bool(board.ailing))
        else:
            group.placement.remove(board.id)

    def withdraw(self, board: Board) -> None:
        """A board takes no new work."""
        for group in self._groups.values():
            if board.id in group.placement:
                group.placement.remove(board.id)
                group.tell_capacity(self._emit)

    def refused(self, board: Board, reason: str, now: Moment) -> None:
        """The board gave a trial back. After several in a row it goes into quarantine: it gets none for a while."""
        board.refusals += 1
        if board.refusals < QUARANTINE_REFUSALS or board.quarantined:
            return
        first_s, longest_s = QUARANTINE_S
        for_s = min(longest_s, first_s * 2.0 ** min(board.refusals - QUARANTINE_REFUSALS, 10))
        log.warning(
            "%s gave back %d trials in a row and is in quarantine for %.0f s; the last reason: %s",
            board.device.name, board.refusals, for_s, reason,
        )  # fmt: skip
        board.quarantined_until_s = now.steady_s + for_s
        self.withdraw(board)

    def tick(self, now: Moment) -> None:
        """Time went by: some quarantines are over."""
        for board in list(self._boards.connected()):
            if board.quarantined_until_s is not None and now.steady_s >= board.quarantined_until_s:
                board.quarantined_until_s = None
                if board.takes_work:
                    self.offer(board, now)

    def pump(self, stream: Stream, now: Moment) -> None:
        """Place what is queued in ``stream``. Where a slot is free, no other stream waits for it."""
        placement = self._group_of[stream.id].placement
        while placement.least_held():
            fitting = ((p, placement.least_held(self._avoided(p))) for p in stream.waiting())
            trial, board_id = next(((p, b) for p, b in fitting if b), (None, ""))
            if trial is None:
                return
            board = self._boards.board(board_id)
            self._send(trial, board, now)
            self._hold_changed(board)

    def pump_all(self, now: Moment) -> None:
        """A board is gone: what waited for it may go to those that gave it back."""
        for stream in list(self.streams()):
            self.pump(stream, now)

    def untried(self, trial: PendingTrial) -> bool:
        """Whether a connected board that fits has not yet given the trial back."""
        need = trial.request.memory_bytes
        return any(board.id not in trial.refused_by and fits(need, board.free_bytes) for board in self._open_to(trial))

    def without_room(self, now: Moment) -> list[tuple[PendingTrial, str]]:
        """Queued trials that no board has memory for, and why: none ever will have, or none had for a while."""
        given_up = []
        for trial in [p for stream in self.streams() for p in stream.waiting() if not self._fits_anywhere(p)]:
            boards = [(b.device.name, b.free_bytes, b.device.fingerprint.memory_bytes) for b in self._open_to(trial)]
            reason, never = no_room(trial.request.memory_bytes, boards)
            if not reason:
                trial.cramped_s = None
                continue
            trial.cramped_s = now.steady_s if trial.cramped_s is None else trial.cramped_s
            if never or now.steady_s - trial.cramped_s >= MEMORY_PATIENCE_S:
                given_up.append((trial, reason))
        return given_up

    def _open_to(self, trial: PendingTrial) -> Iterator[Board]:
        stream = trial.stream
        for board in self._boards.connected():
            if not board.drains and board.device.open_to(stream.user) and stream.selection.admits(board.device):
                yield board

    def _fits_anywhere(self, trial: PendingTrial) -> bool:
        return trial.request.memory_bytes <= SHARE * self._boards.least_free_bytes

    def _avoided(self, trial: PendingTrial) -> Collection[str]:
        refused = trial.refused_by if trial.refused_by and self.untried(trial) else ()
        if self._fits_anywhere(trial):
            return refused
        need = trial.request.memory_bytes
        return {*refused, *(board.id for board in self._boards.connected() if not fits(need, board.free_bytes))}

    def fill(self, board: Board, now: Moment) -> None:
        """Give a board's free slots to those whose turn it is, after it released some or feels otherwise."""
        share = self._share(board)
        while board.takes_work and board.wants_more:
            waiting: dict[str, PendingTrial] = {}
            for stream in self._streams_of(board):
                trial = next((p for p in stream.waiting() if board.id not in self._avoided(p)), None)
                if trial is None:
                    continue
                other = waiting.get(stream.account)
                if other is None or trial.waits_since_s < other.waits_since_s:
                    waiting[stream.account] = trial
                    share.open(stream.account, stream.user, stream.opened.priority, now.steady_s)
            turn = share.next({account: trial.waits_since_s for account, trial in waiting.items()}, now.steady_s)
            if turn is None:
                break
            self._send(waiting[turn], board, now)
        self._hold_changed(board)

    def _streams_of(self, board: Board) -> Iterator[Stream]:
        for group in self._groups.values():
            if board.id in group.placement:
                yield from group.streams.values()

    def _send(self, trial: PendingTrial, board: Board, now: Moment) -> None:
        trial.stream.queue.remove(trial)
        if not trial.sent_s:
            # Sent again after a loss, it did not wait all the time in between.
            self.waited.observe(now.steady_s - trial.waits_since_s)
        trial.state, trial.board, trial.sent_s = TrialState.SENT, board, now.unix_s
        stream, share = trial.stream, self._share(board)
        trial.account = stream.account
        share.open(stream.account, stream.user, stream.opened.priority, now.steady_s)
        share.dispatched(stream.account, now.steady_s)
        board.held.add(trial.id)
        self._emit(Send(board, trial.request))

    def release(self, board: Board, trial_id: str, account: str, used_s: float | None, now: Moment) -> None:
        """The board holds the trial no more; ``used_s`` of its time are the account's, None where it did not run.

        The slot is free once ``fill`` was called. A trial that the board does not hold is ignored.
        """
        if trial_id in board.held:
            board.held.discard(trial_id)
            board.ended(trial_id, now.unix_s, used_s)
            self._share(board).returned(account, used_s, now.steady_s)

    def _hold_changed(self, board: Board) -> None:
        held, wants_more, ailing = len(board.held), board.wants_more, bool(board.ailing)
        for group in self._groups.values():
            if board.id in group.placement:
                group.placement.put(board.id, board.slots, held, wants_more, ailing=ailing)
