"""What W&B's own inspector reads in the files of a run."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path


def transactions(folder, tries=3):
    """What is written in a run's .wandb file, in order."""
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json"]
    # a session of its own: the command starts a program that holds its output, and both must end
    process = subprocess.Popen(
        [*command, str(folder)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        written = process.communicate(timeout=60)[0]
    except subprocess.TimeoutExpired:  # seldom it starts, and then neither ends nor answers
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if tries == 1:
            raise
        return transactions(folder, tries - 1)
    assert process.returncode == 0, written
    return [json.loads(line) for line in written.splitlines()]
