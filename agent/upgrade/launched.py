"""The first lines of a process that runs the farm's code: a script, ``launched.py FOLDER ARGUMENTS OF AGENT…``.

It belongs to the installed agent, and imports that one's half before the path leads to FOLDER.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # The folder of a script is the first on the path; the installed agent's is wanted there.
    here = Path(__file__).absolute().parent
    sys.path[:] = [str(here.parents[2]), *(each for each in sys.path if each != str(here))]
    from tvm_farm.agent.upgrade.trial import run

    run(Path(sys.argv[1]), sys.argv[2:])
