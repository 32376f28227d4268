"""The agent's session as tables: a story of events, and the effects of its last one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from tvm_farm.agent.session.effects import (
    AskTurn,
    BringUpgrade,
    CancelRun,
    Connect,
    Disconnect,
    DropUpgrade,
    Effect,
    Exit,
    Fetch,
    PassTurn,
    Release,
    Say,
    Send,
    SendHeartbeat,
    SendJoin,
    Settle,
    StartRun,
)
from tvm_farm.agent.session.events import (
    DiskFailed,
    DiskMended,
    Event,
    FilesFailed,
    FilesReady,
    Finished,
    Heard,
    LinkDown,
    LinkUp,
    RunnerFailed,
    RuntimeCame,
    Stop,
    Tick,
    TurnCame,
    Unreadable,
    UpgradeFailed,
    UpgradeReady,
    UpgradeShare,
)
from tvm_farm.agent.session.joining import BACKOFF_LONGEST_S
from tvm_farm.agent.session.messages import Acknowledged, CancelTrials, Draining, GiveBack, Joined, Refused, Started
from tvm_farm.agent.session.state import Phase, Session
from tvm_farm.agent.session.transition import begin, transition, wakes_at
from tvm_farm.protos.measurement import Artifact, Measurement, MeasureRequest, Outcome, Program, ProgramKind
from tvm_farm.protos.upgrade import Upgrade

HEARTBEAT_S = 2.0
JOINED = Heard(Joined(farm="lab", heartbeat_s=HEARTBEAT_S, pools=("arm64",)))


def trial(name: str) -> MeasureRequest:
    return MeasureRequest(name, Program(ProgramKind.KERNEL, Artifact("d" * 64, 1, b"x"), "main", ()))


def asked(name: str) -> Heard:
    return Heard(trial(name))


def result(name: str, outcome: Outcome = Outcome.OK) -> Measurement:
    return Measurement(name, outcome)


def done(name: str, outcome: Outcome = Outcome.OK) -> Finished:
    return Finished(result(name, outcome))


def tell(
    events: Sequence[Event | tuple[float, Event]], slots: int = 3, shares_board: bool = False
) -> tuple[Session, list[Effect]]:
    """The state after ``events`` (each at its time, or when the one before was), and the last one's effects but Say."""
    state, effects = begin(slots, shares_board)
    now = 100.0
    for item in events:
        if isinstance(item, tuple):
            now, item = item
        state, effects = transition(state, item, now)
    return state, [effect for effect in effects if not isinstance(effect, Say)]


UP = [LinkUp(), JOINED]
RUNNING_A = [*UP, asked("a"), FilesReady("a")]
A_RUNS_B_WAITS = [*RUNNING_A, asked("b")]
A_IN_OUTBOX = [*RUNNING_A, done("a")]
FULL = "its disk is full"
REASON = "the agent was asked to stop"
UPGRADE = Upgrade("u1", "0.2.0", "d" * 64, 1000)
ORDERED = Heard(UPGRADE)
RESTARTING = Send(Upgrade("u1", share=1.0, restarting=True))
AGAIN = Exit(0, restart=True)
UPGRADED = "its agent is being upgraded"

STORIES: dict[str, tuple[list[Any], list[Effect], Phase]] = {
    "a new stream is told who we are": ([LinkUp()], [SendJoin()], Phase.JOINING),
    "joined: the code that runs stands": (UP, [Settle()], Phase.IDLE),
    "a trial's files are fetched": ([*UP, asked("a")], [Fetch(trial("a"))], Phase.IDLE),
    "it runs when they are here": (RUNNING_A, [StartRun(trial("a")), Send(Started("a"))], Phase.MEASURING),
    "the next is fetched while one runs": (A_RUNS_B_WAITS, [Fetch(trial("b"))], Phase.MEASURING),
    "and waits its turn": ([*A_RUNS_B_WAITS, FilesReady("b")], [], Phase.MEASURING),
    "a result is sent and the next starts": (
        [*A_RUNS_B_WAITS, FilesReady("b"), done("a")],
        [Release("a"), Send(result("a"), patient=True), StartRun(trial("b")), Send(Started("b"))],
        Phase.MEASURING,
    ),
    "a result for which nobody has to wait leaves at once": (
        [*A_RUNS_B_WAITS, done("a")],
        [Release("a"), Send(result("a"))],
        Phase.IDLE,
    ),
    "a trial whose files are slow does not hold up the one behind it": (
        [*UP, asked("a"), asked("b"), FilesReady("b")],
        [StartRun(trial("b")), Send(Started("b"))],
        Phase.MEASURING,
    ),
    "a failed kernel is a result like any other": (
        [*RUNNING_A, done("a", Outcome.CRASH)],
        [Release("a"), Send(result("a", Outcome.CRASH))],
        Phase.IDLE,
    ),
    "sent twice while queued": ([*UP, asked("a"), asked("a")], [], Phase.IDLE),
    "sent twice while running": ([*RUNNING_A, asked("a")], [], Phase.MEASURING),
    "sent again with its result unacknowledged: answered, not run": (
        [*A_IN_OUTBOX, asked("a")],
        [Send(result("a"))],
        Phase.IDLE,
    ),
    "a disk that takes no files: what has none here goes back, after the tracker heard why": (
        [*A_RUNS_B_WAITS, asked("c"), FilesReady("c"), DiskFailed(FULL, "b", "no room for b")],
        [SendHeartbeat(), Release("b"), Send(GiveBack(("b",), "no room for b"))],
        Phase.MEASURING,
    ),
    "and what is here is measured": (
        [*A_RUNS_B_WAITS, asked("c"), FilesReady("c"), DiskFailed(FULL, "b"), done("a")],
        [Release("a"), Send(result("a"), patient=True), StartRun(trial("c")), Send(Started("c"))],
        Phase.MEASURING,
    ),
    "it takes no others": ([*UP, DiskFailed(FULL), asked("a")], [Send(GiveBack(("a",), FULL))], Phase.IDLE),
    "and says so once": ([*UP, DiskFailed(FULL), DiskFailed(FULL)], [], Phase.IDLE),
    "unless it is for another reason": (
        [*UP, DiskFailed(FULL), DiskFailed("its disk is read-only")],
        [SendHeartbeat()],
        Phase.IDLE,
    ),
    "before it has joined it is in the join": ([LinkUp(), DiskFailed(FULL)], [], Phase.JOINING),
    "a disk that takes files again is told": ([*UP, DiskFailed(FULL), DiskMended()], [SendHeartbeat()], Phase.IDLE),
    "and trials come": ([*UP, DiskFailed(FULL), DiskMended(), asked("a")], [Fetch(trial("a"))], Phase.IDLE),
    "more than the slots": (
        [*UP, asked("a"), asked("b"), asked("c"), asked("d")],
        [Send(GiveBack(("d",), "3 trials wait on this device, all it said it would take"))],
        Phase.IDLE,
    ),
    "acknowledged results are forgotten": ([*A_IN_OUTBOX, Heard(Acknowledged(("a",)))], [], Phase.IDLE),
    "files that do not come are no fault of the kernel": (
        [*UP, asked("a"), FilesFailed("a", "the disk is full")],
        [Release("a"), Send(GiveBack(("a",), "the disk is full"))],
        Phase.IDLE,
    ),
    "files of a trial cancelled meanwhile": (
        [*UP, asked("a"), Heard(CancelTrials(("a",))), FilesFailed("a", "late")],
        [],
        Phase.IDLE,
    ),
    "a trial of a newer tracker": (
        [*UP, Unreadable("a", "unknown kind")],
        [Send(GiveBack(("a",), "unknown kind"))],
        Phase.IDLE,
    ),
    # cancel
    "cancel a queued trial": ([*UP, asked("a"), Heard(CancelTrials(("a",)))], [Release("a")], Phase.IDLE),
    "cancel the running one": ([*RUNNING_A, Heard(CancelTrials(("a",)))], [CancelRun()], Phase.MEASURING),
    "cancel it twice": ([*RUNNING_A, Heard(CancelTrials(("a",))), Heard(CancelTrials(("a",)))], [], Phase.MEASURING),
    "a cancelled run is not answered": (
        [*RUNNING_A, Heard(CancelTrials(("a",))), done("a", Outcome.CANCELLED)],
        [Release("a")],
        Phase.IDLE,
    ),
    "nor one that ended well at that moment": (
        [*RUNNING_A, Heard(CancelTrials(("a",))), done("a")],
        [Release("a")],
        Phase.IDLE,
    ),
    "a cancelled run makes way for the next": (
        [*A_RUNS_B_WAITS, FilesReady("b"), Heard(CancelTrials(("a",))), done("a", Outcome.CANCELLED)],
        [Release("a"), StartRun(trial("b")), Send(Started("b"))],
        Phase.MEASURING,
    ),
    "asked again while its cancelled run still ends": (
        [*RUNNING_A, Heard(CancelTrials(("a",))), asked("a")],
        [],
        Phase.MEASURING,
    ),
    "it waits for that end, and for files of its own": (
        [*RUNNING_A, Heard(CancelTrials(("a",))), asked("a"), done("a", Outcome.CANCELLED)],
        [Release("a"), Fetch(trial("a"))],
        Phase.IDLE,
    ),
    "and runs like any other": (
        [*RUNNING_A, Heard(CancelTrials(("a",))), asked("a"), done("a", Outcome.CANCELLED), FilesReady("a")],
        [StartRun(trial("a")), Send(Started("a"))],
        Phase.MEASURING,
    ),
    "cancelled once more before that end, its files stay the running one's": (
        [*RUNNING_A, Heard(CancelTrials(("a",))), asked("a"), Heard(CancelTrials(("a",)))],
        [],
        Phase.MEASURING,
    ),
    "the link is lost before that end": (
        [*RUNNING_A, Heard(CancelTrials(("a",))), asked("a"), LinkDown("cut")],
        [Connect(1.0)],
        Phase.LOST,
    ),
    "a cancelled run takes no slot": (
        [*RUNNING_A, Heard(CancelTrials(("a",))), asked("b"), asked("c"), asked("d")],
        [Fetch(trial("d"))],
        Phase.MEASURING,
    ),
    # the link
    "lost while idle": ([*UP, LinkDown("cut", 1.0)], [Connect(1.0)], Phase.LOST),
    "never reached": ([LinkDown("no route", 0.0)], [Connect(0.5)], Phase.JOINING),
    "lost while one runs: queued trials are dropped, it runs on": (
        [*A_RUNS_B_WAITS, LinkDown("cut")],
        [Release("b"), Connect(1.0)],
        Phase.LOST,
    ),
    "its result waits": ([*RUNNING_A, LinkDown("cut"), done("a")], [Release("a")], Phase.LOST),
    "and is sent after the next join": (
        [*RUNNING_A, LinkDown("cut"), done("a"), LinkUp(), JOINED],
        [Settle(), Send(result("a"))],
        Phase.IDLE,
    ),
    "a run that outlives the gap answers on the new stream": (
        [*RUNNING_A, LinkDown("cut"), LinkUp(), JOINED, done("a")],
        [Release("a"), Send(result("a"))],
        Phase.IDLE,
    ),
    "unacknowledged before the gap, sent again after it": (
        [*A_IN_OUTBOX, LinkDown("cut"), LinkUp(), JOINED],
        [Settle(), Send(result("a"))],
        Phase.IDLE,
    ),
    "acknowledged before the gap, not sent again": (
        [*A_IN_OUTBOX, Heard(Acknowledged(("a",))), LinkDown("cut"), LinkUp(), JOINED],
        [Settle()],
        Phase.IDLE,
    ),
    "a full load after a gap is taken beside the kernel that outlived it": (
        [*RUNNING_A, LinkDown("cut"), LinkUp(), JOINED, asked("b"), asked("c"), asked("d")],
        [Fetch(trial("d"))],
        Phase.MEASURING,
    ),
    # refused
    "refused": (
        [LinkUp(), Heard(Refused("agent too old"))],
        [Exit(3, "the tracker refuses this agent: agent too old")],
        Phase.JOINING,
    ),
    "refused after a gap, with a kernel at hand": (
        [*RUNNING_A, LinkDown("cut"), LinkUp(), Heard(Refused("no"))],
        [CancelRun(), Exit(3, "the tracker refuses this agent: no")],
        Phase.JOINING,
    ),
    "refused for now": (
        [LinkUp(), Heard(Refused("the name is still in use", 4.0))],
        [Disconnect("refused for now")],
        Phase.JOINING,
    ),
    "comes again when told": (
        [LinkUp(), Heard(Refused("the name is still in use", 4.0)), LinkDown("refused for now")],
        [Connect(4.0)],
        Phase.JOINING,
    ),
    # draining
    "stopped while idle": ([*UP, Stop()], [Send(Draining()), Exit(0)], Phase.DRAINING),
    "stopped before it ever joined": ([Stop()], [Exit(0)], Phase.DRAINING),
    "stopped while measuring: the queued ones go back": (
        [*A_RUNS_B_WAITS, Stop()],
        [Release("b"), Send(Draining()), Send(GiveBack(("b",), REASON))],
        Phase.DRAINING,
    ),
    "a trial that crossed with the drain": (
        [*RUNNING_A, Stop(), asked("b")],
        [Send(GiveBack(("b",), "this device is draining"))],
        Phase.DRAINING,
    ),
    "the last result is sent": ([*RUNNING_A, Stop(), done("a")], [Release("a"), Send(result("a"))], Phase.DRAINING),
    "and its acknowledgement ends the agent": (
        [*RUNNING_A, Stop(), done("a"), Heard(Acknowledged(("a",)))],
        [Exit(0)],
        Phase.DRAINING,
    ),
    "without it, time does": (
        [*RUNNING_A, Stop(), (100.0, done("a")), (105.0, asked("b")), (110.0, Tick())],
        [SendHeartbeat(), Exit(0)],
        Phase.DRAINING,
    ),
    "a lost link while draining is taken up again": (
        [*RUNNING_A, Stop(), LinkDown("cut"), LinkUp(), JOINED],
        [Settle(), Send(Draining())],
        Phase.DRAINING,
    ),
    "lost and nothing left to say": ([*UP, LinkDown("cut"), Stop()], [Exit(0)], Phase.DRAINING),
    "a second signal": (
        [*RUNNING_A, Stop(), Stop()],
        [CancelRun(), Exit(130, "a second signal: left at once")],
        Phase.DRAINING,
    ),
    # TVM's runtime
    "a runtime that came is told by joining again": (
        [*UP, RuntimeCame()],
        [Disconnect("TVM's runtime came: joining again")],
        Phase.IDLE,
    ),
    "which is no failure": (
        [*UP, RuntimeCame(), LinkDown("TVM's runtime came: joining again")],
        [Connect(0.1)],
        Phase.LOST,
    ),
    "without a link there is nothing to end": ([RuntimeCame()], [], Phase.JOINING),
    "one that came while a join was on its way": (
        [LinkUp(), RuntimeCame(), JOINED],
        [Settle(), Disconnect("TVM's runtime came: joining again")],
        Phase.IDLE,
    ),
    "once": ([LinkUp(), RuntimeCame(), LinkDown("cut"), LinkUp(), JOINED], [Settle()], Phase.IDLE),
    "who leaves does not join again": ([*RUNNING_A, Stop(), RuntimeCame()], [], Phase.DRAINING),
    # upgrades
    "an upgrade is brought": ([*UP, ORDERED], [BringUpgrade(UPGRADE)], Phase.IDLE),
    "once, however often it is told": ([*UP, ORDERED, ORDERED], [], Phase.IDLE),
    "while kernels run": ([*RUNNING_A, ORDERED], [BringUpgrade(UPGRADE)], Phase.MEASURING),
    "how far it is": (
        [*UP, ORDERED, UpgradeShare("u1", 0.4)],
        [Send(Upgrade("u1", share=0.4))],
        Phase.IDLE,
    ),
    "another one in its place": (
        [*UP, ORDERED, Heard(Upgrade("u2", "0.3.0", "e" * 64, 9))],
        [DropUpgrade(), BringUpgrade(Upgrade("u2", "0.3.0", "e" * 64, 9))],
        Phase.IDLE,
    ),
    "of the former nothing more is told": (
        [*UP, ORDERED, Heard(Upgrade("u2", "0.3.0", "e" * 64, 9)), UpgradeShare("u1", 0.5)],
        [],
        Phase.IDLE,
    ),
    "taken back": ([*UP, ORDERED, Heard(Upgrade())], [DropUpgrade()], Phase.IDLE),
    "none to take back": ([*UP, Heard(Upgrade())], [], Phase.IDLE),
    "given up with the link": ([*UP, ORDERED, LinkDown("cut")], [DropUpgrade(), Connect(1.0)], Phase.LOST),
    "and ordered again with the next": (
        [*UP, ORDERED, LinkDown("cut"), LinkUp(), JOINED, ORDERED],
        [BringUpgrade(UPGRADE)],
        Phase.IDLE,
    ),
    "one that cannot be is told, and the work goes on": (
        [*RUNNING_A, ORDERED, UpgradeFailed("u1", "the disk is full")],
        [Send(Upgrade("u1", failure="the disk is full"))],
        Phase.MEASURING,
    ),
    "it may be ordered again": (
        [*UP, ORDERED, UpgradeFailed("u1", "the disk is full"), ORDERED],
        [BringUpgrade(UPGRADE)],
        Phase.IDLE,
    ),
    "a failure that nobody hears is told when it is ordered again": (
        [*UP, ORDERED, LinkDown("cut"), UpgradeFailed("u1", "the disk is full")],
        [],
        Phase.LOST,
    ),
    "ready while idle: the agent starts again": (
        [*UP, ORDERED, UpgradeReady("u1")],
        [RESTARTING, Send(Draining()), AGAIN],
        Phase.DRAINING,
    ),
    "ready while measuring: the queued ones go back": (
        [*A_RUNS_B_WAITS, ORDERED, UpgradeReady("u1")],
        [RESTARTING, Release("b"), Send(Draining()), Send(GiveBack(("b",), UPGRADED))],
        Phase.DRAINING,
    ),
    "the kernel at hand is finished and answered first": (
        [*RUNNING_A, ORDERED, UpgradeReady("u1"), done("a"), Heard(Acknowledged(("a",)))],
        [AGAIN],
        Phase.DRAINING,
    ),
    "chosen is chosen, though the link went meanwhile": (
        [*UP, ORDERED, LinkDown("cut"), UpgradeReady("u1")],
        [AGAIN],
        Phase.DRAINING,
    ),
    "a signal while it drains for an upgrade: it ends, and does not start again": (
        [*RUNNING_A, ORDERED, UpgradeReady("u1"), Stop(), done("a"), Heard(Acknowledged(("a",)))],
        [Exit(0)],
        Phase.DRAINING,
    ),
    "a second one then": (
        [*RUNNING_A, ORDERED, UpgradeReady("u1"), Stop(), Stop()],
        [CancelRun(), Exit(130, "a second signal: left at once")],
        Phase.DRAINING,
    ),
    "another device of this board that ended first": (
        [*RUNNING_A, ORDERED, UpgradeReady("u1"), Stop(insists=False), done("a"), Heard(Acknowledged(("a",)))],
        [AGAIN],
        Phase.DRAINING,
    ),
    "another device that ended first is no second signal": (
        [*RUNNING_A, Stop(), Stop(insists=False)],
        [],
        Phase.DRAINING,
    ),
    "who leaves begins none": ([*RUNNING_A, Stop(), ORDERED], [], Phase.DRAINING),
    "who leaves does not start again for one that is ready": (
        [*RUNNING_A, ORDERED, Stop(), UpgradeReady("u1"), done("a"), Heard(Acknowledged(("a",)))],
        [Exit(0)],
        Phase.DRAINING,
    ),
    # the runner
    "a runner that cannot start gives everything back": (
        [*A_RUNS_B_WAITS, RunnerFailed("no such file")],
        [
            Release("a"),
            Release("b"),
            Send(Draining()),
            Send(GiveBack(("a", "b"), "no such file")),
            Exit(6, "no such file"),
        ],
        Phase.DRAINING,
    ),
    "a device that goes away may come back": (
        [*A_RUNS_B_WAITS, RunnerFailed("unplugged", device_away=True)],
        [
            Release("a"),
            Release("b"),
            Send(Draining()),
            Send(GiveBack(("a", "b"), "unplugged")),
            Exit(6, "unplugged", device_away=True),
        ],
        Phase.DRAINING,
    ),
    "nobody waits for a device when told to stop": (
        [*RUNNING_A, Stop(), RunnerFailed("unplugged", device_away=True)],
        [Release("a"), Send(Draining()), Send(GiveBack(("a",), "unplugged")), Exit(6, "unplugged")],
        Phase.DRAINING,
    ),
    "a runner that fails while draining": (
        [*RUNNING_A, Stop(), RunnerFailed("gone")],
        [Release("a"), Send(Draining()), Send(GiveBack(("a",), "gone")), Exit(6, "gone")],
        Phase.DRAINING,
    ),
    # time
    "a heartbeat is due": ([(100.0, LinkUp()), JOINED, (102.0, Tick())], [SendHeartbeat()], Phase.IDLE),
    "not yet": ([(100.0, LinkUp()), JOINED, (101.9, Tick())], [], Phase.IDLE),
    "a join that nobody answers": (
        [(100.0, LinkUp()), (115.0, Tick())],
        [Disconnect("the tracker owes an answer and was silent for 15 s")],
        Phase.JOINING,
    ),
    "an idle tracker may be silent": ([(100.0, LinkUp()), JOINED, (106.5, Tick())], [SendHeartbeat()], Phase.IDLE),
    "one that owes an acknowledgement may not": (
        [(100.0, LinkUp()), *RUNNING_A[1:], (101.0, done("a")), (107.0, Tick())],
        [Disconnect("the tracker owes an answer and was silent for 6 s")],
        Phase.IDLE,
    ),
    "a word from it is a sign of life": (
        [(100.0, LinkUp()), *RUNNING_A[1:], (101.0, done("a")), (104.0, asked("b")), (107.0, Tick())],
        [SendHeartbeat()],
        Phase.IDLE,
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_story(story: str) -> None:
    events, effects, phase = STORIES[story]
    state, seen = tell(events)
    assert seen == effects
    assert state.phase is phase


#: Of a device whose board has another one: what it does at the last event.
SHARED: dict[str, tuple[list[Any], list[Effect], Phase]] = {
    "it asks before it starts": (RUNNING_A, [AskTurn()], Phase.IDLE),
    "once": ([*A_RUNS_B_WAITS, FilesReady("b")], [], Phase.IDLE),
    "and starts in its turn": ([*RUNNING_A, TurnCame()], [StartRun(trial("a")), Send(Started("a"))], Phase.MEASURING),
    "a turn is one trial": (
        [*A_RUNS_B_WAITS, FilesReady("b"), TurnCame(), done("a")],
        [Release("a"), PassTurn(), Send(result("a"), patient=True), AskTurn()],
        Phase.IDLE,
    ),
    "passed when nothing waits": (
        [*RUNNING_A, TurnCame(), done("a")],
        [Release("a"), PassTurn(), Send(result("a"))],
        Phase.IDLE,
    ),
    "kept until a cancelled kernel has ended": (
        [*RUNNING_A, TurnCame(), Heard(CancelTrials(("a",)))],
        [CancelRun()],
        Phase.MEASURING,
    ),
    "a turn that comes too late is passed": (
        [*RUNNING_A, Heard(CancelTrials(("a",))), TurnCame()],
        [PassTurn()],
        Phase.IDLE,
    ),
    "asked again after that": (
        [*RUNNING_A, Heard(CancelTrials(("a",))), TurnCame(), asked("b"), FilesReady("b")],
        [AskTurn()],
        Phase.IDLE,
    ),
    "what waits for its turn is given back": (
        [*RUNNING_A, Stop()],
        [Release("a"), Send(Draining()), Send(GiveBack(("a",), REASON)), Exit(0)],
        Phase.DRAINING,
    ),
    "passed by a runner that failed": (
        [*RUNNING_A, TurnCame(), RunnerFailed("gone")],
        [Release("a"), Send(Draining()), Send(GiveBack(("a",), "gone")), PassTurn(), Exit(6, "gone")],
        Phase.DRAINING,
    ),
    "a lost link does not lose the turn": (
        [*RUNNING_A, LinkDown("cut"), TurnCame(), LinkUp(), JOINED, asked("b"), FilesReady("b"), TurnCame()],
        [StartRun(trial("b")), Send(Started("b"))],
        Phase.MEASURING,
    ),
}


@pytest.mark.parametrize("story", SHARED)
def test_story_of_a_shared_board(story: str) -> None:
    events, effects, phase = SHARED[story]
    state, seen = tell(events, shares_board=True)
    assert seen == effects
    assert state.phase is phase


def test_backoff_doubles_to_its_longest_and_a_join_resets_it() -> None:
    state, _ = begin(1)
    delays = []
    for _ in range(8):
        state, effects = transition(state, LinkDown("no route", 1.0), 0.0)
        delays += [effect.after_s for effect in effects if isinstance(effect, Connect)]
    assert delays == [1, 2, 4, 8, 16, BACKOFF_LONGEST_S, BACKOFF_LONGEST_S, BACKOFF_LONGEST_S]
    for event in (LinkUp(), JOINED, LinkDown("cut", 1.0)):
        state, effects = transition(state, event, 0.0)
    assert Connect(1.0) in effects


def test_a_first_step_connects_at_once() -> None:
    assert begin(2) == (Session(slots=2), [Connect(0.0)])


def test_a_refusal_names_its_reason_once_and_nothing_happens_after_the_end() -> None:
    state, _ = tell([LinkUp(), Heard(Refused("agent too old"))])
    assert state.ended
    assert transition(state, LinkDown("closed"), 0.0) == (state, [])
    assert wakes_at(state) == math.inf


@pytest.mark.parametrize(
    ("events", "due"),
    [
        ([], math.inf),
        ([(100.0, LinkUp())], 115.0),
        ([(100.0, LinkUp()), JOINED], 102.0),
        ([(100.0, LinkUp()), *RUNNING_A[1:], (101.0, Stop()), (101.5, done("a")), (102.0, Tick())], 104.0),
        ([(100.0, LinkUp()), *RUNNING_A[1:], Stop(), LinkDown("cut"), (101.5, done("a"))], 111.5),
        ([*UP, LinkDown("cut")], math.inf),
    ],
)
def test_wakes_at(events: list[Any], due: float) -> None:
    state, _ = tell(events)
    assert wakes_at(state) == due


def test_every_fetched_trial_is_released_exactly_once() -> None:
    """Files held for a trial would otherwise stay in the cache for ever, or be let go under a running kernel."""
    endings: list[list[Event]] = [
        [done("a"), FilesReady("b"), done("b")],
        [Heard(CancelTrials(("a", "b"))), done("a", Outcome.CANCELLED)],
        [LinkDown("cut"), done("a")],
        [FilesFailed("b", "full"), done("a")],
        [RunnerFailed("gone")],
        [Stop(), done("a")],
    ]
    for ending in endings:
        state, _ = begin(3)
        fetched: list[str] = []
        released: list[str] = []
        for event in [*A_RUNS_B_WAITS, *ending]:
            state, effects = transition(state, event, 0.0)
            fetched += [effect.request.trial_id for effect in effects if isinstance(effect, Fetch)]
            released += [effect.trial_id for effect in effects if isinstance(effect, Release)]
        assert sorted(released) == sorted(fetched) == ["a", "b"], ending


def test_what_the_tracker_warns_of_is_said_with_each_join() -> None:
    state, _ = begin(3, False)
    state, _ = transition(state, LinkUp(), 100.0)
    _, effects = transition(state, Heard(Joined(farm="lab", warning="another agent is here")), 100.0)
    assert Say("WARNING", "another agent is here") in effects
