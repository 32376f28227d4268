"""A home, a folder for temporary files and an environment of the tests' own: nobody's farm is read or written.

In force from before the first test module is imported until pytest ends.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

__all__ = ["MARK", "PYTESTS_ROOT", "OwnHome"]

#: Bears the id of the pytest process in the environment of all that tests start.
MARK = "FARM_TESTS_OF"

#: What the product reads besides TVMFARM_*: of systemd, of a package's runtime, of where state and settings are kept.
_READ = {
    "JOURNAL_STREAM",
    "NOTIFY_SOCKET",
    "TVM_RUNTIME",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
}
#: What other programs look for in a home, by the variable that says it is elsewhere: what they would have to make or
#: fetch again, and where this machine's packages come from.
_TOOLS = {"XDG_CACHE_HOME": ".cache", "RUSTUP_HOME": ".rustup", "PIP_CONFIG_FILE": ".config/pip/pip.conf"}
#: Pytest's own folders stay where they are; see ``pytest --basetemp``.
PYTESTS_ROOT = "PYTEST_DEBUG_TEMPROOT"


class OwnHome:
    """HOME and TMPDIR are folders of this pytest process; what the product reads of an environment is not set."""

    def __init__(self, environ: dict[str, str] | os._Environ[str] = os.environ) -> None:
        home = Path(environ.get("HOME") or Path.home())
        for name, place in _TOOLS.items():
            if (home / place).exists():
                environ.setdefault(name, str(home / place))
        environ.setdefault(PYTESTS_ROOT, tempfile.gettempdir())
        for name in [name for name in environ if name.startswith("TVMFARM_") or name in _READ]:
            del environ[name]
        # A short name: paths of sockets in it have a limit.
        self.folder = Path(tempfile.mkdtemp(prefix="farm-tests-", dir=environ[PYTESTS_ROOT]))
        self.home, self.temporary = self.folder / "home", self.folder / "tmp"
        self.folder.chmod(0o755)  # some tests give up root's rights
        self.home.mkdir()
        self.temporary.mkdir()
        self.temporary.chmod(0o1777)
        environ.update({"HOME": str(self.home), "TMPDIR": str(self.temporary), MARK: str(os.getpid())})
        tempfile.tempdir = None  # read anew

    def pytest_unconfigure(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def files(self) -> set[Path]:
        """All in the home, and what lies in the folder for temporary files."""
        return {*self.home.rglob("*"), *self.temporary.iterdir()}
