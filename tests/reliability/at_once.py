"""Run the same command several times at the same moment in the same folder, round after round.

    python at_once.py STATE ROUNDS COMMAND ARGUMENT ...

STATE is a folder; each round has a copy of its own. The last line is JSON: what went wrong.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from crashes import contents, hidden, preload, run

TOGETHER = 5


def run_together(folder, command):
    """Start all, let them go at once; what those said that did not end well."""
    gate, opens = os.pipe()
    children = {}
    for number in range(TOGETHER):
        said = folder.with_name(f"said{number}")
        child = os.fork()
        if not child:
            os.close(opens)
            os.read(gate, 1)  # until the parent closes it
            done = run(folder, command, said=said)
            os._exit(1 if done is None or done["code"] else 0)
        children[child] = said
    os.close(gate)
    os.close(opens)
    wrong = []
    for child, said in children.items():
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status):
            wrong.append(said.read_text()[-500:])
    return wrong


def main(state, rounds, command):
    """Each round's faults: what failed, and what differs from the command run alone."""
    with tempfile.TemporaryDirectory(dir=state.parent) as place:
        alone = Path(place) / "state"
        shutil.copytree(state, alone, symlinks=True)
        done = run(alone, command)
        if done is None or done["code"]:
            return [alone.with_suffix(".said").read_text()]
        after = contents(alone)
    preload(done["modules"])
    wrong = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(dir=state.parent) as place:
            folder = Path(place) / "state"
            shutil.copytree(state, folder, symlinks=True)
            wrong += [f"round {number}: {said}" for said in run_together(folder, command)]
            now = contents(folder)
            differ = [path for path in {*now, *after} if now.get(path) != after.get(path)]
            wrong += [f"round {number}: {path} differs" for path in differ]
            wrong += [f"round {number}: {path} is left over" for path in hidden(folder)]
    return wrong


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]).resolve(), int(sys.argv[2]), sys.argv[3:])))
