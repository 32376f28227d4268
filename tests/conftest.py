"""What holds for every run.

In CI everything that a system test needs can be installed, so one that is skipped has not been run by anybody.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest

from tests.support.leaks import LeakCheck
from tests.support.own_home import OwnHome
from tests.support.own_network import is_apart, missing, run_test_apart

_FOREIGN = "--beside-a-foreign-farm"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(_FOREIGN, action="store_true", help="a tracker and agents of others run on this machine meanwhile")


def pytest_configure(config: pytest.Config) -> None:
    home = OwnHome()
    config.pluginmanager.register(home)
    config.pluginmanager.register(LeakCheck(home))
    if config.getoption(_FOREIGN) and not hasattr(config, "workerinput"):  # one for all of pytest-xdist's processes
        # Not before: it brings what a farm imports.
        from tests.support.foreign_farm import ForeignFarm

        config.pluginmanager.register(ForeignFarm(home.folder / "foreign"))
    # A shell's background job, and all that it starts, ignores Ctrl-C, which many a test presses.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test of mDNS would hear other tests beside it, and a farm of this machine."""
    if pyfuncitem.get_closest_marker("own_network") is None or is_apart() or missing():
        return None
    run_test_apart(pyfuncitem.nodeid)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and item.get_closest_marker("system"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        told = str(reason).removeprefix("Skipped: ")
        if not told.startswith("this CPU has no "):  # nobody can install that
            report.outcome = "failed"
            report.longrepr = f"in CI a skipped system test is a failure: {told}"
    return report
