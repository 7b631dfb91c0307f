import json
import subprocess
import sys
from pathlib import Path

import pytest
from clips import make_environment
from test_crashes import COMMANDS


def run_at_once(root, name, rounds):
    """What goes wrong where five equal commands start together, round after round."""
    state, cached, words = COMMANDS[name]
    command = [word.replace("ROOT", str(root)) for word in words]
    environment = make_environment(root)
    if cached:
        environment["VADBENCH_CACHE"] = "cache"
    script = Path(__file__).with_name("at_once.py")
    done = subprocess.run(
        [sys.executable, script, root / state, str(rounds), *command],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["run", "rerun", "evaluate"])
def test_five_equal_commands_at_once_end_as_one(states, name):
    assert run_at_once(states, name, 2) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_twenty_rounds_of_five_equal_commands(states, name, record_property):
    record_property("rounds", 20)
    assert run_at_once(states, name, 20) == []
