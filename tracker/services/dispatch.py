"""Which trial goes to which board next.

Streams of equal selection share one view of the boards that they may use, so a trial finds the board that holds
least, and a freed slot the stream whose turn it is, without a look at every board or trial.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator

from tracker.domain import Capacity
from tracker.scheduling.fair_share import FairShare
from tracker.scheduling.memory import SHARE, fits, no_room
from tracker.scheduling.placement import Placement, Selection
from tracker.services.board import Board
from tracker.services.fleet import Fleet
from tracker.services.histogram import Histogram
from tracker.services.trials import Pending, Stream, TrialState

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

    def tell_capacity(self, *streams: Stream) -> None:
        capacity = Capacity(self.placement.devices, self.placement.slots)
        for stream in streams or self.streams.values():
            stream.deliver(capacity)


class Dispatch:
    """Queues in, orders to boards out. ``waited`` counts how long trials were queued."""

    def __init__(self, fleet: Fleet, clock: Callable[[], float]) -> None:
        self._fleet = fleet
        self._clock = clock
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
        self._enter(stream, self._fleet.lease_holders())

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
            for board in self._fleet.connected():
                self._offer(group, board)
        group.streams[stream.id] = stream
        self._group_of[stream.id] = group
        group.tell_capacity(stream)

    def _exit(self, stream: Stream) -> None:
        group = self._group_of.pop(stream.id)
        del group.streams[stream.id]
        if not group.streams:
            del self._groups[group.selection.key, group.holder]

    def offer(self, board: Board) -> None:
        """A board takes work, or is in other pools or under another lease than before."""
        holders = self._fleet.lease_holders()
        for stream in list(self.streams()):
            if self._group_of[stream.id].holder != (stream.user if stream.user in holders else ""):
                self._exit(stream)
                self._enter(stream, holders)
        for group in self._groups.values():
            before = board.id in group.placement
            self._offer(group, board)
            if before != (board.id in group.placement):
                group.tell_capacity()
        self.fill(board)
        # It may have gone from under some of them: what waited for it may go to those that gave it back.
        self.pump_all()

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
                group.tell_capacity()

    def refused(self, board: Board, reason: str) -> None:
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
        board.quarantined = True
        self.withdraw(board)
        asyncio.get_running_loop().call_later(for_s, self._quarantine_over, board)

    def _quarantine_over(self, board: Board) -> None:
        board.quarantined = False
        if board.takes_work:
            self.offer(board)

    def pump(self, stream: Stream) -> None:
        """Place what is queued in ``stream``. Where a slot is free, no other stream waits for it."""
        placement = self._group_of[stream.id].placement
        while placement.least_held():
            fitting = ((p, placement.least_held(self._avoided(p))) for p in stream.waiting())
            pending, board_id = next(((p, b) for p, b in fitting if b), (None, ""))
            if pending is None:
                return
            board = self._fleet.board(board_id)
            self._send(pending, board)
            self._hold_changed(board)

    def pump_all(self) -> None:
        """A board is gone: what waited for it may go to those that gave it back."""
        for stream in list(self.streams()):
            self.pump(stream)

    def felt(self, board: Board) -> None:
        """A board is well or ails, or has more or less memory free than before."""
        self.fill(board)

    def untried(self, pending: Pending) -> bool:
        """Whether a connected board that fits has not yet given the trial back."""
        need = pending.request.memory_bytes
        return any(
            board.id not in pending.refused_by and fits(need, board.free_bytes) for board in self._open_to(pending)
        )

    def without_room(self, now: float) -> list[tuple[Pending, str]]:
        """Queued trials that no board has memory for, and why: none ever will have, or none had for a while."""
        given_up = []
        for pending in [p for stream in self.streams() for p in stream.waiting() if not self._fits_anywhere(p)]:
            boards = [(b.device.name, b.free_bytes, b.device.fingerprint.memory_bytes) for b in self._open_to(pending)]
            reason, never = no_room(pending.request.memory_bytes, boards)
            pending.cramped_s = (pending.cramped_s or now) if reason else 0.0
            if reason and (never or now - pending.cramped_s >= MEMORY_PATIENCE_S):
                given_up.append((pending, reason))
        return given_up

    def _open_to(self, pending: Pending) -> Iterator[Board]:
        stream = pending.stream
        for board in self._fleet.connected():
            if not board.drains and board.device.open_to(stream.user) and stream.selection.admits(board.device):
                yield board

    def _fits_anywhere(self, pending: Pending) -> bool:
        return pending.request.memory_bytes <= SHARE * self._fleet.least_free_bytes

    def _avoided(self, pending: Pending) -> Collection[str]:
        refused = pending.refused_by if pending.refused_by and self.untried(pending) else ()
        if self._fits_anywhere(pending):
            return refused
        need = pending.request.memory_bytes
        return {*refused, *(board.id for board in self._fleet.connected() if not fits(need, board.free_bytes))}

    def fill(self, board: Board) -> None:
        """Give a board's free slots to those whose turn it is, after it released some or feels otherwise."""
        share = self._share(board)
        while board.takes_work and board.wants_more:
            now = self._clock()
            waiting: dict[str, Pending] = {}
            for stream in self._streams_of(board):
                pending = next((p for p in stream.waiting() if board.id not in self._avoided(p)), None)
                if pending and (stream.account not in waiting or pending.queued_s < waiting[stream.account].queued_s):
                    waiting[stream.account] = pending
                    share.open(stream.account, stream.user, stream.opened.priority, now)
            turn = share.next({account: pending.queued_s for account, pending in waiting.items()}, now)
            if turn is None:
                break
            self._send(waiting[turn], board)
        self._hold_changed(board)

    def _streams_of(self, board: Board) -> Iterator[Stream]:
        for group in self._groups.values():
            if board.id in group.placement:
                yield from group.streams.values()

    def _send(self, pending: Pending, board: Board) -> None:
        pending.stream.queue.remove(pending)
        now = self._clock()
        if not pending.sent_s:
            # Sent again after a loss, it did not wait all the time in between.
            self.waited.observe(now - pending.queued_s)
        pending.state, pending.board, pending.sent_s = TrialState.SENT, board, now
        stream, share = pending.stream, self._share(board)
        pending.account = stream.account
        share.open(stream.account, stream.user, stream.opened.priority, now)
        share.dispatched(stream.account, now)
        board.held.add(pending.id)
        board.send(pending.request)

    def release(self, board: Board, trial_id: str, account: str, used_s: float | None) -> None:
        """The board holds the trial no more; ``used_s`` of its time are the account's, None where it did not run.

        The slot is free once ``fill`` was called. A trial that the board does not hold is ignored.
        """
        if trial_id in board.held:
            board.held.discard(trial_id)
            now = self._clock()
            board.ended(trial_id, now, used_s)
            self._share(board).returned(account, used_s, now)

    def _hold_changed(self, board: Board) -> None:
        held, wants_more, ailing = len(board.held), board.wants_more, bool(board.ailing)
        for group in self._groups.values():
            if board.id in group.placement:
                group.placement.put(board.id, board.slots, held, wants_more, ailing=ailing)
