"""Processes that a command under test has started, and waiting for them."""

import time

import psutil

MARK = "VADBENCH_TEST_RUN"  # a variable that whatever a command starts inherits


def processes_of(mark):
    """All that a command with this value of `MARK` has started and not ended, itself among them."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until(holds, seconds=90.0):
    """Wait until something holds; an error where it does not in time."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.05)
