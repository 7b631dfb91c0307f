import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from clips import COMMANDS, try_command


def kill(root, name, points, **variables):
    """How many operations a command has and were tried, and what was wrong."""
    return try_command("crashes.py", root, name, points, **variables)


def test_a_kill_before_some_of_the_file_operations_loses_nothing(states):
    assert kill(states, "rerun", 5)["wrong"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_kill_before_any_file_operation_loses_nothing(states, name, record_property):
    found = kill(states, name, 0)
    record_property("kills", found["tried"])
    assert found["wrong"] == []
    assert found["tried"] == found["operations"] >= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", "rerun", "evaluate"])
def test_a_disk_that_cannot_exchange_folders_gets_them_back_by_the_next_command(
    states, name, record_property
):
    found = kill(states, name, 0, NO_EXCHANGE="1")
    record_property("kills", found["tried"])
    assert found["wrong"] == []


def test_a_command_that_loses_something_is_found_out(tmp_path):
    """What the other tests rest on."""
    careless = tmp_path / "vadbench" / "cli"
    careless.mkdir(parents=True)
    (careless.parent / "__init__.py").write_text("")
    (careless.parent / "files").mkdir()
    (careless.parent / "files" / "atomic.py").write_text("")
    (careless / "__init__.py").write_text(
        "from pathlib import Path\n"
        "def main():\n"
        "    Path('kept').write_text('before')\n"
        "    Path('kept').unlink()\n"
        "    Path('kept').write_text('after')\n"
    )
    state = tmp_path / "state"
    state.mkdir()
    (state / "kept").write_text("before")
    script = Path(__file__).with_name("crashes.py")
    done = subprocess.run(
        [sys.executable, script, state, "0", "anything"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert "3: lost kept" in found["wrong"]
