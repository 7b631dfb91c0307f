import pytest
from clips import COMMANDS, try_command


def run_at_once(root, name, rounds):
    """What goes wrong where five equal commands start together, round after round."""
    return try_command("at_once.py", root, name, rounds)


@pytest.mark.parametrize("name", ["run", "evaluate"])
def test_five_equal_commands_at_once_end_as_one(states, name):
    assert run_at_once(states, name, 2) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_twenty_rounds_of_five_equal_commands(states, name, record_property):
    record_property("rounds", 20)
    assert run_at_once(states, name, 20) == []
