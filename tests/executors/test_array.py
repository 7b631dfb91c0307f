"""An array on a real Slurm, with what is quick; `test_slurm.py` has what happens on the way."""

import pytest
from same import require_same

SUITE = ("--methods", "gaussian,magnitude", "--datasets", "synthetic")


@pytest.mark.timeout(300)
def test_a_quick_array_makes_what_one_machine_makes(user):
    _, err = user.submit(*SUITE, "--wait")
    assert "submitted: 2 jobs in 2 tasks" in err
    user.run(*SUITE, results="local")
    require_same(user.results, user.folder / "local")
